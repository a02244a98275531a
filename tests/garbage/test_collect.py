"""What is garbage and what is not, clause by clause, in a memory whose clock is set by hand."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import InvalidArgumentError, PermissionDeniedError, StateFileError, StorageError
from cloudckpt.garbage.report import GarbageKind, GarbageReport
from cloudckpt.testing.faults import FaultyStore
from tests.garbage.places import DAY, HOUR, Directory, UnconditionalMemory, committed, only_checkpoints, tensors

DATA = "ckpt-1.data-00000-of-00001"


@pytest.fixture(params=[Directory, lambda: Directory(UnconditionalMemory)], ids=["conditional", "unconditional"])
def run(request: pytest.FixtureRequest) -> Directory:
    directory: Directory = request.param()
    return directory


def reasons(report: GarbageReport) -> str:
    return "\n".join(spared.reason for spared in report.kept)


def test_p12_data_without_an_index_is_garbage(run: Directory) -> None:
    save_tensors(run.prefix("ckpt-2"), tensors(2))
    run.write(DATA, data=b"12345")
    run.clock.now += DAY
    report = run.collect()
    assert [(piece.kind, piece.path, piece.size) for piece in report.found] == [
        (GarbageKind.DATA_WITHOUT_INDEX, f"memory://run/{DATA}", 5)
    ]
    assert report.deleted == report.found
    assert (report.bytes, report.kept) == (5, ())
    assert only_checkpoints(run.location)
    assert run.collect().found == ()


def test_p12_data_that_its_index_does_not_name_is_garbage(run: Directory) -> None:
    save_tensors(run.prefix("ckpt-1"), tensors(1))
    run.write("ckpt-1.data-00000-of-00002", "ckpt-1.data-54321-of-65432")
    run.clock.now += DAY
    report = run.collect()
    assert [piece.kind for piece in report.deleted] == [GarbageKind.UNNAMED_DATA] * 2
    assert only_checkpoints(run.location)


def test_p12_what_is_younger_than_a_day_stays(run: Directory) -> None:
    run.write(DATA)
    run.clock.now += DAY - 1
    report = run.collect()
    assert (report.found, run.files) == ((), [DATA])
    assert "younger than 86400 seconds" in reasons(report)
    run.clock.now += 1
    assert len(run.collect().deleted) == 1


def test_p12_one_save_is_judged_by_its_newest_data_file(run: Directory) -> None:
    """A copy in progress, or a save by many processes, goes on adding files."""
    run.write("ckpt-1.data-00000-of-00003")
    run.clock.now += DAY
    run.write("ckpt-1.data-00001-of-00003")
    assert run.collect().found == ()
    run.clock.now += DAY
    assert len(run.collect().deleted) == 2


def test_p12_a_dry_run_deletes_nothing(run: Directory) -> None:
    run.write(DATA, "ckpt-1.index.tempstate1")
    run.clock.now += DAY
    report = run.collect(dry_run=True)
    assert len(report.found) == 2
    assert report.deleted == ()
    assert len(run.files) == 2
    assert "none deleted in a dry run" in str(report)
    assert run.collect().found == report.found


def test_p12_an_index_that_can_t_be_read_protects_its_prefix(run: Directory) -> None:
    run.write(DATA, "ckpt-1.index", "ckpt-2.data-00000-of-00001")
    run.clock.now += DAY
    report = run.collect()
    assert run.files == [DATA, "ckpt-1.index"]
    assert [spared.path for spared in report.kept] == ["memory://run/ckpt-1"]
    assert "its index can't be read" in str(report)


def test_p12_an_index_that_may_not_be_read_protects_its_prefix(run: Directory) -> None:
    class Forbidden(FaultyStore):
        def get(self, key: str) -> Any:
            if key.endswith(".index"):
                raise PermissionDeniedError("no")
            return super().get(key)

    save_tensors(run.prefix("ckpt-1"), tensors(1))
    run.clock.now += DAY
    before = run.files
    run.location = run.on(Forbidden(run.store, 0))
    assert "which data files it needs: no" in reasons(run.collect())
    assert run.files == before


def test_p12_a_store_that_fails_at_an_index_ends_the_collection(run: Directory) -> None:
    run.write(DATA)
    run.clock.now += DAY
    run.location = run.on(FaultyStore(run.store, 3))
    with pytest.raises(StorageError, match="injected"):
        run.collect()
    assert run.files == [DATA]


def test_p12_other_files_are_never_touched(run: Directory) -> None:
    others = [
        "checkpoint", "ckpt-1.meta", "events.out.tfevents.1", "model.ckpt-5", "model.ckpt-5-00000-of-00002", "notes",
        "ckpt-1.data-00000-of-00001.bak", "ckpt-1.data-0-of-1", "ckpt-3_temp/notes", "below/ckpt-1.data-00000-of-00001",
        "ckpt-1.index",
    ]  # fmt: skip
    run.write(*others, data=b"")
    run.clock.now += 365 * DAY
    assert run.collect(min_age=0, no_writers=True).found == ()
    assert run.files == sorted(others)


def test_p12_steps_that_retention_or_a_rollback_left_with_an_index_stay(run: Directory) -> None:
    for step in (1, 2, 3):
        save_tensors(run.prefix(f"ckpt-{step}"), tensors(step))
    run.write(
        "checkpoint", data=b'# cloudckpt: {"retired": ["ckpt-1"], "left": ["ckpt-2"]}\nmodel_checkpoint_path: "x"'
    )
    run.clock.now += DAY
    assert run.collect().found == ()
    assert len(committed(run.location)) == 3


def test_p12_an_empty_data_file_of_the_checkpoint_s_own_stays(run: Directory) -> None:
    """TensorFlow makes one for a shard without tensors."""
    save_tensors(run.prefix("ckpt-1"), tensors(1))
    save_tensors(run.prefix("ckpt-1"), tensors(2))
    [[data, _]] = committed(run.location).values()
    sibling = f"ckpt-1.data-{(int(data[12:17]) + 1) % int(data[21:]):05d}{data[17:]}"
    run.write(sibling, data=b"")
    run.clock.now += DAY
    assert run.collect().found == ()


def test_p12_tensorflow_s_leftovers_are_garbage(run: Directory) -> None:
    leftovers = [
        "ckpt-1.data-00000-of-00001.tempstate1", "ckpt-1.index.tempstate2", "model.ckpt-1.tempstate3",
        "ckpt-1_temp/part-00000-of-00001.data-00000-of-00001.tempstate4", "ckpt-1_temp/part-00000-of-00001.index",
        f"ckpt-2_temp_{'0' * 32}/part-00000-of-00001.data-00000-of-00001",
    ]  # fmt: skip
    run.write(*leftovers)
    run.clock.now += DAY
    report = run.collect()
    assert sorted(piece.path.removeprefix("memory://run/") for piece in report.deleted) == sorted(leftovers)
    assert {piece.kind for piece in report.deleted} == {GarbageKind.TENSORFLOW_TEMPORARY}
    assert run.files == []


def test_p12_a_temporary_folder_is_judged_by_its_newest_file(run: Directory) -> None:
    run.write("ckpt-1_temp/part-00000-of-00002.index")
    run.clock.now += DAY
    run.write("ckpt-1_temp/notes")
    assert run.collect().found == ()
    run.clock.now += DAY
    run.collect()
    assert run.files == ["ckpt-1_temp/notes"]


def test_p12_only_one_base_name(run: Directory) -> None:
    names = ["ckpt-1.data-00000-of-00001", "ckpt-best-1.data-00000-of-00001", "x-1.data-00000-of-00001"]
    run.write(*names, "ckpt-2_temp/part-00000-of-00001.index", "x-2_temp/part-00000-of-00001.index")
    run.clock.now += DAY
    run.collect(checkpoint_name="ckpt")
    assert run.files == [*names[1:], "x-2_temp/part-00000-of-00001.index"]


def test_p12_a_shorter_age_needs_no_writers(run: Directory) -> None:
    for min_age in (0, DAY - 1, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError, match="no_writers=True"):
            ckpt.collect_garbage("memory://run", min_age=min_age)
    for min_age in (-1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError):
            ckpt.collect_garbage("memory://run", min_age=min_age, no_writers=True)
    run.write(DATA)
    assert run.collect(min_age=1, no_writers=True).found == ()
    assert len(run.collect(min_age=0, no_writers=True).deleted) == 1


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_base_name_is_a_plain_name(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="checkpoint_name"):
        ckpt.collect_garbage("memory://run", checkpoint_name=name)


def test_p12_the_state_s_max_save_time_is_obeyed(run: Directory) -> None:
    run.write("checkpoint", data=b'# cloudckpt: {"max_save_time": 90000}\n')
    run.write(DATA)
    run.clock.now += 49 * HOUR
    assert run.collect().found == ()
    run.clock.now += HOUR
    report = run.collect()
    assert (len(report.deleted), report.min_age) == (1, 180_000)


def test_p12_a_short_max_save_time_makes_no_age_shorter(run: Directory) -> None:
    run.write("checkpoint", data=b'# cloudckpt: {"max_save_time": 1}\n')
    run.write(DATA)
    run.clock.now += DAY - 1
    assert run.collect().found == ()


def test_p12_an_unreadable_state_stops_the_collection(run: Directory) -> None:
    run.write("checkpoint", data=b"no state")
    run.write(DATA)
    run.clock.now += DAY
    with pytest.raises(StateFileError):
        run.collect()
    assert DATA in run.files


def test_p12_a_file_that_is_replaced_meanwhile_stays(run: Directory) -> None:
    class Replacing(FaultyStore):
        """Another program writes the file anew just before it would be deleted."""

        def get(self, key: str) -> Any:
            if key.endswith(".index"):
                run.write(DATA, data=b"another one")
            return super().get(key)

    run.write(DATA)
    run.clock.now += DAY
    run.location = run.on(Replacing(run.store, 0))
    report = run.collect()
    assert (len(report.found), report.deleted) == (1, ())
    assert "replaced while" in reasons(report)
    assert run.files == [DATA]


def test_p12_what_another_collector_has_deleted_is_no_error(run: Directory) -> None:
    class Racing(FaultyStore):
        def get(self, key: str) -> Any:
            if key.endswith(".index"):
                self._inner.delete([f"run/{DATA}"])
            return super().get(key)

    run.write(DATA)
    run.clock.now += DAY
    run.location = run.on(Racing(run.store, 0))
    assert len(run.collect().found) == 1
    assert run.files == []


def test_p12_one_failed_deletion_does_not_keep_the_others(run: Directory) -> None:
    names = [f"ckpt-{step}.data-00000-of-00001" for step in range(3)]
    run.write(*names)
    run.clock.now += DAY
    counted = FaultyStore(run.store, 0)
    run.location = run.on(counted)
    run.collect(dry_run=True)
    looks = [[f"get ckpt-{n}.index", f"list ckpt-{n}.index.quarantined-"] for n in range(3)]
    assert counted.operations == ["get checkpoint", "list ", *looks[0], *looks[1], *looks[2], "unfinished "]
    conditional = run.store.capabilities.delete_if_version
    run.location = run.on(FaultyStore(run.store, 5 if conditional else 6))
    with pytest.raises(StorageError, match="injected"):
        run.collect()
    assert run.files == names[:1]


def test_p12_requests(run: Directory) -> None:
    """One GET and one LIST beside whole checkpoints that are young; a GET of the index for those with old data."""
    for step in range(5):
        save_tensors(run.prefix(f"ckpt-{step}"), tensors(step))
    store = FaultyStore(run.store, 0)
    run.location = run.on(store)
    run.collect()
    assert store.operations == ["get checkpoint", "list ", "unfinished "]
    run.clock.now += DAY
    store.operations.clear()
    run.collect(checkpoint_name="ckpt")
    assert store.operations == [
        "get checkpoint",
        "list ckpt",
        *(f"get ckpt-{n}.index" for n in range(5)),
        "unfinished ",
    ]


def test_each_deletion_is_logged(run: Directory, caplog: pytest.LogCaptureFixture) -> None:
    run.write(DATA)
    run.clock.now += DAY
    with caplog.at_level(logging.INFO, "cloudckpt"):
        run.collect()
    assert caplog.messages == [f"deleted data-without-index: memory://run/{DATA} (9 bytes)"]


def test_the_report_as_text(run: Directory) -> None:
    run.write(DATA, "ckpt-2.index", "ckpt-2.data-00000-of-00001", data=b"x")
    run.clock.now += DAY
    first, second, last = str(run.collect()).split("\n")
    assert first == f"data-without-index: memory://run/{DATA} (1 byte)"
    assert second.startswith("kept: memory://run/ckpt-2: its index can't be read")
    assert last == "memory://run: 1 piece of garbage with 1 byte found, 1 deleted, 1 kept"


def test_a_directory_that_is_not_there_is_clean() -> None:
    assert Directory().collect().found == ()


def test_the_public_function(tmp_path: Any) -> None:
    ckpt.save(tmp_path / "ckpt-1", tensors(1))
    (tmp_path / "ckpt-2.data-00000-of-00001").write_bytes(b"left")
    assert ckpt.collect_garbage(tmp_path).found == ()
    report = ckpt.collect_garbage(tmp_path, min_age=0, no_writers=True)
    assert isinstance(report, ckpt.GarbageReport)
    assert [piece.path for piece in report.deleted] == [str(tmp_path / "ckpt-2.data-00000-of-00001")]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ckpt-1.data-00000-of-00001", "ckpt-1.index"]
