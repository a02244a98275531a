"""V1 files of the installed TensorFlow and ours: byte for byte, and each read by the other."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.v1_header import V1Tensor
from cloudckpt.bundle.v1_values import VALUE_LISTS
from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError
from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.tensor_slice import parse_shape_and_slice
from tests.checkpoint.v1 import forge, opened, record, saved
from tests.golden.cases import (
    FIXED_SIZE,
    FOLDER,
    V1_SAVED_BY_TENSORFLOW,
    V1_SPECS,
    V1_TYPES,
    tensors,
    v1_slices,
    v1_tensors,
)
from tests.golden.make_golden import as_tensor, save_v1

if TYPE_CHECKING:
    from pathlib import Path


def save(tf: Any, path: Path, arrays: dict[str, np.ndarray], specs: list[str] | None = None) -> None:
    data = [as_tensor(array) for array in arrays.values()]
    if specs is None:
        tf.raw_ops.Save(filename=str(path), tensor_names=list(arrays), data=data)
    else:
        tf.raw_ops.SaveSlices(filename=str(path), tensor_names=list(arrays), shapes_and_slices=specs, data=data)


def same(array: np.ndarray, tensor: Any) -> bool:
    """Whether they are equal bit for bit; TensorFlow gives quantised ones without the structure that names them."""
    found = np.asarray(tensor)
    if array.dtype.names:
        found = found.view(array.dtype)
    if array.dtype == object:
        return array.shape == found.shape and array.tolist() == found.astype(object).tolist()
    return (array.dtype, array.shape, array.tobytes()) == (found.dtype, found.shape, found.tobytes())


def of_type(data_type: DataType) -> dict[str, np.ndarray]:
    case = tensors("strings" if data_type == DataType.STRING else "dtypes")
    start = "" if data_type == DataType.STRING else f"{data_type.name.lower()}/"
    return {name: array for name, array in case.items() if name.startswith(start)}


def test_the_golden_files_are_still_what_tensorflow_writes(tf: Any, tmp_path: Path) -> None:
    save_v1(tmp_path)
    assert gzip.decompress((tmp_path / "v1.gz").read_bytes()) == gzip.decompress((FOLDER / "v1.gz").read_bytes())
    for shard in range(2):
        name = f"v1_slices-{shard:05d}-of-00002"
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_same_tensors_make_the_same_file(tf: Any, tmp_path: Path) -> None:
    saved(tmp_path / "v1", v1_tensors())
    assert (tmp_path / "v1").read_bytes() == gzip.decompress((FOLDER / "v1.gz").read_bytes())


def test_the_same_slices_make_the_same_files(tf: Any, tmp_path: Path) -> None:
    for shard, (slices, specs) in enumerate(zip(v1_slices(), V1_SPECS, strict=True)):
        given: dict[str, Any] = dict(slices)
        for name, spec in specs.items():
            if spec:
                shape, where = parse_shape_and_slice(spec)
                given[name] = SlicedTensor(shape, {where: slices[name]})
        name = f"v1_slices-{shard:05d}-of-00002"
        saved(tmp_path / name, given)
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_many_tensors_in_many_blocks_make_the_same_file(tf: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    sizes = [0, 1, 17, 3000, 66_000, 140_000]
    arrays = {
        f"layer{number % 7}/{'x' * (number % 50)}/{number}": generator.integers(-9, 9, sizes[number % 6]).astype(dtype)
        for number, dtype in enumerate([np.float32, np.int64, np.int32, np.float64] * 30)
    }
    save(tf, tmp_path / "theirs", arrays)
    saved(tmp_path / "ours", arrays)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert all(same(array, arrays[name]) for name, array in ckpt.load(tmp_path / "theirs").items())


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("data_type", V1_TYPES)
def test_tensorflow_restores_what_we_write(tf: Any, tmp_path: Path, data_type: DataType, compress: bool) -> None:
    path, arrays = str(tmp_path / "ours"), of_type(data_type)
    saved(tmp_path / "ours", arrays, compress=compress)
    dtype = tf.as_dtype(int(data_type))
    for name, array in arrays.items():
        assert same(array, tf.raw_ops.Restore(file_pattern=path, tensor_name=name, dt=dtype).numpy())
    restored = tf.raw_ops.RestoreV2(
        prefix=path, tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), dtypes=[dtype] * len(arrays)
    )
    assert all(same(array, tensor.numpy()) for array, tensor in zip(arrays.values(), restored, strict=True))


@pytest.mark.parametrize("data_type", V1_SAVED_BY_TENSORFLOW)
def test_we_restore_what_tensorflow_writes(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    arrays = of_type(data_type)
    save(tf, tmp_path / "theirs", arrays)
    loaded = ckpt.load(tmp_path / "theirs")
    assert list(loaded) == sorted(arrays)
    assert all(same(loaded[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("data_type", [each for each in FIXED_SIZE if each not in VALUE_LISTS])
def test_dtypes_that_we_refuse_tensorflow_refuses_too(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    with pytest.raises(tf.errors.UnimplementedError, match="not yet supported"):
        save(tf, tmp_path / "theirs", of_type(data_type))


def test_tensorflows_reader_reads_what_we_write(tf: Any, tmp_path: Path) -> None:
    arrays = v1_tensors()
    saved(tmp_path / "ours", arrays)
    reader = tf.compat.v1.train.NewCheckpointReader(str(tmp_path / "ours"))
    assert reader.get_variable_to_shape_map() == {name: list(array.shape) for name, array in arrays.items()}
    dtypes = {name: tf.as_dtype(int(from_numpy(array.dtype))) for name, array in arrays.items()}
    assert reader.get_variable_to_dtype_map() == dtypes
    for name in ("float/matrix", "int8/vector", "strings/matrix", "double/scalar", "int64/empty", ""):
        assert same(arrays[name], np.asarray(reader.get_tensor(name), arrays[name].dtype))


@pytest.mark.parametrize("spec", ["", "4 3 0,2:-", "4 3 1,2:-", "4 3 1,2:1,2", "4 3 3,1:2,1", "4 3 -:0,1"])
@pytest.mark.parametrize("pattern", ["v1_slices-?????-of-00002", "v1_slices-*", "v1_slices-0000[01]-of-00002"])
def test_slices_of_any_cut_are_tensorflows(tf: Any, pattern: str, spec: str) -> None:
    theirs = tf.raw_ops.RestoreSlice(
        file_pattern=str(FOLDER / pattern), tensor_name="matrix", shape_and_slice=spec, dt=tf.float32
    )
    where = parse_shape_and_slice(spec)[1] if spec else None
    (ours,) = opened(FOLDER / pattern).read([TensorRequest("matrix", where)])
    assert same(ours, theirs.numpy())


@pytest.mark.parametrize("data_type", V1_TYPES)
def test_slices_of_every_dtype_are_put_together_by_both(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    matrix = next(array for name, array in of_type(data_type).items() if name.endswith("matrix")).reshape(2, 3)
    parts = {((0, 2), (column, 1)): matrix[:, column : column + 1] for column in range(3)}
    saved(tmp_path / "ours", {"t": SlicedTensor((2, 3), parts)})
    restored = tf.raw_ops.Restore(file_pattern=str(tmp_path / "ours"), tensor_name="t", dt=tf.as_dtype(int(data_type)))
    assert same(matrix, restored.numpy())
    assert same(ckpt.load(tmp_path / "ours")["t"], matrix)


def test_a_pattern_or_name_finds_what_it_finds_in_tensorflow(tf: Any, tmp_path: Path) -> None:
    for shard in range(2):
        save(tf, tmp_path / f"m-{shard:05d}-of-00002", {f"t{shard}": np.float32([shard])})
    for pattern in ("m-?????-of-00002", "m-*", "m-00001-of-00002", "m-0000[!0]-of-00002", r"m-\00000-of-00002", "?-*"):
        reader = tf.compat.v1.train.NewCheckpointReader(str(tmp_path / pattern))
        assert sorted(ckpt.load(tmp_path / pattern)) == sorted(reader.get_variable_to_shape_map())
    for pattern in ("m", "m-?", "m-0000[2-9]*"):
        with pytest.raises(tf.errors.NotFoundError):
            tf.compat.v1.train.NewCheckpointReader(str(tmp_path / pattern))
        with pytest.raises(ckpt.CheckpointNotFoundError):
            ckpt.load(tmp_path / pattern)


def test_v2_wins_in_both(tf: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "both")
    save(tf, tmp_path / "both", {"t": np.float32([1])})
    ckpt.save(path, {"t": np.float32([2])})
    restored = tf.raw_ops.RestoreV2(prefix=path, tensor_names=["t"], shape_and_slices=[""], dtypes=[tf.float32])
    assert restored[0].numpy().tolist() == ckpt.load(path)["t"].tolist() == [2]


def test_elements_that_were_not_saved_are_refused_by_both(tf: Any, tmp_path: Path) -> None:
    save(tf, tmp_path / "part", {"t": np.ones((2, 3), np.float32)}, ["4 3 0,2:-"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Error copying slice data"):
        tf.raw_ops.Restore(file_pattern=str(tmp_path / "part"), tensor_name="t", dt=tf.float32)
    with pytest.raises(TensorNotFoundError, match="'t'"):
        ckpt.load(tmp_path / "part")


def test_slices_that_overlap_are_refused_by_both(tf: Any, tmp_path: Path) -> None:
    matrix = as_tensor(np.ones((3, 3), np.float32))
    tf.raw_ops.SaveSlices(
        filename=str(tmp_path / "t"),
        tensor_names=["t", "t"],
        shapes_and_slices=["4 3 0,3:-", "4 3 1,3:-"],
        data=[matrix, matrix],
    )
    with pytest.raises(tf.errors.InternalError, match="Overlapping slices"):
        tf.raw_ops.Restore(file_pattern=str(tmp_path / "t"), tensor_name="t", dt=tf.float32)
    with pytest.raises(ckpt.CheckpointDamagedError, match="overlap"):
        ckpt.load(tmp_path / "t")


@pytest.mark.parametrize("count", [1, 3])
def test_lists_that_are_too_short_or_too_long_are_refused_by_both(tf: Any, tmp_path: Path, count: int) -> None:
    """Elsewhere a TensorProto of one value stands for as many as its shape has; in a checkpoint it does not."""
    forge(
        tmp_path / "t",
        {"t": V1Tensor(DataType.FLOAT, (2,), (((0, None),),))},
        [record("t", np.ones(count, np.float32))],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="Error copying slice data"):
        tf.raw_ops.Restore(file_pattern=str(tmp_path / "t"), tensor_name="t", dt=tf.float32)
    with pytest.raises(ckpt.CheckpointDamagedError, match="'t'"):
        ckpt.load(tmp_path / "t")


def test_a_tensor_of_two_gibibytes_is_refused_by_both(tf: Any, tmp_path: Path) -> None:
    """Both reckon with the longest that each element may be, so that int32 ends at a fifth of that."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large to serialize"):
        tf.raw_ops.Save(filename=str(tmp_path / "t"), tensor_names=["t"], data=[tf.zeros([215_000_000], tf.int32)])
    with pytest.raises(InvalidArgumentError, match="it may come to 2150001025 bytes"):
        saved(tmp_path / "t", {"t": np.zeros(215_000_000, np.int32)})


def test_a_name_that_is_no_utf8_can_t_be_read_by_tensorflow(tf: Any, tmp_path: Path) -> None:
    """Why `save_v1` refuses it, where V2 takes it."""
    tf.raw_ops.Save(filename=str(tmp_path / "t"), tensor_names=[b"\xff"], data=[tf.zeros([2])])
    with pytest.raises(tf.errors.InternalError):
        tf.raw_ops.Restore(file_pattern=str(tmp_path / "t"), tensor_name=b"\xff", dt=tf.float32)
    assert list(ckpt.load(tmp_path / "t")) == ["\udcff"]


def test_messages_have_tensorflows_numbers(tf: Any) -> None:
    """The same bytes, read by the messages of the module that TensorFlow ships."""
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    theirs = {field.name: field.number for field in TensorProto.DESCRIPTOR.fields}
    ours = {field.name: field.number for field in message_class("cloudckpt.v1.Values").DESCRIPTOR.fields}
    assert ours == {name: theirs[name] for name in ours}
