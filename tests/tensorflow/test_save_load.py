"""Checkpoints between `save`, `load` and real TensorFlow, both ways, every dtype."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.variables.dtypes import from_numpy, to_numpy
from tests.golden.cases import FIXED_SIZE, tensors
from tests.golden.tree import PREFIX as GOLDEN_TREE
from tests.golden.tree import STRUCTURE

CASES = ("dtypes", "strings", "names")


def assert_equal(found: Any, expected: np.ndarray) -> None:
    found = np.asarray(found, object) if expected.dtype == object else np.asarray(found)
    assert found.shape == expected.shape
    if expected.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        # TensorFlow's eager tensors show a quantised dtype as the integer in it.
        assert found.dtype == (expected.dtype[0] if expected.dtype.names and not found.dtype.names else expected.dtype)
        assert found.tobytes() == expected.tobytes()


def save_with_tensorflow(tf: Any, prefix: str, arrays: dict[str, np.ndarray]) -> None:
    values = [tf.constant(a, tf.as_dtype(int(from_numpy(a.dtype))), a.shape) for a in arrays.values()]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), tensors=values)


def restore_with_tensorflow(tf: Any, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    dtypes = [tf.as_dtype(int(from_numpy(array.dtype))) for array in arrays.values()]
    restored = tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), dtypes=dtypes
    )
    return {name: tensor.numpy() for name, tensor in zip(arrays, restored, strict=True)}


def test_the_cases_have_every_dtype() -> None:
    assert {from_numpy(array.dtype) for array in tensors("dtypes").values()} == set(FIXED_SIZE)


@pytest.mark.parametrize("saves", [1, 2], ids=["fresh", "overwritten"])
@pytest.mark.parametrize("case", CASES)
def test_tensorflow_reads_what_was_saved(tf: Any, tmp_path: Path, case: str, saves: int) -> None:
    arrays, prefix = tensors(case), str(tmp_path / "ckpt")
    for _ in range(saves):
        ckpt.save(prefix, arrays)
    assert (len([*tmp_path.glob("ckpt.data-00000-of-00001")]) == 1) == (saves == 1)
    reader = tf.train.load_checkpoint(prefix)
    restored = restore_with_tensorflow(tf, prefix, arrays)
    for name, array in arrays.items():
        assert_equal(restored[name], array)
        assert_equal(reader.get_tensor(name), array)
    assert set(reader.get_variable_to_shape_map()) == {*arrays, "_CLOUDCKPT_TREE"}
    assert tf.compat.v1.train.checkpoint_exists(prefix)


def test_tensorflow_reads_layouts_that_are_not_contiguous(tf: Any, tmp_path: Path) -> None:
    grid = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    large = np.asfortranarray(np.arange(1_500_000.0).reshape(1000, 1500))  # more than one block of one part
    arrays = {"a": grid.T, "b": grid[::-1, :, ::2], "c": np.broadcast_to(np.float64(3), (2, 3)), "d": large}
    prefix = ckpt.save(str(tmp_path / "ckpt"), arrays)
    for name, found in restore_with_tensorflow(tf, prefix, arrays).items():
        assert_equal(found, arrays[name])


def test_tensorflow_reads_strings_of_fixed_width_and_large_ones(tf: Any, tmp_path: Path) -> None:
    labels = np.array([["a", "żółw"], ["", "日本"]])
    texts = np.array(["é" * 3_000_000, "", "x" * 5_000_000, "end"], object)
    prefix = ckpt.save(
        str(tmp_path / "ckpt"), {"labels": labels, "texts": texts, "codes": np.array([b"\xff\0x", b"y"])}
    )
    reader = tf.train.load_checkpoint(prefix)
    assert reader.get_tensor("labels").tolist() == [[text.encode() for text in row] for row in labels.tolist()]
    assert reader.get_tensor("texts").tolist() == [text.encode() for text in texts]
    assert reader.get_tensor("codes").tolist() == [b"\xff\0x", b"y"]


@pytest.mark.parametrize("case", CASES)
def test_what_tensorflow_saved_is_loaded(tf: Any, tmp_path: Path, case: str) -> None:
    arrays, prefix = tensors(case), str(tmp_path / "ckpt")
    save_with_tensorflow(tf, prefix, arrays)
    loaded = ckpt.load(prefix)
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


@pytest.mark.parametrize("data_type", FIXED_SIZE, ids=lambda data_type: data_type.name)
def test_a_template_takes_what_tensorflow_saved(tf: Any, tmp_path: Path, data_type: Any) -> None:
    array, prefix = tensors("dtypes")[f"{data_type.name.lower()}/matrix"], str(tmp_path / "ckpt")
    save_with_tensorflow(tf, prefix, {"model/w": array})
    loaded = ckpt.load(prefix, like={"model": {"w": np.zeros(array.shape, to_numpy(data_type))}})
    assert_equal(loaded["model"]["w"], array)


def test_what_tensorflow_saved_is_replaced_in_its_place(tf: Any, tmp_path: Path) -> None:
    prefix = str(tmp_path / "ckpt")
    save_with_tensorflow(tf, prefix, tensors("dtypes"))
    ckpt.save(prefix, {"a": np.arange(3)})
    assert tf.train.load_checkpoint(prefix).get_tensor("a").tolist() == [0, 1, 2]
    assert len([*tmp_path.iterdir()]) == 2


def test_an_object_based_checkpoint_is_loaded(tf: Any, tmp_path: Path) -> None:
    weights, step = tf.Variable([[1.0, 2.0]]), tf.Variable(7, dtype=tf.int64)
    prefix = tf.train.Checkpoint(weights=weights, step=step).save(str(tmp_path / "ckpt"))
    loaded = ckpt.load(prefix)
    assert loaded["weights/.ATTRIBUTES/VARIABLE_VALUE"].tolist() == [[1, 2]]
    assert loaded["step/.ATTRIBUTES/VARIABLE_VALUE"] == 7
    assert b"VARIABLE_VALUE" in loaded["_CHECKPOINTABLE_OBJECT_GRAPH"][()]
    names = ("weights", "step", "save_counter")
    template: dict[str, Any] = {f"{name}/.ATTRIBUTES/VARIABLE_VALUE": 0 for name in names[1:]}
    template["weights/.ATTRIBUTES/VARIABLE_VALUE"] = np.zeros((1, 2), np.float32)
    assert ckpt.load(prefix, like=template)["save_counter/.ATTRIBUTES/VARIABLE_VALUE"] == 1


def test_tensorflow_reads_the_golden_tree(tf: Any) -> None:
    reader = tf.train.load_checkpoint(str(GOLDEN_TREE))
    assert reader.get_tensor("_CLOUDCKPT_TREE").decode() == STRUCTURE
    assert reader.get_tensor("ключ/a.b") == 1
    assert reader.get_tensor("/x") == 2
    assert reader.get_tensor("bigint/1") == b"-1000000000000000000000000000000"
    assert set(reader.get_variable_to_shape_map()) > {"arrays/U5", "scalars/0", "-1/1180591620717411303424"}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_unaligned_files_are_tensorflows_to_the_byte(tf: Any, tmp_path: Path, case: str, backwards: bool) -> None:
    """Tensors are laid out in the order they come."""
    arrays = dict(reversed(tensors(case).items())) if backwards else tensors(case)
    save_with_tensorflow(tf, str(tmp_path / "theirs"), arrays)
    with open_prefix(tmp_path / "ours", None) as prefix:
        save_tensors(prefix, arrays, alignment=1)
    for suffix in (".index", ".data-00000-of-00001"):
        assert Path(f"{tmp_path}/ours{suffix}").read_bytes() == Path(f"{tmp_path}/theirs{suffix}").read_bytes()


def test_aligned_files_differ_in_offsets_and_padding_only(tmp_path: Path) -> None:
    """By default, tensors of 64 bytes or more begin at multiples of 64, so that a local reader may map them.

    TensorFlow lays tensors out without gaps (unless it is told to align them), so that only the offsets in the index
    differ, and zeros in the data file.
    """
    arrays = {"a": np.arange(3, dtype=np.uint8), "b": np.arange(100, dtype=np.uint8), "c": np.arange(5, dtype=np.uint8)}
    for alignment in (1, 64):
        with open_prefix(tmp_path / str(alignment), None) as prefix:
            save_tensors(prefix, arrays, alignment=alignment)
    tight, aligned = ((tmp_path / f"{alignment}.data-00000-of-00001").read_bytes() for alignment in (1, 64))
    a, b, c = (array.tobytes() for array in arrays.values())
    assert tight == a + b + c
    assert aligned == a + bytes(61) + b + c
