"""Two tiers as users have them: a manager with a local directory, on real disks and servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import CheckpointDamagedError, ChecksumMismatchError, RecoveryWarning
from cloudckpt.manager.tiers.lineage import LINE_TENSOR, Line, Version, content_of, opened, read_line
from cloudckpt.manager.tiers.stored_tensors import stored_tensors
from cloudckpt.objects.trees.save import save_tree, tensors_of
from cloudckpt.storage.open import open_location
from tests.manager.preemption.test_last_save import Herald
from tests.manager.runs import same, tree

if TYPE_CHECKING:
    from tests.servers import ObjectServer

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    return {"directory": tmp_path / "bucket", "local_directory": tmp_path / "disk"}


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.stem.partition("-")[2]) for path in folder.glob("ckpt-*.index"))


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("in_background", [False, True])
def test_a_run_and_its_restart(places: dict[str, Path], asynchronous: bool, in_background: bool) -> None:
    options: dict[str, Any] = {"asynchronous": asynchronous, "upload_in_background": in_background, "upload_every": 3}
    with ckpt.CheckpointManager(**places, **options) as manager:
        for step in range(1, 8):
            assert manager.save(step, tree(step)) == str(places["local_directory"] / f"ckpt-{step}")
            manager.wait()
        assert steps_in(places["directory"]) == [3, 6]
        assert manager.all_steps() == [3, 6, 7]
    assert steps_in(places["local_directory"]) == [6, 7]
    assert steps_in(places["directory"]) == [3, 6, 7]  # the last one when it was closed
    with ckpt.CheckpointManager(**places, **options) as manager:
        state, step = manager.restore_latest()
        assert step == manager.latest_step() == 7
        assert same(state, tree(7))


def test_a_lost_machine(places: dict[str, Path], tmp_path: Path) -> None:
    with ckpt.CheckpointManager(**places) as manager:
        manager.save(1, tree(1))
    places["local_directory"] = tmp_path / "another"
    with ckpt.CheckpointManager(**places) as manager:
        assert same(manager.restore(), tree(1))
        manager.save(2, tree(2))
    assert steps_in(places["local_directory"]) == [2]


def test_what_a_manager_of_the_bucket_alone_makes_of_it(places: dict[str, Path]) -> None:
    with ckpt.CheckpointManager(**places, upload_every=2) as manager:
        for step in (1, 2):
            manager.save(step, tree(step))
    with ckpt.CheckpointManager(places["directory"]) as manager:
        assert manager.restore_latest()[1] == 2
        manager.save(3, tree(3, "second"))
    with ckpt.CheckpointManager(**places) as manager:
        state, step = manager.restore_latest()
        assert (step, state["line"]) == (3, "second")


def test_a_template_fits_a_local_checkpoint(places: dict[str, Path]) -> None:
    with ckpt.CheckpointManager(**places, upload_every=2) as manager:
        manager.save(1, {"w": np.arange(3.0)}, {"loss": 0.5})
        assert manager.restore_latest(like={"w": np.zeros(3)})[0]["w"].tolist() == [0.0, 1.0, 2.0]
        assert manager.metrics(1) == {"loss": 0.5}


def test_a_notice_sends_the_last_step_to_the_bucket(places: dict[str, Path]) -> None:
    herald = Herald()
    with ckpt.CheckpointManager(**places, upload_every=100, preemption=[herald]) as manager:
        manager.save(1, tree(1))
        herald.announce(60)
        assert manager.reached_preemption(2)
        manager.save(2, tree(2))
        assert steps_in(places["directory"]) == [2]


def test_garbage_of_both_is_collected(places: dict[str, Path]) -> None:
    with ckpt.CheckpointManager(**places) as manager:
        manager.save(1, tree(1))
        manager.wait()
        for place in places.values():
            garbage = place / "ckpt-7.data-00000-of-00001"
            garbage.write_bytes(b"of a save that died")
        found = manager.collect_garbage(dry_run=True)
        assert {*found.directory.split(" and ")} == {str(place) for place in places.values()}
        assert {spared.path for spared in found.kept} == {
            str(place / "ckpt-7.data-00000-of-00001") for place in places.values()
        }


def test_each_tier_is_reported(places: dict[str, Path]) -> None:
    told: list[Any] = []
    with ckpt.CheckpointManager(**places, on_event=told.append) as manager:
        manager.save(1, tree(1))
        manager.wait()
    prefixes = sorted(report.prefix for report in told)
    assert prefixes == [str(places["directory"] / "ckpt-1"), str(places["local_directory"] / "ckpt-1")]
    assert all(report.bytes > 0 for report in told)


@pytest.mark.parametrize("in_background", [False, True])
def test_a_bucket_on_a_server(object_server: ObjectServer, tmp_path: Path, in_background: bool) -> None:
    url, options = object_server.fresh_url(), object_server.storage_options
    state = {"w": np.random.default_rng(0).normal(size=(300, 1000)), "text": ["a", "b"], "empty": np.zeros((0, 3))}
    arguments: dict[str, Any] = {"storage_options": options, "upload_in_background": in_background}
    with ckpt.CheckpointManager(url, local_directory=tmp_path / "one", **arguments) as manager:
        for step in (1, 2):
            manager.save(step, state)
    with ckpt.CheckpointManager(url, local_directory=tmp_path / "two", **arguments) as manager:
        assert manager.all_steps() in ([1, 2], [2])  # in the background 2 may have taken the place of 1
        restored, step = manager.restore_latest()
        assert step == 2
        assert restored["w"].tobytes() == state["w"].tobytes()
        assert restored["text"] == state["text"]


# What is sent on from a disk


def test_tensors_that_are_sent_on_are_not_copied_and_outlive_their_files(tmp_path: Path) -> None:
    prefix = open_location(tmp_path / "ckpt-1")
    save_tree(prefix, tree(1))
    stored = stored_tensors(prefix)
    assert not stored.arrays["w"].flags.owndata
    for path in tmp_path.iterdir():
        path.unlink()
    stored.verify()
    assert stored.arrays["w"].tobytes() == tree(1)["w"].tobytes()


def test_damage_on_the_disk_is_not_sent_on(tmp_path: Path) -> None:
    prefix = open_location(tmp_path / "ckpt-1")
    save_tree(prefix, tree(1))
    data = tmp_path / "ckpt-1.data-00000-of-00001"
    stored = stored_tensors(prefix)
    position = data.read_bytes().index(tree(1)["w"].tobytes())
    with data.open("r+b") as file:
        file.seek(position)
        file.write(b"\xff\xff")
    with pytest.raises(ChecksumMismatchError, match=r"tensor 'w' of .* is damaged on the disk"):
        stored.verify()


def test_contents_are_the_same_wherever_they_lie(tmp_path: Path) -> None:
    tensors = tensors_of(tree(1))
    here, there = open_location(tmp_path / "ckpt-1"), open_location("memory://contents/ckpt-1")
    save_tensors(here, tensors)
    save_tensors(there, {**dict(reversed(tensors.items())), **Line("b").tensors()}, alignment=1, shards=2)
    assert content_of(opened(here, None)) == content_of(opened(there, None))


@pytest.mark.parametrize(
    "change",
    [
        {"w": np.ones((3, 5), np.float32)},
        {"w": np.zeros((5, 3), np.float32)},
        {"w": np.zeros((3, 5), np.int32)},
        {"w": np.zeros((3, 5), np.float32), "v": np.zeros(1)},
        {"x": np.zeros((3, 5), np.float32)},
    ],
)
def test_any_difference_makes_another_content(change: dict[str, Any], tmp_path: Path) -> None:
    first, second = open_location(tmp_path / "ckpt-1"), open_location(tmp_path / "ckpt-2")
    save_tensors(first, {"w": np.zeros((3, 5), np.float32)})
    save_tensors(second, change)
    assert content_of(opened(first, None)) != content_of(opened(second, None))


def test_a_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    line = Line("s3://bucket/run").with_version(Version(3, "a")).with_version(Version(7, "b"))
    save_tensors(prefix := open_location(tmp_path / "ckpt-9"), line.tensors())
    assert read_line(opened(prefix, None)) == line
    assert line.with_version(Version(5, "c")).versions == (Version(3, "a"), Version(5, "c"))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"{}",
        b'{"bucket": "b", "versions": 3}',
        b'{"bucket": "b", "versions": [[1]]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_none_is_damage(said: bytes, tmp_path: Path) -> None:
    save_tensors(prefix := open_location(tmp_path / "ckpt-9"), {LINE_TENSOR: np.array(said, object)})
    with pytest.raises(CheckpointDamagedError, match="does not say where it comes from"):
        read_line(opened(prefix, None))


def test_a_line_of_another_type_is_damage(tmp_path: Path) -> None:
    save_tensors(prefix := open_location(tmp_path / "ckpt-9"), {LINE_TENSOR: np.zeros(3)})
    with pytest.raises(CheckpointDamagedError, match="it is no text of moderate length"):
        read_line(opened(prefix, None))


def test_a_disk_with_a_damaged_line_is_passed_over(places: dict[str, Path]) -> None:
    with ckpt.CheckpointManager(**places) as manager:
        manager.save(1, tree(1))
    save_tensors(open_location(places["local_directory"] / "ckpt-2"), {LINE_TENSOR: np.zeros(3)})
    with (
        ckpt.CheckpointManager(**places) as manager,
        pytest.warns(RecoveryWarning, match="step 2 in .* is passed over"),
    ):
        assert manager.restore_latest()[1] == 1


FORKED = """
import os, sys, threading
import numpy as np
import cloudckpt as ckpt

may_send = threading.Event()
manager = ckpt.CheckpointManager(sys.argv[1], local_directory=sys.argv[2], save_every_n_steps=1)
send = manager._tier._bucket.save
manager._tier._bucket.save = lambda *args, **options: (may_send.wait(60), send(*args, **options))[1]
manager.save(1, {"w": np.zeros(3)})
manager._tier._saving.get().acquire(), manager._cadence._lock.get().acquire()  # as another thread may hold them
child = os.fork()
if not child:
    manager._tier._bucket.save = send
    assert manager.should_save(2)
    manager.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert not os.path.exists(f"{sys.argv[1]}/ckpt-1.index")
manager._tier._saving.get().release(), manager._cadence._lock.get().release()
may_send.set()
manager.close()
"""


def test_a_forked_process_that_closes_its_copy_sends_nothing(places: dict[str, Path]) -> None:
    """It would be another writer, and the manager would lose to it."""
    command = [sys.executable, "-c", FORKED, str(places["directory"]), str(places["local_directory"])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert steps_in(places["directory"]) == [1]
