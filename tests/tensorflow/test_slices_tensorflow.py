"""Partitioned tensors that real TensorFlow saved, read here in every slicing; keys and specs as it has them."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudckpt.bundle.index import decode_index
from cloudckpt.bundle.slice_keys import decode_slice_key, encode_slice_key
from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import TensorNotFoundError
from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.tensor_slice import TensorSlice, format_shape_and_slice
from tests.checkpoint.sliced import elements
from tests.golden.cases import FIXED_SIZE, tensors
from tests.variables.slice_specs import REFUSED, TAKEN

SHAPE = (4, 6)
WHOLE = (0, None)
CUTS: dict[str, list[TensorSlice]] = {
    "rows": [((0, 1), WHOLE), ((1, 3), WHOLE)],
    "columns": [(WHOLE, (0, 1)), (WHOLE, (1, 3)), (WHOLE, (4, 2))],
    "grid": [((2, 2), (3, 3)), ((0, 2), (0, 3)), ((0, 2), (3, 3)), ((2, 2), (0, 3))],
    "pinwheel": [((0, 1), (0, 4)), ((0, 3), (4, 2)), ((3, 1), (2, 4)), ((1, 3), (0, 2)), ((1, 2), (2, 2))],
    "whole in numbers": [((0, 4), (0, 6))],
    "whole": [(WHOLE, WHOLE)],
}
TYPES = [*FIXED_SIZE, DataType.STRING]


def matrix(data_type: DataType) -> np.ndarray:
    if data_type == DataType.STRING:
        return np.array([b"%d" % number * (number % 5) for number in range(24)], object).reshape(SHAPE)
    return np.resize(tensors("dtypes")[f"{data_type.name.lower()}/vector"], 24).reshape(SHAPE)


def save(tf: Any, prefix: Path, rows: list[tuple[str, str, np.ndarray]]) -> None:
    names, specs, parts = zip(*rows, strict=True)
    values = [tf.constant(part, tf.as_dtype(int(from_numpy(part.dtype))), part.shape) for part in parts]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=specs, tensors=values)


def save_sliced(tf: Any, prefix: Path, arrays: dict[str, np.ndarray], cut: list[TensorSlice], shards: int) -> None:
    """Save slices by turns to so many checkpoints, and merge these."""
    rows = [
        (name, format_shape_and_slice(array.shape, each), np.ascontiguousarray(array[elements(each)]))
        for name, array in arrays.items()
        for each in cut
    ]
    if shards == 1:
        save(tf, prefix, rows)
        return
    parts = [prefix.with_name(f"part-{shard}") / "ckpt" for shard in range(shards)]
    for shard, part in enumerate(parts):
        part.parent.mkdir()
        save(tf, Path(f"{part}-{shard:05}-of-{shards:05}"), rows[shard::shards])
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[f"{part}-{shard:05}-of-{shards:05}" for shard, part in enumerate(parts)],
        destination_prefix=str(prefix),
        delete_old_dirs=False,
    )


def read(prefix: Path, requests: list[TensorRequest]) -> list[np.ndarray]:
    with open_prefix(prefix, None) as location:
        return open_checkpoint(location).read(requests)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("cut", CUTS)
def test_partitioned_tensors_are_read_in_every_slicing(tf: Any, tmp_path: Path, cut: str, shards: int) -> None:
    arrays = {data_type.name: matrix(data_type) for data_type in TYPES}
    save_sliced(tf, tmp_path / "ckpt", arrays, CUTS[cut], 1 if cut.startswith("whole") else shards)
    wanted = [None, *(each for slices in CUTS.values() for each in slices)]
    requests = [TensorRequest(name, each) for name, each in product(arrays, wanted)]
    for request, found in zip(requests, read(tmp_path / "ckpt", requests), strict=True):
        array = arrays[request.name]
        expected = array if request.tensor_slice is None else array[elements(request.tensor_slice)]
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("cut", [name for name in CUTS if not name.startswith("whole")])
def test_the_keys_are_tensorflows(tf: Any, tmp_path: Path, cut: str) -> None:
    names = ["w", "a/b", "a\0b", "\N{SNOWMAN}", "x" * 300]
    save_sliced(tf, tmp_path / "ckpt", dict.fromkeys(names, matrix(DataType.FLOAT)), CUTS[cut], 1)
    index = decode_index((tmp_path / "ckpt.index").read_bytes(), "ckpt.index")
    expected = {(name, each) for name in names for each in CUTS[cut]}
    assert {decode_slice_key(key) for key in index.slice_entries} == expected
    assert set(index.slice_entries) == {encode_slice_key(*each) for each in expected}
    assert {name: entry.slices for name, entry in index.entries.items()} == dict.fromkeys(names, tuple(CUTS[cut]))


@pytest.mark.parametrize("start", [1, 63, 64, 127, 128, 8191, 8192, 2**20, 2**31, 2**40, 2**61])
def test_the_keys_of_far_away_slices_are_tensorflows(tf: Any, tmp_path: Path, start: int) -> None:
    """A number's code grows by a byte for every 7 bits."""
    tensor_slice = ((start, 1), WHOLE)
    save(tf, tmp_path / "ckpt", [("w", format_shape_and_slice((start + 1, 1), tensor_slice), np.ones((1, 1), "u1"))])
    index = decode_index((tmp_path / "ckpt.index").read_bytes(), "ckpt.index")
    assert [*index.slice_entries] == [encode_slice_key("w", tensor_slice)]
    (found,) = read(tmp_path / "ckpt", [TensorRequest("w", tensor_slice)])
    assert found.tolist() == [[1]]


@pytest.mark.parametrize("cut", ["whole", "whole in numbers"])
def test_a_slice_that_is_the_whole_tensor_is_stored_as_one(tf: Any, tmp_path: Path, cut: str) -> None:
    save_sliced(tf, tmp_path / "ckpt", {"w": matrix(DataType.FLOAT)}, CUTS[cut], 1)
    index = decode_index((tmp_path / "ckpt.index").read_bytes(), "ckpt.index")
    assert not index.entries["w"].slices
    assert not index.slice_entries


def test_slices_that_are_not_all_there(tf: Any, tmp_path: Path) -> None:
    array = matrix(DataType.FLOAT)
    save_sliced(tf, tmp_path / "ckpt", {"w": array}, CUTS["grid"][:3], 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="sufficient slices"):
        tf.raw_ops.RestoreV2(
            prefix=str(tmp_path / "ckpt"), tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32]
        )
    with pytest.raises(TensorNotFoundError, match="18 of the 24 elements"):
        read(tmp_path / "ckpt", [TensorRequest("w")])
    (top,) = read(tmp_path / "ckpt", [TensorRequest("w", ((0, 2), WHOLE))])
    assert top.tolist() == array[:2].tolist()


def save_rows(tf: Any, prefix: Path, spec: str) -> None:
    save(tf, prefix, [("w", spec, np.zeros((2, 4), np.float32))])


@pytest.mark.parametrize("spec", TAKEN, ids=repr)
def test_a_spec_that_tensorflow_takes(tf: Any, tmp_path: Path, spec: str) -> None:
    save_rows(tf, tmp_path / "ckpt", spec)
    index = decode_index((tmp_path / "ckpt.index").read_bytes(), "ckpt.index")
    assert index.entries["w"].slices == (((0, 2), WHOLE),)


# An empty one means the whole tensor, and is not parsed.
@pytest.mark.parametrize("spec", [spec for spec in REFUSED if spec], ids=repr)
def test_a_spec_that_tensorflow_refuses(tf: Any, tmp_path: Path, spec: str) -> None:
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.InternalError)):
        save_rows(tf, tmp_path / "ckpt", spec)
