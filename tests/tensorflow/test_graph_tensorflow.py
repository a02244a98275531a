"""Programs that make graphs, run over real TensorFlow and over ours: node for node the same, and the same refusals."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt.compat.v1 as ours
from cloudckpt.graph.encoding.graph_def import encode_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Program = "Callable[[Any], object]"


@pytest.fixture
def theirs(tf: Any) -> Iterator[Any]:
    """TensorFlow as its first version was: with reference variables in graphs."""
    tf.compat.v1.disable_resource_variables()
    yield tf.compat.v1
    tf.compat.v1.enable_resource_variables()


def nodes(graph_def: Any) -> list[dict[str, object]]:
    """What a GraphDef says of each node, but for what TensorFlow notes for its own optimizer."""
    make_ndarray = importlib.import_module("tensorflow").make_ndarray
    return [
        {
            "name": node.name,
            "op": node.op,
            "inputs": list(node.input),
            "device": node.device,
            "attrs": {
                name: np.array2string(make_ndarray(value.tensor)) if name == "value" else value.SerializeToString()
                for name, value in node.attr.items()
                if name != "_has_manual_control_dependencies"
            },
        }
        for node in graph_def.node
    ]


def their_message(graph_def: Any) -> Any:
    return importlib.import_module("tensorflow.core.framework.graph_pb2").GraphDef.FromString(
        graph_def.SerializeToString()
    )


def outcome(program: Callable[[Any], object], tf: Any) -> object:
    """What a program gives, or the builtin class of error that stops it."""
    try:
        return program(tf)
    except Exception as error:  # noqa: BLE001 - whichever it is, it is compared
        builtin = [kind for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        return builtin[0]


# ---------------------------------------------------------------------------------------------- nodes


def one_variable(tf: Any) -> None:
    tf.Variable([1.0, 2.0], name="w")


def names_made_unique(tf: Any) -> None:
    for name in ("w", "w", "w_1", "W", "w", None, None, "Variable_1", "a.b", "a.b"):
        tf.Variable(1.0, name=name)


def nested_scopes(tf: Any) -> None:
    for _ in range(2):
        with tf.name_scope("s") as scope:
            tf.Variable(1, name="w")
            with tf.name_scope("t"):
                tf.Variable(1, name="w")
                with tf.name_scope(scope):
                    tf.Variable(1, name="w")
                with tf.name_scope(""):
                    tf.Variable(1, name="w")
                with tf.name_scope(None):
                    tf.Variable(1, name="s")


def scope_of_an_operations_name(tf: Any) -> None:
    tf.Variable(1, name="s")
    with tf.name_scope("s"):
        tf.no_op(name="S")
    with tf.name_scope("S"):
        tf.no_op()
    tf.no_op(name="s/NoOp_3")
    with tf.name_scope("s/"):
        tf.no_op()
        tf.no_op()


def devices(tf: Any) -> None:
    for outer in ("/job:ps/task:1", "/cpu:1", "GPU:3", "/job:w/replica:0/task:2/device:cpu:0", "/device:TPU:*", None):
        for inner in ("/gpu:0", "/job:a", "", None, "/task:7/device:XX:1"):
            with tf.device(outer), tf.device(inner):
                tf.Variable(1.0, name="w")
                tf.no_op()


def device_functions(tf: Any) -> None:
    def by_type(operation: Any) -> str:
        return "/job:ps" if operation.type == "VariableV2" else "/job:worker/cpu:0"

    def further(operation: Any) -> str:
        return f"{operation.device}/task:3"

    for function in (by_type, further, lambda operation: tf.DeviceSpec(job=operation.type, task=1)):
        for around in ("", "/cpu:0", "/job:x/task:5"):
            with tf.device(around), tf.device(function):
                tf.Variable(1.0, name="w")
            with tf.device(function), tf.device(around):
                tf.Variable(1.0, name="w")


def a_device_spec(tf: Any) -> None:
    with tf.device(tf.DeviceSpec(job="ps", replica=0, task=3, device_type="GPU", device_index=1)), tf.device("/cpu:0"):
        tf.Variable(1.0)


def initial_values(tf: Any) -> None:
    values = [1, 1.5, True, 1j, "text", b"bytes", 2**40, [], [1, 2.5], [[1, 2], [3, 4]], ["a", b"bc"], (True, False)]
    arrays = [np.arange(6).reshape(2, 3), np.float64(2), np.zeros((0, 3), np.uint8), np.array(["a", "bc"]), np.int16(3)]
    for value in values + arrays:
        tf.Variable(value)


def dtypes_of_initial_values(tf: Any) -> None:
    for value, dtype in [
        (1, tf.float32),
        (1, tf.complex64),
        (True, tf.int32),
        (300, tf.uint8),
        (-1, tf.uint16),
        (1.5, tf.float16),
        (1.5, tf.bfloat16),
        (1.1, tf.float64),
        (np.array([1.5, -1.5]), tf.int32),
        (np.array([True]), tf.float32),
        (np.float32(1.5), tf.int64),
        ([], tf.int32),
        ("x", tf.string),
        ([[1, 2]], np.float64),
        (1, "int64"),
        (1, float),
    ]:
        tf.Variable(value, dtype=dtype)


def callables_for_initial_values(tf: Any) -> None:
    with tf.device("/cpu:1"), tf.name_scope("s"):
        tf.Variable(lambda: [1.0, 2.0], name="w")
        tf.Variable(lambda: tf.constant(3), name="x")
        tf.Variable(lambda: 3, name="x", dtype=tf.float64)


def initial_values_that_are_tensors(tf: Any) -> None:
    constant = tf.constant([1.0], name="mine")
    variable = tf.Variable(constant, name="v")
    tf.Variable(variable.initial_value, name="x")


def declared_shapes(tf: Any) -> None:
    tf.Variable([[1.0]], shape=(None, 1))
    tf.Variable([[1.0]], validate_shape=False)
    tf.Variable([[1.0]], shape=(1, 1), validate_shape=False)
    tf.Variable([[1.0]], shape=[1, 1])


def where_it_is_read(tf: Any) -> None:
    with tf.device("/job:ps"):
        tf.Variable(1.0, caching_device="/cpu:2")


def assignments(tf: Any) -> None:
    with tf.device("/job:ps"):
        v = tf.Variable([1.0, 2.0], name="v")
    with tf.device("/cpu:1"), tf.name_scope("s"):
        v.assign([3.0, 4.0])
        v.assign_add([1, 1])
        v.assign_sub([1.0, 1.0], name="less")
        v.assign(np.zeros(2), use_locking=True, read_value=False)
        v.assign(v)
        v.assign(v.initial_value)
        tf.assign(v, [3.0, 4.0])
        tf.assign(v, [3.0], validate_shape=False)
        tf.assign_add(v, [3.0, 4.0], use_locking=True)
        tf.assign_sub(v, [3.0, 4.0], name="w")
        v.read_value()
        v.value()


def control_dependencies(tf: Any) -> None:
    a, b = tf.no_op("b"), tf.no_op("a")
    v = tf.Variable(1.0)
    with tf.control_dependencies([a, b, a]):
        tf.no_op()
        tf.Variable(1.0)
        constant = tf.constant(1.0)
        v.assign(constant)
        v.assign(2.0)
        with tf.control_dependencies([b, v]):
            tf.no_op()
            v.assign(constant)
        with tf.control_dependencies(None):
            tf.no_op()
    with tf.control_dependencies([]):
        tf.no_op()


def groups(tf: Any) -> None:
    with tf.device("/job:b"):
        v = tf.Variable(1.0)
    with tf.device("/job:a"):
        w = tf.Variable(1.0)
    tf.group(v.initializer)
    tf.group(v.initializer, w.initializer, v, name="both")
    tf.group([v.initializer, {"x": w.initializer}])
    tf.group()
    with tf.device("/cpu:0"), tf.name_scope("s"):
        tf.group(v.initializer, w.initializer)


def initializers(tf: Any) -> None:
    tf.global_variables_initializer()
    tf.Variable(1.0)
    with tf.device("/cpu:1"):
        tf.Variable(1.0, collections=[tf.GraphKeys.LOCAL_VARIABLES])
    tf.global_variables_initializer()
    tf.local_variables_initializer()
    tf.variables_initializer(tf.global_variables() + tf.local_variables(), name="all")
    tf.variables_initializer([], name="none")


def constants_and_placeholders(tf: Any) -> None:
    tf.constant(1)
    tf.constant(2.0, shape=(2, 1), name="c")
    tf.constant([1, 2], dtype=tf.float64)
    tf.placeholder(tf.float32)
    tf.placeholder(tf.int32, shape=(None, 2), name="p")


NODES = [
    one_variable,
    names_made_unique,
    nested_scopes,
    scope_of_an_operations_name,
    devices,
    device_functions,
    a_device_spec,
    initial_values,
    dtypes_of_initial_values,
    callables_for_initial_values,
    initial_values_that_are_tensors,
    declared_shapes,
    where_it_is_read,
    assignments,
    control_dependencies,
    groups,
    initializers,
    constants_and_placeholders,
]


@pytest.mark.parametrize("program", NODES, ids=lambda program: program.__name__)
def test_the_nodes_are_tensorflows(program: Callable[[Any], object], theirs: Any) -> None:
    with theirs.Graph().as_default() as graph:
        program(theirs)
        expected = nodes(graph.as_graph_def())
    with ours.Graph().as_default() as graph:
        program(ours)
        found = nodes(their_message(encode_graph(graph)))
    assert len(found) == len(expected) > 0
    for mine, node in zip(found, expected, strict=True):
        assert mine == node


# ---------------------------------------------------------------------------------------------- answers


def variable(tf: Any) -> Any:
    return tf.Variable([1.0, 2.0], name="w")


def after(make: Callable[[Any], object], ask: Callable[[Any, Any], object]) -> Callable[[Any], object]:
    return lambda tf: ask(tf, make(tf))


def in_scope(name: str | None, *, within: str | None = None) -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        with tf.name_scope(within):
            with tf.name_scope(name) as scope:
                inner = tf.no_op().name
            return scope, inner, tf.get_default_graph().get_name_scope()

    return program


def on_device(*names: Any) -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        for name in names:
            tf.get_default_graph().device(name).__enter__()
        return tf.no_op().device

    return program


def element(name: object, function: str = "as_graph_element") -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        tf.Variable(1.0, name="w")
        return getattr(tf.get_default_graph(), function)(name).name

    return program


def unique_names(tf: Any) -> object:
    graph = tf.get_default_graph()
    asked = [("x", True), ("x", False), ("x", False), ("X", True), ("x", True), ("x_1", True), ("x_2", False)]
    return [graph.unique_name(name, mark) for name, mark in asked]


def finalized(ask: Callable[[Any, Any], object]) -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        graph = tf.get_default_graph()
        graph.add_to_collection("there", 1)
        graph.finalize()
        return ask(tf, graph)

    return program


def collections(tf: Any) -> object:
    graph = tf.get_default_graph()
    v = tf.Variable(1.0, name="a/v", collections=["mine", "mine", tf.GraphKeys.GLOBAL_VARIABLES])
    w = tf.Variable(1.0, name="b/w", trainable=False)
    tf.add_to_collection("mine", 3)
    tf.add_to_collections("text", 4)
    tf.add_to_collections(["one", "two", "one"], 5)
    tf.get_collection_ref("ref").append(6)
    graph.clear_collection("two")
    graph.clear_collection("never")
    names = {v: "v", w: "w"}
    shown = {key: [names.get(x, x) for x in tf.get_collection(key)] for key in graph.get_all_collection_keys()}
    return (
        sorted(shown.items()),
        [names[x] for x in tf.global_variables("a/")],
        [names[x] for x in tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope=".*w")],
        tf.get_collection("mine", scope="c"),
        tf.get_collection("absent"),
        [names[x] for x in tf.trainable_variables()],
    )


def default_graphs(tf: Any) -> object:
    outermost = tf.get_default_graph()
    seen = []
    with tf.Graph().as_default() as graph:
        seen.append(tf.get_default_graph() is graph)
        with tf.Graph().as_default() as inner:
            seen.append(tf.get_default_graph() is inner)
        seen.append(tf.get_default_graph() is graph)
        thread = threading.Thread(target=lambda: seen.append(tf.get_default_graph() is graph))
        thread.start()
        thread.join()
    return [*seen, tf.get_default_graph() is outermost, tf.executing_eagerly()]


def reset_in_a_block(tf: Any) -> None:
    tf.reset_default_graph()


def of_another_graph(ask: Callable[[Any, Any], object]) -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        v = tf.Variable(1.0)
        with tf.Graph().as_default():
            tf.Variable(2.0)
            return ask(tf, v)

    return program


SCOPE_NAMES = ["a b", "_x", "-x", "/x", "x/", "x//y", ".x", "x.y", "x>y", "X", "", "é", "a:0", "a\\b", None]
DEVICE_NAMES = [
    "/foo:1",
    "/cpu:x",
    "/cpu:0/gpu:0",
    "/task:x",
    "cpu:0",
    "//cpu:0",
    "/job:",
    "/job:a/job:b",
    "",
    "TPU",
    "/cpu:*",
]
ANSWERS = {
    **{f"scope {name!r}": in_scope(name) for name in SCOPE_NAMES},
    **{f"scope {name!r} within another": in_scope(name, within="s") for name in SCOPE_NAMES},
    **{f"device {name!r}": on_device(name) for name in DEVICE_NAMES},
    "a device function that gives nothing": on_device(lambda _: None),
    "an operation's name": lambda tf: [tf.no_op(name).name for name in ("x", "x/", "a\\b", "", None)],
    "a name twice": lambda tf: [tf.no_op("x/"), tf.no_op("x/")],
    "a bad operation's name": lambda tf: tf.no_op("a b"),
    "names made unique": unique_names,
    "an element by name": element("w"),
    "an element by tensor": element("w:0"),
    "no such operation": element("x", "get_operation_by_name"),
    "a tensor for an operation": element("w:0", "get_operation_by_name"),
    "a number for an operation": element(3, "get_operation_by_name"),
    "no such output": element("w:1", "get_tensor_by_name"),
    "no such tensor": element("x:0", "get_tensor_by_name"),
    "an operation for a tensor": element("w", "get_tensor_by_name"),
    "no number of an output": element("w:x", "as_graph_element"),
    "a number for a tensor": element(3, "get_tensor_by_name"),
    "a number for an element": element(3),
    "an operation in a finalized graph": finalized(lambda tf, _: tf.no_op()),
    "a variable in a finalized graph": finalized(lambda tf, _: tf.Variable(1.0)),
    "a collection of a finalized graph": finalized(lambda _, graph: graph.add_to_collection("x", 1)),
    "reading a collection of a finalized graph": finalized(lambda _, graph: graph.get_collection_ref("there")),
    "clearing a collection of a finalized graph": finalized(lambda _, graph: graph.clear_collection("there")),
    "whether it is finalized": finalized(lambda _, graph: graph.finalized),
    "collections": collections,
    "default graphs": default_graphs,
    "resetting the graph of a block": reset_in_a_block,
    "properties": after(
        variable,
        lambda _, v: (v.name, v.op.name, v.op.type, tuple(v.shape), v.device, v.dtype.base_dtype.name, v.trainable),
    ),
    "its nodes": after(variable, lambda _, v: (v.initializer.name, v.initial_value.name, v.value().name)),
    "not trainable": lambda tf: tf.Variable(1.0, trainable=False).trainable,
    "no initial value": lambda tf: tf.Variable(),
    "no initial value but a name": lambda tf: tf.Variable(None, name="x"),
    "collections in a string": lambda tf: tf.Variable(1.0, collections="x"),
    "a float for an integer": lambda tf: tf.Variable(1.0, dtype=tf.int32),
    "a text for a float": lambda tf: tf.Variable("x", dtype=tf.float32),
    "a number for a text": lambda tf: tf.Variable(1, dtype=tf.string),
    "an array of numbers for a text": lambda tf: tf.Variable(np.array([1.5]), dtype=tf.string),
    "a number for a bool": lambda tf: tf.Variable(1, dtype=tf.bool),
    "a complex number for a float": lambda tf: tf.Variable(1j, dtype=tf.float32),
    "rows that differ": lambda tf: tf.Variable([[1], [2, 3]]),
    "text and numbers": lambda tf: tf.Variable([1, "x"]),
    "a dict": lambda tf: tf.Variable({"a": 1}),
    "an integer too large": lambda tf: tf.Variable(2**70),
    "another shape": lambda tf: tf.Variable(1.0, shape=(2,)),
    "a group of nothing": lambda tf: tf.group(None),
    "assigning another shape": after(variable, lambda _, v: v.assign([1.0])),
    "assigning a text": after(variable, lambda _, v: v.assign("x")),
    "adding another shape": after(variable, lambda _, v: v.assign_add(1.0)),
    "assigning to another graph's": of_another_graph(lambda _, v: v.assign(tf_variable_of(v))),
    "grouping another graph's": of_another_graph(lambda tf, v: tf.Session().run(v)),
    "evaluating without a session": after(variable, lambda _, v: v.eval()),
    "running without a session": after(variable, lambda _, v: v.initializer.run()),
}


def tf_variable_of(variable: Any) -> Any:
    """Another variable of the kind, in the default graph."""
    kind = (
        ours.Variable
        if isinstance(variable, ours.Variable)
        else importlib.import_module("tensorflow").compat.v1.Variable
    )
    return kind(1.0)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answers_are_tensorflows(name: str, theirs: Any) -> None:
    program = ANSWERS[name]
    with theirs.Graph().as_default():
        expected = outcome(program, theirs)
    with ours.Graph().as_default():
        assert outcome(program, ours) == expected


def test_dtypes_equal_tensorflows(theirs: Any) -> None:
    names = [name for name in ours.__all__ if isinstance(getattr(ours, name), ours.DType)]
    assert len(names) > 20
    for name in names:
        mine, their = getattr(ours, name), getattr(theirs, name)
        assert mine == their
        assert their == mine
        assert ours.as_dtype(their) == mine
        assert theirs.as_dtype(mine) == their
        assert hash(mine) == hash(their)
    assert ours.float32 != theirs.float64
    assert {name for name in dir(theirs) if isinstance(getattr(theirs, name), theirs.DType)} == set(names)
