"""What must be true of a store that several processes write to, whatever happens to them: checked at every effect.

A world is one memory with one clock, a plain prefix `run/single` and a manager's directory `run`. It is told of every
operation when it takes effect, and knows who did it; what is committed, named, left and retired follows from that.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.state.recovery import steps_of
from cloudckpt.state.state_file import CheckpointState, decode_state
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location
from tests.faults.scheduled import ScheduledStore
from tests.manager.runs import manager_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.storage.store import Capabilities

HOUR = 3600.0
START = 1.8e9
PLAIN = "run/single"
STATE = "run/checkpoint"


def tree(number: int) -> dict[str, Any]:
    """What a save holds: every value tells its number."""
    return {"w": np.full(3, number), "v": np.full(2, number, np.float32), "number": number}


def number_of(loaded: dict[str, Any]) -> int:
    """The number of a tree, all of whose values tell the same one."""
    (number,) = {*loaded["w"].tolist(), *map(int, loaded["v"]), loaded["number"]}
    return int(number)


def index_of(step: int) -> str:
    return f"run/ckpt-{step}.index"


@dataclass
class Save:
    """One save that was begun."""

    number: int
    step: int | None
    """None for the plain prefix"""
    seen: str | None = None
    """the version of the index that it saw when it looked"""

    @property
    def index(self) -> str:
        return f"{PLAIN}.index" if self.step is None else index_of(self.step)


@dataclass
class Commit:
    """An index that took effect, and the data files that were there then, which must stay the same objects."""

    number: int
    version: str
    modified: float
    data: dict[str, object]


@dataclass
class Process:
    """One process: its way to the store, and what the model knows of its save and of what it has looked at."""

    store: ScheduledStore
    save: Save | None = None
    step: int = 0
    """the last one that it restored or saved"""
    states_before: int = 0
    """how many states had been written when its call began"""
    state_seen: int = -1
    """how many states had been written when it read the one that it holds"""
    found: set[int] = field(default_factory=set)
    """steps that it has restored as the newest, so that it names and retires them"""
    known: set[str] = field(default_factory=set)
    """versions of indexes that it has listed or written"""


class MemoryLikeS3(MemoryStore):
    """A memory that can't delete on a condition."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, delete_if_version=False)


class World:
    """One store, and the truth about it."""

    def __init__(self, store: type[MemoryStore] = MemoryStore, *, max_to_keep: int = 2) -> None:
        self.now = START
        self.filesystem = MemoryFileSystem(skip_instance_cache=True)
        self.filesystem.store = {}
        self.raw = store(self.filesystem, clock=lambda: self.now)
        self.late: list[Callable[[], object]] = []
        self.saves: dict[int, Save] = {}
        self.commits: dict[str, Commit] = {}
        self.history: list[int] = []
        """the numbers that the plain prefix has held, one after the other"""
        self.line: list[int] = []
        """the steps that the state names"""
        self.left: set[int] = set()
        self.retired: set[int] = set()
        self.max_to_keep = max_to_keep
        self.states = 0
        self.changed = False
        """since the last check"""
        self.taken: set[int] = set()
        """the numbers whose index took effect"""
        self.writers: dict[str, Process] = {}
        """who wrote each version of an index or a state"""
        self.announced: set[int] = set()
        """the numbers that a state has named"""

    def process(self) -> Process:
        """A new one."""
        process = Process(ScheduledStore(self.raw, self.late))
        process.store.effect = partial(self.effect, process, None)
        return process

    def begin(self, process: Process, step: int | None) -> Save:
        """A process begins to save."""
        save = process.save = Save(len(self.saves) + 1, step)
        process.store.effect = partial(self.effect, process, save)
        self.saves[save.number] = save
        return save

    def effect(self, process: Process, save: Save | None, name: str, key: str) -> None:
        """An operation of that process took effect just now, which it did in that save, or after it."""
        if name == "put":
            self.writers[self.raw.stat(key).version] = process
        self.changed |= name not in {"list", "get", "read", "stat", "create", "write"}
        if name == "list" and save is not None and key == save.index.removesuffix("index"):
            save.seen = self._version(save.index)
        elif name == "list" and key == "run/ckpt-":
            process.known.update(commit.version for commit in self.commits.values())
        elif (name, key) == ("get", STATE):
            process.state_seen = self.states
        elif (name, key) == ("put", STATE):
            self._state_written(process, save)
        elif name == "put":
            self._committed(process, key)
        elif name.startswith("delete"):
            self._deleted()

    def check(self) -> None:
        """What is committed is whole, and what recovery finds is what was saved last."""
        if not self.changed:
            return
        self.changed = False
        for key, commit in self.commits.items():
            assert self._version(key) == commit.version
            for data, file in commit.data.items():
                assert self.filesystem.store.get(f"/{data}") is file, f"{data} of {key}"
        assert {f"/{key}" for key in self.commits} == {key for key in self.filesystem.store if key.endswith(".index")}
        if self.history:
            assert number_of(load_tree(Location(self.raw, PLAIN))) == self.history[-1]
        self.check_recovery()

    def check_recovery(self) -> None:
        """A process that starts now finds the newest step that is named, or an unnamed one that was committed later."""
        found = self.recovered()
        named = self.line[-1] if self.line else None
        if found is None:
            assert not any(key.startswith("run/ckpt-") for key in self.commits)
            return
        number, step = found
        assert number == self.commits[index_of(step)].number
        if named is not None:
            assert step == max(self.unnamed_after_the_state(), default=named)

    def recovered(self) -> tuple[int, int] | None:
        """The number and the step that a new process finds, if there is anything that may be resumed."""
        with manager_at(Location(self.raw, "run")) as manager, warnings.catch_warnings(action="ignore"):
            found = manager.restore_latest(default=None)
        return None if found is None else (number_of(found[0]), found[1])

    def unnamed_after_the_state(self) -> set[int]:
        """The steps beyond the newest named one that were committed after the state was written, as times tell."""
        state, written = self.state(), self.filesystem.store[f"/{STATE}"].modified.timestamp()
        times = {step: self.commits[index_of(step)].modified for step in self.steps()}
        if any(times[step] > written for step in self.line):
            return set()  # as in a copy of the directory
        known = {*self.line, *self.left, *steps_of((*state.retired, *state.left), "ckpt")}
        return {step for step, time in times.items() if step > self.line[-1] and time >= written} - known

    def steps(self) -> list[int]:
        """Those that have an index."""
        return sorted(steps_of((key.removesuffix(".index") for key in self.commits), "ckpt"))

    def pass_time(self, seconds: float) -> None:
        """The store's clock goes on."""
        self.now += seconds

    def state(self) -> CheckpointState:
        """What the state file says; nothing without one."""
        if f"/{STATE}" not in self.filesystem.store:
            return CheckpointState()
        return decode_state(self.raw.get(STATE)[0], STATE)

    def files(self) -> list[str]:
        """The keys of everything."""
        return [path.removeprefix("/") for path in self.filesystem.store]

    def committed_files(self) -> set[str]:
        """All that should be there once everything else has been collected."""
        state = {STATE} if f"/{STATE}" in self.filesystem.store else set()
        return state.union(*({key, *commit.data} for key, commit in self.commits.items()))

    def _version(self, key: str) -> str | None:
        return self.raw.stat(key).version if f"/{key}" in self.filesystem.store else None

    def _committed(self, process: Process, key: str) -> None:
        data, info = self.raw.get(key)
        prefix = key.removesuffix(".index")
        number = number_of(load_tree(Location(self.raw, prefix)))
        save = self.saves[number]
        assert save.index == key
        before = self.commits.get(key)
        # It replaces nothing that it has not seen, and of a manager's directory nothing that another one saved since.
        assert (before.version if before else None) == save.seen
        assert save.step is None or before is None or before.version in process.known
        files = {name: self.filesystem.store[f"/{name}"] for name in needed_data_files(prefix, decode_index(data, key))}
        self.taken.add(number)
        self.commits[key] = Commit(number, info.version, info.modified, files)
        process.known.add(info.version)
        if save.step is None:
            self.history.append(number)
        else:
            state = self.state()
            self.left.discard(save.step)
            if f"ckpt-{save.step}" not in state.retired:  # else a loser's, who did not know; the next save deletes it
                self.retired.discard(save.step)
            if state.successor == f"ckpt-{save.step}":
                self.left.update(set(self.line) - {save.step})
                self.line = [save.step]

    def _state_written(self, process: Process, save: Save | None) -> None:
        assert process.state_seen == self.states, "it replaced a state that it had not seen"
        self.states = process.state_seen = self.states + 1
        state = self.state()
        assert save is not None
        assert save.step is not None
        new = steps_of(state.paths, "ckpt")
        dropped = [step for step in self.line if step not in new]
        if save.number in self.taken:
            assert new[-1] == save.step == steps_of([state.latest], "ckpt")[0]
            assert new == sorted(new)
            assert len(new) <= self.max_to_keep
            # Only the oldest go, and only for others that stay.
            assert not dropped or (len(new) == self.max_to_keep and max(dropped) < new[0]) or set(dropped) <= self.left
            adopted = process.found.intersection(steps_of(state.retired, "ckpt")) - self.retired
            assert max(adopted, default=-1) < new[0]
            self.retired.update(dropped, adopted)
            self.announced.add(save.number)
        else:
            # It does not know that it has retired some, where the answer to that was lost, and names them again.
            kept = {step for step in {*self.line, *self.retired.intersection(new)} if step < save.step}
            assert new == sorted(kept) or not dropped
            self.left.update(dropped)
        self.line = new
        self.left.difference_update(new)
        self.retired.difference_update(new)
        assert all(index_of(step) in self.commits for step in new)

    def _deleted(self) -> None:
        for key in [key for key in self.commits if f"/{key}" not in self.filesystem.store]:
            (step,) = steps_of([key.removesuffix(".index")], "ckpt")
            assert step in self.retired, f"{key} was deleted, and nothing retires it"
            del self.commits[key]
