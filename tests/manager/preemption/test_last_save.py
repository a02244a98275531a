"""What a manager still saves once a notice has come: what fits the time that is left, and nothing half."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import CommitUnknownError, StorageTimeoutError
from cloudckpt.manager.background.saves import BackgroundSaves
from cloudckpt.manager.preemption.last_save import Preemption
from cloudckpt.manager.preemption.save_times import SaveTimes
from cloudckpt.preemption import Notice
from cloudckpt.storage.deadline import pause, remaining, require_time

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGER = "cloudckpt.manager.preemption.last_save"
PATIENCE = 60.0


class Herald:
    """A source that reports what a test tells it to."""

    def __init__(self) -> None:
        self.report: Callable[[Notice], None] | None = None
        self.stopped = 0

    def start(self, report: Callable[[Notice], None], /) -> None:
        self.report = report

    def stop(self) -> None:
        self.stopped += 1

    def announce(self, seconds: float | None = None, *, stop: bool = True, reason: str = "the end is near") -> None:
        assert self.report is not None
        now = time.monotonic()
        self.report(Notice(reason, now, None if seconds is None else now + seconds, stop))


class Watched:
    """A `Preemption` with one source, and what it asked for."""

    def __init__(self) -> None:
        self.herald = Herald()
        self.requests = 0
        self.told: list[tuple[str, float | None]] = []
        self.preemption = Preemption(
            request_save=self.request, tell=lambda reason, left: self.told.append((reason, left))
        )
        self.preemption.listen(lambda: [self.herald])

    def request(self) -> None:
        self.requests += 1


@pytest.fixture
def watched() -> Watched:
    return Watched()


def endless() -> str:
    """A save that goes on until it is cut off."""
    while True:
        require_time("the store")
        pause(PATIENCE)


def test_without_a_notice_nothing_is_reached_and_no_time_is_known(watched: Watched) -> None:
    assert not watched.preemption.reached()
    assert watched.preemption.seconds_left() is None
    assert watched.requests == 0


def test_a_notice_that_means_stop_is_told_once(watched: Watched) -> None:
    watched.herald.announce(30)
    assert watched.preemption.reached()
    assert watched.preemption.reached()
    [(reason, left)] = watched.told
    assert reason == "the end is near"
    assert left == pytest.approx(30, abs=5)


def test_a_softer_notice_asks_for_a_save_only(watched: Watched) -> None:
    watched.herald.announce(30, stop=False)
    assert watched.requests == 1
    assert not watched.preemption.reached()
    assert watched.told == []


def test_from_a_notice_on_each_step_is_due(watched: Watched) -> None:
    watched.herald.announce(30)
    asked = watched.requests
    watched.preemption.reached()
    assert watched.requests == asked + 1


def test_the_soonest_deadline_counts(watched: Watched) -> None:
    watched.herald.announce(None, reason="unknown")
    watched.herald.announce(90, reason="later")
    watched.herald.announce(20, reason="sooner")
    assert watched.preemption.seconds_left() == pytest.approx(20, abs=5)
    assert watched.preemption.reached()
    assert watched.told[0][0] == "sooner"


def test_a_deadline_that_has_passed_was_wrong(watched: Watched) -> None:
    watched.herald.announce(-1)
    assert watched.preemption.seconds_left() is None
    assert watched.preemption.save(1, 100, lambda: "saved") == "saved"


def test_a_save_that_fits_runs_under_a_limit_that_ends_before_the_deadline(watched: Watched) -> None:
    watched.herald.announce(100)
    limits: list[float | None] = []

    def save() -> str:
        limits.append(remaining())
        return "saved"

    assert watched.preemption.save(1, 100, save) == "saved"
    assert limits[0] is not None
    assert 80 < limits[0] <= 90


def test_a_save_of_which_nobody_knows_how_long_it_takes_is_tried(watched: Watched) -> None:
    watched.herald.announce(100)
    assert watched.preemption.save(1, 1 << 60, lambda: "saved") == "saved"


def test_a_save_that_does_not_fit_is_not_begun(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.preemption._times.note(1000, 20.0)
    watched.herald.announce(30)
    assert watched.preemption.save(7, 2000, lambda: pytest.fail("begun")) is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "step 7 is not saved: that takes about 40.0 s, and" in record.getMessage()


def test_a_save_that_is_not_done_in_time_is_cut_off(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.herald.announce(0.2)
    assert watched.preemption.save(7, 100, endless) is None
    assert "step 7 is not saved: its save was cut off" in caplog.text


def test_a_save_that_is_cut_off_in_its_commit_ends_cleanly_too(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.herald.announce(0.2)

    def save() -> str:
        pause(PATIENCE)
        raise CommitUnknownError("nobody knows whether the index is there")

    assert watched.preemption.save(7, 100, save) is None
    assert "cut off" in caplog.text


def test_a_limit_of_the_caller_s_own_is_no_deadline(watched: Watched) -> None:
    watched.herald.announce(PATIENCE)

    def save() -> str:
        raise StorageTimeoutError("the manager's own timeout is over")

    with pytest.raises(StorageTimeoutError, match="own timeout"):
        watched.preemption.save(1, 100, save)


def test_a_save_under_no_known_deadline_has_no_limit(watched: Watched) -> None:
    watched.herald.announce(None)
    limits: list[float | None] = []

    def save() -> str:
        limits.append(remaining())
        return "saved"

    assert watched.preemption.save(1, 100, save) == "saved"
    assert limits == [None]


@pytest.mark.parametrize("seconds", [None, PATIENCE])
def test_the_save_in_flight_is_waited_for(watched: Watched, seconds: float | None) -> None:
    watched.herald.announce(seconds)
    saves, done = BackgroundSaves(), []
    saves.start("step 1", {}, lambda _: (pause(0.1), done.append(1)))
    watched.preemption.finish(saves)
    assert done == [1]
    saves.wait()


def test_the_save_in_flight_is_aborted_if_it_does_not_end_in_time(watched: Watched) -> None:
    saves = BackgroundSaves()
    saves.start("step 1", {}, lambda _: endless())
    watched.herald.announce(0.3)
    watched.preemption.finish(saves)
    assert not saves.is_busy


def test_if_one_source_can_t_be_started_none_is() -> None:
    class Refusing(Herald):
        def start(self, report: Callable[[Notice], None], /) -> None:
            raise ValueError("not here")

    first, second = Herald(), Refusing()
    with pytest.raises(ValueError, match="not here"):
        Preemption(request_save=lambda: None).listen(lambda: [first, second])
    assert first.stopped == 1


def test_sources_are_given_once() -> None:
    first, second = Herald(), Herald()
    late = Preemption(request_save=lambda: None)
    late.listen(lambda: [first])
    late.listen(lambda: [second])
    assert (first.report is not None, second.report is None) == (True, True)
    late.close()
    assert (first.stopped, second.stopped) == (1, 0)


def test_closing_stops_all_sources(watched: Watched) -> None:
    watched.preemption.close()
    assert watched.herald.stopped == 1


def test_a_notice_is_logged_if_nobody_else_is_told(caplog: pytest.LogCaptureFixture) -> None:
    herald = Herald()
    preemption = Preemption(request_save=lambda: None)
    preemption.listen(lambda: [herald])
    herald.announce(None)
    assert preemption.reached()
    assert [record.getMessage() for record in caplog.records if record.name == LOGGER] == [
        "this machine is about to be taken away, nobody knows how soon: the end is near"
    ]


# How long a save takes


def test_nothing_is_known_of_the_first_save() -> None:
    assert SaveTimes().estimate(100) is None


@pytest.mark.parametrize(("size", "seconds"), [(1000, 2.0), (3000, 6.0), (500, 2.0), (0, 2.0)])
def test_a_larger_save_takes_longer_and_a_smaller_one_no_less(size: int, seconds: float) -> None:
    times = SaveTimes()
    times.note(1000, 2.0)
    assert times.estimate(size) == seconds


def test_the_slowest_of_the_last_three_counts() -> None:
    times = SaveTimes()
    for seconds in (9.0, 1.0, 4.0, 2.0):
        times.note(1000, seconds)
    assert times.estimate(1000) == 4.0


def test_a_save_of_nothing_says_how_long_requests_take() -> None:
    times = SaveTimes()
    times.note(0, 0.5)
    assert times.estimate(0) == 0.5
