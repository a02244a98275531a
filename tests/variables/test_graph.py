"""Graphs without TensorFlow: what a program of ours relies on; tests/tensorflow compares them node by node."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.graphs.device import DeviceSpec, merged_device
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK, Tensor
from cloudckpt.variables.variable import Variable


def test_operations_are_found_by_name_and_in_order() -> None:
    graph = Graph()
    made = [graph.add_operation("NoOp", name) for name in ("b", "a", "b")]
    assert [operation.name for operation in made] == ["b", "a", "b_1"]
    assert graph.get_operations() == made
    assert graph.get_operation_by_name("b_1") is made[2]
    assert graph.as_graph_element(made[0]) is made[0]


def test_a_name_with_a_slash_at_its_end_is_taken_whole() -> None:
    graph = Graph()
    with graph.name_scope("s") as scope:
        assert graph.add_operation("NoOp", scope).name == "s"
        assert graph.add_operation("NoOp", "x").name == "s/x"
        with pytest.raises(ValueError, match="has an operation 's' already, of type NoOp"):
            graph.add_operation("VariableV2", scope)


@pytest.mark.parametrize("name", ["a b", "_a", "-a", "ä", "", "a:0"])
def test_names_that_no_operation_has_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a valid operation name"):
        Graph().add_operation("NoOp", name)
    with pytest.raises(ValueError, match="not a valid operation name"):
        Graph().import_operation(Definition("NoOp"), name=name, inputs=(), device="")


def test_inputs_are_named_as_a_node_def_names_them() -> None:
    graph = Graph()
    value = graph.add_operation("Const", "c")
    operation = graph.add_operation("X", "x", inputs=("c:0", Tensor(value, 0), "c:1", "^c"))
    assert operation.inputs == ("c", "c", "c:1", "^c")
    assert operation.control_inputs == (value,)
    assert operation.outputs == (Tensor(operation, 0),)
    assert graph.add_operation("NoOp", "n").outputs == ()


def test_a_device_that_is_given_counts_for_those_around() -> None:
    graph = Graph()
    with graph.device("/job:ps"):
        assert graph.add_operation("NoOp", "x").device == "/job:ps"
        assert graph.add_operation("NoOp", "x", device="/device:CPU:1").device == "/device:CPU:1"
        assert graph.add_operation("NoOp", "x", device="").device == ""


class Definition:
    """As much of a NodeDef as a graph looks at."""

    def __init__(self, op: str) -> None:
        self.op = op


def test_an_imported_operation_stays_what_it_is() -> None:
    graph = Graph()
    definition = Definition("MatMul")
    with graph.name_scope("s"), graph.device("/cpu:0"):
        operation = graph.import_operation(definition, name="m", inputs=("a:1",), device="/job:x", attrs={"T": 1})
        assert graph.add_operation("NoOp", "x").name == "s/x"
    assert (operation.name, operation.type, operation.inputs, operation.device) == (
        "m",
        "MatMul",
        ("a:1",),
        "/job:x/device:CPU:0",
    )
    assert operation.definition is definition
    assert graph.unique_name("M") == "M_1"
    assert graph.get_tensor_by_name("m:7") == Tensor(operation, 7)  # what it gives is not known here
    with pytest.raises(ValueError, match="has an operation 'm' already"):
        graph.import_operation(definition, name="m", inputs=(), device="")


@pytest.mark.parametrize(
    ("element", "error", "message"),
    [
        ("x", KeyError, "no operation 'x'"),
        ("x:0", KeyError, "no tensor 'x:0': it has no operation 'x'"),
        ("w:1", KeyError, "1 outputs, and no output 1"),
        ("w:x", ValueError, "not the name of a tensor, such as 'w:0'"),
        (3, TypeError, "3 is neither a tensor nor an operation"),
    ],
)
def test_what_a_graph_does_not_have_is_named(element: object, error: type[Exception], message: str) -> None:
    graph = Graph()
    with graph.as_default():
        Variable(1.0, name="w")
    with pytest.raises(error, match=message):
        graph.as_graph_element(element)


def test_elements_of_another_graph_are_refused() -> None:
    with Graph().as_default():
        variable = Variable(1.0, name="w")
    with pytest.raises(ValueError, match="not an element of this graph"):
        Graph().as_graph_element(variable)
    with pytest.raises(ValueError, match="is in no graph"):
        Graph().as_graph_element(Variable(1.0))


def test_the_version_grows_with_operations_and_collections() -> None:
    graph = Graph()
    versions = [graph.version]
    for change in (
        lambda: graph.add_operation("NoOp", "x"),
        lambda: graph.import_operation(Definition("NoOp"), name="y", inputs=(), device=""),
        lambda: graph.add_to_collection("c", 1),
        lambda: graph.get_collection_ref("c"),
        lambda: graph.clear_collection("c"),
    ):
        change()
        versions.append(graph.version)
    assert versions == sorted(set(versions))
    graph.get_collection("c")
    graph.get_operations()
    assert graph.version == versions[-1]


def test_a_finalized_graph_is_read_only() -> None:
    graph = Graph()
    graph.add_to_collection("c", 1)
    assert not graph.finalized
    graph.finalize()
    assert graph.finalized
    for change in (
        lambda: graph.add_operation("NoOp", "x"),
        lambda: graph.import_operation(Definition("NoOp"), name="x", inputs=(), device=""),
        lambda: graph.add_to_collection("c", 2),
        lambda: graph.add_to_collections(["c"], 2),
        lambda: graph.get_collection_ref("new"),
        lambda: graph.clear_collection("c"),
    ):
        with pytest.raises(RuntimeError, match="finalized"):
            change()
    assert graph.get_collection_ref("c") == graph.get_collection("c") == [1]
    assert graph.get_collection("new") == []
    assert graph.get_operations() == []


def test_collections() -> None:
    graph = Graph()
    graph.add_to_collections(["a", "b", "a"], 1)
    graph.add_to_collections("ab", 2)
    graph.get_collection_ref("a").append(3)
    assert graph.get_collection("a") == [1, 3]
    assert graph.get_all_collection_keys() == graph.collections == ["a", "b", "ab"]
    graph.clear_collection("b")
    assert graph.get_collection("b") == []
    graph.get_collection("a").append(4)
    assert graph.get_collection("a") == [1, 3]


def test_a_collections_values_are_chosen_by_the_beginning_of_their_names() -> None:
    with Graph().as_default() as graph:
        a, _ = Variable(1.0, name="a/x"), Variable(1.0, name="b/a")
        graph.add_to_collection(GraphKeys.GLOBAL_VARIABLES, "no name")
    assert graph.get_collection(GraphKeys.GLOBAL_VARIABLES, scope="a") == [a]
    assert len(graph.get_collection(GraphKeys.GLOBAL_VARIABLES)) == 3


def test_scopes_are_each_threads_own_and_names_are_not() -> None:
    graph = Graph()
    names: list[str] = []

    def elsewhere() -> None:
        names.append(graph.get_name_scope())
        operation = graph.add_operation("NoOp", "s/x")
        names.extend([operation.name, operation.device, *operation.inputs])

    before = graph.add_operation("NoOp", "before")
    with graph.name_scope("s"), graph.device("/cpu:0"), graph.control_dependencies([before]):
        graph.add_operation("NoOp", "x")
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert names == ["", "s/x_1", ""]


def test_names_that_threads_make_are_unique() -> None:
    graph = Graph()
    threads = [
        threading.Thread(target=lambda: [graph.add_operation("NoOp", "x") for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({operation.name for operation in graph.get_operations()}) == 800


def test_names_stay_cheap_however_many_are_alike() -> None:
    graph = Graph()
    names = [graph.unique_name("w") for _ in range(20_000)]
    assert names[-1] == "w_19999"


def test_operations_say_which_lines_of_the_program_made_them() -> None:
    def made_here() -> Variable:
        return Variable(1.0, name="w")

    with Graph().as_default() as graph:
        variable = made_here()
        frames = variable.initializer.traceback
        again = made_here()
    assert frames[-1].filename == __file__
    assert frames[-1].function == "made_here"
    assert frames[-1].lineno == made_here.__code__.co_firstlineno + 1
    assert frames[-2].function == "test_operations_say_which_lines_of_the_program_made_them"
    assert all(
        "cloudckpt/variables" not in frame.filename.removesuffix(__file__) for frame in frames if frame != frames[-1]
    )
    assert variable.op.traceback is frames  # one for all that a line made
    assert again.op.traceback is not frames
    assert graph is variable.graph


def test_a_graph_is_the_default_one_of_its_block_alone() -> None:
    outermost = get_default_graph()
    with Graph().as_default() as graph:
        assert get_default_graph() is graph
    assert get_default_graph() is outermost


def test_blocks_of_graphs_are_left_in_the_reverse_order() -> None:
    first, second = Graph().as_default(), Graph().as_default()
    first.__enter__()
    second.__enter__()
    with pytest.raises(RuntimeError, match="reverse"):
        first.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="reverse"):
        second.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("outer", "inner", "merged"),
    [
        ("/job:ps", "/cpu:1", "/job:ps/device:CPU:1"),
        ("/cpu:1", "/gpu:2", "/device:GPU:2"),
        ("/job:a/task:1", "/job:b", "/job:b/task:1"),
        ("", "cpu", "/device:CPU:*"),
        ("/replica:3", "/device:my:1", "/replica:3/device:my:1"),
    ],
)
def test_devices_are_merged_part_by_part(outer: str, inner: str, merged: str) -> None:
    assert merged_device(outer, inner) == merged
    assert DeviceSpec.from_string(outer).make_merged_spec(DeviceSpec.from_string(inner)).to_string() == merged


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("/foo:1", "'foo:1' in '/foo:1'"),
        ("/cpu:x", "'x' in"),
        ("/cpu:0/gpu:0", "two types, CPU and GPU"),
        ("/task:", "''"),
    ],
)
def test_what_is_no_device_is_refused(device: str, message: str) -> None:
    with pytest.raises(ValueError, match=message), Graph().device(device):
        pass
    with pytest.raises(ValueError, match=message):
        Variable(1.0, device=device)


@pytest.mark.parametrize("device", [3, b"/cpu:0", lambda _: 3])
def test_what_names_no_device_is_refused(device: object) -> None:
    graph = Graph()
    with pytest.raises(TypeError, match="a device is a name"), graph.device(device):  # type: ignore[arg-type]
        graph.add_operation("NoOp", "x")
    assert graph.get_operations() == []


def test_an_operation_that_was_refused_is_none_of_a_blocks() -> None:
    graph = Graph()
    before, taken = graph.add_operation("NoOp", "before"), graph.add_operation("NoOp", "taken")
    with graph.control_dependencies([before]):
        with pytest.raises(ValueError, match="has an operation 'taken' already"):
            graph.add_operation("NoOp", "taken/")
        assert graph.add_operation("X", "x", inputs=(taken.name,)).inputs == ("taken", "^before")


def test_control_dependencies_are_elements_of_the_graph() -> None:
    graph = Graph()
    with pytest.raises(TypeError, match="3 is neither"), graph.control_dependencies([3]):
        pass
    with (
        pytest.raises(ValueError, match="not an element"),
        graph.control_dependencies([Graph().add_operation("X", "x")]),
    ):
        pass


def test_shapes_and_representations() -> None:
    with Graph().as_default() as graph:
        variable = Variable([[1.0]], name="w", validate_shape=False)
    assert variable.op.attrs["shape"] is UNKNOWN_RANK  # type: ignore[union-attr]
    assert repr(UNKNOWN_RANK) == "UNKNOWN_RANK"
    assert repr(variable.op) == "Operation(name='w', type='VariableV2', inputs=(), device='')"
    assert repr(graph.get_tensor_by_name("w/read:0")) == "<cloudckpt.Tensor 'w/read:0' of Identity>"
    assert np.ndim(variable) == 2
