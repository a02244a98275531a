"""The power goes at any moment of whatever writes: the old checkpoint is there or the new one, and what was said stays.

`power_cut` is the model of the disk; docs/design/power_cut.md says what is flushed when.
"""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import CloudckptError, RecoveryWarning
from cloudckpt.garbage.collect import collect_garbage
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.testing.faults import Crash
from tests.faults.power_cut import Flush, Names, Said, build, cuts
from tests.faults.recorder import Recorder
from tests.faults.scenarios import (
    Delete,
    Manage,
    Merge,
    MergeWithoutLinks,
    Overwrite,
    Resume,
    Save,
    SaveInSeveralFiles,
    SaveIntoFoldersOfAnother,
    SaveV1,
    SaveWithoutLinks,
    Scenario,
    place,
)
from tests.faults.states import held, state
from tests.faults.system_calls import handed_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.faults.power_cut import Event
    from tests.faults.scenarios import Say
    from tests.faults.system_calls import Call


@contextmanager
def killed_at(number: int, folder: str) -> Iterator[None]:
    """Let nothing reach the disk from the N-th call on that flushes or names anything, that itself included."""
    numbers = count(1)

    def handle(call: Call) -> Any:
        if call.name != "flock" and next(numbers) >= number:
            raise Crash
        return call.perform()

    with handed_to(handle, folder, ("fsync", "link", "rename", "unlink")):
        yield


class MergeUnflushed(Merge):
    """The same with parts that another program has copied here a moment ago."""

    since = "merged"

    def prepare(self, folder: str, fsync: bool) -> None:
        pass

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        super().prepare(folder, fsync=False)
        super().act(folder, fsync, say)


class OverwriteAfterAKill(Overwrite):
    """The same by a program that is killed at some call, and another one that comes after it."""

    since = "killed"

    def __init__(self, number: int) -> None:
        self.number = number

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        with suppress(Crash), killed_at(self.number, folder):
            super().act(folder, fsync, say)
        say("killed")
        save_tree(place(folder, fsync, self.where), state(3))
        say("3")

    def check(self, folder: str, said: str | None) -> str | None:
        found = str(held(place(folder, False, self.where)))
        assert found in ({"3"} if said == "3" else {"1", "2", "3"})
        return found


class CleanUpAfterAKill(OverwriteAfterAKill):
    """The same, but who comes after it collects the garbage."""

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        prefix = place(folder, fsync, self.where)
        with suppress(Crash), killed_at(self.number, folder):
            save_tree(prefix, state(2))
            say("2")
        say("killed")
        collect_garbage(os.path.dirname(prefix.key), min_age=0, no_writers=True, storage_options={"fsync": fsync})


SCENARIOS = [
    Save(),
    SaveIntoFoldersOfAnother(),
    SaveWithoutLinks(),
    Overwrite(),
    SaveInSeveralFiles(),
    SaveV1(),
    Delete(),
    Merge(),
    MergeWithoutLinks(),
    MergeUnflushed(),
    Manage(),
    Resume(),
]

all_scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: type(scenario).__name__)


def recorded(scenario: Scenario, folder: Path, *, fsync: bool = True) -> Recorder:
    """What a scenario does in a folder of its own."""
    root = folder / "recorded"
    root.mkdir()
    scenario.prepare(str(root), True)
    recorder = Recorder(str(root))
    with recorder.recording():
        scenario.act(str(root), fsync, recorder.say)
    return recorder


def check_all(scenario: Scenario, events: Sequence[Event], first: int, folder: Path) -> set[str | None]:
    """Check what every power cut from the first event on may leave; returns what was found."""
    found, seen = set(), set()
    if scenario.since is not None:
        first = events.index(Said(scenario.since)) + 1
    for said, tree in cuts(events, first):
        last = said[-1] if said else scenario.first
        key = (last, *((path, *what) for path, what in tree.items() if not path.endswith(".cloudckpt")))
        if key in seen:
            continue  # hidden files are read by nobody
        seen.add(key)
        root = folder / f"cut-{len(seen)}"
        root.mkdir()
        build(tree, str(root))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecoveryWarning)
            found.add(scenario.check(str(root), last))
        shutil.rmtree(root)
    return found


def is_caught(scenario: Scenario, events: Sequence[Event], first: int, folder: Path) -> bool:
    """Whether some power cut costs what must stay."""
    for root in folder.glob("cut-*"):
        shutil.rmtree(root)
    try:
        check_all(scenario, events, first, folder)
    except (AssertionError, CloudckptError):
        return True
    return False


@all_scenarios
def test_what_was_said_stays_and_nothing_is_half(scenario: Scenario, tmp_path: Path) -> None:
    recorder = recorded(scenario, tmp_path)
    found = check_all(scenario, recorder.events, recorder.first, tmp_path)
    assert len(found) > 1 or scenario.since


@pytest.mark.parametrize("kind", [pytest.param(OverwriteAfterAKill, marks=pytest.mark.faults), CleanUpAfterAKill])
def test_who_comes_after_a_killed_program_loses_nothing(kind: type[OverwriteAfterAKill], tmp_path: Path) -> None:
    found = set()
    for number in count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        recorder = recorded(kind(number), folder)
        found |= check_all(kind(number), recorder.events, recorder.first, folder)
        if Said("2") in recorder.events:
            break
    assert found >= {"1", "2"}


# That the model finds what is wrong.


@all_scenarios
def test_without_fsync_something_is_lost(scenario: Scenario, tmp_path: Path) -> None:
    recorder = recorded(scenario, tmp_path, fsync=False)
    assert is_caught(scenario, recorder.events, recorder.first, tmp_path)


@pytest.mark.parametrize("scenario", [Save(), SaveWithoutLinks()], ids=lambda scenario: type(scenario).__name__)
def test_each_flush_of_a_first_save_is_needed(scenario: Scenario, tmp_path: Path) -> None:
    recorder = recorded(scenario, tmp_path)
    flushes = [number for number, event in enumerate(recorder.events) if isinstance(event, Flush)]
    ours = [number for number in flushes if number >= recorder.first and not is_new(recorder.events[number - 1])]
    assert len(ours) == 6  # the names of two new folders, and each file with its folder
    for number in ours:
        events = [*recorder.events[:number], *recorder.events[number + 1 :]]
        assert is_caught(scenario, events, recorder.first, tmp_path), recorder.events[number]


@pytest.mark.parametrize("scenario", [Save(), Overwrite(), SaveV1()], ids=lambda scenario: type(scenario).__name__)
def test_a_file_that_is_named_before_it_is_flushed_is_lost(scenario: Scenario, tmp_path: Path) -> None:
    recorder = recorded(scenario, tmp_path)
    events = list(recorder.events)
    swapped = 0
    for number in range(recorder.first, len(events) - 1):
        if isinstance(events[number], Flush) and isinstance(events[number + 1], Names):
            events[number : number + 2] = reversed(events[number : number + 2])
            swapped += 1
    assert swapped >= 1
    assert is_caught(scenario, events, recorder.first, tmp_path)


@pytest.mark.parametrize("scenario", [Delete(), Merge()], ids=lambda scenario: type(scenario).__name__)
def test_data_that_is_deleted_before_its_index_is_gone_for_good_damages(scenario: Scenario, tmp_path: Path) -> None:
    recorder = recorded(scenario, tmp_path)
    gone = [number for number, event in enumerate(recorder.events) if is_removal(event, ".index")]
    data = [number for number, event in enumerate(recorder.events) if is_removal(event, "-of-00001")]
    between = range(gone[0], next(number for number in data if number > gone[0]))
    events = [event for number, event in enumerate(recorder.events) if number not in between or number == gone[0]]
    assert is_caught(scenario, events, recorder.first, tmp_path)


def is_new(event: Event) -> bool:
    """Whether it is a new folder, whose being one needs no flush."""
    return isinstance(event, Names) and not event.names


def is_removal(event: Event, ending: str) -> bool:
    return isinstance(event, Names) and any(
        inode is None and name.endswith(ending) for name, inode in event.names.items()
    )
