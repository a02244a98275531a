"""Collections over every store and every server that there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import UnsupportedOperationError
from cloudckpt.garbage.report import GarbageKind
from cloudckpt.storage.local import store as local
from cloudckpt.storage.open import open_location
from cloudckpt.storage.s3.probe import PROBE_PREFIX
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.garbage.places import DAY, Directory, committed, only_checkpoints, tensors
from tests.manager.runs import manager_at, tree
from tests.manager.test_stores import CONDITIONAL, opener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import ObjectServer

LARGE = {"w": np.arange(33 << 20, dtype=np.uint8)}
GARBAGE = [
    "ckpt-1.data-00000-of-00001",
    "ckpt-2.data-54321-of-65432",
    "ckpt-1.index.tempstate12",
    "ckpt-1_temp/part-00000-of-00001.data-00000-of-00001",
]


@pytest.fixture(params=CONDITIONAL)
def run(request: pytest.FixtureRequest) -> Iterator[Directory]:
    """A directory with a checkpoint, garbage, and files that are none, on each store that tells times."""
    with opener(request.param, request)() as location:
        directory = Directory(location=location)
        save_tensors(directory.prefix("ckpt-2"), tensors(2))
        directory.write(*GARBAGE, "notes", "ckpt-1.meta")
        yield directory


def test_p12_garbage_is_found_and_deleted(run: Directory) -> None:
    before = committed(run.location)
    assert run.collect(min_age=DAY).found == ()
    report = run.collect(min_age=0, no_writers=True, dry_run=True)
    assert sorted(piece.path for piece in report.found) == sorted(run.prefix(name).url for name in GARBAGE)
    assert run.collect(min_age=0, no_writers=True).deleted == report.found
    assert committed(run.location) == before
    assert only_checkpoints(run.location, "notes", "ckpt-1.meta")


def test_p12_an_age_is_by_the_store_s_clock(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine believes of the time makes nothing older, unless it is the store's own."""
    if run.store.capabilities.local_files or run.location.url.startswith("memory:"):
        assert run.collect(min_age=3600, no_writers=True).found == ()
        return
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 300)
    assert abs(run.store.time() - now) < 120
    assert run.collect(min_age=120, no_writers=True).found == ()


def test_p12_a_crash_at_any_operation(run: Directory) -> None:
    run.collect(min_age=0, no_writers=True)
    for number in count(1):
        store = FaultyStore(run.store, number, "after", forever=True, error=Crash())
        with suppress(Crash):
            save_tensors(run.prefix("ckpt-2", store), tensors(number))
        before = committed(run.location)
        run.collect(min_age=0, no_writers=True)
        assert committed(run.location) == before
        assert only_checkpoints(run.location, "notes", "ckpt-1.meta")
        if not store.failed:
            break


def test_p12_a_manager_collects(run: Directory) -> None:
    with manager_at(run.location) as manager:
        manager.save(3, tree(3))
        report = manager.collect_garbage(dry_run=True)
        assert (report.found, report.deleted, report.min_age) == ((), (), DAY)
        assert manager.collect_garbage().found == ()
    with pytest.raises(ValueError, match="closed"):
        manager.collect_garbage()


@pytest.mark.parametrize("name", ["local", "minio"])
def test_p12_a_crash_in_the_midst_of_an_upload(name: str, request: pytest.FixtureRequest) -> None:
    """On S3 nobody sees what a killed process has sent of an upload, and somebody pays for it."""
    with opener(name, request)() as location:
        run = Directory(location=location)
        for number in range(3, 6):
            store = FaultyStore(run.store, number, "after", forever=True, error=Crash())
            with pytest.raises(Crash):
                save_tensors(run.prefix("ckpt-1", store), LARGE)
        folder = run.prefix("").key
        uploads = [*run.store.unfinished(folder)]
        assert len(uploads) >= 2
        with run.store.create(run.prefix("model").key, 33 << 20, Always()):
            report = run.collect(min_age=0, no_writers=True)
            assert len(report.deleted) >= len(uploads)
            left = [upload.key for upload in run.store.unfinished(folder)]
            # In a bucket it may be another program's; the names of our temporaries on a disk nobody else gives.
            assert left == ([run.prefix("model").key] if name == "minio" else [])
        assert run.files == []


def test_p12_a_probe_that_a_killed_process_has_left(minio: ObjectServer) -> None:
    """By which it wanted to find out whether the bucket knows conditions."""
    with open_location(minio.fresh_url(), minio.storage_options) as location:
        run = Directory(location=location)
        probe = f"{PROBE_PREFIX}0123456789abcdef"
        run.write(probe, "ckpt-1.meta", data=b"")
        assert [spared.path for spared in manager_at(location).collect_garbage().kept] == [location.child(probe).url]
        for prefix in ("ckpt-", f"{PROBE_PREFIX}9"):
            assert not [*run.store.unfinished(run.prefix(prefix).key)]
        report = run.collect(min_age=0, no_writers=True, checkpoint_name="ckpt")
        assert [piece.kind for piece in report.deleted] == [GarbageKind.UNFINISHED_UPLOAD]
        assert not [*run.store.unfinished(run.prefix("").key)]
        assert run.files == ["ckpt-1.meta"]


def test_p12_a_store_without_server_times_is_only_looked_at(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with opener("filesystem", request)() as location:
        run = Directory(location=location)
        (tmp_path / "run").mkdir()
        file = tmp_path / "run" / GARBAGE[0]
        file.write_bytes(b"left")
        os.utime(file, (time.time() - 2 * DAY,) * 2)
        for no_writers in (False, True):
            with pytest.raises(UnsupportedOperationError, match="dry_run=True"):
                run.collect(no_writers=no_writers)
        assert [piece.size for piece in run.collect(dry_run=True).found] == [4]
        assert file.exists()


def test_p12_a_copy_of_old_files_is_young_on_a_disk(tmp_path: Path) -> None:
    """`cp -p`, rsync and rclone keep the times of modification: what they just wrote may still be one of many files."""
    old = tmp_path / "old.data-00000-of-00001"
    old.write_bytes(b"x")
    os.utime(old, (time.time() - 30 * DAY,) * 2)
    shutil.copy2(old, tmp_path / "ckpt-1.data-00000-of-00001")
    subprocess.run(["cp", "-p", str(old), str(tmp_path / "ckpt-2.data-00000-of-00001")], check=True)
    assert ckpt.collect_garbage(tmp_path).found == ()


def test_p12_a_deletion_on_a_disk_is_under_the_folder_s_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    original = local.locked

    def recording(*arguments: Any, **options: Any) -> Any:
        held.append(options["required"])
        return original(*arguments, **options)

    (tmp_path / GARBAGE[0]).write_bytes(b"left")
    monkeypatch.setattr(local, "locked", recording)
    assert len(ckpt.collect_garbage(tmp_path, min_age=0, no_writers=True).deleted) == 1
    assert held == [True]
