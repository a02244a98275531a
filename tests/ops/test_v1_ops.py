"""`Save`, `SaveSlices`, `Restore` and `RestoreSlice`, and `RestoreV2` on their files, on every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import raw_ops
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, UnsupportedOperationError
from cloudckpt.storage.local.store import LocalStore
from tests.ops.places import Place
from tests.ops.test_v2_ops import assert_equal

if TYPE_CHECKING:
    from pathlib import Path

    from cloudckpt.storage.store import ObjectInfo

GRID = np.arange(16, dtype=np.float32).reshape(4, 4)
TEXTS = np.array([b"x", b"\xff\0", b""], object)


def save(place: Place, name: str, tensors: dict[str, Any], **options: Any) -> str:
    file = place / name
    raw_ops.Save(
        filename=file,
        tensor_names=list(tensors),
        data=list(tensors.values()),
        storage_options=place.storage_options,
        **options,
    )
    return file


def save_slices(place: Place, name: str, names: list[str], specs: list[str], data: list[Any]) -> None:
    raw_ops.SaveSlices(
        filename=place / name,
        tensor_names=names,
        shapes_and_slices=specs,
        data=data,
        storage_options=place.storage_options,
    )


def restore(place: Place, pattern: str, name: str, dt: Any, **options: Any) -> np.ndarray:
    return raw_ops.Restore(
        file_pattern=place / pattern, tensor_name=name, dt=dt, storage_options=place.storage_options, **options
    )


def restore_slice(place: Place, pattern: str, name: str, spec: str, dt: Any) -> np.ndarray:
    return raw_ops.RestoreSlice(
        file_pattern=place / pattern,
        tensor_name=name,
        shape_and_slice=spec,
        dt=dt,
        storage_options=place.storage_options,
    )


def save_shards(place: Place) -> str:
    """A checkpoint in two files: a matrix that is cut over both, and a vector in each."""
    for shard, rows in enumerate((GRID[:2], GRID[2:])):
        name = raw_ops.ShardedFilename(basename="v1", shard=shard, num_shards=2)
        save_slices(place, name, ["grid", f"b{shard}"], [f"4 4 {2 * shard},2:-", ""], [rows, GRID[shard]])
    return raw_ops.ShardedFilespec(basename="v1", num_shards=2)


def test_whole_tensors_come_back(place: Place) -> None:
    save(place, "v1", {"grid": GRID, "texts": TEXTS, "": np.int64(3), "none": np.empty((0, 3), bool)})
    assert_equal(restore(place, "v1", "grid", np.float32), GRID)
    assert_equal(restore(place, "v1", "texts", "string"), TEXTS)
    assert_equal(restore(place, "v1", "", "int64"), np.array(3))
    assert_equal(restore(place, "v1", "none", bool), np.empty((0, 3), bool))
    assert_equal(restore_slice(place, "v1", "grid", "", "float32"), GRID)


def test_slices_of_whole_tensors(place: Place) -> None:
    save(place, "v1", {"grid": GRID, "texts": TEXTS})
    assert_equal(restore_slice(place, "v1", "grid", "4 4 1,2:0,3", "float32"), GRID[1:3, :3].copy())
    assert_equal(restore_slice(place, "v1", "texts", "3 1,2", "string"), TEXTS[1:])


@pytest.mark.parametrize("preferred_shard", [-1, 0, 7])
def test_a_pattern_stands_for_all_files(place: Place, preferred_shard: int) -> None:
    pattern = save_shards(place)
    assert_equal(restore(place, pattern, "grid", "float32", preferred_shard=preferred_shard), GRID)
    assert_equal(restore_slice(place, pattern, "grid", "4 4 1,2:-", "float32"), GRID[1:3])
    for wider in ("v1*", "v1-0000[01]-of-00002"):
        assert_equal(restore(place, wider, "grid", "float32"), GRID)
    assert_equal(restore(place, "v1-00001-of-00002", "b1", "float32"), GRID[1])


def test_a_sharded_checkpoint_of_which_a_file_lacks_is_refused(place: Place) -> None:
    save_slices(place, "v1-00000-of-00002", ["a"], [""], [GRID])
    with pytest.raises(CheckpointDamagedError, match="is not whole"):
        restore(place, "v1-?????-of-00002", "a", "float32")


def test_restore_v2_reads_the_v1_format(place: Place) -> None:
    pattern = save_shards(place)
    found = raw_ops.RestoreV2(
        prefix=place / pattern,
        tensor_names=["b0", "grid", "grid"],
        shape_and_slices=["", "", "4 4 1,2:1,1"],
        dtypes=["float32"] * 3,
        storage_options=place.storage_options,
    )
    for array, expected in zip(found, (GRID[0], GRID, GRID[1:3, 1:2].copy()), strict=True):
        assert_equal(array, expected)


def test_each_op_reads_its_own_format_where_both_have_one_name(place: Place) -> None:
    save(place, "both", {"a": np.float32(1)})
    raw_ops.SaveV2(
        prefix=place / "both",
        tensor_names=["a"],
        shape_and_slices=[""],
        tensors=[np.float32(2)],
        storage_options=place.storage_options,
    )
    assert restore(place, "both", "a", "float32") == 1
    (found,) = raw_ops.RestoreV2(
        prefix=place / "both",
        tensor_names=["a"],
        shape_and_slices=[""],
        dtypes=["float32"],
        storage_options=place.storage_options,
    )
    assert found == 2


def test_a_v2_checkpoint_alone_is_none_for_restore(place: Place) -> None:
    raw_ops.SaveV2(
        prefix=place / "v2",
        tensor_names=["a"],
        shape_and_slices=[""],
        tensors=[GRID],
        storage_options=place.storage_options,
    )
    with pytest.raises(CheckpointNotFoundError, match="use RestoreV2"):
        restore(place, "v2", "a", "float32")


def test_a_file_is_replaced(place: Place) -> None:
    for value in range(3):
        save(place, "v1", {f"a{value}": np.int32(value)})
        assert restore(place, "v1", f"a{value}", "int32") == value


def test_one_of_several_files_is_replaced_only_if_that_is_asked_for(place: Place) -> None:
    name = "v1-00000-of-00002"
    save(place, name, {"a": np.int32(1)})
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite=True"):
        save(place, name, {"a": np.int32(2)})
    assert restore(place, name, "a", "int32") == 1
    save(place, name, {"a": np.int32(3)}, unsafe_overwrite=True)
    assert restore(place, name, "a", "int32") == 3


def test_a_file_that_is_replaced_between_two_requests_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(str(tmp_path))
    save(place, "v1", {"a": np.int32(1)})
    stat = LocalStore.stat
    times = iter([True])

    def replaced_after(self: LocalStore, key: str) -> ObjectInfo:
        info = stat(self, key)
        if next(times, False):
            save(place, "v1", {"a": np.int32(2)})
        return info

    monkeypatch.setattr(LocalStore, "stat", replaced_after)
    assert restore(place, "v1", "a", "int32") == 2
