"""Calls that go on one storage operation at a time, when the test says so: any interleaving, again and again alike."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from cloudckpt.errors import ObjectNotFoundError, TransientStorageError
from cloudckpt.testing.faults import Crash, FaultyStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import ObjectInfo, Store, WriteCondition

Fate = Literal["done", "refused", "answer lost", "late", "twice", "crash before", "crash after"]
"""What becomes of one operation: done; failed without effect; done, but the answer is lost; failed, and arrives later
(a write or a DELETE); done, and arrives once more later (a DELETE that was sent again); the process dies before it, or
after it.
"""
FATES: tuple[Fate, ...] = ("done", "refused", "answer lost", "late", "twice", "crash before", "crash after")

PATIENCE = 60.0
"""Seconds after which a task that does not come to its next operation is a bug."""


class Task:
    """A call in a thread of its own, which stops before each operation of its store until `step` lets it on."""

    def __init__(self, store: ScheduledStore, call: Callable[[], Any]) -> None:
        self.of: Any = None
        """whose call it is"""
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.pending = ""
        """the operation that it is about to do"""
        self._store, self._call = store, call
        self._fate: Fate = "done"
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        store.task = self
        threading.Thread(target=self._run, daemon=True).start()
        self._wait_until_it_stops()

    def step(self, fate: Fate = "done") -> None:
        """Let it do one operation, and go on to the next one or to its end."""
        assert not self.done
        self._fate = fate
        self._go.release()
        self._wait_until_it_stops()

    def finish(self) -> None:
        """Let it go on to its end."""
        while not self.done:
            self.step()

    def crash(self) -> None:
        """End its process before the operation that it is about to do."""
        if not self.done:
            self.step("crash before")
            self.finish()

    def outcome(self) -> Any:
        """What it returned; raises what it raised. It must have ended."""
        assert self.done
        if self.error is not None:
            raise self.error
        return self.result

    def admit(self, operation: str) -> Fate:
        """Called in the task's own threads: wait for leave to do the operation."""
        self.pending = operation
        self._stopped.release()
        self._go.acquire()
        self.pending = ""
        return self._fate

    def _wait_until_it_stops(self) -> None:
        assert self._stopped.acquire(timeout=PATIENCE), f"stuck after {self._store.operations[-3:]}"

    def _run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001 - it is the task's outcome
            self.error = error
        self.done = True
        self._store.task = None
        self._stopped.release()


class ScheduledStore(FaultyStore):
    """One process's way to a store: each of its operations waits for the task's leave, and has the fate it is given.

    Args:
        inner: the store that does the work.
        late: where what arrives later is put, as calls that do it.

    Attributes:
        effect: told of each operation as it takes effect, by name and key; of one that arrives late that which was set
            when it was sent.
    """

    max_concurrency = 1

    def __init__(
        self,
        inner: Store,
        late: list[Callable[[], object]] | None = None,
    ) -> None:
        super().__init__(inner, 0)
        self.effect: Callable[[str, str], object] = lambda *_: None
        self.task: Task | None = None
        self.killed = False
        self.answered = 0.0
        """when the inner store answered last, by its clock"""
        self._late = [] if late is None else late
        self._one_at_a_time = threading.RLock()

    @property
    def dead(self) -> bool:
        return self.killed

    @contextmanager
    def operation(
        self,
        name: str,
        key: str,
        half: Callable[[], object] = lambda: None,
        again: Callable[[], object] | None = None,
    ) -> Iterator[None]:
        with self._one_at_a_time:
            if self.killed:
                raise Crash
            fate = self.task.admit(f"{name} {key.rpartition('/')[2]}") if self.task is not None else "done"
            if again is not None and fate in {"late", "twice"}:
                self._late.append(again)
            if fate == "crash before":
                self.killed = True
                raise Crash
            if fate in {"refused", "late"}:
                raise TransientStorageError(f"{name} {key}: an injected fault")
            try:
                with super().operation(name, key, half):
                    yield
            except ObjectNotFoundError:
                self.effect(name, key)  # to learn that nothing is there is an answer, too
                raise
            finally:
                self.answered = self._inner.time()
            self.effect(name, key)
            if fate == "crash after":
                self.killed = True
                raise Crash
            if fate == "answer lost":
                raise TransientStorageError(f"{name} {key}: the answer was lost")

    def time(self) -> float:
        return self.answered

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        write = partial(self._inner.put, key, bytes(data), condition, crc32c=crc32c, commit_id=commit_id)
        effect = self.effect

        def again() -> None:
            write()
            effect("put", key)

        with self.operation("put", key, again=again):
            return write()

    def delete(self, keys: Iterable[str]) -> None:
        self._delete_all([*keys], self._inner.delete)

    def delete_if_version(self, key: str, version: str) -> None:
        with self.operation("delete_if_version", key, again=lambda: self._inner.delete_if_version(key, version)):
            self._inner.delete_if_version(key, version)

    def _delete_all(self, keys: Sequence[str], delete: Callable[[Iterable[str]], object]) -> None:
        with self.operation("delete", keys[0] if keys else "", again=lambda: delete(keys)):
            delete(keys)


Choose = Callable[[int], int]
"""Picks one of so many, from 0."""


def every_schedule() -> Iterator[Choose]:
    """Functions that choose, each of them differently, until every sequence of choices has been made."""
    made: list[tuple[int, int]] = []  # the choices of this schedule, and out of how many

    def choosing() -> Choose:
        position = itertools.count()

        def choose(options: int) -> int:
            at = next(position)
            if at == len(made):
                made.append((0, options))
            return made[at][0]

        return choose

    while True:
        yield choosing()
        while made and made[-1][0] + 1 == made[-1][1]:
            made.pop()
        if not made:
            return
        choice, options = made.pop()
        made.append((choice + 1, options))


def some_schedules(count: int) -> Iterator[Choose]:
    """So many functions that choose at random, each with another bias; the same ones every time."""
    for seed in range(count):
        rng = random.Random(seed)
        bias = 8 ** rng.uniform(-1, 1)
        yield lambda options, rng=rng, bias=bias: int(options * rng.random() ** bias)


def interleave(tasks: Sequence[Task], choose: Choose) -> None:
    """Let the tasks do their operations in the order of the choices, until all have ended."""
    while live := [task for task in tasks if not task.done]:
        live[choose(len(live)) if len(live) > 1 else 0].step()
