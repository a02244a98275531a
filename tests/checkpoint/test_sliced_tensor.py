"""Slices that are saved: which can't be slices of one tensor."""

from __future__ import annotations

import uuid
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.content import content_of
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.errors import InvalidArgumentError, StructureError
from cloudckpt.storage.open import Location, open_location
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from cloudckpt.variables.tensor_slice import TensorSlice

ALL = (0, None)
TOP, BOTTOM = ((0, 2), ALL), ((2, 2), ALL)


def rows(count: int, dtype: Any = np.float32) -> np.ndarray:
    return np.ones((count, 3), dtype)


def place() -> Location:
    return open_location(f"memory://{uuid.uuid4().hex}/ckpt")


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (SlicedTensor((4, 3), {TOP: rows(3)}), "the array of its slice '4 3 0,2:-' has shape \\(3, 3\\)"),
        (SlicedTensor((4, 3), {TOP: rows(2), ((1, 2), (0, 3)): rows(2)}), "'4 3 0,2:-' and '4 3 1,2:0,3' overlap"),
        (SlicedTensor((4, 3), {TOP: rows(2), ((0, 2), (0, 3)): rows(2)}), "overlap"),
        (SlicedTensor((4, 3), {TOP: rows(2), (ALL, ALL): rows(4)}), "overlap"),
        (SlicedTensor((4, 3), {TOP: rows(2), BOTTOM: rows(2, np.int32)}), "its slices are of float32 and int32"),
        (SlicedTensor((4, 3), {((3, 2), ALL): rows(2)}), "is not within dimension 0"),
        (SlicedTensor((4, 3), {((-1, 2), ALL): rows(2)}), "is not within dimension 0"),
        (SlicedTensor((4, 3), {(ALL,): np.zeros(4)}), "a slice of 1 dimensions"),
        (SlicedTensor((4, 3), {((1, 0), ALL): rows(0)}), "its slice '4 3 1,0:-' is empty"),
        (SlicedTensor((4, 3), {}), "it has no slices"),
    ],
    ids=["shape", "overlap", "same", "whole", "dtypes", "beyond", "before", "rank", "empty", "none"],
)
def test_what_are_no_slices_of_a_tensor_is_refused_before_any_request(tensor: SlicedTensor, message: str) -> None:
    store = FaultyStore(place().store, 0)
    with pytest.raises(InvalidArgumentError, match=f"tensor 'w' can't be saved.*{message}") as caught:
        save_tensors(Location(store, "ckpt"), {"w": tensor})
    assert caught.value.tensor == "w"
    assert store.operations == []


def test_slices_have_names_like_tensors() -> None:
    with pytest.raises(StructureError):
        content_of({"\0w": SlicedTensor((4, 3), {TOP: rows(2)})})


def test_a_sliced_tensor_has_an_entry_and_each_slice_has_one() -> None:
    content = content_of({"a": rows(1), "w": SlicedTensor((4, 3), {BOTTOM: rows(2), TOP: rows(2)}), "z": rows(1)})
    keys = [encode_slice_key("w", BOTTOM), encode_slice_key("w", TOP)]
    assert content.keys == [b"a", *keys, b"z"]
    entry = content.sliced[b"w"]
    assert (entry.dtype, entry.shape, entry.size, entry.slices) == (DataType.FLOAT, (4, 3), 0, (BOTTOM, TOP))


@pytest.mark.parametrize("where", [(ALL, ALL), ((0, 4), (0, 3))])
def test_a_slice_that_is_the_whole_is_a_plain_tensor(where: TensorSlice) -> None:
    content = content_of({"w": SlicedTensor((4, 3), {where: rows(4)})})
    assert content.keys == [b"w"]
    assert content.sliced == {}


def test_slices_of_strings_of_any_width_are_of_one_dtype() -> None:
    words = SlicedTensor((4,), {((0, 2),): np.array(["a", "b"]), ((2, 2),): np.array([b"long", b"er"], object)})
    prefix = place()
    save_tensors(prefix, {"words": words})
    assert open_checkpoint(prefix).read_named(["words"])["words"].tolist() == [b"a", b"b", b"long", b"er"]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_slices_are_read_as_the_whole(shards: int) -> None:
    whole = np.arange(60.0).reshape(5, 12)
    parts = {((row, 1), (start, 4)): whole[row : row + 1, start : start + 4] for row in range(5) for start in (0, 4, 8)}
    prefix = place()
    saved = save_tensors(prefix, {"w": SlicedTensor((5, 12), parts), "b": np.arange(3)}, shards=shards)
    assert len(saved.data_files) == shards
    found = open_checkpoint(prefix).read_named(["w", "b"])
    assert found["w"].tolist() == whole.tolist()
    assert found["b"].tolist() == [0, 1, 2]


def extents(size: int) -> st.SearchStrategy[tuple[int, int]]:
    bounds = st.tuples(st.integers(0, size - 1), st.integers(1, size))
    return bounds.map(lambda pair: (pair[0], min(pair[1], size - pair[0])))


@given(st.lists(st.tuples(extents(4), extents(3), extents(2)), min_size=1, max_size=6, unique=True))
def test_slices_overlap_if_and_only_if_they_share_an_element(regions: list[Any]) -> None:
    parts = {region: np.zeros([length for _, length in region]) for region in regions}
    elements = {region: {*product(*(range(start, start + size) for start, size in region))} for region in regions}
    tensor = SlicedTensor((4, 3, 2), parts)
    if any(elements[one] & elements[other] for one, other in combinations(regions, 2)):
        with pytest.raises(ValueError, match="overlap"):
            tensor.check("w")
    else:
        tensor.check("w")
