"""One checkpoint written in parts, as several processes do, and committed by one."""

from __future__ import annotations

import pickle
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.names import ShardNames, choose_names
from cloudckpt.checkpoint.partial import PartialSave, commit_partials, write_partial
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.standing import look
from cloudckpt.errors import CommitConflictError, InvalidArgumentError, StorageError, TransientStorageError
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore

if TYPE_CHECKING:
    from pathlib import Path

MATRIX = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def place() -> Location:
    return open_location(f"memory://{uuid.uuid4().hex}/ckpt")


def part(number: int) -> dict[str, Any]:
    """What process `number` of 4 holds: a tensor of its own, and a row of one that all have."""
    row = SlicedTensor((4, 3), {((number, 1), (0, None)): MATRIX[number : number + 1]})
    return {f"own{number}": np.full(5, number), "w": row}


def in_parts(place: Location, tensors: list[dict[str, Any]], counts: list[int] | None = None) -> list[PartialSave]:
    counts = counts or [1] * len(tensors)
    shares = look(place).choose_names(sum(counts)).split(counts)
    return [write_partial(place, some, share) for some, share in zip(tensors, shares, strict=True)]


def keys(place: Location) -> set[str]:
    files = list_prefix(place)
    return {*files.data} | ({files.index.key} if files.index else set())


def check(place: Location) -> None:
    names = ["w", *(f"own{number}" for number in range(4))]
    found = open_checkpoint(place).read_named(names)
    assert found["w"].tolist() == MATRIX.tolist()
    assert [found[name].tolist() for name in names[1:]] == [[number] * 5 for number in range(4)]


def written_elsewhere(path: str, number: int, share: ShardNames) -> bytes:
    return pickle.dumps(write_partial(open_location(path), part(number), share))


@pytest.mark.parametrize("replacing", [False, True])
def test_processes_write_their_own_files_and_one_commits(tmp_path: Path, replacing: bool) -> None:
    place = open_location(tmp_path / "ckpt")
    if replacing:
        save_tensors(place, {"old": np.zeros(3)})
    standing = look(place)
    shares = standing.choose_names(4).split([1] * 4)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = pool.map(partial(written_elsewhere, place.key), range(4), shares)
        partials = [pickle.loads(part) for part in parts]
    assert ("old" in open_checkpoint(place).tensors) if replacing else not (tmp_path / "ckpt.index").exists()
    saved = commit_partials(standing, partials)
    check(place)
    assert keys(place) == {*saved.data_files, saved.index.key}
    assert len(saved.data_files) == 4


def test_the_commit_moves_no_data(place: Location) -> None:
    standing = look(place)
    partials = in_parts(place, [part(number) for number in range(4)])
    store = FaultyStore(place.store, 0)
    commit_partials(look(Location(store, place.key)), partials)
    assert store.operations == ["list ckpt.", "put ckpt.index"]
    check(place)
    with pytest.raises(CommitConflictError):
        commit_partials(standing, partials[:1])


def test_a_process_may_have_several_files_or_nothing(place: Location) -> None:
    tensors = [{f"a{number}": np.ones(100) for number in range(8)}, {}, {"b": np.ones(1)}]
    partials = in_parts(place, tensors, [3, 1, 2])
    assert [len(partial.files) for partial in partials] == [3, 0, 1]
    saved = commit_partials(look(place), partials)
    assert [key[-14:] for key in saved.data_files] == [f"0000{shard}-of-00006" for shard in (0, 1, 2, 4)]
    assert {*open_checkpoint(place).tensors} == {*tensors[0], "b"}


def test_parts_that_have_the_same_tensor_are_refused_and_deleted(place: Location) -> None:
    partials = in_parts(place, [part(0), part(0)])
    with pytest.raises(InvalidArgumentError, match="another part of the checkpoint has"):
        commit_partials(look(place), partials)
    assert keys(place) == set()


def test_parts_whose_slices_do_not_fit_are_refused_and_deleted(place: Location) -> None:
    wide = SlicedTensor((4, 9), {((1, 1), (0, None)): np.ones((1, 9))})
    partials = in_parts(place, [part(0), {"w": wide}])
    with pytest.raises(InvalidArgumentError, match=r"tensor 'w'.*shape \(4, 9\), another part.*shape \(4, 3\)"):
        commit_partials(look(place), partials)
    assert keys(place) == set()


def test_dtypes_that_differ_are_named_as_numpy_does(place: Location) -> None:
    narrow = SlicedTensor((4, 3), {((1, 1), (0, None)): np.ones((1, 3), np.float32)})
    partials = in_parts(place, [part(0), {"w": narrow}])
    with pytest.raises(InvalidArgumentError, match=r"dtype float32 and shape .*, another part.*dtype float64 and"):
        commit_partials(look(place), partials)


def test_parts_whose_slices_overlap_are_refused_and_deleted(place: Location) -> None:
    wide = SlicedTensor((4, 3), {((0, 2), (0, None)): MATRIX[:2]})
    save_tensors(place, {"old": np.zeros(1)})
    before = keys(place)
    partials = in_parts(place, [part(0), {"w": wide}])
    with pytest.raises(InvalidArgumentError, match=r"tensor 'w'.*'4 3 0,1:-' and '4 3 0,2:-', which overlap"):
        commit_partials(look(place), partials)
    assert keys(place) == before


@pytest.mark.parametrize("counts", [[2, 2], [-1, 4], [4]])
def test_more_names_than_there_are_can_not_be_shared_out(place: Location, counts: list[int]) -> None:
    names = look(place).choose_names(3)
    with pytest.raises(InvalidArgumentError, match="3 data files"):
        names.split(counts)


def test_a_part_without_names_writes_nothing(place: Location) -> None:
    none, _ = look(place).choose_names(1).split([0, 1])
    with pytest.raises(InvalidArgumentError, match="0 data files"):
        write_partial(place, part(0), none)
    with pytest.raises(InvalidArgumentError, match="0 data files"):
        write_partial(place, {"empty": np.zeros(0)}, none)
    assert keys(place) == set()
    assert write_partial(place, {}, none).files == ()


@pytest.mark.parametrize("count", [0, 2])
def test_parts_must_be_of_one_save(place: Location, count: int) -> None:
    partials = [
        write_partial(place, part(number), choose_names(place.key, 1, taken=(), fresh=False)) for number in range(count)
    ]
    with pytest.raises(InvalidArgumentError, match="names were chosen together"):
        commit_partials(look(place), partials)
    assert keys(place) == set()


def test_a_failure_before_the_commit_deletes_all_parts(place: Location) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    partials = in_parts(place, [part(number) for number in range(4)])
    with pytest.raises(RuntimeError, match="no"):
        commit_partials(look(place), partials, before_commit=fail)
    assert keys(place) == set()


def test_a_commit_whose_outcome_is_unknown_can_be_tried_again(place: Location) -> None:
    """It deletes nothing, and takes nothing from the parts."""
    partials = in_parts(place, [part(number) for number in range(4)])
    standing, store = look(place), FaultyStore(place.store, 1)
    with pytest.raises(TransientStorageError):
        commit_partials(replace(standing, prefix=Location(store, place.key)), partials)
    assert store.operations == ["put ckpt.index"]
    commit_partials(standing, partials)
    check(place)


def test_a_name_that_another_writer_took_is_a_conflict(place: Location) -> None:
    (share,) = look(place).choose_names(1).split([1])
    place.store.put(share.keys[0], b"", Always(), crc32c=0)
    with pytest.raises(CommitConflictError):
        write_partial(place, part(0), share)
    assert keys(place) == {*share.keys}


@pytest.mark.parametrize("mode", ["before", "after", "during"])
def test_a_part_that_fails_leaves_the_others(place: Location, mode: Any) -> None:
    first, second = look(place).choose_names(3).split([1, 2])
    kept = write_partial(place, part(0), first)
    for fail_at in range(1, 7):
        store = FaultyStore(place.store, fail_at, mode, error=StorageError("an injected fault"))
        with pytest.raises(StorageError):
            write_partial(Location(store, place.key), part(1), second)
        left = keys(place) - {*first.keys}
        assert len(left) <= (mode == "after")  # whose answer was lost is not known to be there
        place.store.delete(left)
    assert {info.key for info in kept.files} == keys(place)
