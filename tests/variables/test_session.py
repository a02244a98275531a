"""Sessions without TensorFlow; tests/tensorflow runs the same programs over both."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.nodes import constant, group, no_op, placeholder
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.sessions.default_session import get_default_session
from cloudckpt.variables.sessions.session import InteractiveSession, Session
from cloudckpt.variables.variable import Variable
from cloudckpt.variables.variable_lists import (
    global_variables_initializer,
    is_variable_initialized,
    report_uninitialized_variables,
    variables_initializer,
)


@pytest.fixture
def graph() -> Graph:
    """A graph with variables `w` and, too large to be embedded, `large`."""
    graph = Graph()
    with graph.as_default():
        Variable([1.0, 2.0], name="w")
        Variable(np.arange(10_000), name="large")
    return graph


def variable(graph: Graph, name: str) -> Variable:
    return next(each for each in graph.get_collection("variables") if each.op.name == name)


@pytest.fixture
def session(graph: Graph) -> Session:
    """A session in which they are initialized."""
    session = Session(graph)
    with graph.as_default():
        session.run(global_variables_initializer())
    return session


def test_a_session_is_made_of_a_graph() -> None:
    graph = Graph()
    assert Session(graph).graph is Session(graph=graph).graph is Session("", graph).graph is graph
    with graph.as_default():
        assert Session().graph is graph
    assert Session().graph is get_default_graph()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"graph": "x"}, TypeError, "graph must be a cloudckpt.Graph, got str"),
        ({"target": 3}, TypeError, "target must be a Graph, or a string, got int"),
        ({"target": "grpc://host"}, ValueError, "not on the server 'grpc://host'"),
        ({"target": Graph(), "graph": Graph()}, ValueError, "one graph"),
    ],
)
def test_what_makes_no_session_is_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Session(**arguments)


def test_values_are_the_sessions_alone(graph: Graph, session: Session) -> None:
    w = variable(graph, "w")
    with graph.as_default():
        session.run(w.assign([5.0, 6.0]))
        other = Session()
        other.run(w.initializer)
    assert session.run(w).tolist() == [5.0, 6.0]
    assert other.run(w).tolist() == w.numpy().tolist() == [1.0, 2.0]


def test_large_initial_values_need_no_feeding(graph: Graph, session: Session) -> None:
    large = variable(graph, "large")
    np.testing.assert_array_equal(session.run(large), np.arange(10_000))
    session.run(large.initializer, {large.initial_value: np.zeros(10_000)})
    assert not session.run("large:0").any()
    np.testing.assert_array_equal(session.run(large.initial_value), np.arange(10_000))


def test_names_and_structures_are_fetched(graph: Graph, session: Session) -> None:
    w = variable(graph, "w")
    fetched = session.run({"names": ["w:0", ("w/read:0", "w/Assign")], "ordered": OrderedDict(b=w, a=w.initializer)})
    assert fetched["names"][0].tolist() == fetched["names"][1][0].tolist() == [1.0, 2.0]
    assert fetched["names"][1][1] is None
    assert isinstance(fetched["names"][1], tuple)
    assert isinstance(fetched["ordered"], OrderedDict)
    assert list(fetched["ordered"]) == ["b", "a"]
    defaulting = session.run(defaultdict(list, w=w))
    assert defaulting["other"] == []
    assert defaulting["w"].tolist() == [1.0, 2.0]
    assert session.run([]) == []
    assert session.run(w, options=None, run_metadata=None).tolist() == [1.0, 2.0]


def test_what_is_read_is_the_callers(graph: Graph, session: Session) -> None:
    session.run("w:0")[:] = 9
    assert session.run("w:0").tolist() == [1.0, 2.0]
    with graph.as_default():
        assert type(session.run(constant(3))) is np.int32


def test_each_operation_runs_once_and_after_what_it_needs(graph: Graph, session: Session) -> None:
    w = variable(graph, "w")
    with graph.as_default():
        added = w.assign_add([1.0, 1.0])
        with graph.control_dependencies([added]):
            doubled = w.assign_add(w.read_value())
        session.run(group(added, doubled, [doubled.op]))
    assert session.run(w).tolist() == [4.0, 6.0]


def test_deep_graphs_are_run(graph: Graph, session: Session) -> None:
    w = variable(graph, "w")
    with graph.as_default():
        update = w.assign_add([1.0, 0.0])
        for _ in range(3000):
            with graph.control_dependencies([update]):
                update = w.assign_add([1.0, 0.0])
    assert session.run(update).tolist() == [3002.0, 2.0]


@pytest.mark.parametrize(
    ("fetch", "error", "message"),
    [
        (3, TypeError, "can't fetch 3: a session runs variables, tensors, operations and their names"),
        (None, TypeError, "can't fetch None"),
        (np.zeros(2), TypeError, "can't fetch array"),
        ("x:0", ValueError, "can't fetch 'x:0': the graph has no tensor 'x:0'"),
        ("x", ValueError, "can't fetch 'x': the graph has no operation 'x'"),
        ("w:1", ValueError, "no output 1"),
        (Variable(1.0, name="eager"), ValueError, "'eager:0' is in no graph"),
        (Graph().add_operation("NoOp", "other"), ValueError, "not an element of this graph"),
    ],
)
def test_what_can_not_be_fetched_is_named(
    session: Session, fetch: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        session.run([fetch])


def test_operations_that_are_not_ours_are_named(graph: Graph, session: Session) -> None:
    product = graph.add_operation("MatMul", "product", inputs=("w", "w"))
    with pytest.raises(InvalidArgumentError, match="'product' is a MatMul, which a Session of this package does not"):
        session.run("product:0")
    assert session.run("product:0", {Tensor(product, 0): [5]}).tolist() == [5]


class Definition:
    """As much of a NodeDef as a graph looks at."""

    def __init__(self, op: str) -> None:
        self.op = op


def test_resource_variables_of_an_imported_graph_are_run() -> None:
    graph = Graph()

    def imported(op: str, name: str, *inputs: str, **attrs: object) -> None:
        graph.import_operation(Definition(op), name=name, inputs=inputs, device="", attrs=attrs)

    imported("VarHandleOp", "v", dtype=DataType.FLOAT, shape=(2,))
    imported("Const", "value", dtype=DataType.FLOAT, value=np.array([1.0, 2.0], np.float32))
    imported("AssignVariableOp", "v/Assign", "v", "value", dtype=DataType.FLOAT)
    imported("AssignAddVariableOp", "more", "v", "value", "^v/Assign", dtype=DataType.FLOAT)
    imported("ReadVariableOp", "v/Read", "v", dtype=DataType.FLOAT)
    imported("VarIsInitializedOp", "v/IsInitialized", "v")
    session = Session(graph)
    assert session.run("v/IsInitialized:0") == np.False_
    session.run("more")
    assert session.run("v/Read:0").tolist() == [2.0, 4.0]
    assert session.run("v/IsInitialized:0") == np.True_
    with pytest.raises(InvalidArgumentError, match="has one output, and no 'value:1'"):
        session.run("value:1")


def test_a_variable_that_is_not_initialized_is_named_with_what_to_run(graph: Graph) -> None:
    session = Session(graph)
    with graph.as_default():
        for fetch in ("w:0", "w/read:0", variable(graph, "w").assign_add([1.0, 1.0])):
            with pytest.raises(InvalidArgumentError, match=r"'w' is not initialized.*run its initializer.*or restore"):
                session.run(fetch)
    with pytest.raises(InvalidArgumentError, match="'w' is not initialized") as caught:
        session.read("w")
    assert caught.value.tensor == "w"


def test_assignments_of_another_shape_are_refused_when_they_run(graph: Graph, session: Session) -> None:
    with graph.as_default():
        fed = placeholder("float32")
        w = variable(graph, "w")
        update, change, free = w.assign(fed), w.assign_add(fed), w.assign(fed, validate_shape=False)
        assert fed.op.attrs["shape"] is not None
        for fetch in (update, change):
            with pytest.raises(InvalidArgumentError, match=r"\(1,\).*\(2,\)|\(2,\).*\(1,\)"):
                session.run(fetch, {fed: [1.0]})
        assert session.run(w).tolist() == [1.0, 2.0]
        assert session.run(free, {fed: [1.0]}).tolist() == [1.0]


def test_feeding(graph: Graph, session: Session) -> None:
    w = variable(graph, "w")
    assert session.run(w, {w: [5, 6]}).tolist() == [5.0, 6.0]
    assert session.run("w/read:0", {"w:0": [5, 6]}).tolist() == [5.0, 6.0]
    given = np.array([7.0, 8.0], np.float32)
    session.run(w.initializer, {"w/initial_value:0": given})
    given[:] = 9
    assert session.run(w).tolist() == [7.0, 8.0]


@pytest.mark.parametrize(
    ("feed", "error", "message"),
    [
        ({"w:0": [1.0]}, ValueError, r"can't feed shape \(1,\) for tensor 'w:0', which has shape \(2,\)"),
        ({"w/initial_value:0": 1.0}, ValueError, r"can't feed shape \(\)"),
        ({"w:0": ["a", "b"]}, TypeError, "expected float32, found string"),
        ({"x:0": [1.0]}, TypeError, "can't feed 'x:0': the graph has no tensor"),
        ({"w": [1.0]}, TypeError, "can't feed 'w': it is an operation"),
        ({3: [1.0]}, TypeError, "can't feed 3"),
        ([1.0], TypeError, r"feed_dict must be a dict from tensors to values, got \[1.0\]"),
    ],
)
def test_what_can_not_be_fed_is_named(session: Session, feed: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        session.run("w:0", feed)


def test_an_integer_that_does_not_fit_is_not_fed() -> None:
    with Graph().as_default(), Session() as session:
        number = placeholder("int32")
        assert session.run(number, {number: 2**31 - 1}) == 2**31 - 1
        with pytest.raises(TypeError, match="int32 has no room for 2147483648"):
            session.run(number, {number: 2**31})


def test_what_is_to_be_run_is_not_fed(graph: Graph, session: Session) -> None:
    w = variable(graph, "w")
    for element in (w, w.snapshot):  # the variable's own value would not be the session's
        with pytest.raises(TypeError, match="it is to be run; feed an array"):
            session.run(w, {w: element})
    assert session.run(w, {w: Variable([5.0, 6.0])}).tolist() == [5.0, 6.0]


def test_a_fed_variable_is_not_assigned_to(graph: Graph, session: Session) -> None:
    with graph.as_default():
        update = variable(graph, "w").assign([3.0, 4.0])
    with pytest.raises(InvalidArgumentError, match="assigns to 'w', which is no variable, or was fed"):
        session.run(update, {"w:0": [5.0, 6.0]})


def test_a_placeholder_that_is_not_fed_is_named(graph: Graph, session: Session) -> None:
    with graph.as_default():
        placeholder("float32", (2,), name="p")
    with pytest.raises(InvalidArgumentError, match=r"a value must be fed for placeholder 'p'.*'p:0': array"):
        session.run("p:0")


def test_values_are_read_and_assigned_by_name_without_a_copy(session: Session) -> None:
    array = np.array([3.0, 4.0], np.float32)
    session.assign("w", array)
    assert session.read("w") is array
    assert not array.flags.writeable
    assert session.run("w:0").tolist() == [3.0, 4.0]
    assert not session.is_initialized("table:0")
    session.assign("table:0", np.array([b"key"], object))  # what a graph restores beside variables
    assert session.is_initialized("table:0")


def test_what_was_read_does_not_change_with_the_value(graph: Graph, session: Session) -> None:
    before = session.read("w")
    with graph.as_default():
        session.run(variable(graph, "w").assign_add([1.0, 1.0]))
    assert before.tolist() == [1.0, 2.0]


def test_a_closed_session_answers_nothing(graph: Graph, session: Session) -> None:
    session.close()
    session.close()
    for ask in (
        lambda: session.run("w:0"),
        lambda: session.read("w"),
        lambda: session.assign("w", np.zeros(2)),
        lambda: session.is_initialized("w"),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            ask()


def test_an_empty_graph_has_nothing_to_run() -> None:
    with pytest.raises(RuntimeError, match="the session's graph is empty"):
        Session(Graph()).run("x")


def test_a_block_makes_it_the_default_with_its_graph_and_closes_it(graph: Graph, session: Session) -> None:
    with session as entered:
        assert entered is session is get_default_session()
        assert get_default_graph() is graph
        assert variable(graph, "w").eval().tolist() == [1.0, 2.0]
        no_op(name="in the block".replace(" ", "_")).run()  # type: ignore[union-attr]
    assert get_default_session() is None
    with pytest.raises(RuntimeError, match="closed"):
        session.run("w:0")


def test_as_default_leaves_it_open(graph: Graph, session: Session) -> None:
    with session.as_default() as entered:
        assert entered is get_default_session() is session
        assert get_default_graph() is not graph
        variable(graph, "w").load([3, 4])
        assert variable(graph, "w").eval().tolist() == [3.0, 4.0]
    assert session.run("w:0").tolist() == [3.0, 4.0]


def test_an_interactive_session_is_the_default_until_it_is_closed(graph: Graph) -> None:
    session = InteractiveSession(graph=graph)
    assert get_default_session() is session
    assert get_default_graph() is graph
    session.close()
    session.close()
    assert get_default_session() is None
    assert get_default_graph() is not graph


def test_a_session_is_entered_once(graph: Graph) -> None:
    with Session(graph) as session:
        with pytest.raises(RuntimeError, match="entered already"), session:
            pass
        with session.as_default():
            assert get_default_session() is session
        assert session.run(variable(graph, "w").initializer) is None
    assert get_default_session() is None
    interactive = InteractiveSession(graph=graph)
    with pytest.raises(RuntimeError, match="entered already"), interactive:
        pass
    interactive.close()
    assert get_default_session() is None


def test_without_a_default_session_nothing_is_evaluated(graph: Graph) -> None:
    w = variable(graph, "w")
    for ask in (w.eval, lambda: w.load([1.0, 2.0]), w.initializer.run, w.snapshot.eval):
        with pytest.raises(ValueError, match="there is no default session"):
            ask()
    with pytest.raises(ValueError, match="the session is one of another graph"):
        w.eval(Session(Graph()))
    assert w.snapshot.eval(session=initialized(graph)).tolist() == [1.0, 2.0]


def initialized(graph: Graph) -> Session:
    session = Session(graph)
    session.run([each.initializer for each in graph.get_collection("variables")])
    return session


def test_sessions_are_left_in_the_reverse_order(graph: Graph) -> None:
    first, second = Session(graph).as_default(), Session(graph).as_default()
    first.__enter__()
    second.__enter__()
    for block in (first, second):
        with pytest.raises(RuntimeError, match="reverse"):
            block.__exit__(None, None, None)


def test_questions_are_no_part_of_the_graph(graph: Graph) -> None:
    session = Session(graph)
    with graph.as_default():
        w = variable(graph, "w")
        count = len(graph.get_operations())
        report, answer = report_uninitialized_variables(), is_variable_initialized(w)
        assert len(graph.get_operations()) == count
        assert session.run([report, answer])[0].tolist() == [b"w", b"large"]
        session.run(variables_initializer([w]))
        reported, initialized_now = session.run([report, answer])
        assert reported.tolist() == [b"large"]
        assert initialized_now == np.True_
        assert session.run(report_uninitialized_variables([w])).tolist() == []


def test_a_reader_sees_whole_values_while_others_assign(graph: Graph, session: Session) -> None:
    stop = threading.Event()
    torn: list[Any] = []

    def read() -> None:
        while not stop.is_set():
            value = session.read("large")
            if value[0] != value[-1]:
                torn.append(value)

    session.assign("large", np.zeros(10_000))
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        session.assign("large", np.full(10_000, number))
    stop.set()
    reader.join()
    assert torn == []


def test_updates_of_several_threads_are_all_counted(graph: Graph, session: Session) -> None:
    with graph.as_default():
        update = variable(graph, "w").assign_add([1.0, 0.0])
    threads = [threading.Thread(target=lambda: [session.run(update) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.read("w").tolist() == [801.0, 2.0]


def test_tensors_say_their_dtypes_and_shapes(graph: Graph) -> None:
    with graph.as_default():
        w = variable(graph, "w")
        tensors = [w.value(), w.assign([1.0, 1.0]), w.initial_value, graph.get_tensor_by_name("w:0"), w.read_value()]
        assert {str(tensor.dtype and tensor.dtype.name) for tensor in tensors} == {"float32"}
        assert {tensor.shape for tensor in tensors} == {(2,)}
        assert placeholder("int32").shape is None
        assert placeholder("int32", (None, 2)).shape == (None, 2)
    assert Tensor(graph.add_operation("MatMul", "m"), 0).dtype is None


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("Identity", "a", "b"), ("Identity", "b", "a")], "'[ab]' needs what needs it: the graph has a cycle"),
        ([("Identity", "a", "gone")], "no operation 'gone', which another needs"),
        ([("Identity", "a")], "'a' has 0 inputs, and a Identity has 1"),
        ([("Const", "b"), ("Identity", "a", "b", "b")], "'a' has 2 inputs, and a Identity has 1"),
        ([("Const", "a")], "a value must be fed"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(nodes: list[tuple[str, ...]], message: str) -> None:
    graph = Graph()
    for op, name, *inputs in nodes:
        attrs = {"value": np.zeros(2)} if op == "Const" and name == "b" else {}
        graph.import_operation(Definition(op), name=name, inputs=inputs, device="", attrs=attrs)
    with pytest.raises(InvalidArgumentError, match=message):
        Session(graph).run("a:0")


def test_a_shape_that_goes_in_a_circle_is_unknown() -> None:
    graph = Graph()
    for name, source in ("ab", "ba"):
        graph.import_operation(Definition("Identity"), name=name, inputs=(source,), device="")
    assert graph.get_tensor_by_name("a:0").shape is None
