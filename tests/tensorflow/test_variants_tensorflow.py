"""Variants, the C++ objects that real TensorFlow saves: listed, copied unharmed, and no trouble to what lies beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import raw_ops, train
from cloudckpt.errors import RecoveryWarning, UnsupportedOperationError
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)
NO_SHAPE = np.array([], np.int32)
NAMES = ("w", "v", "z")


def number_list(tf: Any) -> Any:
    return tf.raw_ops.TensorListFromTensor(tensor=ROWS, element_shape=[2])


def string_list(tf: Any) -> Any:
    return tf.raw_ops.TensorListFromTensor(tensor=tf.constant(["a", "", "é" * 300]), element_shape=NO_SHAPE)


def list_of_lists(tf: Any) -> Any:
    outer = tf.raw_ops.EmptyTensorList(element_shape=NO_SHAPE, max_num_elements=-1, element_dtype=tf.variant)
    return tf.raw_ops.TensorListPushBack(input_handle=outer, tensor=number_list(tf))


def vector_of_lists(tf: Any) -> Any:
    return tf.stack([number_list(tf), string_list(tf)])


def tensor_map(tf: Any) -> Any:
    return tf.raw_ops.TensorMapInsert(
        input_handle=tf.raw_ops.EmptyTensorMap(), key=tf.constant("k"), value=tf.constant([5.0])
    )


def ragged(tf: Any) -> Any:
    return tf.raw_ops.RaggedTensorToVariant(
        rt_nested_splits=[tf.constant([0, 2, 2, 3], tf.int64)], rt_dense_values=[1, 2, 3], batched_input=False
    )


def optional(tf: Any) -> Any:
    return tf.raw_ops.OptionalFromValue(components=[tf.constant([1, 2]), tf.constant("x")])


def iterator(tf: Any) -> Any:
    """The state of one that has given two elements; what a tf.train.Checkpoint keeps of it."""
    elements = iter(tf.data.Dataset.range(9))
    next(elements), next(elements)
    return tf.raw_ops.SerializeIterator(resource_handle=elements._iterator_resource)


def stacked(tf: Any, handle: Any, dtype: Any, shape: Any) -> list[Any]:
    rows: list[Any] = (
        tf.raw_ops.TensorListStack(input_handle=handle, element_shape=shape, element_dtype=dtype).numpy().tolist()
    )
    return rows


def numbers_of(tf: Any, handle: Any) -> Any:
    return stacked(tf, handle, tf.float32, [2])


def strings_of(tf: Any, handle: Any) -> Any:
    return stacked(tf, handle, tf.string, NO_SHAPE)


def numbers_inside(tf: Any, handle: Any) -> Any:
    inner = tf.raw_ops.TensorListGetItem(input_handle=handle, index=0, element_shape=NO_SHAPE, element_dtype=tf.variant)
    return numbers_of(tf, inner)


def numbers_and_strings(tf: Any, handles: Any) -> Any:
    return [numbers_of(tf, handles[0]), strings_of(tf, handles[1])]


def mapped(tf: Any, handle: Any) -> Any:
    return tf.raw_ops.TensorMapLookup(input_handle=handle, key=tf.constant("k"), value_dtype=tf.float32).numpy()


def ragged_rows(tf: Any, handle: Any) -> Any:
    splits, values = tf.raw_ops.RaggedTensorFromVariant(
        encoded_ragged=handle, input_ragged_rank=1, output_ragged_rank=1, Tvalues=tf.int32
    )
    return [splits[0].numpy().tolist(), values.numpy().tolist()]


def components(tf: Any, handle: Any) -> Any:
    numbers, text = tf.raw_ops.OptionalGetValue(
        optional=handle, output_types=[tf.int32, tf.string], output_shapes=[[2], []]
    )
    return [numbers.numpy().tolist(), text.numpy()]


def next_of(tf: Any, handle: Any) -> Any:
    elements = iter(tf.data.Dataset.range(9))
    tf.raw_ops.DeserializeIterator(resource_handle=elements._iterator_resource, serialized=handle)
    return next(elements).numpy()


KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any], Any]] = {
    "numbers": (number_list, numbers_of, ROWS.tolist()),
    "strings": (string_list, strings_of, [b"a", b"", ("é" * 300).encode()]),
    "list of lists": (list_of_lists, numbers_inside, ROWS.tolist()),
    "vector": (vector_of_lists, numbers_and_strings, [ROWS.tolist(), [b"a", b"", ("é" * 300).encode()]]),
    "map": (tensor_map, mapped, [5.0]),
    "ragged": (ragged, ragged_rows, [[0, 2, 2, 3], [1, 2, 3]]),
    "optional": (optional, components, [[1, 2], b"x"]),
    "iterator": (iterator, next_of, 2),
}
"""How each is made, what is in it, and what must be."""


@pytest.fixture(params=[*KINDS])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def save(tf: Any, prefix: Path, tensors: dict[str, Any]) -> str:
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=[*tensors], shape_and_slices=[""] * len(tensors), tensors=[*tensors.values()]
    )
    return str(prefix)


def save_kind(tf: Any, prefix: Path, kind: str) -> str:
    """The variant between two that are arrays."""
    return save(tf, prefix, dict(zip(NAMES, (tf.constant(ROWS), KINDS[kind][0](tf), tf.constant("end")), strict=True)))


def check_kind(tf: Any, prefix: str, kind: str, name: str = "v") -> None:
    (found,) = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[name], shape_and_slices=[""], dtypes=[tf.variant])
    _, read, expected = KINDS[kind]
    assert read(tf, found) == expected


def test_it_is_listed(tf: Any, tmp_path: Path, kind: str) -> None:
    prefix = save_kind(tf, tmp_path / "ckpt", kind)
    assert train.list_variables(prefix) == tf.train.list_variables(prefix)
    with train.load_checkpoint(prefix) as reader:
        dtypes = {name: dtype.as_datatype_enum for name, dtype in reader.get_variable_to_dtype_map().items()}
        their = tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
        assert dtypes == {name: dtype.as_datatype_enum for name, dtype in their.items()}
        assert reader.has_tensor("v")
    with ckpt.open_checkpoint(prefix) as checkpoint:
        assert checkpoint["v"].data_type == DataType.VARIANT
        assert checkpoint["v"].nbytes > 0


def test_it_is_not_read_and_what_lies_beside_it_is(tf: Any, tmp_path: Path, kind: str) -> None:
    prefix = save_kind(tf, tmp_path / "ckpt", kind)
    with train.load_checkpoint(prefix) as reader:
        with pytest.raises(UnsupportedOperationError, match=r"'v' of .* is a variant"):
            reader.get_tensor("v")
        assert reader.get_tensor("w").tolist() == ROWS.tolist()
        assert reader.get_tensor("z") == b"end"
    with pytest.warns(RecoveryWarning, match="'v'"):
        assert sorted(ckpt.load(prefix)) == ["w", "z"]
    rows, text = raw_ops.RestoreV2(
        prefix=prefix, tensor_names=["w", "z"], shape_and_slices=["", ""], dtypes=[np.float32, "string"]
    )
    assert rows.tolist() == ROWS.tolist()
    assert text == b"end"


def test_it_is_copied_unharmed(tf: Any, tmp_path: Path, kind: str) -> None:
    """Merged by ours, real TensorFlow makes the object again, every checksum right."""
    parts = [save_kind(tf, tmp_path / "parts" / "0", kind), save(tf, tmp_path / "parts" / "1", {"a": tf.ones([3])})]
    merged = str(tmp_path / "ckpt")
    raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=merged)
    check_kind(tf, merged, kind)
    assert tf.train.load_variable(merged, "a").tolist() == [1, 1, 1]
    report = ckpt.verify(merged)
    assert (report.findings, report.tensors_checked) == ((), 4)


def test_it_is_copied_through_a_bucket(tf: Any, tmp_path: Path) -> None:
    """All kinds at once, up and down again, by a store that copies nothing by itself."""
    parts = [
        save(tf, tmp_path / "parts" / str(number), {name: made(tf)})
        for number, (name, (made, _, _)) in enumerate(KINDS.items())
    ]
    raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix="memory://variants/ckpt")
    merged = str(tmp_path / "ckpt")
    raw_ops.MergeV2Checkpoints(checkpoint_prefixes=["memory://variants/ckpt"], destination_prefix=merged)
    for name in KINDS:
        check_kind(tf, merged, name, name)
    assert ckpt.verify(merged).findings == ()


def test_a_saver_restores_the_others(tf: Any, tmp_path: Path, kind: str) -> None:
    prefix = save_kind(tf, tmp_path / "ckpt", kind)
    rows, text = ckpt.Variable(np.zeros_like(ROWS), name="w"), ckpt.Variable("", name="z")
    train.Saver([rows, text]).restore(None, prefix)
    assert rows.numpy().tolist() == ROWS.tolist()
    assert text.numpy() == b"end"


def test_a_checkpoint_of_an_iterator_restores_its_variables(tf: Any, tmp_path: Path) -> None:
    """tf.train.Checkpoint saves an iterator as a variant, which has no name for the fallback by object to find."""
    elements = iter(tf.data.Dataset.range(9))
    next(elements)
    step = tf.Variable(7, name="step")
    prefix = tf.train.Checkpoint(elements=elements, step=step).save(str(tmp_path / "ckpt"))
    found = ckpt.Variable(0, name="step", dtype=np.int32)
    train.Saver([found]).restore(None, prefix)
    assert found.numpy() == 7
    merged = str(tmp_path / "merged")
    raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[prefix], destination_prefix=merged)
    again = iter(tf.data.Dataset.range(9))
    tf.train.Checkpoint(elements=again, step=tf.Variable(0)).restore(merged).assert_consumed()
    assert next(again).numpy() == 1
