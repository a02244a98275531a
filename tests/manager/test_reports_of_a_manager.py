"""What a manager tells of its saves, restores and deletions, and that telling costs no checkpoint."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

import cloudckpt as ckpt
from cloudckpt.errors import RecoveryWarning, StorageError
from cloudckpt.manager.tiers.stored_tensors import StoredTensors
from cloudckpt.reports import DeletedReport, PreemptionReport, RestoreReport, SaveReport, SkippedReport
from cloudckpt.testing.faults import FaultyStore
from tests.manager.preemption.test_last_save import Herald
from tests.manager.runs import MemoryRun, tree
from tests.manager.test_tracing import Exported


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    return Exported(monkeypatch)


class SlowStore(FaultyStore):
    """A store whose uploads wait until it is told to go on."""

    def __init__(self, run: MemoryRun) -> None:
        super().__init__(run.store, 0)
        self.go, self.waits = threading.Event(), threading.Event()

    def create(self, *args: Any, **options: Any) -> Any:
        self.waits.set()
        assert self.go.wait(30)
        return super().create(*args, **options)


def stored_bytes(run: MemoryRun) -> int:
    return sum(len(file.getvalue()) for file in run.filesystem.store.values())


def test_an_upload_whose_local_file_is_damaged_is_told_of_and_tried_again(tmp_path, monkeypatch):
    told: list[Any] = []
    options = {"on_event": told.append, "local_directory": tmp_path / "local", "upload_every": 2}

    def damaged(_: StoredTensors) -> None:
        raise ckpt.ChecksumMismatchError("the disk has changed it")

    def errors_of(step: int) -> list[BaseException | None]:
        prefix = str(tmp_path / "bucket" / f"ckpt-{step}")
        return [report.error for report in told if isinstance(report, SaveReport) and report.prefix == prefix]

    with ckpt.CheckpointManager(tmp_path / "bucket", **options) as manager:
        manager.save(1, tree(1))
        with monkeypatch.context() as patch:
            patch.setattr(StoredTensors, "verify", damaged)
            manager.save(2, tree(2))
            with pytest.raises(ckpt.ChecksumMismatchError) as caught:
                manager.wait()
        assert errors_of(2) == [caught.value]
        manager.save(3, tree(3))
        manager.wait()
        assert errors_of(3) == [None]


def test_a_save_and_what_it_deletes():
    told: list[Any] = []
    run = MemoryRun()
    with run.manager(on_event=told.append, max_to_keep=1) as manager:
        manager.save(1, tree(1))
        assert told[0].bytes == stored_bytes(run)
        manager.save(2, tree(2))
    first, second, deleted = told
    assert (first.step, first.prefix, first.error) == (1, "memory://run/ckpt-1", None)
    assert 0 < first.stall <= first.seconds
    assert (first.requests, first.retries) == (3, 0)  # data, index and state file
    assert second.step == 2
    assert deleted == DeletedReport(prefixes=("memory://run/ckpt-1",))


def test_a_restore_and_what_it_passes_over():
    told: list[Any] = []
    run = MemoryRun()
    with run.manager() as manager:
        for step in (1, 2, 3):
            manager.save(step, tree(step))
    del run.filesystem.store["/run/ckpt-3.data-00000-of-00001"]
    with run.manager(on_event=told.append) as manager:
        with pytest.warns(RecoveryWarning):
            manager.restore_latest()
        manager.restore(1)
    newest, first = told
    assert isinstance(newest, RestoreReport)
    assert (newest.step, newest.prefix, newest.passed_over) == (2, "memory://run/ckpt-2", (3,))
    assert newest.bytes > tree(2)["w"].nbytes
    assert (first.step, first.passed_over) == (1, ())


def test_nothing_to_restore():
    told: list[Any] = []
    with MemoryRun().manager(on_event=told.append) as manager:
        manager.restore_latest(default=None)
    assert [(report.step, report.prefix, report.error) for report in told] == [(None, None, None)]


def test_an_asynchronous_save_is_told_of_at_its_end():
    told: list[Any] = []
    run = MemoryRun()
    store = SlowStore(run)
    with run.manager(store, on_event=told.append, asynchronous=True) as manager:
        manager.save(1, tree(1))
        assert store.waits.wait(30)
        assert told == []
        store.go.set()
        manager.wait()
        (report,) = told
    assert report.bytes == stored_bytes(run)
    assert 0 < report.stall < report.seconds


@pytest.mark.parametrize("when_busy", ["skip", "replace"])
def test_a_step_that_is_left_out_is_told_of(when_busy: str):
    told: list[Any] = []
    run = MemoryRun()
    store = SlowStore(run)
    with run.manager(store, on_event=told.append, asynchronous=True, when_busy=when_busy) as manager:
        manager.save(1, tree(1))
        assert store.waits.wait(30)
        manager.save(2, tree(2))
        if when_busy == "replace":
            assert told == []
            manager.save(3, tree(3))
        assert told == [SkippedReport(step=2)]
        store.go.set()
        manager.wait()
    assert [report.step for report in told] == [2, 1, *([3] if when_busy == "replace" else [])]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_save_that_fails(asynchronous: bool):
    told: list[Any] = []
    run = MemoryRun()
    store = FaultyStore(run.store, 3, error=StorageError("an injected fault"))
    manager = run.manager(store, on_event=told.append, asynchronous=asynchronous)
    with pytest.raises(StorageError, match="an injected fault"):
        manager.save(1, tree(1))
        manager.wait()
    manager.close()
    assert [str(report.error) for report in told] == ["an injected fault"]


def test_a_tree_that_can_t_be_saved_is_no_event():
    told: list[Any] = []
    with MemoryRun().manager(on_event=told.append) as manager:
        with pytest.raises(TypeError):
            manager.save(1, {"a": object()})
        assert manager.save(2, tree(2), force=False) is not None
    assert [report.step for report in told] == [2]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_listener_that_fails_costs_no_checkpoint(asynchronous: bool, caplog):
    def broken(report: object) -> None:
        raise ZeroDivisionError

    run = MemoryRun()
    with run.manager(on_event=broken, asynchronous=asynchronous) as manager:
        manager.save(1, tree(1))
        manager.wait()
        manager.restore_latest()
    assert run.named == [1]
    assert sum(line.levelno == logging.ERROR for line in caplog.records) == 2


def test_a_deletion_by_hand():
    told: list[Any] = []
    with MemoryRun().manager(on_event=[told.append]) as manager:
        manager.save(1, tree(1))
        manager.save(2, tree(2))
        manager.delete(1)
    assert told[2:] == [DeletedReport(prefixes=("memory://run/ckpt-1",))]


def test_the_end_of_the_machine():
    told: list[Any] = []
    herald = Herald()
    with MemoryRun().manager(on_event=told.append, preemption=[herald]) as manager:
        assert not manager.reached_preemption(1)
        herald.announce(60)
        assert manager.reached_preemption(2)
        manager.save(2, tree(2))
    notice, save = told
    assert isinstance(notice, PreemptionReport)
    assert notice.seconds_left is not None
    assert 0 < notice.seconds_left <= 60
    assert isinstance(save, SaveReport)


def test_spans_of_a_synchronous_save(exported):
    run = MemoryRun()
    with run.manager(max_to_keep=1) as manager:
        manager.save(1, tree(1))
        assert exported.names == ["cloudckpt.upload", "cloudckpt.commit", "cloudckpt.save"]
        manager.save(2, tree(2))
        assert exported.names[3:] == [f"cloudckpt.{name}" for name in ("upload", "commit", "retention", "save")]


def test_spans_of_an_asynchronous_save(exported):
    with MemoryRun().manager(asynchronous=True) as manager:
        with exported.provider.get_tracer("job").start_as_current_span("step"):
            manager.save(1, tree(1))
        manager.wait()
    assert {*exported.names} == {f"cloudckpt.{name}" for name in ("snapshot", "upload", "commit", "save")} | {"step"}
    assert exported["cloudckpt.save"].parent.span_id == exported["step"].context.span_id


def test_a_span_of_a_restore(exported):
    with MemoryRun().manager() as manager:
        manager.save(1, tree(1))
        manager.restore_latest()
    assert exported["cloudckpt.restore"].attributes["cloudckpt.step"] == 1


def test_one_line_in_the_log_for_a_save_and_for_a_restore(caplog, tmp_path):
    with caplog.at_level(logging.INFO, "cloudckpt"), ckpt.CheckpointManager(tmp_path) as manager:
        manager.save(1, tree(1))
        manager.restore_latest()
    lines = [line.getMessage() for line in caplog.records]
    assert [line.partition(":")[0] for line in lines] == [
        f"saved step 1 to {tmp_path}/ckpt-1",
        f"restored step 1 from {tmp_path}/ckpt-1",
    ]
