"""Fail the N-th operation of a restore, for N from 1 until it passes: all is assigned, or nothing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.checkpoint import read
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import CloudckptError, StorageError
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
from cloudckpt.saver.saver import Saver
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from tests.saver.faults import Faults, through
from tests.saver.graphs import variable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    Made = tuple[Saver, Any, Callable[[], list[Any]]]
    """a saver, what to restore to, and a look at the values there, 0 where there are none"""

VALUES = {name: np.full(1500, number, np.float32) for number, name in enumerate("abc", 1)}
ZEROS = np.zeros(1500, np.float32)
PATH = "memory://replaced/run/m"


class Box(SaveableObject):
    """An object of a user's own, with one array."""

    def __init__(self, name: str) -> None:
        self.array: NDArray[Any] = ZEROS
        super().__init__(None, [SaveSpec(lambda: self.array, "", name, np.float32, "")], name)

    def restore(self, restored_tensors: Any, restored_shapes: Any) -> None:
        (self.array,) = restored_tensors


def of_a_session() -> Made:
    with Graph().as_default() as graph:
        variables = [variable(name, ZEROS) for name in VALUES]
        saver, session = Saver(), Session(graph=graph)
    return saver, session, lambda: [session.run(w) if session.is_initialized(w.op.name) else 0 for w in variables]


def of_variables() -> Made:
    variables = [variable(name, ZEROS) for name in VALUES]
    return Saver(variables), None, lambda: [each.numpy() for each in variables]


def of_a_mapping() -> Made:
    mapping: dict[str, Any] = {}
    return of_variables()[0], mapping, lambda: [mapping.get(name, 0) for name in VALUES]


def of_arrays() -> Made:
    arrays = {name: ZEROS.copy() for name in VALUES}
    return Saver(arrays), None, lambda: [*arrays.values()]


def of_objects() -> Made:
    boxes = [*map(Box, VALUES)]
    return Saver(boxes), None, lambda: [box.array for box in boxes]


@pytest.mark.parametrize("error", [None, StorageError("an injected fault"), KeyboardInterrupt()])
@pytest.mark.parametrize("mode", ["before", "during", "after"])
@pytest.mark.parametrize("made", [of_a_session, of_variables, of_a_mapping, of_arrays, of_objects])
@pytest.mark.parametrize("version", [1, 2])
def test_all_is_assigned_or_nothing(
    monkeypatch: pytest.MonkeyPatch, version: int, made: Callable[[], Made], mode: str, error: BaseException | None
) -> None:
    monkeypatch.setattr(read, "RANGE_BYTES", 4096)
    path = Saver(VALUES, write_version=version).save(None, f"memory://{uuid.uuid4().hex}/run/m")
    faults, outcomes = Faults(monkeypatch), []
    for failure in faults.each(mode=mode, forever=True, error=error):
        saver, target, values = made()
        with faults.failing(failure):
            try:
                saver.restore(target, path)
            except (CloudckptError, KeyboardInterrupt):
                outcomes.append("nothing")
                assert not np.any(values())
            else:
                outcomes.append("all")
                np.testing.assert_array_equal(values(), [*VALUES.values()])
    assert outcomes == ["nothing"] * (len(outcomes) - 1) + ["all"]
    assert len(outcomes) > 4


def overtaken_at(number: int) -> Callable[..., FaultyStore]:
    """A store before whose operation of that number another program saves twos."""

    class Overtaken(FaultyStore):
        def operation(self, name: str, key: str, half: Any = lambda: None) -> AbstractContextManager[None]:
            if len(self.operations) + 1 == number:
                save_tensors(open_location(PATH), full(2.0))
            return super().operation(name, key, half)

    return Overtaken


def full(value: float) -> dict[str, Any]:
    return {name: np.full(1500, value, np.float32) for name in VALUES}


def restored(**options: Any) -> tuple[float, ...]:
    """The numbers that a restore finds."""
    found: dict[str, Any] = {}
    Saver(full(0.0), **options).restore(found, PATH)
    return tuple({float(value) for array in found.values() for value in array})


@pytest.mark.parametrize("sequentially", [False, True])
def test_p11_a_checkpoint_that_is_replaced_is_restored_as_it_was_or_as_it_is(
    monkeypatch: pytest.MonkeyPatch, sequentially: bool
) -> None:
    monkeypatch.setattr(read, "RANGE_BYTES", 4096)
    outcomes = []
    for number in range(1, 30):
        Saver(full(1.0)).save(None, PATH)
        with monkeypatch.context() as patch:
            through(patch, overtaken_at(number))
            outcomes.append(restored(restore_sequentially=sequentially))
        if restored() == (1.0,):
            break  # the restore was over before
    assert outcomes[0] == (2.0,)
    assert outcomes[-1] == (1.0,)
    assert set(outcomes) == {(1.0,), (2.0,)}
    assert 5 < len(outcomes) < 29
