"""`Saver.restore`: where values go, from what, what is refused, and that nothing is assigned then."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.descriptors import message_class
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CheckpointPathError,
    InvalidArgumentError,
    InvalidSavePathError,
    TensorNotFoundError,
)
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH
from cloudckpt.saver.builder import BaseSaverBuilder
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.storage.open import open_location
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.partitions.partitioners import fixed_size_partitioner
from cloudckpt.variables.scopes.get_variable import get_variable
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from tests.saver.graphs import session_with, variable

if TYPE_CHECKING:
    from collections.abc import Sequence

VALUES = {"a": np.arange(4, dtype=np.float32), "b": np.full((2, 2), 5, np.float32)}


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "model"
    with open_location(path) as location:
        save_tensors(location, VALUES)
    return str(path)


def zeros() -> list[Variable]:
    return [Variable(np.zeros_like(value), name=name) for name, value in VALUES.items()]


def is_untouched(variables: Sequence[Variable]) -> bool:
    return not any(each.numpy().any() for each in variables)


def test_variables_get_their_own_values(saved: str) -> None:
    variables = zeros()
    Saver(variables).restore(None, saved)
    for each in variables:
        np.testing.assert_array_equal(each.numpy(), VALUES[each.op.name])


def test_a_session_gets_the_values_and_its_variables_are_initialized(saved: str) -> None:
    with Graph().as_default():
        a, b = zeros()
        session = Session()
        Saver().restore(session, saved)
        found = session.run([a, b])
    np.testing.assert_array_equal(found[0], VALUES["a"])
    np.testing.assert_array_equal(found[1], VALUES["b"])
    assert is_untouched([a, b])


def test_a_mapping_is_filled_by_the_names_in_the_checkpoint(saved: str) -> None:
    first, second = zeros()
    filled: dict[str, Any] = {"other": 1}
    Saver({"a": first, "b": second}).restore(filled, saved)
    assert filled.pop("other") == 1
    np.testing.assert_equal(filled, VALUES)
    assert is_untouched([first, second])


def test_a_mapping_that_can_not_be_filled(saved: str) -> None:
    with pytest.raises(TypeError, match="pass a dict"):
        Saver(zeros()).restore(MappingProxyType({}), saved)


def test_what_is_no_session_is_a_type_error(saved: str) -> None:
    with pytest.raises(TypeError, match="sess must be a Session"):
        Saver(zeros()).restore(3, saved)


def test_numpy_arrays_are_restored_in_place(saved: str) -> None:
    array = np.zeros(4, np.float32)
    Saver({"a": array}).restore(None, saved)
    np.testing.assert_array_equal(array, VALUES["a"])


def test_restored_variables_take_the_arrays_over(tmp_path: Path) -> None:
    size = 8 << 20
    w = Variable(np.ones(size // 4, np.float32), name="w")
    saver = Saver([w])
    saver.save(None, tmp_path / "model")
    tracemalloc.start()
    saver.restore(None, tmp_path / "model")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * size


def test_restore_sequentially_takes_no_more_memory_than_the_largest_variable(tmp_path: Path) -> None:
    size, count = 1 << 20, 16

    def variables(value: float) -> list[Variable]:
        return [Variable(np.full(size // 4, value, np.float32), name=f"w{number}") for number in range(count)]

    Saver(variables(1.0)).save(None, tmp_path / "model")

    def beyond_the_variables(*, sequentially: bool) -> int:
        tracemalloc.start()
        held = variables(0.0)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        Saver(held, restore_sequentially=sequentially).restore(None, tmp_path / "model")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert all((each.numpy() == 1).all() for each in held)
        return peak - before

    assert beyond_the_variables(sequentially=False) > (count - 1) * size
    assert beyond_the_variables(sequentially=True) < 2 * size


@pytest.mark.parametrize("empty", [None, "missing"])
def test_save_path_that_is_no_checkpoint_is_a_value_error(tmp_path: Path, empty: str | None) -> None:
    variables = zeros()
    with pytest.raises(ValueError, match="save_path"):
        Saver(variables).restore(None, None if empty is None else tmp_path / empty)
    assert is_untouched(variables)


def test_save_path_that_is_no_checkpoint_is_also_not_found(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError) as raised:
        Saver(zeros()).restore(None, tmp_path / "missing")
    assert isinstance(raised.value, InvalidSavePathError)
    assert raised.value.path == str(tmp_path / "missing")


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
def test_a_file_of_a_checkpoint_is_told_from_its_prefix(saved: str, ending: str) -> None:
    with pytest.raises(CheckpointPathError, match=r"pass its prefix, '.*model'"):
        Saver(zeros()).restore(None, saved + ending)


def test_save_path_of_another_type() -> None:
    with pytest.raises(TypeError):
        Saver(zeros()).restore(None, 3)  # type: ignore[arg-type]  # refused


@pytest.mark.parametrize("sequentially", [False, True])
def test_missing_tensors_are_named_and_nothing_is_assigned(saved: str, sequentially: bool) -> None:
    variables = [*zeros(), variable("x"), variable("y")]
    with pytest.raises(TensorNotFoundError, match="lacks 2 of the 4 tensors to restore: 'x', 'y'") as raised:
        Saver(variables, restore_sequentially=sequentially).restore(None, saved)
    assert raised.value.tensor == "x"
    assert is_untouched(variables)


@pytest.mark.parametrize("sequentially", [False, True])
def test_another_dtype_is_named_and_nothing_is_assigned(saved: str, sequentially: bool) -> None:
    variables = [zeros()[0], Variable(np.zeros((2, 2), np.int32), name="b")]
    with pytest.raises(InvalidArgumentError, match=r"'b'.*float32.*int32"):
        Saver(variables, restore_sequentially=sequentially).restore(None, saved)
    assert is_untouched(variables)


@pytest.mark.parametrize("sequentially", [False, True])
def test_another_shape_is_named_and_nothing_is_assigned(saved: str, sequentially: bool) -> None:
    variables = [zeros()[0], variable("b", np.zeros(4))]
    with pytest.raises(InvalidArgumentError, match=r"'b'.*\(2, 2\).*\(4,\).*reshape=True"):
        Saver(variables, restore_sequentially=sequentially).restore(None, saved)
    assert is_untouched(variables)


def test_a_shape_with_other_elements_is_no_case_for_reshape(saved: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Saver([variable("b", np.zeros(3))]).restore(None, saved)
    assert "reshape" not in str(raised.value)


@pytest.mark.parametrize("sequentially", [False, True])
def test_reshape(saved: str, sequentially: bool) -> None:
    variables = [variable("a", np.zeros((2, 2))), variable("b", np.zeros((4, 1)))]
    Saver(variables, reshape=True, restore_sequentially=sequentially).restore(None, saved)
    assert variables[0].numpy().tolist() == [[0, 1], [2, 3]]
    assert variables[1].numpy().tolist() == [[5], [5], [5], [5]]


def test_reshape_of_a_session_and_of_a_mapping(saved: str) -> None:
    filled: dict[str, Any] = {}
    with Graph().as_default():
        a = variable("a", np.zeros((2, 2)))
        saver, session = Saver(reshape=True), Session()
        saver.restore(session, saved)
        saver.restore(filled, saved)
        assert session.run(a).tolist() == filled["a"].tolist() == [[0, 1], [2, 3]]


def test_reshape_needs_as_many_elements(saved: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"\(4,\).*\(3,\)"):
        Saver([variable("a", np.zeros(3))], reshape=True).restore(None, saved)


def test_a_variable_of_unknown_shape_takes_any(saved: str) -> None:
    with Graph().as_default():
        a = Variable(np.zeros(1, np.float32), name="a", validate_shape=False)
        session = Session()
        Saver().restore(session, saved)
        np.testing.assert_array_equal(session.run(a), VALUES["a"])


@pytest.mark.parametrize("write_version", [SaverDef.V1, SaverDef.V2])
@pytest.mark.parametrize("stored_version", [SaverDef.V1, SaverDef.V2])
def test_both_formats_are_restored_whatever_write_version(
    tmp_path: Path, write_version: int, stored_version: int
) -> None:
    with open_location(tmp_path / "model") as location:
        (save_v1 if stored_version == SaverDef.V1 else save_tensors)(location, VALUES)
    variables = zeros()
    Saver(variables, write_version=write_version).restore(None, tmp_path / "model")
    np.testing.assert_array_equal(variables[1].numpy(), VALUES["b"])


@pytest.mark.parametrize("write_version", [SaverDef.V1, SaverDef.V2])
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("stored_sharded", [False, True])
def test_sharded_or_not_is_restored_whatever_the_saver(
    tmp_path: Path, write_version: int, sharded: bool, stored_sharded: bool
) -> None:
    with Graph().as_default() as graph:
        for number in range(3):
            with graph.device(f"/device:CPU:{number}"):
                variable(f"w{number}", float(number))
        path = Saver(sharded=stored_sharded, write_version=write_version).save(None, tmp_path / "model")
        session = Session()
        Saver(sharded=sharded).restore(session, path)
        assert session.run(["w0:0", "w1:0", "w2:0"]) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("stored_parts", [None, 2, 3])
@pytest.mark.parametrize("parts", [None, 2, 3])
@pytest.mark.parametrize("write_version", [SaverDef.V1, SaverDef.V2])
def test_slices_are_restored_from_any_slicing(
    tmp_path: Path, parts: int | None, stored_parts: int | None, write_version: int
) -> None:
    value = np.arange(21, dtype=np.float32).reshape(7, 3)

    def whole(number: int | None) -> Any:
        return get_variable("w", [7, 3], partitioner=number and fixed_size_partitioner(number))

    with Graph().as_default():
        w = whole(stored_parts)
        session = Session()
        start = 0
        for part in [w] if stored_parts is None else w:
            session.run(part.assign(value[start : start + part.shape[0]]))
            start += part.shape[0]
        Saver(write_version=write_version).save(session, tmp_path / "model")
    with Graph().as_default():
        w = whole(parts)
        session, filled = Session(), {}
        saver = Saver()
        saver.restore(session, tmp_path / "model")
        found = [session.run(part) for part in ([w] if parts is None else w)]
        saver.restore(filled, tmp_path / "model")
    np.testing.assert_array_equal(np.concatenate(found), value)
    np.testing.assert_array_equal(filled["w"], value)


def test_a_mapping_is_saved_in_the_slices_of_a_partitioned_variable(tmp_path: Path) -> None:
    value = np.arange(6, dtype=np.float32).reshape(3, 2)
    with Graph().as_default():
        get_variable("w", [3, 2], partitioner=fixed_size_partitioner(2))
        saver = Saver()
        saver.save({"w": value}, tmp_path / "model")
        session = Session()
        saver.restore(session, tmp_path / "model")
        np.testing.assert_array_equal(session.run("w/part_0:0"), value[:2])
        with pytest.raises(InvalidArgumentError, match=r"'w'.*\(2, 2\).*\(3, 2\)"):
            saver.save({"w": value[:2]}, tmp_path / "model")


def test_some_slices_are_restored_into_the_array_that_a_mapping_has(tmp_path: Path) -> None:
    value = np.arange(6, dtype=np.float32).reshape(3, 2)
    with Graph().as_default():
        parts = [*get_variable("w", [3, 2], partitioner=fixed_size_partitioner(2))]
        Saver().save({"w": value}, tmp_path / "model")
        saver = Saver([parts[0]])
        filled: dict[str, Any] = {}
        for unfit in ({}, {"w": np.zeros(2, np.float32)}):
            with pytest.raises(InvalidArgumentError, match=r"'w' that are restored leave out 2 elements.*\(3, 2\)"):
                saver.restore(unfit, tmp_path / "model")
        old = filled["w"] = np.zeros((3, 2), np.float32)
        saver.restore(filled, tmp_path / "model")
    assert filled["w"].tolist() == [[0, 1], [2, 3], [0, 0]]
    assert not old.any()


def test_a_slice_spec_that_is_none_is_named(saved: str) -> None:
    saveable = SaveableObject(None, [SaveSpec(np.zeros(2, np.float32), "4 x,2", "a")], "a")
    for sess in ({}, None):
        with pytest.raises(InvalidArgumentError, match="'a'"):
            Saver([saveable]).restore(sess, saved)
    with pytest.raises(InvalidArgumentError, match="'a'"):
        Saver([saveable]).save(None, f"{saved}-other")


def test_a_slice_of_another_whole_is_refused(saved: str) -> None:
    with Graph().as_default():
        get_variable("b", [4, 2], partitioner=fixed_size_partitioner(2))
        with pytest.raises(InvalidArgumentError, match="'b'"):
            Saver().restore(Session(), saved)


class Doubled(SaveableObject):
    """Saves a variable and its double, and restores the mean of what it finds."""

    def __init__(self, variable: Variable) -> None:
        specs = [
            SaveSpec(variable, "", "single"),
            SaveSpec(lambda: variable.numpy() * 2, "", "double", np.float32, ""),
        ]
        super().__init__(variable, specs, "doubled")
        self.shapes: list[Any] = []

    def restore(self, restored_tensors: Sequence[np.ndarray], restored_shapes: Sequence[Any] | None) -> Any:
        self.shapes.append(restored_shapes)
        return self.op.assign((restored_tensors[0] + restored_tensors[1]) / 3)


def test_a_users_own_saveable_object(tmp_path: Path) -> None:
    w = variable("w", [3.0, 6.0])
    doubled = Doubled(w)
    Saver([doubled]).save(None, tmp_path / "model")
    w.assign([0.0, 0.0])
    Saver([doubled]).restore(None, tmp_path / "model")
    Saver([doubled], reshape=True).restore(None, tmp_path / "model")
    assert w.numpy().tolist() == [3.0, 6.0]
    assert doubled.shapes == [None, [(2,), (2,)]]


def test_the_operation_of_a_users_own_saveable_object_is_run_in_the_session(tmp_path: Path) -> None:
    with session_with(w=[3.0, 6.0]) as (session, variables):
        saver = Saver([Doubled(variables["w"])])
        saver.save(session, tmp_path / "model")
        session.run(variables["w"].assign([0.0, 0.0]))
        saver.restore(session, tmp_path / "model")
        assert session.run(variables["w"]).tolist() == [3.0, 6.0]


def test_the_operation_of_a_users_own_saveable_object_needs_a_session(tmp_path: Path) -> None:
    with session_with(w=[3.0, 6.0]) as (session, variables):
        saver = Saver([Doubled(variables["w"])])
        saver.save(session, tmp_path / "model")
        with pytest.raises(InvalidArgumentError, match=r"'doubled'.*pass a Session"):
            saver.restore(None, tmp_path / "model")


def test_what_can_not_be_assigned_to_is_a_type_error_and_nothing_is_assigned(saved: str) -> None:
    a = variable("a", np.zeros(4))
    fixed = np.zeros((2, 2), np.float32)
    fixed.flags.writeable = False
    saver = Saver({"a": a, "b": fixed})
    with pytest.raises(TypeError, match=r"'b'.*Restore to a mapping"):
        saver.restore(None, saved)
    assert is_untouched([a])
    filled: dict[str, Any] = {}
    saver.restore(filled, saved)
    np.testing.assert_equal(filled, VALUES)


def test_damaged_bytes_assign_nothing(saved: str) -> None:
    data = Path(f"{saved}.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    variables = zeros()
    with pytest.raises(CheckpointDamagedError):
        Saver(variables).restore(None, saved)
    assert is_untouched(variables)


def by_object(path: Path, *variables: tuple[str, str]) -> None:
    """Save what tf.train.Checkpoint would: tensors under keys, and a tree with their names."""
    graph = message_class("tensorflow.TrackableObjectGraph")()
    for name, key in variables:
        graph.nodes.add().attributes.add(name="VARIABLE_VALUE", full_name=name, checkpoint_key=key)
    tensors: dict[str, Any] = {key: np.full(2, number, np.float32) for number, (_, key) in enumerate(variables, 1)}
    with open_location(path) as location:
        save_tensors(location, tensors | {OBJECT_GRAPH: np.array(graph.SerializeToString(), object)})


@pytest.mark.parametrize("sequentially", [False, True])
def test_names_of_objects_are_looked_up_where_names_are_missing(tmp_path: Path, sequentially: bool) -> None:
    by_object(
        tmp_path / "ckpt", ("a", "model/a/.ATTRIBUTES/VARIABLE_VALUE"), ("b", "model/b/.ATTRIBUTES/VARIABLE_VALUE")
    )
    a, b = variable("a", np.zeros(2)), variable("b", np.zeros(2))
    saver = Saver([a, b], restore_sequentially=sequentially)
    saver.restore(None, tmp_path / "ckpt")
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([1, 1], [2, 2])
    filled: dict[str, Any] = {}
    saver.restore(filled, tmp_path / "ckpt")
    assert [*filled] == ["a", "b"]


def test_names_that_no_object_has_are_named(tmp_path: Path) -> None:
    by_object(tmp_path / "ckpt", ("a", "model/a/.ATTRIBUTES/VARIABLE_VALUE"))
    variables = [variable("a", np.zeros(2)), variable("x", np.zeros(2))]
    with pytest.raises(TensorNotFoundError, match="'x'"):
        Saver(variables).restore(None, tmp_path / "ckpt")
    assert is_untouched(variables)


def test_a_checkpoint_by_object_is_restored_by_its_keys(tmp_path: Path) -> None:
    key = "model/a/.ATTRIBUTES/VARIABLE_VALUE"
    by_object(tmp_path / "ckpt", ("a", key))
    a = variable("a", np.zeros(2))
    Saver({key: a}).restore(None, tmp_path / "ckpt")
    assert a.numpy().tolist() == [1, 1]


def test_a_builder_of_ones_own_reads_objects_by_their_keys_only(tmp_path: Path) -> None:
    class Own(BaseSaverBuilder):
        def restore_op(self, filename_tensor: str, saveable: SaveableObject, preferred_shard: int) -> Any:
            return super().restore_op(filename_tensor, saveable, preferred_shard)

    by_object(tmp_path / "ckpt", ("a", "model/a/.ATTRIBUTES/VARIABLE_VALUE"))
    with pytest.raises(TensorNotFoundError):
        Saver([variable("a", np.zeros(2))], builder=Own()).restore(None, tmp_path / "ckpt")


def test_a_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "cloudckpt")
    with pytest.raises(ValueError, match="save_path"):
        Saver(zeros()).restore(None, "memory://me:hidden@there/run/model")
    assert "restoring parameters from memory://" in caplog.text
    assert "hidden" not in caplog.text


def test_a_variable_whose_shape_is_declared_in_part_takes_what_fits_it(saved: str) -> None:
    fitting = Variable(np.zeros((1, 2), np.float32), name="b", shape=(None, 2))
    Saver([fitting]).restore(None, saved)
    np.testing.assert_array_equal(fitting.numpy(), VALUES["b"])

    other = Variable(np.zeros((1, 3), np.float32), name="b", shape=(None, 3))
    with pytest.raises(
        InvalidArgumentError, match=r"has shape \(2, 2\), and the variable is declared with \(None, 3\)"
    ):
        Saver([other]).restore(None, saved)
    assert is_untouched([other])
