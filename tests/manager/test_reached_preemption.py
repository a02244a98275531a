"""A manager that hears notices, in a loop of the user's own."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from tests.manager.preemption.test_last_save import Herald
from tests.manager.runs import MemoryRun, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudckpt.preemption import Notice


@pytest.fixture(params=[False, True], ids=["synchronous", "asynchronous"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"asynchronous": request.param, "save_every_n_steps": 100}


def test_the_loop_of_the_guide_saves_the_step_at_which_it_ends(options: dict[str, Any]) -> None:
    run, herald = MemoryRun(), Herald()
    with run.manager(preemption=[herald], **options) as manager:
        manager.restore_latest(default=None)
        step, preempted = 0, False
        while step < 1000 and not preempted:
            step += 1
            if step == 150:
                herald.announce(60)
            preempted = manager.reached_preemption(step)
            manager.save(step, tree(step))
    assert step == 150
    assert run.indexed == [100, 150]
    assert run.named == [100, 150]


def test_without_sources_nothing_is_ever_reached() -> None:
    with MemoryRun().manager() as manager:
        assert not manager.reached_preemption(1)


@pytest.mark.parametrize("step", [-1, 1.5, True])
def test_a_step_is_checked(step: Any) -> None:
    with MemoryRun().manager() as manager, pytest.raises((TypeError, ValueError)):
        manager.reached_preemption(step)


def test_a_save_after_a_notice_is_whole_when_it_returns(options: dict[str, Any]) -> None:
    run, herald = MemoryRun(), Herald()
    with run.manager(preemption=[herald], **options) as manager:
        herald.announce(60)
        assert manager.save(7, tree(7)) is not None
        assert run.named == [7]


def test_a_save_in_flight_ends_before_the_last_one(options: dict[str, Any]) -> None:
    run, herald = MemoryRun(), Herald()
    with run.manager(preemption=[herald], **options) as manager:
        manager.save(100, {"w": np.zeros(1 << 20)})
        herald.announce(60)
        assert manager.reached_preemption(101)
        assert manager.save(101, tree(101)) is not None
        assert run.named == [100, 101]


def test_closing_the_manager_stops_its_sources() -> None:
    herald = Herald()
    MemoryRun().manager(preemption=[herald]).close()
    assert herald.stopped == 1


def test_a_manager_that_nobody_has_any_more_hears_nothing() -> None:
    herald = Herald()
    manager = MemoryRun().manager(preemption=[herald])
    del manager
    gc.collect()
    assert herald.stopped == 1


def test_a_source_that_can_t_be_started_is_an_error_at_once() -> None:
    class Refusing(Herald):
        def start(self, report: Callable[[Notice], None], /) -> None:
            raise ValueError("only in the main thread")

    with pytest.raises(ValueError, match="main thread"):
        MemoryRun().manager(preemption=[Refusing()])


@pytest.mark.parametrize("wrong", [{"when_busy": "never"}, {"upload_every": 0}])
def test_no_source_is_left_started_where_another_argument_is_wrong(tmp_path: Path, wrong: dict[str, Any]) -> None:
    herald = Herald()
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        ckpt.CheckpointManager(
            tmp_path / "run", asynchronous=True, preemption=[herald], local_directory=tmp_path / "disk", **wrong
        )
    assert herald.report is None


def test_what_an_upload_has_failed_with_does_not_keep_the_last_save_from_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **options: Any) -> str:
        raise ckpt.StorageError("the bucket is on fire")

    herald = Herald()
    manager = ckpt.CheckpointManager(tmp_path / "run", preemption=[herald], local_directory=tmp_path / "disk")
    with monkeypatch.context() as patch:
        patch.setattr(manager._tier._bucket, "save", fail)
        manager.save(1, tree(1))
        manager._settle()
    herald.announce(60)
    assert manager.save(2, tree(2)) is not None
    with pytest.raises(ckpt.StorageError, match="on fire"):
        manager.close()
    with ckpt.CheckpointManager(tmp_path / "run") as manager:
        assert manager.all_steps() == [2]


def test_notices_can_be_asked_for_later_and_once() -> None:
    first, second = Herald(), Herald()
    with MemoryRun().manager() as manager:
        manager.listen([first])
        manager.listen([second])
        first.announce(10)
        assert manager.reached_preemption(1)
    assert second.report is None
    with pytest.raises(ValueError, match="closed"):
        manager.listen([second])
