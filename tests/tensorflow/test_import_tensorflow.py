"""What importing and exporting a graph makes of its names, beside what real TensorFlow makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.graph_def import encode_graph
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.saver.import_meta_graph import import_meta_graph
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph


def build(tf: Any) -> None:
    """Variables of both kinds, a loop, what is colocated or must wait, a device, and collections of all kinds."""
    v1 = tf.compat.v1
    with tf.device("/cpu:1"):
        a = v1.Variable(np.zeros((2, 3), np.float32), name="s/a", use_resource=False)
    b = v1.Variable(7.0, name="b", use_resource=True)
    with v1.name_scope("s"):
        value = tf.identity(a, name="value")
        with tf.control_dependencies([a.op]):
            tf.add(value, 1.0, name="more")
    with v1.colocate_with(a.op):
        tf.constant(1, name="beside")
    v1.disable_control_flow_v2()
    tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)], name="loop")
    for key, value in (("texts", "text"), ("ints", 3), ("floats", 0.5), ("ops", a.op), ("tensors", b.handle)):
        v1.add_to_collection(key, value)
    v1.add_to_collection("savers", v1.train.Saver())


@pytest.fixture(scope="module")
def meta(tf: Any) -> Any:
    with tf.compat.v1.Graph().as_default():
        build(tf)
        return tf.compat.v1.train.export_meta_graph(saver_def=tf.compat.v1.get_collection("savers")[0].saver_def)


IMPORTS: list[list[dict[str, Any]]] = [
    [{}],
    [{}, {}],
    [{}, {}, {}],
    [{"import_scope": "imp"}],
    [{"import_scope": "imp"}, {"import_scope": "imp"}],
    [{"import_scope": "s"}, {}],
    [{}, {"import_scope": "s"}],
    [{"clear_devices": True}],
    [{"name_scope": "outer"}],
    [{"name_scope": "outer", "import_scope": "imp"}, {"name_scope": "outer"}],
    [{"device": "/job:ps/task:1"}],
    [{"device": "/job:ps/task:1/gpu:3", "clear_devices": True}],
]


@pytest.mark.parametrize("calls", IMPORTS, ids=str)
def test_names_devices_and_collections_are_those_of_tensorflow(tf: Any, meta: Any, calls: list[dict[str, Any]]) -> None:
    with tf.compat.v1.Graph().as_default() as theirs:
        their_savers = [imported(theirs, tf.compat.v1.train.import_meta_graph, copied(meta), **call) for call in calls]
    with Graph().as_default() as ours:
        our_savers = [imported(ours, import_meta_graph, meta, **call) for call in calls]

    assert [saver_names(each) for each in our_savers] == [saver_names(each) for each in their_savers]
    assert nodes(encode_graph(ours)) == nodes(theirs.as_graph_def())
    assert collections(ours) == collections(theirs)


def test_a_scope_that_is_entered_again_may_hold_the_same_names(tf: Any, meta: Any) -> None:
    with tf.compat.v1.Graph().as_default() as theirs:
        for _ in range(2):
            tf.compat.v1.train.import_meta_graph(copied(meta), import_scope="imp/")
    with Graph().as_default() as ours:
        for _ in range(2):
            import_meta_graph(meta, import_scope="imp/")

    found, expected = nodes(encode_graph(ours)), nodes(theirs.as_graph_def())
    # The second loop's name keeps out of the scope in TensorFlow.
    assert found.pop("imp/loop/Enter_1")[:3] == expected.pop("imp/loop/Enter_1")[:3]
    assert found == expected


def test_a_tensor_takes_the_place_of_an_input(tf: Any, meta: Any) -> None:
    with tf.compat.v1.Graph().as_default() as theirs:
        other = tf.compat.v1.placeholder(tf.float32, name="other")
        tf.compat.v1.train.import_meta_graph(copied(meta), input_map={"s/value:0": other})
    with Graph().as_default() as ours:
        ours.add_operation("Placeholder", "other")
        import_meta_graph(meta, input_map={"s/value:0": "other:0"})

    assert ours.get_operation_by_name("s/more").inputs[0] == "other"
    assert inputs(encode_graph(ours), "s/more") == inputs(theirs.as_graph_def(), "s/more")


@pytest.mark.parametrize("input_map", [{"nothing:0": 0}, {"s/value:7x": 0}])
def test_an_input_that_is_not_there_is_refused(tf: Any, meta: Any, input_map: dict[str, Any]) -> None:
    with tf.compat.v1.Graph().as_default(), pytest.raises(ValueError):
        tf.compat.v1.train.import_meta_graph(copied(meta), input_map=dict.fromkeys(input_map, tf.constant(1.0)))
    with Graph().as_default() as ours, pytest.raises(InvalidArgumentError, match="input_map"):
        ours.add_operation("Placeholder", "other")
        import_meta_graph(meta, input_map=dict.fromkeys(input_map, "other:0"))


EXPORTS: list[dict[str, Any]] = [
    {},
    {"export_scope": "s"},
    {"export_scope": "loop"},
    {"export_scope": "nothing"},
    {"clear_devices": True},
    {"clear_extraneous_savers": True},
    {"collection_list": ["ints", "variables", "missing"]},
    {"collection_list": []},
    {"strip_default_attrs": True},
]


@pytest.mark.parametrize("options", EXPORTS, ids=str)
def test_what_is_exported_is_what_tensorflow_exports(tf: Any, meta: Any, options: dict[str, Any]) -> None:
    with tf.compat.v1.Graph().as_default():
        saver = tf.compat.v1.train.import_meta_graph(copied(meta))
        extra = tf.compat.v1.train.Saver()
        both = tf.compat.v1.train.export_meta_graph()
        theirs = tf.compat.v1.train.export_meta_graph(saver_def=extra.saver_def, **options)
    assert saver is not None
    graph = Graph()
    import_meta_graph_def(graph, both)

    ours = export_meta_graph_def(graph, saver_def=extra.saver_def, **options)

    assert nodes(ours.graph_def) == nodes(theirs.graph_def)
    assert sorted(ours.collection_def) == sorted(key for key, value in theirs.collection_def.items() if kind(value))
    for key, value in ours.collection_def.items():
        assert values(value) == values(theirs.collection_def[key]), key
    assert ours.saver_def.SerializeToString() == theirs.saver_def.SerializeToString()
    assert op_names(ours) == op_names(theirs)
    assert ours.meta_info_def.stripped_default_attrs == theirs.meta_info_def.stripped_default_attrs


def test_an_exported_scope_is_imported_with_its_inputs(tf: Any, meta: Any) -> None:
    graph = Graph()
    import_meta_graph_def(graph, meta)
    part = export_meta_graph_def(graph, export_scope="loop")

    with Graph().as_default(), pytest.raises(InvalidArgumentError, match=r"takes \$unbound_inputs_Const from outside"):
        import_meta_graph(part)
    with pytest.raises(ValueError, match="unbound"), tf.compat.v1.Graph().as_default():
        tf.compat.v1.train.import_meta_graph(as_tensorflow(tf, part))

    with Graph().as_default() as ours:
        ours.add_operation("Const", "start", attrs={"dtype": DataType.INT32, "value": np.array(0, np.int32)})
        import_meta_graph(part, import_scope="again", input_map={"$unbound_inputs_Const": "start"})
    with tf.compat.v1.Graph().as_default() as theirs:
        start = tf.constant(0, name="start")
        part = as_tensorflow(tf, part)
        tf.compat.v1.train.import_meta_graph(part, import_scope="again", input_map={"$unbound_inputs_Const": start})
    assert nodes(encode_graph(ours)) == nodes(theirs.as_graph_def())
    their_loop = theirs.get_collection("while_context")[0].to_proto()
    assert normal(ours.get_collection("while_context")[0]) == normal(their_loop.SerializeToString())


def imported(graph: Any, function: Any, meta: Any, **options: Any) -> Any:
    """Import within a name scope and on a device."""
    scope, device = options.pop("name_scope", None), options.pop("device", "")
    with graph.name_scope(f"{scope}/" if scope else None), graph.device(device):
        return function(meta, **options)


def copied(meta: Any) -> Any:
    """TensorFlow changes what it imports."""
    return type(meta).FromString(meta.SerializeToString())


def as_tensorflow(tf: Any, meta: Any) -> Any:
    return tf.compat.v1.MetaGraphDef.FromString(meta.SerializeToString())


def saver_names(saver: Any) -> list[str]:
    definition = saver.saver_def
    return [definition.filename_tensor_name, definition.save_tensor_name, definition.restore_op_name]


def nodes(graph_def: Any) -> dict[str, Any]:
    """What nodes say, but for the order of control inputs, defaults, and the shapes that TensorFlow infers."""
    return {
        node.name: (node.op, *inputs(graph_def, node.name, node), node.device, attrs(node)) for node in graph_def.node
    }


def inputs(graph_def: Any, name: str, node: Any = None) -> tuple[list[str], list[str]]:
    node = node or next(each for each in graph_def.node if each.name == name)
    data = [each.removesuffix(":0") for each in node.input if not each.startswith("^")]
    return data, sorted(each for each in node.input if each.startswith("^"))


def attrs(node: Any) -> dict[str, bytes]:
    said = {name: value.SerializeToString(deterministic=True) for name, value in node.attr.items()}
    said.pop("_output_shapes", None)
    return said


def collections(graph: Any) -> dict[str, list[Any]]:
    found = {key: graph.get_collection(key) for key in graph.get_all_collection_keys()}
    # TensorFlow makes objects of these, which have no names.
    found.pop("while_context")
    found["savers"] = [saver_names(saver) for saver in found["savers"]]
    return {key: [getattr(value, "name", value) for value in values] for key, values in found.items()}


def values(collection: Any) -> list[Any]:
    """The values, each once: TensorFlow names an input from outside as often as it is taken."""
    return list(dict.fromkeys(getattr(collection, collection.WhichOneof("kind")).value))


def normal(loop: bytes) -> Any:
    """A loop's context, without the order that it keeps its sets of names in."""
    message = message_class("tensorflow.WhileContextDef").FromString(loop)
    message.values_def.values.sort()
    return message


def kind(collection: Any) -> str | None:
    return collection.WhichOneof("kind")  # type: ignore[no-any-return]


def op_names(meta: Any) -> list[str]:
    return [op.name for op in meta.meta_info_def.stripped_op_list.op]
