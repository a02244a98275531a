"""`cloudckpt.train` beside the real `tf.train`: the same answers about the same files, and errors of the same kind."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtypes import DataType

REAL = Path(os.environ.get("CLOUDCKPT_REAL_CHECKPOINTS", "/nonexistent")).resolve()
V2 = sorted(str(path.relative_to(REAL).with_suffix("")) for path in REAL.rglob("*.index"))
V1 = [
    "v1_magenta_rnn/model.ckpt-1994",
    "v1_savedmodel_half_plus_two_sharded_201609/variables/variables-00000-of-00001",
    "v1_savedmodel_half_plus_two_sharded_201609/variables/variables-?????-of-00001",
    "v1_serving_half_plus_two_2016/export",
    "v1_shekkizh_deblurring/model.ckpt-99000",
    "v1_shekkizh_deblurring/model.ckpt-99999",
    "v1_tf05_softmax/softmax-1000.ckpt",
]
FOLDERS = sorted({str(Path(name).parent) for name in V2 + V1})


def same(ours: Any, theirs: Any) -> bool:
    """Whether two tensors are alike in every respect that a program could see."""
    if type(ours) is not type(theirs) or isinstance(theirs, bytes):
        return type(ours) is type(theirs) and ours == theirs
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    return bool(ours.tolist() == theirs.tolist() if theirs.dtype == object else ours.tobytes() == theirs.tobytes())


def lines(debug_string: bytes, *, ordered: bool) -> list[bytes]:
    assert isinstance(debug_string, bytes)
    found = debug_string.split(b"\n")
    return found if ordered else sorted(found)


def compare(tf: Any, path: str, *, ordered: bool = True, with_data: bool = True) -> int:
    """Compare all that both readers say of a checkpoint; returns how many tensors were compared."""
    theirs, ours = tf.train.load_checkpoint(path), train.load_checkpoint(path)
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    assert train.list_variables(path) == tf.train.list_variables(path)
    assert lines(ours.debug_string(), ordered=ordered) == lines(theirs.debug_string(), ordered=ordered)
    their_dtypes = theirs.get_variable_to_dtype_map()
    our_dtypes = ours.get_variable_to_dtype_map()
    assert our_dtypes.keys() == their_dtypes.keys()
    for name, dtype in their_dtypes.items():
        assert (our_dtypes[name].name, our_dtypes[name].as_datatype_enum) == (dtype.name, dtype.as_datatype_enum)
        assert ours.has_tensor(name)
        assert theirs.has_tensor(name)
        if with_data:
            assert same(ours.get_tensor(name), theirs.get_tensor(name)), name
    return len(their_dtypes)


@pytest.fixture
def prefix(tf: Any, tmp_path: Path) -> str:
    """A checkpoint of TensorFlow's with a tensor of every kind."""
    experimental = tf.dtypes.experimental
    tensors = {
        "b": tf.constant([1, 2], tf.int32),
        "a": tf.zeros([2, 3]),
        "scalar": tf.constant(2.5, tf.float64),
        "strings": tf.constant([b"x", b"\xff\x00y", b""]),
        "string": tf.constant("text"),
        "empty": tf.zeros([0, 3]),
        "no strings": tf.zeros([0], tf.string),
        "bfloat16": tf.constant([1.5], tf.bfloat16),
        "half": tf.constant([1.5], tf.float16),
        "qint8": tf.quantization.quantize(tf.constant([1.0, 2.0]), 0, 10, tf.qint8).output,
        "qscalar": tf.quantization.quantize(tf.constant(1.0), 0, 10, tf.quint8).output,
        "float8": tf.cast(tf.constant([1.0, 2.0]), experimental.float8_e5m2),
        "int4": tf.cast(tf.constant([1, -2]), experimental.int4),
        "bool": tf.constant([True, False]),
        "complex": tf.constant([1j], tf.complex64),
        "é": tf.constant([1], tf.uint64),
    }
    prefix = str(tmp_path / "run" / "ckpt-1")
    save(tf, prefix, tensors)
    return prefix


def save(tf: Any, prefix: str, tensors: dict[str, Any]) -> None:
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=list(tensors), shape_and_slices=[""] * len(tensors), tensors=list(tensors.values())
    )


def write_state(prefix: str, content: str) -> None:
    Path(prefix).with_name("checkpoint").write_text(content)


def test_they_are_there(real_checkpoints: Path) -> None:
    assert len(V2) >= 70
    assert all(list((REAL / name).parent.glob(Path(name).name)) for name in V1)


@pytest.mark.parametrize("name", V2)
def test_a_real_checkpoint(tf: Any, name: str) -> None:
    path = REAL / name
    with_data = any(path.parent.glob(f"{path.name}.data-*"))
    assert compare(tf, str(path), with_data=with_data)
    if not with_data:
        some = train.list_variables(path)[0][0]
        with pytest.raises(tf.errors.OpError):
            tf.train.load_variable(str(path), some)
        with pytest.raises(ckpt.CheckpointDamagedError, match="is missing"):
            train.load_variable(path, some)


@pytest.mark.parametrize("name", V1)
def test_a_real_checkpoint_of_version_1(tf: Any, real_checkpoints: Path, name: str) -> None:
    assert compare(tf, str(REAL / name), ordered=False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_real_directory(tf: Any, real_checkpoints: Path, folder: str) -> None:
    """What both find by the state file, or that there is none; names of Windows only we take for what they are."""
    directory = str(REAL / folder)
    found = tf.train.latest_checkpoint(directory)
    if found is not None:
        assert train.list_variables(directory) == tf.train.list_variables(directory)
        return
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file"):
        tf.train.load_checkpoint(directory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ckpt.RecoveryWarning)
        ours = train.latest_checkpoint(directory)
    if ours is None:
        with pytest.raises(ValueError, match="without a latest checkpoint"):
            train.load_checkpoint(directory)


def test_every_kind_of_tensor(tf: Any, prefix: str) -> None:
    assert compare(tf, prefix) == 16


def test_tensors_by_names_in_bytes(tf: Any, prefix: str) -> None:
    theirs, ours = tf.train.load_checkpoint(prefix), train.load_checkpoint(prefix)
    assert ours.has_tensor(b"a") == theirs.has_tensor(b"a")
    assert same(ours.get_tensor("é".encode()), theirs.get_tensor("é".encode()))
    for reader in (ours, theirs):
        with pytest.raises(TypeError):
            reader.has_tensor(3)


def test_a_name_with_a_colon(tf: Any, prefix: str) -> None:
    assert same(train.load_variable(prefix, "b:0"), tf.train.load_variable(prefix, "b:0"))


def test_slices(tf: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "sliced")
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=["w", "w", "v"],
        shape_and_slices=["4 4 0,2:-", "4 4 2,2:-", ""],
        tensors=[tf.zeros([2, 4]), tf.ones([2, 4]), tf.zeros([3])],
    )
    assert compare(tf, path) == 2


def test_slices_that_tensorflow_can_t_put_together(tf: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "sliced")
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=["h", "h"],
        shape_and_slices=["4 0,2", "4 2,2"],
        tensors=[tf.zeros([2], tf.float16), tf.ones([2], tf.float16)],
    )
    assert compare(tf, path, with_data=False) == 1
    with pytest.raises(ValueError, match="half not supported"):
        tf.train.load_variable(path, "h")
    assert train.load_variable(path, "h").tolist() == [0, 0, 1, 1]


def test_a_tensor_whose_slices_are_not_all_there(tf: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "sliced")
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["w"], shape_and_slices=["4 0,2"], tensors=[tf.zeros([2])])
    assert compare(tf, path, with_data=False) == 1
    with pytest.raises(ValueError, match="sufficient slices"):
        tf.train.load_variable(path, "w")
    with pytest.raises(ckpt.TensorNotFoundError, match="2 of the 4 elements"):
        train.load_variable(path, "w")


def test_version_1_with_slices(tf: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "model")
    tf.raw_ops.SaveSlices(
        filename=path,
        tensor_names=["w", "w", "s"],
        shapes_and_slices=["4 4 0,2:-", "4 4 2,2:-", ""],
        data=[tf.zeros([2, 4]), tf.ones([2, 4]), tf.constant(["x", ""])],
    )
    assert compare(tf, path, ordered=False, with_data=False) == 2
    assert same(train.load_variable(path, "s"), tf.train.load_variable(path, "s"))
    with pytest.raises(tf.errors.UnimplementedError):
        tf.train.load_variable(path, "w")
    assert train.load_variable(path, "w").tolist() == [[0] * 4] * 2 + [[1] * 4] * 2


def test_a_variant_is_listed_and_not_read(tf: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "variant")
    handle = tf.raw_ops.TensorListReserve(element_shape=[2], num_elements=3, element_dtype=tf.float32)
    save(tf, path, {"v": handle, "x": tf.ones([2])})
    assert compare(tf, path, with_data=False) == 2
    with pytest.raises(tf.errors.InternalError):
        tf.train.load_variable(path, "v")
    with pytest.raises(NotImplementedError):
        train.load_variable(path, "v")


def test_a_tensor_that_is_not_there(tf: Any, prefix: str) -> None:
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.load_variable(prefix, "nothing")
    with pytest.raises(ckpt.TensorNotFoundError):
        train.load_variable(prefix, "nothing")
    assert train.load_checkpoint(prefix).has_tensor("nothing") is tf.train.load_checkpoint(prefix).has_tensor("nothing")


@pytest.mark.parametrize("name", ["ckpt-2", "no/ckpt-1"])
def test_a_checkpoint_that_is_not_there(tf: Any, prefix: str, name: str) -> None:
    path = f"{Path(prefix).parent}/{name}"
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.load_checkpoint(path)
    with pytest.raises(ckpt.CheckpointNotFoundError):
        train.load_checkpoint(path)


@pytest.mark.parametrize("name", ["ckpt-1.data-00000-of-00001", "rubbish", "index"])
def test_what_is_no_checkpoint(tf: Any, prefix: str, name: str) -> None:
    folder = Path(prefix).parent
    (folder / "rubbish").write_bytes(b"rubbish" * 100)
    (folder / "index.index").write_bytes(b"rubbish" * 100)
    with pytest.raises(tf.errors.OpError):
        tf.train.load_checkpoint(f"{folder}/{name}")
    with pytest.raises((ckpt.CheckpointDamagedError, ckpt.CheckpointPathError)):
        train.load_checkpoint(f"{folder}/{name}")


@pytest.mark.parametrize("state", [None, 'model_checkpoint_path: "ckpt-2"\n', ""])
def test_a_directory_that_names_no_checkpoint(tf: Any, prefix: str, state: str | None) -> None:
    if state is not None:
        write_state(prefix, state)
    directory = str(Path(prefix).parent)
    with pytest.raises(ValueError, match=r"Couldn't find 'checkpoint' file|Invalid checkpoint state"):
        tf.train.load_checkpoint(directory)
    with pytest.raises(ValueError, match="without a latest checkpoint"):
        train.load_checkpoint(directory)


def test_an_unreadable_state_is_an_error_of_its_own(tf: Any, prefix: str) -> None:
    """TensorFlow says that it found none: so a job would begin anew."""
    write_state(prefix, "rubbish")
    with pytest.raises(ValueError, match="Couldn't find"):
        tf.train.load_checkpoint(str(Path(prefix).parent))
    with pytest.raises(ckpt.StateFileError):
        train.load_checkpoint(Path(prefix).parent)


@pytest.mark.parametrize("directory", ["{parent}", "{parent}/"])
def test_a_directory(tf: Any, prefix: str, directory: str) -> None:
    write_state(prefix, 'model_checkpoint_path: "ckpt-1"\n')
    path = directory.format(parent=Path(prefix).parent)
    assert train.list_variables(path) == tf.train.list_variables(path)
    assert train.list_variables(Path(path)) == tf.train.list_variables(Path(path))


@pytest.mark.parametrize(
    "name",
    [
        "ckpt-1",
        "ckpt-2",
        "ckpt-1.data-00000-of-00002",
        "no/ckpt-1",
        "model",
        "model-?????-of-00002",
        "model-?????-of-00003",
        "model-00001-of-00002",
        "mod*",
        "mod[a-e]l",
        "nothing*",
    ],
)
def test_whether_a_checkpoint_exists(tf: Any, prefix: str, name: str) -> None:
    folder = Path(prefix).parent
    for file in ("model", "model-00000-of-00002", "model-00001-of-00002"):
        tf.raw_ops.Save(filename=str(folder / file), tensor_names=["x"], data=[tf.zeros([2])])
    exists = tf.compat.v1.train.checkpoint_exists(f"{folder}/{name}")
    if name.startswith("ckpt-1.data"):
        with pytest.raises(ckpt.CheckpointPathError):
            train.checkpoint_exists(folder / name)
    else:
        assert train.checkpoint_exists(folder / name) is exists


def test_a_directory_is_no_checkpoint(tf: Any, prefix: str) -> None:
    """TensorFlow takes it for one of version 1."""
    assert tf.compat.v1.train.checkpoint_exists(str(Path(prefix).parent))
    assert not train.checkpoint_exists(Path(prefix).parent)


@pytest.mark.parametrize("data_type", DataType)
def test_dtypes_have_tensorflows_attributes(tf: Any, data_type: DataType) -> None:
    theirs = tf.dtypes.as_dtype(int(data_type))
    ours = DType(data_type)
    assert ours.name == theirs.name
    assert ours == theirs.name
    assert hash(ours) == hash(theirs)
    if data_type in (DataType.RESOURCE, DataType.VARIANT):
        return  # TensorFlow raises KeyError, and gives None
    assert ours.as_numpy_dtype == theirs.as_numpy_dtype
    assert type(ours.as_numpy_dtype) is type(theirs.as_numpy_dtype)
    assert ours == theirs.as_numpy_dtype
    assert np.dtype(ours.as_numpy_dtype) == np.dtype(theirs.as_numpy_dtype)


def test_the_constructor_takes_tensorflows_arguments(tf: Any, prefix: str) -> None:
    theirs = tf.compat.v1.train.NewCheckpointReader(filepattern=prefix)
    ours = train.NewCheckpointReader(filepattern=prefix)
    assert same(ours.get_tensor(tensor_str="b"), theirs.get_tensor(tensor_str="b"))
    assert ours.has_tensor(tensor_str="b") == theirs.has_tensor(tensor_str="b")
    assert train.load_variable(ckpt_dir_or_file=prefix, name="b").tolist() == [1, 2]
    assert train.list_variables(ckpt_dir_or_file=prefix) == tf.train.list_variables(ckpt_dir_or_file=prefix)
    assert train.checkpoint_exists(checkpoint_prefix=prefix)
