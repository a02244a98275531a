"""`SaveV2` and `RestoreV2`: whole tensors and slices, on every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import cloudckpt as ckpt
from cloudckpt import raw_ops
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import list_prefix, open_prefix
from cloudckpt.variables.dtypes import from_numpy
from cloudckpt.variables.tensor_slice import Region, format_shape_and_slice
from tests.golden.cases import tensors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ops.places import Place


def save(place: Place, name: str, tensors: dict[str, Any], specs: list[str] | None = None) -> str:
    prefix = place / name
    raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=specs or [""] * len(tensors),
        tensors=list(tensors.values()),
        storage_options=place.storage_options,
    )
    return prefix


def restore(place: Place, prefix: str, name: str, spec: str, dtype: Any) -> np.ndarray:
    (array,) = raw_ops.RestoreV2(
        prefix=prefix,
        tensor_names=[name],
        shape_and_slices=[spec],
        dtypes=[dtype],
        storage_options=place.storage_options,
    )
    return array


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tolist() == expected.tolist() if expected.dtype == object else found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("case", ["dtypes", "strings", "names"])
def test_whole_tensors_come_back(place: Place, case: str) -> None:
    expected = tensors(case)
    prefix = save(place, "ckpt", expected)
    restored = raw_ops.RestoreV2(
        prefix=prefix,
        tensor_names=list(expected),
        shape_and_slices=[""] * len(expected),
        dtypes=[array.dtype for array in expected.values()],
        storage_options=place.storage_options,
    )
    for found, array in zip(restored, expected.values(), strict=True):
        assert_equal(found, array)


def halves_of(array: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """A vector of six as its last four and its first two elements."""
    return ["6 2,4", "6 0,2"], [array[2:], array[:2]]


@pytest.mark.parametrize("name", [name for name in tensors("dtypes") if name.endswith("/vector")])
def test_any_slicing_of_any_dtype_is_served(place: Place, name: str) -> None:
    array = tensors("dtypes")[name]
    specs, parts = halves_of(array)
    prefix = place / "ckpt"
    raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=[name] * 2,
        shape_and_slices=specs,
        tensors=parts,
        storage_options=place.storage_options,
    )
    for spec, expected in {
        "": array,
        "6 -": array,
        "6 0,6": array,
        "6 2,4": array[2:],
        "6 1,3": array[1:4],
        "6 5,1": array[5:],
    }.items():
        assert_equal(restore(place, prefix, name, spec, array.dtype), expected)


def test_any_slicing_of_strings_is_served(place: Place) -> None:
    array = np.array([b"a", b"\0\xff", b"", b"x" * 300, "żółw".encode(), b"end"], object)
    specs, parts = halves_of(array)
    prefix = place / "ckpt"
    raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["s"] * 2,
        shape_and_slices=specs,
        tensors=parts,
        storage_options=place.storage_options,
    )
    for spec, expected in {"": array, "6 1,3": array[1:4], "6 2,4": array[2:], "6 3,1": array[3:4]}.items():
        assert_equal(restore(place, prefix, "s", spec, "string"), expected)


def test_slices_of_whole_tensors(place: Place) -> None:
    grid = np.arange(60, dtype=np.float64).reshape(3, 4, 5)
    texts = np.array([["a", "b"], ["c", "d"]], object)
    prefix = save(place, "ckpt", {"grid": grid, "texts": texts})
    assert_equal(restore(place, prefix, "grid", "3 4 5 1,2:-:2,1", "float64"), grid[1:3, :, 2:3])
    assert_equal(restore(place, prefix, "texts", "2 2 -:1,1", "string"), np.array([[b"b"], [b"d"]], object))


def test_one_tensor_in_several_forms_at_once(place: Place) -> None:
    grid = np.arange(12, dtype=np.int16).reshape(3, 4)
    prefix = save(place, "ckpt", {"grid": grid})
    restored = raw_ops.RestoreV2(
        prefix=prefix,
        tensor_names=["grid"] * 3,
        shape_and_slices=["", "3 4 1,1:-", ""],
        dtypes=["int16"] * 3,
        storage_options=place.storage_options,
    )
    assert_equal(restored[0], grid)
    assert_equal(restored[1], grid[1:2])
    restored[0][:] = 0
    assert_equal(restored[2], grid)


def test_what_is_there_is_replaced(place: Place) -> None:
    for value in range(3):
        prefix = save(place, "ckpt", {"value": np.int64(value)})
        assert restore(place, prefix, "value", "", np.int64) == value
    with open_prefix(prefix, place.storage_options) as location:
        assert len(list_prefix(location).data) == 1


def test_a_sliced_tensor_is_replaced_by_a_whole_one(place: Place) -> None:
    prefix = save(place, "ckpt", {"a": np.zeros(2, np.float32)}, ["4 0,2"])
    save(place, "ckpt", {"a": np.ones(4, np.float32)})
    assert_equal(restore(place, prefix, "a", "4 1,3", np.float32), np.ones(3, np.float32))


@st.composite
def partitions(draw: st.DrawFn) -> tuple[np.ndarray, list[Region], Region]:
    """An array, regions that cover it without overlap, in any order, and another region of it."""
    shape = draw(arrays_of.array_shapes(min_dims=1, max_dims=3, max_side=6))
    array = draw(arrays_of.arrays(np.int32, shape, elements=st.integers(-100, 100)))
    regions: list[Region] = [tuple((0, size) for size in shape)]
    for _ in range(draw(st.integers(0, 5))):
        region = regions.pop(draw(st.integers(0, len(regions) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        start, length = region[axis]
        at = draw(st.integers(0, length))
        cut = [(start, at), (start + at, length - at)]
        regions += [(*region[:axis], part, *region[axis + 1 :]) for part in cut if part[1]]
    wanted = []
    for size in shape:
        start = draw(st.integers(0, size - 1))
        wanted.append((start, draw(st.integers(1, size - start))))
    return array, draw(st.permutations(regions)), tuple(wanted)


def part(array: np.ndarray, region: Region) -> np.ndarray:
    return array[tuple(slice(start, start + length) for start, length in region)]


@given(partitions())
def test_any_region_of_any_partition(partition: tuple[np.ndarray, list[Region], Region]) -> None:
    array, regions, wanted = partition
    prefix = "memory://partitions/ckpt"
    raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["a"] * len(regions),
        shape_and_slices=[format_shape_and_slice(array.shape, region) for region in regions],
        tensors=[part(array, region) for region in regions],
    )
    specs = ["", format_shape_and_slice(array.shape, wanted)]
    dtype = from_numpy(array.dtype)
    whole, region = raw_ops.RestoreV2(
        prefix=prefix, tensor_names=["a", "a"], shape_and_slices=specs, dtypes=[dtype] * 2
    )
    assert_equal(whole, array)
    assert_equal(region, np.ascontiguousarray(part(array, wanted)))


def test_only_the_data_files_that_are_needed_must_be_there(tmp_path: Path) -> None:
    """As with TensorFlow's op."""
    with open_prefix(tmp_path / "ckpt", None) as prefix:
        save_tensors(prefix, {"a": np.arange(4.0), "b": np.arange(4.0)}, shards=2)
        prefix.store.delete([next(iter(list_prefix(prefix).data))])
    wanted = {"prefix": prefix.url, "shape_and_slices": [""], "dtypes": ["float64"]}
    assert raw_ops.RestoreV2(tensor_names=["b"], **wanted)[0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ckpt.CheckpointDamagedError, match="data-00000-of-00002' is missing"):
        raw_ops.RestoreV2(tensor_names=["a"], **wanted)
