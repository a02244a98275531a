"""`run`: resumes, trains, saves what is due, and ends with the exit code that fits."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import preemption
from cloudckpt.manager.run import run
from cloudckpt.testing.faults import FaultyStore
from tests.manager.preemption.test_last_save import Herald
from tests.manager.runs import MemoryRun, tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Job:
    """A training job of so many steps, whose state is the sum of the steps that it has done.

    Args:
        steps: the last one.
        herald: tells of a preemption during the step `preempted_at`, that many seconds ahead.
    """

    def __init__(
        self,
        steps: int,
        herald: Herald | None = None,
        preempted_at: int | None = None,
        seconds: float | None = 60.0,
        fails_at: int | None = None,
    ) -> None:
        self.steps, self.herald, self.preempted_at, self.seconds = steps, herald, preempted_at, seconds
        self.fails_at = fails_at
        self.resumed: Any = "not started"
        self.done: list[int] = []
        self.closed = False

    def train(self, restored: tuple[Any, int] | None) -> Iterator[tuple[int, Any]]:
        self.resumed = None if restored is None else restored[1]
        state, step = restored or ({"sum": np.zeros(3)}, 0)
        try:
            while step < self.steps:
                step += 1
                if step == self.fails_at:
                    raise ArithmeticError("the loss is not a number")
                state["sum"] += step
                if step == self.preempted_at and self.herald is not None:
                    self.herald.announce(self.seconds)
                self.done.append(step)
                yield step, state
        finally:
            self.closed = True


@pytest.fixture(params=[False, True], ids=["synchronous", "asynchronous"], autouse=True)
def asynchronous(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job is run both ways."""
    monkeypatch.setitem(OPTIONS, "asynchronous", request.param)


OPTIONS: dict[str, Any] = {}


def make_manager(folder: Path, **options: Any) -> ckpt.CheckpointManager:
    options = {"preemption": []} | OPTIONS | options
    return ckpt.CheckpointManager(folder / "job", max_to_keep=None, **options)


def saved_sum(folder: Path) -> tuple[float, int]:
    with make_manager(folder) as manager:
        state, step = manager.restore_latest()
    return float(state["sum"][0]), step


def test_a_job_that_ends_returns_0_and_its_last_step_is_saved(tmp_path: Path) -> None:
    job = Job(7)
    with make_manager(tmp_path, save_every_n_steps=3) as manager:
        assert run(job.train, manager) == 0
        assert manager.all_steps() == [3, 6, 7]
    assert job.resumed is None
    assert saved_sum(tmp_path) == (sum(range(8)), 7)


def test_a_last_step_that_was_due_is_saved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_manager(tmp_path, save_every_n_steps=3) as manager:
        saved: list[int] = []
        save = manager.save

        def counted(step: int, *rest: Any, **more: Any) -> str | None:
            prefix = save(step, *rest, **more)
            saved.extend([step] if prefix is not None else [])
            return prefix

        monkeypatch.setattr(manager, "save", counted)
        assert run(Job(6).train, manager) == 0
    assert saved == [3, 6]


def test_it_goes_on_where_an_earlier_one_stopped(tmp_path: Path) -> None:
    with make_manager(tmp_path) as manager:
        assert run(Job(4).train, manager) == 0
    job = Job(9)
    with make_manager(tmp_path) as manager:
        assert run(job.train, manager) == 0
    assert (job.resumed, job.done) == (4, [5, 6, 7, 8, 9])
    assert saved_sum(tmp_path) == (sum(range(10)), 9)


def test_a_job_that_has_ended_before_does_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        job = Job(4)
        with make_manager(tmp_path) as manager:
            assert run(job.train, manager) == 0
    assert (job.resumed, job.done) == (4, [])


def test_a_preempted_job_saves_its_step_and_returns_75(tmp_path: Path) -> None:
    herald = Herald()
    job = Job(100, herald, preempted_at=5)
    with make_manager(tmp_path, save_every_n_steps=50, preemption=[herald]) as manager:
        assert run(job.train, manager) == 75
    assert job.closed
    assert job.done == [1, 2, 3, 4, 5]
    assert saved_sum(tmp_path) == (15, 5)


def test_the_exit_code_can_be_another(tmp_path: Path) -> None:
    herald = Herald()
    with make_manager(tmp_path, preemption=[herald]) as manager:
        assert run(Job(100, herald, preempted_at=1).train, manager, preempted_exit_code=3) == 3


def test_a_job_that_is_preempted_before_it_trains_does_not_begin(tmp_path: Path) -> None:
    herald, job = Herald(), Job(10)
    with make_manager(tmp_path, preemption=[herald]) as manager:
        herald.announce(30)
        assert run(job.train, manager) == 75
    assert job.resumed == "not started"


def test_a_last_save_that_does_not_fit_leaves_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    herald = Herald()
    job = Job(100, herald, preempted_at=5, seconds=20.0)
    with make_manager(tmp_path, save_every_n_steps=3, preemption=[herald]) as manager:
        manager._preemption._times.note(1, 1e6)
        assert run(job.train, manager) == 75
    assert "step 5 is not saved" in caplog.text
    assert saved_sum(tmp_path) == (6, 3)


def test_a_job_whose_end_could_not_be_saved_is_to_be_done_again(tmp_path: Path) -> None:
    herald = Herald()

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        yield from Job(5).train(restored)
        herald.announce(20)

    with make_manager(tmp_path, save_every_n_steps=3, preemption=[herald]) as manager:
        manager._preemption._times.note(1, 1e6)
        assert run(train, manager) == 75
    assert saved_sum(tmp_path) == (6, 3)


@pytest.mark.parametrize("when_busy", ["wait", "skip", "replace"])
def test_the_end_is_saved_whatever_becomes_of_saves_before_it(tmp_path: Path, when_busy: str) -> None:
    with make_manager(tmp_path, asynchronous=True, when_busy=when_busy) as manager:
        assert run(Job(40).train, manager) == 0
    assert saved_sum(tmp_path) == (sum(range(41)), 40)


def test_a_softer_notice_saves_one_step_and_goes_on(tmp_path: Path) -> None:
    herald = Herald()

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        for step in range(1, 8):
            if step == 4:
                herald.announce(30, stop=False)
            yield step, {"sum": np.full(3, step)}

    with make_manager(tmp_path, save_every_n_steps=100, preemption=[herald]) as manager:
        assert run(train, manager) == 0
        assert manager.all_steps() == [4, 7]


def test_what_train_raises_is_raised_and_its_generator_closed(tmp_path: Path) -> None:
    job = Job(10, fails_at=5)
    with make_manager(tmp_path, save_every_n_steps=2) as manager:
        with pytest.raises(ArithmeticError, match="not a number"):
            run(job.train, manager)
        assert manager.all_steps() == [2, 4]
    assert job.closed


def test_an_error_of_train_is_raised_though_the_save_in_flight_fails_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(timeout: float | None = None) -> None:
        raise ckpt.StorageError("no such disk")

    with make_manager(tmp_path) as manager, monkeypatch.context() as patch:
        patch.setattr(manager, "wait", fail)
        with pytest.raises(ArithmeticError):
            run(Job(10, fails_at=1).train, manager)
    assert "the save in flight has failed" in caplog.text
    assert "no such disk" in caplog.text


def test_metrics_are_saved_with_their_step(tmp_path: Path) -> None:
    def train(restored: Any) -> Iterator[tuple[int, Any, dict[str, float]]]:
        for step, loss in ((1, 0.5), (2, 0.25), (3, 0.75)):
            yield step, {"w": np.zeros(2)}, {"loss": loss}

    with make_manager(tmp_path, best_metric="loss") as manager:
        assert run(train, manager) == 0
        assert manager.best_step() == 2


def test_a_template_gives_the_state_its_types(tmp_path: Path) -> None:
    restored_states = []

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        restored_states.append(restored)
        yield 1 if restored is None else restored[1] + 1, {"pair": (np.zeros(2), 3)}

    for _ in range(2):
        with make_manager(tmp_path) as manager:
            assert run(train, manager, like={"pair": (np.zeros(2), 0)}) == 0
    assert restored_states[0] is None
    assert isinstance(restored_states[1][0]["pair"], tuple)


def plain_function(restored: Any) -> int:
    return 0


def one_value(restored: Any) -> Iterator[int]:
    yield 1


def nothing_at_all(restored: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("train", [plain_function, one_value, nothing_at_all])
def test_what_is_no_training_is_refused(tmp_path: Path, train: Any) -> None:
    with make_manager(tmp_path) as manager, pytest.raises(TypeError, match=r"\(step, state\)"):
        run(train, manager)


def test_notices_come_from_outside_while_it_trains(tmp_path: Path) -> None:
    """A real signal, in the middle of a step."""

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        for step in range(1, 10**6):
            if step == 3:
                signal.raise_signal(signal.SIGTERM)
            yield step, {"sum": np.full(3, step)}

    before = signal.getsignal(signal.SIGTERM)
    with make_manager(tmp_path, save_every_n_steps=1000, preemption=[preemption.Sigterm(grace=20.0)]) as manager:
        assert run(train, manager) == 75
    assert signal.getsignal(signal.SIGTERM) == before
    assert saved_sum(tmp_path) == (3, 3)


def test_what_train_raises_after_a_notice_counts_as_preemption(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The signal goes to the job's workers, too, and the job may be the first to feel it."""
    herald = Herald()

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        yield 1, {"sum": np.full(3, 1)}
        herald.announce(30)
        raise RuntimeError("a worker is gone")

    with make_manager(tmp_path, preemption=[herald]) as manager:
        assert run(train, manager) == 75
    assert "a worker is gone" in caplog.text
    assert saved_sum(tmp_path) == (1, 1)


@pytest.mark.parametrize("yields_again", [False, True])
def test_a_training_that_fails_when_it_is_closed_after_a_notice_is_preempted_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, yields_again: bool
) -> None:
    herald = Herald()

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        herald.announce(60)
        try:
            yield 1, {"sum": np.full(3, 1)}
        finally:
            if yields_again:  # it takes its end for an error to survive
                yield 2, {"sum": np.full(3, 2)}
            raise RuntimeError("the workers are gone")

    with make_manager(tmp_path, preemption=[herald]) as manager:
        assert run(train, manager) == 75
    assert "failed after a notice" in caplog.text
    assert saved_sum(tmp_path) == (1, 1)


def test_what_a_training_raises_when_it_is_closed_goes_up(tmp_path: Path) -> None:
    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        try:
            yield 1, {"what": object()}
        finally:
            raise ArithmeticError("while it cleaned up")

    with make_manager(tmp_path) as manager, pytest.raises(ArithmeticError, match="cleaned up"):
        run(train, manager)


def burning(memory: MemoryRun) -> FaultyStore:
    """A store that refuses the data of the first save."""
    return FaultyStore(memory.store, 3, "before", error=ckpt.StorageError("the disk is on fire"))


def test_what_a_save_has_failed_with_ends_the_training_at_its_next_step() -> None:
    memory, done = MemoryRun(), []

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        for step in range(1, 1000):
            done.append(step)
            yield step, tree(step)
            manager._settle()

    manager = memory.manager(burning(memory), preemption=[], asynchronous=True, save_every_n_steps=10)
    with manager, pytest.raises(ckpt.StorageError, match="on fire"):
        run(train, manager)
    assert done[-1] == 11


def test_the_end_is_saved_though_the_save_in_flight_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryRun()

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        yield 10, tree(10)
        with monkeypatch.context() as patch:  # its error is not known yet
            patch.setattr(manager, "check_for_errors", lambda: None)
            patch.setattr(manager._saves, "check_for_errors", lambda: None)
            yield 11, tree(11)

    with memory.manager(burning(memory), preemption=[], asynchronous=True, save_every_n_steps=10) as manager:
        with pytest.raises(ckpt.StorageError, match="on fire"):
            run(train, manager)
        assert manager.latest_step() == 11
    assert memory.indexed == [11]


def test_a_failed_save_before_the_last_one_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    herald = Herald()

    def fail(timeout: float | None = None) -> None:
        raise ckpt.StorageError("no such disk")

    with make_manager(tmp_path, preemption=[herald]) as manager, monkeypatch.context() as patch:
        patch.setattr(manager, "wait", fail)
        assert run(Job(10, herald, preempted_at=2).train, manager) == 75
    assert "no such disk" in caplog.text


def test_a_save_that_fails_is_raised_even_after_a_notice(tmp_path: Path) -> None:
    herald = Herald()

    def train(restored: Any) -> Iterator[tuple[int, Any]]:
        herald.announce(30)
        yield 1, {"what": object()}

    with make_manager(tmp_path, preemption=[herald]) as manager, pytest.raises(TypeError):
        run(train, manager)


def test_without_sources_those_of_this_machine_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    herald = Herald()
    monkeypatch.setattr("cloudckpt.manager.checkpoint_manager.detect", lambda: [herald])
    with make_manager(tmp_path, preemption=None) as manager:
        assert run(Job(10, herald, preempted_at=2).train, manager) == 75
    assert herald.stopped == 1


def test_what_the_manager_was_given_is_not_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudckpt.manager.checkpoint_manager.detect", lambda: pytest.fail("asked"))
    with make_manager(tmp_path, preemption=[]) as manager:
        assert run(Job(2).train, manager) == 0
