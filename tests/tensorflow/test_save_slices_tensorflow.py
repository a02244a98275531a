"""Slices that we save, beside those that real TensorFlow saves: the same bytes, and restored by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.tensor_slice import TensorSlice, format_shape_and_slice, resolve
from tests.golden.cases import FIXED_SIZE, tensors
from tests.tensorflow.test_save_load import assert_equal

SHAPE = (4, 6)
WHOLE = (0, None)
CUTS: dict[str, list[TensorSlice]] = {
    "rows": [((0, 2), WHOLE), ((2, 2), WHOLE)],
    "rows backwards": [((3, 1), WHOLE), ((0, 3), (0, 6))],
    "columns": [(WHOLE, (0, 1)), (WHOLE, (1, 3)), (WHOLE, (4, 2))],
    "grid": [((2, 2), (3, 3)), ((0, 2), (0, 3)), ((0, 2), (3, 3)), ((2, 2), (0, 3))],
    "whole": [(WHOLE, WHOLE)],
    "whole in numbers": [((0, 4), (0, 6))],
    "with a gap": [((1, 2), (2, 2))],
}
REASSEMBLED = {
    *(DataType.BOOL, DataType.INT4, DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64),
    *(DataType.UINT4, DataType.UINT8, DataType.BFLOAT16, DataType.FLOAT, DataType.DOUBLE),
    *(DataType.COMPLEX64, DataType.COMPLEX128, DataType.QINT8, DataType.QUINT8, DataType.QINT32),
}
"""The dtypes of which real TensorFlow puts slices together (tensor_bundle.cc, BundleReader::GetSliceValue)."""


def matrix(data_type: DataType) -> np.ndarray:
    if data_type == DataType.STRING:
        return np.array([b"%d" % number * (number % 5) for number in range(24)], object).reshape(SHAPE)
    return np.resize(tensors("dtypes")[f"{data_type.name.lower()}/vector"], 24).reshape(SHAPE)


def sliced(array: np.ndarray, cut: list[TensorSlice]) -> SlicedTensor:
    regions = {where: resolve(where, array.shape) for where in cut}
    indexes = {where: tuple(slice(start, start + size) for start, size in region) for where, region in regions.items()}
    return SlicedTensor(array.shape, {where: array[index] for where, index in indexes.items()})


def save(prefix: Path, arrays: dict[str, Any], **options: Any) -> str:
    with open_prefix(prefix, None) as location:
        save_tensors(location, arrays, **options)
    return str(prefix)


def save_with_tensorflow(tf: Any, prefix: Path, arrays: dict[str, Any]) -> str:
    rows: list[tuple[str, str, np.ndarray]] = []
    for name, tensor in arrays.items():
        if isinstance(tensor, SlicedTensor):
            rows += [(name, format_shape_and_slice(tensor.shape, where), part) for where, part in tensor.parts.items()]
        else:
            rows.append((name, "", tensor))
    names, specs, parts = zip(*rows, strict=True)
    values = [tf.constant(part, tf.as_dtype(int(from_numpy(part.dtype))), part.shape) for part in parts]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=specs, tensors=values)
    return str(prefix)


def restore(tf: Any, prefix: str, name: str, spec: str, data_type: DataType) -> np.ndarray:
    (tensor,) = tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=[name], shape_and_slices=[spec], dtypes=[tf.as_dtype(int(data_type))]
    )
    found: np.ndarray = tensor.numpy()
    return found


@pytest.mark.parametrize("cut", CUTS)
def test_the_files_are_tensorflows_to_the_byte(tf: Any, tmp_path: Path, cut: str) -> None:
    arrays: dict[str, Any] = {"z": np.arange(3.0)}
    for data_type in [*FIXED_SIZE, DataType.STRING]:
        arrays[f"part/{data_type.name}"] = sliced(matrix(data_type), CUTS[cut])
    arrays["a"] = np.array(b"last", object)
    save(tmp_path / "ours", arrays, alignment=1)
    save_with_tensorflow(tf, tmp_path / "theirs", arrays)
    for suffix in (".index", ".data-00000-of-00001"):
        assert Path(f"{tmp_path}/ours{suffix}").read_bytes() == Path(f"{tmp_path}/theirs{suffix}").read_bytes()


@pytest.mark.parametrize("data_type", [*FIXED_SIZE, DataType.STRING], ids=lambda data_type: data_type.name)
@pytest.mark.parametrize("cut", ["rows", "grid"])
@pytest.mark.parametrize("shards", [1, 3])
def test_tensorflow_restores_slices(tf: Any, tmp_path: Path, data_type: DataType, cut: str, shards: int) -> None:
    """Each slice as it was saved; the whole, and any other slice, of the dtypes that it can put together."""
    array = matrix(data_type)
    tensor = sliced(array, CUTS[cut])
    prefix = save(tmp_path / "ckpt", {"w": tensor}, shards=shards)
    for where, part in tensor.parts.items():
        assert_equal(restore(tf, prefix, "w", format_shape_and_slice(SHAPE, where), data_type), part)
    if data_type in REASSEMBLED:
        assert_equal(restore(tf, prefix, "w", "", data_type), array)
        assert_equal(restore(tf, prefix, "w", "4 6 1,2:2,3", data_type), array[1:3, 2:5])
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="not supported"):
            restore(tf, prefix, "w", "", data_type)


def test_tensorflow_restores_slices_over_a_checkpoint_that_was_there(tf: Any, tmp_path: Path) -> None:
    array = matrix(DataType.FLOAT)
    save(tmp_path / "ckpt", {"w": array * 0})
    prefix = save(tmp_path / "ckpt", {"w": sliced(array, CUTS["grid"])}, shards=4)
    assert len([*tmp_path.glob("ckpt.data-*")]) == 4
    assert_equal(restore(tf, prefix, "w", "", DataType.FLOAT), array)


def test_tensorflow_restores_a_partitioned_variable(tf: Any, tmp_path: Path) -> None:
    array = matrix(DataType.FLOAT)
    prefix = save(tmp_path / "ckpt", {"w": sliced(array, CUTS["rows"])})
    reader = tf.train.load_checkpoint(prefix)
    assert reader.get_variable_to_shape_map() == {"w": [4, 6]}
    assert_equal(reader.get_tensor("w"), array)
