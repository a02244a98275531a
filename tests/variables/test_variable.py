"""Variables: their own values in particular; tests/tensorflow compares their nodes and dtypes with TensorFlow's."""

from __future__ import annotations

import operator
import pickle
import tracemalloc
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.default_scopes import device, name_scope
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.graphs.nodes import constant, placeholder
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.value_nodes import EMBEDDED_BYTES
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["eager", "in a graph", "of a graph that was left"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes variables without a graph, within one, and in one whose block is left again."""
    graph = Graph()
    if request.param == "in a graph":
        with graph.as_default():
            yield Variable
    elif request.param == "eager":
        yield Variable
    else:

        def made_and_left(*args: Any, **kwargs: Any) -> Variable:
            with graph.as_default():
                return Variable(*args, **kwargs)

        yield made_and_left


def test_what_a_variable_is(anywhere: Any) -> None:
    variable = anywhere([[1, 2, 3]], name="w", dtype="float64", device="/cpu:1", trainable=False)
    assert variable.name == "w:0"
    assert (variable.op.name, variable.op.device, variable.op.type) == ("w", "/device:CPU:1", "VariableV2")
    assert variable.shape == variable.get_shape() == (1, 3)
    assert variable.dtype == "float64"
    assert variable.dtype.base_dtype == np.float64
    assert variable.data_type is DataType.DOUBLE
    assert variable.device == "/device:CPU:1"
    assert not variable.trainable
    assert variable.save_slice_info is None
    np.testing.assert_array_equal(variable.numpy(), [[1.0, 2.0, 3.0]])


def test_what_it_is_may_be_said_in_order(anywhere: Any) -> None:
    variable = anywhere([1, 2], "w", "float64", [2], False, "/cpu:1")
    assert (variable.name, variable.dtype.name, variable.shape, variable.trainable) == ("w:0", "float64", (2,), False)
    assert variable.device == "/device:CPU:1"
    with pytest.raises(TypeError, match="name must be a string, got False"):
        anywhere(0, False)  # TensorFlow 1's second argument is `trainable`


def test_its_own_value_is_its_initial_value(anywhere: Any) -> None:
    given = np.arange(4.0)
    variable = anywhere(given)
    given[:] = 9
    np.testing.assert_array_equal(variable, np.arange(4.0))
    np.testing.assert_array_equal(variable.own_value, np.arange(4.0))


def test_whoever_reads_it_can_not_change_it(anywhere: Any) -> None:
    variable = anywhere([1.0, 2.0])
    variable.numpy()[:] = 9
    np.array(variable)[:] = 9
    for array in (variable.own_value, np.asarray(variable)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9
    np.testing.assert_array_equal(variable, [1.0, 2.0])


def test_memory_is_taken_over_and_read_without_a_copy(anywhere: Any) -> None:
    variable = anywhere([1.0, 2.0])
    array = np.array([3.0, 4.0], np.float32)
    variable.take_over(array)
    assert variable.own_value is array
    assert np.asarray(variable) is array
    in_other_order = np.asfortranarray(np.ones((2, 3)))
    variable.take_over(in_other_order)
    assert variable.own_value.flags.c_contiguous
    assert in_other_order.flags.writeable


def test_a_graphs_initial_value_shares_its_memory() -> None:
    tracemalloc.start()
    with Graph().as_default():
        given = np.zeros(1 << 20, np.uint8)
        before, _ = tracemalloc.get_traced_memory()
        variable = Variable(given)
        session = Session()
        session.run(variable.initializer)
        after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert session.read("Variable") is variable.own_value
    assert after - before < 1.5 * given.nbytes


@pytest.fixture(params=["eager", "of a graph that was left"])
def outside(request: pytest.FixtureRequest) -> Any:
    """Makes variables whose operators act outside of graphs' blocks."""
    if request.param == "eager":
        return Variable
    graph = Graph()

    def made_and_left(*args: Any, **kwargs: Any) -> Variable:
        with graph.as_default():
            return Variable(*args, **kwargs)

    return made_and_left


def test_arithmetic_is_that_of_arrays(outside: Any) -> None:
    variable = outside([1.0, 2.0, 4.0])
    array = variable.numpy()
    for operation in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod):
        for left, right in ((variable, 2), (2, variable), (variable, variable), (variable, array), (array, variable)):
            result = operation(left, right)
            assert type(result) is np.ndarray
            np.testing.assert_array_equal(result, operation(np.asarray(left), np.asarray(right, np.float32)))
    np.testing.assert_array_equal(-variable, -array)
    np.testing.assert_array_equal(abs(variable), array)
    np.testing.assert_array_equal(variable @ variable, array @ array)
    np.testing.assert_array_equal(np.exp(variable), np.exp(array))
    np.testing.assert_array_equal(np.add.reduce(variable), array.sum())
    np.testing.assert_array_equal(np.concatenate([variable, variable]), np.concatenate([array, array]))
    assert np.mean(variable) == array.mean()


def test_comparisons_are_those_of_arrays(outside: Any) -> None:
    variable = outside([1, 2, 3])
    for compare in (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge):
        np.testing.assert_array_equal(compare(variable, 2), compare(np.array([1, 2, 3]), 2))
    assert len({variable, variable, outside([1, 2, 3])}) == 2  # sets and dicts tell variables apart, not values


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64", "int32", "int64", "complex64"])
def test_in_a_graphs_block_operators_give_what_a_session_runs(dtype: str) -> None:
    with Graph().as_default(), Session() as session:
        w = Variable([1, 2, 4], name="w", dtype=dtype)
        fed = placeholder(dtype)
        results = [w + 1, 1 + w, w - w, 3 - w, w * [2, 2, 2], w * fed, -w]
        w.load([10, 20, 40], session)
        values = session.run(results, {fed: np.array(3)})
    assert all(value.dtype == w.dtype for value in values)
    expected = [[11, 21, 41], [11, 21, 41], [0, 0, 0], [-7, -17, -37], [20, 40, 80], [30, 60, 120], [-10, -20, -40]]
    assert [value.tolist() for value in values] == expected


def test_in_a_graphs_block_a_variable_counts_however_often_it_is_run() -> None:
    with Graph().as_default(), Session() as session:
        step, rate = Variable(0, name="step"), Variable(8.0, name="rate")
        more, less = step.assign(step + 1), rate.assign(rate / 2)
        session.run([step.initializer, rate.initializer])
        assert [session.run([more, less]) for _ in range(3)] == [[1, 4.0], [2, 2.0], [3, 1.0]]
        assert (step.numpy(), rate.numpy()) == (0, 8.0)


def test_in_a_graphs_block_variables_are_told_apart_and_not_their_values() -> None:
    with Graph().as_default():
        variables = [Variable([0.0, 0.0]), Variable(0), Variable(0)]
        assert [v for v in variables if v not in variables[:2]] == variables[2:]
        assert variables[1] != variables[2]
        assert variables.index(variables[2]) == 2
        assert all(variables)


@pytest.mark.parametrize("compute", [np.exp, abs, lambda w: w**2, lambda w: w @ w, lambda w: w < 2])
def test_in_a_graphs_block_nothing_else_is_computed(compute: Any) -> None:
    with Graph().as_default(), pytest.raises(TypeError, match="is not computed within a graph's block"):
        compute(Variable([1.0, 2.0]))


def test_in_a_graphs_block_what_does_not_fit_is_not_computed() -> None:
    with Graph().as_default():
        alien = Variable(1.0)
    with Graph().as_default(), Session() as session:
        w = Variable([1, 2])
        with pytest.raises(TypeError, match="expected int32"):
            w + 1.5
        with pytest.raises(TypeError, match="is of float64, and what it is computed with of int32"):
            w * constant(1.0, "float64")
        with pytest.raises(TypeError, match="divide of a variable of int32 is not computed"):
            w / 2  # TensorFlow makes fractions of both
        with pytest.raises(ValueError, match="of another graph"):
            Variable(1.0) + alien
        total = w + np.array([1, 2, 3])
        session.run(w.initializer)
        with pytest.raises(InvalidArgumentError, match="cannot be broadcast to a single shape"):
            session.run(total)


def test_it_is_indexed_and_counted_like_an_array(anywhere: Any) -> None:
    variable = anywhere([[1, 2], [3, 4]])
    assert variable[1, 0] == 3
    np.testing.assert_array_equal(variable[:, 1], [2, 4])
    assert len(variable) == 2
    assert [row.tolist() for row in variable] == [[1, 2], [3, 4]]
    with pytest.raises(TypeError):
        variable[0] = 1
    scalar = anywhere(3)
    assert (float(scalar), int(scalar), operator.index(scalar), bool(scalar)) == (3.0, 3, 3, True)
    with pytest.raises(TypeError):
        len(scalar)


def test_nothing_is_written_into_it(anywhere: Any) -> None:
    variable = anywhere([1.0])
    with pytest.raises(TypeError, match="use assign, assign_add or assign_sub"):
        np.add(variable, 1, out=variable)
    with pytest.raises(TypeError, match="use assign, assign_add or assign_sub"):
        variable += 1
    np.testing.assert_array_equal(variable, [1.0])
    out = np.zeros(1, np.float32)
    assert np.add(variable, 1, out=out) is out
    assert out.tolist() == [2.0]


def test_it_becomes_an_array_of_a_dtype(anywhere: Any) -> None:
    variable = anywhere([1.5])
    assert np.asarray(variable, np.int32).tolist() == [1]
    assert np.array(variable, copy=True).flags.writeable
    with pytest.raises(ValueError, match="can't be int32 without a copy"):
        variable.__array__(np.int32, copy=False)


def test_it_is_assigned_at_once_without_a_graph() -> None:
    variable = Variable([1.0, 2.0], name="w")
    given = np.array([3.0, 4.0])
    assert variable.assign(given) is variable
    given[:] = 9
    np.testing.assert_array_equal(variable, [3.0, 4.0])
    assert variable.assign_add([1, 1]).assign_sub(variable) is variable
    np.testing.assert_array_equal(variable, [0.0, 0.0])
    assert variable.dtype == "float32"
    assert variable.own_value.dtype == np.float32
    variable.load([5, 6])
    np.testing.assert_array_equal(variable.eval(), [5.0, 6.0])
    assert variable.value() is variable.read_value() is variable.own_value


def test_a_graphs_variable_is_assigned_at_once_when_the_block_is_left() -> None:
    with Graph().as_default() as graph:
        variable = Variable([1.0], name="w")
        session = Session()
        session.run(variable.initializer)
    count = len(graph.get_operations())
    assert variable.assign([2.0]) is variable
    variable.assign_add([1.0])
    np.testing.assert_array_equal(variable.numpy(), [3.0])
    np.testing.assert_array_equal(variable.value(), [3.0])
    np.testing.assert_array_equal(session.run(variable), [1.0])
    assert len(graph.get_operations()) == count


def test_within_a_graph_assignments_wait_for_a_session() -> None:
    with Graph().as_default() as graph:
        variable = Variable([1.0], name="w")
        session = Session()
        update, operation = variable.assign([2.0]), variable.assign_add([1.0], read_value=False)
        assert isinstance(update, Tensor)
        assert isinstance(operation, Operation)
        assert variable.value().name == "w/read:0"
        assert variable.read_value().name == "read:0"
        np.testing.assert_array_equal(session.run(update), [2.0])
        operation.run(session=session)
        update.op.run(session=session)
        np.testing.assert_array_equal(session.run(variable), [2.0])
        np.testing.assert_array_equal(variable.numpy(), [1.0])
    assert variable.graph is graph


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1.0], ValueError, r"'w:0' has shape \(2,\), the value \(1,\)"),
        (1.0, ValueError, r"'w:0' has shape \(2,\), the value \(\)"),
        (["a", "b"], TypeError, "expected float32, found string"),
        ([1j, 1j], TypeError, "expected float32, found complex128"),
        ([None, None], TypeError, "NoneType"),
    ],
)
def test_what_does_not_fit_is_not_assigned(anywhere: Any, value: object, error: type[Exception], message: str) -> None:
    variable = anywhere([1.0, 2.0], name="w")
    for assign in (variable.assign, variable.load):
        with pytest.raises(error, match=message):
            assign(value)
    np.testing.assert_array_equal(variable, [1.0, 2.0])


def test_a_tensor_that_does_not_fit_is_not_assigned() -> None:
    with Graph().as_default():
        variable, whole = Variable([1.0, 2.0], name="w"), Variable([1, 2])
        for update in (variable.assign, variable.assign_add, variable.assign_sub):
            for value in (whole, constant([1, 2]), placeholder("float64"), whole.value()):
                with pytest.raises(TypeError, match=r"'w:0' is of float32, and .* of (int32|float64)"):
                    update(value)
            for value in (Variable([1.0]), constant(1.0), placeholder("float32", [None, 2]), Variable(1.0).value()):
                with pytest.raises(ValueError, match=r"'w:0' has shape \(2,\), the value "):
                    update(value)
        assert variable.assign(placeholder("float32", [None])).dtype == np.float32
        assert variable.assign(constant(1.0), validate_shape=False).dtype == np.float32


def test_what_changes_it_has_its_shape() -> None:
    variable = Variable([1.0, 2.0], name="w", shape=(None,))
    for change in (variable.assign_add, variable.assign_sub):
        with pytest.raises(InvalidArgumentError, match=r"'w:0' has a value of shape \(2,\)"):
            change([1.0])
    np.testing.assert_array_equal(variable, [1.0, 2.0])


def test_a_declared_shape_may_leave_room(anywhere: Any) -> None:
    variable = anywhere([[1.0]], shape=(None, 1), name="w")
    assert variable.shape == (None, 1)
    anything = anywhere([1.0], validate_shape=False)
    assert anything.shape is None
    for shape in (2, [2], np.array([2])):
        assert anywhere([1, 1], shape=shape).shape == (2,)
    with pytest.raises(ValueError, match=r"the initial value has shape \(1,\), the variable is declared as \(2,\)"):
        anywhere([1.0], shape=(2,))
    with pytest.raises(ValueError, match="a dimension can't be -1"):
        anywhere([1.0], shape=(-1,))


def test_a_declared_shape_is_kept_by_assignments() -> None:
    variable = Variable([[1.0]], shape=(None, 1), name="w")
    assert variable.assign([[1.0], [2.0]]).numpy().shape == (2, 1)
    with pytest.raises(ValueError, match=r"has shape \(None, 1\), the value \(1, 2\)"):
        variable.assign([[1.0, 2.0]])
    assert variable.assign([1.0], validate_shape=False).numpy().shape == (1,)
    assert Variable([1.0], validate_shape=False).assign([[2.0]]).numpy().shape == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "needs an initial value"),
        ({"initial_value": 1.0, "collections": "x"}, ValueError, "collections must be a list of names, got 'x'"),
        ({"initial_value": 1.0, "collections": 5}, ValueError, "collections must be a list of names, got 5"),
        ({"initial_value": 1.0, "dtype": "nothing"}, TypeError, "dtype must be a dtype"),
        ({"initial_value": 1.0, "dtype": "int32"}, TypeError, "expected int32, found float32: 1.0"),
        ({"initial_value": object()}, TypeError, "not of builtins.object"),
        ({"initial_value": 1.0, "shape": "x"}, TypeError, "integer"),
        ({"initial_value": 1.0, "device": "/foo"}, ValueError, "no part of a device's name"),
    ],
)
def test_what_makes_no_variable_is_refused(
    anywhere: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        anywhere(**arguments)


def test_a_callable_is_called_once_for_its_value(anywhere: Any) -> None:
    calls: list[int] = []
    variable = anywhere(lambda: calls.append(1) or np.arange(3), dtype="float32")
    assert calls == [1]
    np.testing.assert_array_equal(variable, [0.0, 1.0, 2.0])


def test_a_variable_is_made_of_another(anywhere: Any) -> None:
    first = anywhere([1.0, 2.0], name="first")
    assert anywhere(first).own_value is first.own_value
    assert anywhere(first, dtype="int32").numpy().tolist() == [1, 2]


def test_a_variable_is_made_of_what_another_was_made_of() -> None:
    eager = Variable([1.0, 2.0])
    assert Variable(eager.initialized_value()).numpy().tolist() == [1.0, 2.0]
    with Graph().as_default():
        first = Variable([1.0, 2.0], name="first")
        second = Variable(first.initialized_value(), name="second")
        assert second.initial_value == first.initial_value
        session = Session()
        session.run(second.initializer)
        assert session.run(second).tolist() == [1.0, 2.0]


def test_an_initial_value_that_has_to_be_computed_is_refused() -> None:
    with Graph().as_default():
        with pytest.raises(ValueError, match="is computed when it runs"):
            Variable(placeholder("float32", (2,)))
        with pytest.raises(TypeError, match="is not of dtype int32"):
            Variable(constant(1.0), dtype="int32")
        mine = constant(1.0)
    with Graph().as_default(), pytest.raises(ValueError, match="is of another graph"):
        Variable(mine)
    with pytest.raises(ValueError, match="the variable is in none"):
        Variable(mine)


def test_large_initial_values_stay_beside_the_graph() -> None:
    counted = np.arange(EMBEDDED_BYTES + 1) % 251
    with Graph().as_default() as graph:
        small = Variable(counted[:-1].astype(np.uint8), name="small")
        large = Variable(counted.astype(np.uint8), name="large")
        texts = Variable([b"x" * EMBEDDED_BYTES, b"y"], name="texts")
    types = [graph.get_operation_by_name(f"{v.op.name}/initial_value").type for v in (small, large, texts)]
    assert types == ["Const", "Placeholder", "Placeholder"]
    assert graph.values_beside["large/initial_value"] is large.own_value


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.complex64, np.bool_])
@pytest.mark.parametrize("last", [True, False])
def test_a_large_initial_value_that_repeats_one_element_is_that_element(dtype: Any, last: bool) -> None:
    array = np.full((3, EMBEDDED_BYTES), np.nan if dtype == np.float32 else True, dtype)
    array[-1, -1] = array[0, 0] if last else 0
    with Graph().as_default() as graph:
        variable = Variable(array, name="w")
    node = graph.get_operation_by_name("w/initial_value")
    assert node.type == ("Const" if last else "Placeholder")
    if last:
        assert not any(node.attrs["value"].strides)
        assert node.attrs["value"].tobytes() == array.tobytes()
    assert variable.own_value.tobytes() == array.tobytes()
    with Session(graph) as session:
        session.run(variable.initializer)
        assert session.run(variable).tobytes() == array.tobytes()


def test_collections_of_variables() -> None:
    with Graph().as_default() as graph:
        a = Variable(1.0)
        b = Variable(1.0, trainable=False)
        c = Variable(1.0, collections=["mine"])
        d = Variable(1.0, collections=[], trainable=False)
        e = Variable(1.0, collections=("mine",), trainable=None)
    assert graph.get_collection(GraphKeys.GLOBAL_VARIABLES) == [a, b]
    assert graph.get_collection(GraphKeys.TRAINABLE_VARIABLES) == [a, c, e]
    assert (e.trainable, b.trainable) == (True, False)
    assert graph.get_collection("mine") == [c, e]
    assert d.graph is graph


def test_scopes_without_a_graph() -> None:
    with name_scope("s"), device("/job:ps"):
        with name_scope("t") as scope, device("/cpu:0"):
            variable = Variable(1.0, name="w")
        with device(None), name_scope(""):
            outside = Variable(1.0, name="w")
    assert scope == "s/t/"
    assert (variable.name, variable.device) == ("s/t/w:0", "/job:ps/device:CPU:0")
    assert (outside.name, outside.device) == ("w:0", "")
    with pytest.raises(TypeError, match="there is none here"), device(lambda _: "/cpu:0"):
        pass


def test_variables_without_a_graph_have_no_nodes() -> None:
    variable = Variable(1.0, name="w")
    for part in ("initializer", "initial_value", "snapshot"):
        with pytest.raises(RuntimeError, match=r"'w:0' has no .*: it is in no graph"):
            getattr(variable, part)


def test_an_imported_operation_is_a_variable_without_a_value() -> None:
    graph = Graph()
    operation = graph.add_operation("VariableV2", "w", attrs={"shape": (2,), "dtype": DataType.FLOAT})
    variable = Variable.of_operation(operation, data_type=DataType.FLOAT, shape=(2,), trainable=False)
    assert (variable.name, variable.shape, variable.graph, variable.trainable) == ("w:0", (2,), graph, False)
    assert variable.op is operation
    for ask in (variable.numpy, lambda: variable + 1, lambda: variable.assign_add([1.0, 1.0])):
        with pytest.raises(InvalidArgumentError, match="'w:0' was imported and has no value of its own yet"):
            ask()
    with pytest.raises(RuntimeError, match="'w:0' has no initializer: it is in an imported graph"):
        _ = variable.initializer
    assert variable.assign([1.0, 2.0]).numpy().tolist() == [1.0, 2.0]
    assert repr(variable) == "<cloudckpt.Variable 'w:0' shape=(2,) dtype=float32>"


def test_an_imported_variable_knows_the_nodes_that_it_is_told() -> None:
    with Graph().as_default():
        made = Variable([1.0, 2.0], name="w")
        again = Variable.of_operation(
            made.op,  # type: ignore[arg-type]
            data_type=made.data_type,
            shape=made.shape,
            initial_value=made.initial_value,
            initializer=made.initializer,
            snapshot=made.snapshot,
        )
        assert again.initializer is made.initializer
        assert again.initial_value == made.initial_value
        assert again.value() == made.value()


def test_representation_without_a_graph() -> None:
    assert repr(Variable([1, 2], name="w")) == (
        "<cloudckpt.Variable 'w:0' shape=(2,) dtype=int32, numpy=array([1, 2], dtype=int32)>"
    )


def test_a_variable_of_another_graph_is_refused() -> None:
    with Graph().as_default():
        other = Variable([1.0], name="other")
    with Graph().as_default():
        mine = Variable([1.0], name="mine")
        with pytest.raises(ValueError, match="'other:0' is of another graph"):
            other.assign([1.0])
        with pytest.raises(ValueError, match="is of another graph"):
            mine.assign(other)


def test_a_variable_without_a_graph_is_assigned_at_once_within_one() -> None:
    eager = Variable([1.0])
    with Graph().as_default() as graph:
        eager.assign_add([1.0])
        mine = Variable([0.0], name="mine")
        update = mine.assign(eager)
        np.testing.assert_array_equal(Session().run(update), [2.0])
    assert graph.get_operation_by_name("Assign/value").type == "Const"


def test_errors_are_pickled_with_their_variable() -> None:
    with Graph().as_default():
        variable = Variable([1.0], name="w")
        with pytest.raises(InvalidArgumentError) as caught:
            Session().run(variable)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.tensor, str(again)) == ("w", str(caught.value))


def test_ten_thousand_variables_are_made_in_one_graph() -> None:
    with Graph().as_default() as graph:
        variables = [Variable(1.0, name="w") for _ in range(10_000)]
    assert variables[-1].name == "w_9999:0"
    assert len(graph.get_operations()) == 40_000
