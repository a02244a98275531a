"""A system call fails in the middle of a save: a clear error, the old checkpoint or the new one, nothing beside it."""

from __future__ import annotations

import errno
import os
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.errors import CloudckptError, StorageError
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from cloudckpt.storage.temporaries import is_temporary
from tests.faults.states import files, held, named, state
from tests.faults.system_calls import CHANGING, Call, handed_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONCE = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE, errno.EINTR, errno.ESTALE)
FOR_EVER = (errno.ENOSPC, errno.EROFS, errno.EMFILE)
SAMPLE = {(errno.EIO, False), (errno.ENOSPC, True)}


def failure(error: int, forever: bool) -> Any:
    marks = () if (error, forever) in SAMPLE else pytest.mark.faults
    return pytest.param(error, forever, id=errno.errorcode[error] + "-for-ever" * forever, marks=marks)


FAILURES = [*(failure(error, False) for error in ONCE), *(failure(error, True) for error in FOR_EVER)]
OLD, NEW = 1, 2


class Failing:
    """Lets the N-th call fail, or all from there on that are of the same name.

    Attributes:
        failed: the name of the call that failed first, if any did.
    """

    def __init__(self, fail_at: int, error: int, forever: bool) -> None:
        self.failed: str | None = None
        self._fail_at, self._error, self._forever = fail_at, error, forever
        self._numbers = count(1)

    def __call__(self, call: Call) -> Any:
        due = next(self._numbers) == self._fail_at
        if due:
            self.failed = call.name
        if due or (self._forever and call.name == self.failed):
            raise OSError(self._error, os.strerror(self._error))
        return None if call.name == "fsync" else call.perform()  # a real flush would only take time


def attempts(folder: Path, start: int | None, error: int, forever: bool) -> Iterator[tuple[Location, Failing, Any]]:
    """Saves of NEW over `start`, each with another call failing; yields what was raised until nothing fails."""
    for number in count(1):
        own = folder / str(number)
        own.mkdir()
        place = Location(LocalStore(fsync=False), str(own / "run" / "ckpt"))
        if start is not None:
            save_tree(place, state(start))
        failing, raised = Failing(number, error, forever), None
        with handed_to(failing, str(own)), LocalStore(fsync=True) as store:
            try:
                save_tree(Location(store, place.key), state(NEW))
            except CloudckptError as caught:
                raised = caught
        yield place, failing, raised
        if failing.failed is None:
            return


@pytest.mark.parametrize(("error", "forever"), FAILURES)
@pytest.mark.parametrize("start", [None, OLD], ids=["fresh", "overwrite"])
def test_a_failed_call_costs_nothing(tmp_path: Path, start: int | None, error: int, forever: bool) -> None:
    before = len(os.listdir("/dev/fd"))
    outcomes = set()
    for place, failing, raised in attempts(tmp_path, start, error, forever):
        found, what = held(place), f"{failing.failed}: {raised!r}"
        outcomes.add((raised is None, found))
        if raised is None:
            assert found == NEW, what
        else:
            assert found in {start, NEW}, what
            check_error(raised, place, error)
        if failing.failed != "unlink":
            check_leftovers(place, nothing=failing.failed is None or (found == start and not forever))
        save_tree(place, state(3))
        assert held(place) == 3, what
        place.store.close()
        assert len(os.listdir("/dev/fd")) == before, what
    assert outcomes >= {(True, NEW), (False, start)}


def check_error(raised: CloudckptError, place: Location, error: int) -> None:
    assert isinstance(raised, StorageError), repr(raised)
    assert os.path.dirname(place.key) in str(raised)
    assert os.strerror(error) in str(raised)


def check_leftovers(place: Location, *, nothing: bool) -> None:
    """No hidden file is there, nor any data that the index does not name; or one file of it, which could not go."""
    there = files(place)
    assert not any(is_temporary(os.path.basename(name)) for name in there)
    assert not nothing or there == named(place)
    assert len(there - named(place)) <= 1


@pytest.mark.parametrize("start", [None, OLD], ids=["fresh", "overwrite"])
def test_ctrl_c_after_any_call(tmp_path: Path, start: int | None) -> None:
    """As the signal's handler runs: when the call has done its work. What it has opened may stay open."""
    outcomes = set()
    for number in count(1):
        place = Location(LocalStore(fsync=False), str(tmp_path / str(number) / "ckpt"))
        os.mkdir(tmp_path / str(number))
        if start is not None:
            save_tree(place, state(start))
        interrupt = Interrupting(number)
        try:
            with handed_to(interrupt, str(tmp_path), (*CHANGING, "stat")):
                save_tree(place, state(NEW))
        except KeyboardInterrupt:
            outcomes.add(held(place))
        else:
            break
        if interrupt.names[-1] != "unlink":
            # Once the index is on its way, nobody knows whether it will arrive: what it names must stay.
            check_leftovers(place, nothing="unlink" not in interrupt.names)
        save_tree(place, state(3))
        assert held(place) == 3
    assert outcomes == {start, NEW}


class Interrupting:
    """Interrupts after the N-th call."""

    def __init__(self, number: int) -> None:
        self.names: list[str] = []
        self._number = number

    def __call__(self, call: Call) -> Any:
        done = call.perform()
        if len(self.names) < self._number:
            self.names.append(call.name)
            if len(self.names) == self._number:
                raise KeyboardInterrupt
        return done


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    prefix = tmp_path / "run" / "ckpt"
    ckpt.save(prefix, state(OLD))
    ckpt.save(prefix, state(NEW))
    ckpt.load(prefix)
    with ckpt.CheckpointManager(tmp_path / "run", max_to_keep=1) as manager:
        manager.save(1, state(1))
        manager.save(2, state(2))
        manager.restore_latest()
    assert len(os.listdir("/dev/fd")) == before
