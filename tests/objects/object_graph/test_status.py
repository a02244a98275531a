"""What the status of a restore says, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.objects.status import CheckpointLoadStatus, InitializationOnlyStatus, NameBasedSaverStatus
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASSERTIONS = ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match")


class Counter(PythonState):
    def serialize(self) -> str:
        return "1"

    def deserialize(self, string_value: bytes) -> None:
        pass


@pytest.fixture
def path(tmp_path: Path) -> str:
    return Checkpoint(a=Variable(1.0), b=[Variable(2.0)]).save(tmp_path / "ckpt")


def test_all_is_well(path: str) -> None:
    status = Checkpoint(a=Variable(0.0), b=[Variable(0.0)]).restore(path)
    assert isinstance(status, CheckpointLoadStatus)
    for name in ASSERTIONS:
        assert getattr(status, name)() is status
    assert status.expect_partial() is status


def test_values_without_objects(path: str) -> None:
    status = Checkpoint(a=Variable(0.0)).restore(path).expect_partial()
    status.assert_existing_objects_matched().assert_nontrivial_match()
    with pytest.raises(AssertionError, match=r"1 values of the checkpoint '.*/ckpt-1' have no object here: 'b.0'"):
        status.assert_consumed()


def test_objects_without_values(path: str) -> None:
    more = Variable(0.0, name="more")
    status = Checkpoint(a=Variable(0.0), b=[Variable(0.0), more], c=Counter()).restore(path)
    found = r"2 objects have no value in the checkpoint '.*/ckpt-1'.*Counter, Variable 'more'"
    with pytest.raises(AssertionError, match=found):
        status.assert_consumed()
    with pytest.raises(AssertionError, match=found):
        status.assert_existing_objects_matched()
    status.assert_nontrivial_match()


def test_objects_that_come_without_values(path: str) -> None:
    checkpoint = Checkpoint(a=Variable(0.0), b=[Variable(0.0)])
    status = checkpoint.restore(path).assert_consumed()
    checkpoint.empty = Module()
    status.assert_consumed()
    checkpoint.empty.v = Variable(0.0)
    with pytest.raises(AssertionError, match="1 objects have no value"):
        status.assert_consumed()


def test_nothing_matches(path: str) -> None:
    status = Checkpoint(x=Variable(0.0, name="x")).read(path).expect_partial()
    with pytest.raises(AssertionError, match=r"nothing but the root has a value in .*here are Variable 'x'"):
        status.assert_nontrivial_match()
    with pytest.raises(AssertionError, match="the root has no objects yet"):
        Checkpoint().read(path).expect_partial().assert_nontrivial_match()


def test_very_many_are_counted(tmp_path: Path) -> None:
    path = Checkpoint(all=[Variable(0.0) for _ in range(100)]).save(tmp_path / "ckpt")
    status = Checkpoint().restore(path).expect_partial()
    with pytest.raises(AssertionError, match=r"100 values .*'all\.9' and 90 others") as raised:
        status.assert_consumed()
    assert len(str(raised.value)) < 1000
    with pytest.raises(AssertionError, match=r"20 objects .* and 10 others"):
        Checkpoint(b=[Variable(0.0) for _ in range(20)]).restore(path).expect_partial().assert_consumed()


def test_no_checkpoint() -> None:
    checkpoint = Checkpoint(a=Variable(1.0))
    status = checkpoint.restore(None)
    assert isinstance(status, InitializationOnlyStatus)
    status.initialize_or_restore()
    calls: list[Callable[[], Any]] = [getattr(status, name) for name in (*ASSERTIONS, "run_restore_ops")]
    for call in calls:
        with pytest.raises(AssertionError, match="no checkpoint was given"):
            call()
    assert (checkpoint.a.numpy(), checkpoint.save_counter.numpy()) == (1.0, 0)


def test_by_name(tmp_path: Path) -> None:
    path = ckpt.save(tmp_path / "named", {"a": np.float32(1), "b": np.float32(2)})
    checkpoint = Checkpoint(x=Variable(0.0, name="a"))
    status = checkpoint.restore(path)
    assert isinstance(status, NameBasedSaverStatus)
    for name in ASSERTIONS:
        assert getattr(status, name)() is status
    checkpoint.late = Variable(0.0, name="b")
    status.assert_consumed()
    checkpoint.lacking = Variable(0.0, name="d")
    with pytest.raises(AssertionError, match="lacks 1 names: 'd'"):
        status.assert_consumed()
    del checkpoint.lacking
    status.assert_consumed()
    checkpoint.x = Variable(0.0, name="a")  # nothing waits for a second one
    with pytest.raises(AssertionError, match="was not restored: Variable 'a'"):
        status.assert_consumed()
    status = Checkpoint(x=Variable(0.0, name="c"), y=Counter()).restore(path)
    with pytest.raises(AssertionError, match=r"which goes by name, lacks 2 names: 'c', 'py_state'"):
        status.assert_existing_objects_matched()
