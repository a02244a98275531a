"""What is reported of saves and restores, by the watches that a manager puts around them."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

from cloudckpt.errors import StorageError
from cloudckpt.manager.reporting import observer as observer_module
from cloudckpt.manager.reporting.observer import Observer, RestoreWatch
from cloudckpt.manager.reporting.reports import (
    DeletedReport,
    Listeners,
    PreemptionReport,
    RestoreReport,
    SaveReport,
    SkippedReport,
)
from cloudckpt.manager.reporting.watch import note_deleted, note_passed_over
from cloudckpt.storage.traffic import record

PREFIX = "s3://bucket/run/ckpt-7"


def load(restore: RestoreWatch) -> None:
    """What a manager does that restores step 7."""
    prefix = SimpleNamespace(url=PREFIX)
    restore.found((7, restore.loading(lambda *_: "a tree")(prefix, None)))


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def test_a_save_in_the_way_of_the_loop(clock):
    told: list = []
    save = Observer(told.append).save(7, PREFIX)
    with save.stall():
        clock.pass_by(1.0)
        with save.run():
            record(requests=3, retries=1, sent=100, received=9)
            clock.pass_by(2.0)
    assert told == [
        SaveReport(step=7, prefix=PREFIX, seconds=3.0, stall=3.0, bytes=100, requests=3, retries=1, error=None)
    ]


def test_a_save_behind_the_loop(clock):
    told: list = []
    save = Observer(told.append).save(7, PREFIX)
    with save.stall():
        clock.pass_by(0.5)

    def work() -> None:
        with save.run():
            record(sent=100)
            clock.pass_by(4.0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [(report.seconds, report.stall, report.bytes) for report in told] == [(4.5, 0.5, 100)]


def test_what_is_sent_outside_of_it_is_not_the_save_s():
    told: list = []
    save = Observer(told.append).save(7, PREFIX)
    record(sent=1)
    with save.run():
        record(sent=2)
    record(sent=4)
    assert told[0].bytes == 2


def test_a_save_that_fails():
    told: list = []
    failure = StorageError("the disk is full")
    save = Observer(told.append).save(7, PREFIX)
    with pytest.raises(StorageError) as raised, save.stall(), save.run():
        raise failure
    assert raised.value is failure
    assert [report.error for report in told] == [failure]


def test_a_save_that_fails_before_it_begins():
    told: list = []
    failure = MemoryError("no room for a snapshot")
    with pytest.raises(MemoryError), Observer(told.append).save(7, PREFIX).stall():
        raise failure
    assert [report.error for report in told] == [failure]


def test_a_step_that_is_not_saved():
    told: list = []
    Observer(told.append).save(7, PREFIX).skipped()
    assert told == [SkippedReport(step=7)]


def test_what_a_save_has_deleted_is_told_after_it():
    told: list = []
    with Observer(told.append).save(7, PREFIX).run():
        note_deleted(["run/ckpt-1"])
        note_deleted(["run/ckpt-2"])
    assert [type(report) for report in told] == [SaveReport, DeletedReport]
    assert told[1].prefixes == ("run/ckpt-1", "run/ckpt-2")


def test_a_restore(clock):
    told: list = []
    with Observer(told.append).restore("s3://bucket/run") as restore:
        note_passed_over(9)
        record(requests=2, received=50)
        clock.pass_by(1.5)
        load(restore)
    assert told == [
        RestoreReport(step=7, prefix=PREFIX, passed_over=(9,), seconds=1.5, bytes=50, requests=2, retries=0)
    ]


def test_a_restore_that_finds_nothing():
    told: list = []
    with Observer(told.append).restore("s3://bucket/run"):
        pass
    assert (told[0].step, told[0].prefix, told[0].error) == (None, None, None)


def test_a_restore_that_fails():
    told: list = []
    failure = StorageError("no network")
    with pytest.raises(StorageError), Observer(told.append).restore("s3://bucket/run"):
        raise failure
    assert told[0].error is failure


def test_deletions_and_the_end_of_the_machine_are_told():
    told: list = []
    observer = Observer(told.append)
    observer.deleted(["a", "b"])
    observer.preempted("SIGTERM", 30.0)
    assert told == [DeletedReport(prefixes=("a", "b")), PreemptionReport(reason="SIGTERM", seconds_left=30.0)]


def test_several_are_told_in_their_order():
    told: list = []
    Listeners([lambda report: told.append((1, report)), lambda report: told.append((2, report))]).tell(
        SkippedReport(step=3)
    )
    assert told == [(1, SkippedReport(step=3)), (2, SkippedReport(step=3))]


def test_a_listener_that_fails_is_logged_and_the_others_are_told(caplog):
    told: list = []

    def broken(report: object) -> None:
        raise ZeroDivisionError("mine")

    with Observer([broken, told.append]).save(7, PREFIX).run():
        pass
    assert len(told) == 1
    (logged,) = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert logged.exc_info is not None
    assert "broken" in logged.getMessage()


def test_what_is_no_callable_is_refused_at_once():
    with pytest.raises(TypeError, match="on_event takes a callable, or several, got 'print'"):
        Observer(["print"])  # type: ignore[list-item]  # that is the point


def test_one_line_in_the_log_for_each(caplog, clock):
    observer = Observer()
    with caplog.at_level(logging.INFO, observer_module.__name__):
        save = observer.save(7, PREFIX)
        with save.stall(), save.run():
            record(requests=4, retries=2, sent=3_000_000_000)
            clock.pass_by(2.0)
        with observer.restore("s3://bucket/run") as restore:
            record(requests=5, received=1_000_000)
            clock.pass_by(0.5)
            load(restore)
    assert [line.getMessage() for line in caplog.records] == [
        (
            f"saved step 7 to {PREFIX}: 3000.0 MB in 2.00 s (1.50 GB/s), 4 requests, 2 retries, "
            "the loop stood still for 2.00 s"
        ),
        f"restored step 7 from {PREFIX}: 1.0 MB in 0.50 s (0.00 GB/s), 5 requests, 0 retries",
    ]


def test_a_failed_save_warns_in_the_log(caplog):
    with pytest.raises(KeyboardInterrupt), Observer().save(7, PREFIX).run():
        raise KeyboardInterrupt
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", f"step 7 was not saved to {PREFIX}: KeyboardInterrupt")
    ]
