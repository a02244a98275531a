"""The nodes of a saver, beside those that real TensorFlow's adds to the same graph: name by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.graph.encoding.graph_def import encode_graph
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor
from cloudckpt.graph.savers.saver_operations import add_saver_operations
from cloudckpt.variables.graphs.graph import Graph

V1 = 1


def plain(tf: Any) -> None:
    tf.compat.v1.Variable(np.zeros((2, 3), np.float32), name="a", use_resource=False)
    tf.compat.v1.Variable(7, name="b", use_resource=False)


def two_devices(tf: Any) -> None:
    with tf.device("/cpu:0"):
        tf.compat.v1.Variable(np.zeros((2, 3), np.float32), name="a", use_resource=False)
    with tf.device("/job:worker/task:2/device:GPU:1"):
        tf.compat.v1.Variable(7, name="b", use_resource=False)
        tf.compat.v1.Variable(b"text", name="scope/c", use_resource=False)


def resources(tf: Any) -> None:
    with tf.device("/cpu:1"):
        tf.compat.v1.Variable(np.zeros((2, 3), np.float32), name="a", use_resource=True)
    tf.compat.v1.Variable(7, name="b", use_resource=False)
    tf.compat.v1.Variable(8.0, name="c", use_resource=True)


def partitioned(tf: Any) -> None:
    partitioner = tf.compat.v1.fixed_size_partitioner(2)
    tf.compat.v1.get_variable("p", shape=(4, 2), partitioner=partitioner, use_resource=False)


def unknown_shape(tf: Any) -> None:
    value = tf.compat.v1.placeholder(tf.float32, name="value")
    tf.compat.v1.Variable(value, name="a", use_resource=False, validate_shape=False)


def colocated(tf: Any) -> None:
    first = tf.compat.v1.Variable(1.0, name="w", use_resource=False)
    with tf.compat.v1.colocate_with(first.op):
        tf.compat.v1.Variable(2.0, name="w/Momentum", use_resource=False)


def partitioned_resource(tf: Any) -> None:
    partitioner = tf.compat.v1.fixed_size_partitioner(2)
    with tf.device("/job:ps/device:GPU:1"):
        tf.compat.v1.get_variable("q", shape=(4, 2), partitioner=partitioner, use_resource=True)


GRAPHS = [plain, two_devices, resources, partitioned, partitioned_resource, unknown_shape, colocated]
SAVERS: list[dict[str, Any]] = [
    {},
    {"reshape": True},
    {"restore_sequentially": True},
    {"write_version": V1},
    {"sharded": True},
    {"sharded": True, "write_version": V1},
    {"sharded": True, "reshape": True},
    {"name": "mine", "filename": "there/model"},
    {"max_to_keep": 9, "keep_checkpoint_every_n_hours": 0.5},
    {"max_to_keep": None},
    {"bulk_restore": False},
    {"bulk_restore": False, "sharded": True},
]


PAIRS = [
    (build, options)
    for build in GRAPHS
    for options in SAVERS
    # TensorFlow would also add nodes that read each part, and that nothing takes.
    if not (build is partitioned_resource and "reshape" in options)
]


@pytest.mark.parametrize(("build", "options"), PAIRS, ids=str)
def test_the_nodes_are_those_of_tensorflow(tf: Any, build: Any, options: dict[str, Any]) -> None:
    before, theirs = exported_by_tensorflow(tf, build, options)

    graph = Graph()
    import_meta_graph_def(graph, before)
    count = len(graph.get_operations())
    shards = shards_of(graph, sharded=options.get("sharded", False))
    ours = add_saver_operations(graph, shards, **{k: v for k, v in options.items() if k != "restore_sequentially"})

    assert saver_fields(ours) == saver_fields(theirs.saver_def)
    added = encode_graph(graph).node[count:]
    assert by_name(added) == by_name(theirs.graph_def.node[count:])


@pytest.mark.parametrize("options", SAVERS, ids=str)
@pytest.mark.parametrize("build", GRAPHS)
def test_what_tensorflow_saves_is_found_in_its_nodes(tf: Any, build: Any, options: dict[str, Any]) -> None:
    _, theirs = exported_by_tensorflow(tf, build, options)
    graph = Graph()
    import_meta_graph_def(graph, theirs)

    plan = find_saver_operations(graph, theirs.saver_def)

    expected = shards_of(graph, sharded=options.get("sharded", False))
    assert [names(shard.tensors) for shard in plan.shards] == [names(shard.tensors) for shard in expected]
    assert sorted(names(plan.restored)) == sorted(each for shard in expected for each in names(shard.tensors))
    assert (plan.sharded, plan.version) == (options.get("sharded", False), options.get("write_version", 2))
    assert plan.filename == options.get("filename", "model")


def test_a_second_saver_gets_a_scope_of_its_own(tf: Any) -> None:
    with tf.compat.v1.Graph().as_default():
        plain(tf)
        theirs = [tf.compat.v1.train.Saver().saver_def for _ in range(3)]
    graph = Graph()
    import_meta_graph_def(graph, exported_by_tensorflow(tf, plain, {})[0])

    ours = [add_saver_operations(graph, shards_of(graph, sharded=False)) for _ in range(3)]

    assert [saver_fields(each) for each in ours] == [saver_fields(each) for each in theirs]
    assert ours[2].save_tensor_name == "save_2/control_dependency:0"


def exported_by_tensorflow(tf: Any, build: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """The meta graph before TensorFlow's saver was made, and with it."""
    with tf.compat.v1.Graph().as_default():
        build(tf)
        before = tf.compat.v1.train.export_meta_graph()
        return before, saver_of_tensorflow(tf, options).export_meta_graph()


def saver_of_tensorflow(tf: Any, options: dict[str, Any]) -> Any:
    options = dict(options)
    if not options.pop("bulk_restore", True):
        from tensorflow.python.training.saver import BaseSaverBuilder

        options["builder"] = BaseSaverBuilder()
    return tf.compat.v1.train.Saver(**options)


def shards_of(graph: Graph, *, sharded: bool) -> list[SavedShard]:
    """What a saver of all variables of a graph saves."""
    by_device: dict[str, list[SavedTensor]] = {}
    for variable in sorted(graph.get_collection("variables"), key=lambda each: each.op.name):
        info = variable.save_slice_info
        tensor = SavedTensor(
            name=variable.op.name if info is None else info.full_name,
            slice_spec="" if info is None else info.spec,
            source=variable.op.name,
            data_type=variable.data_type,
            shape=variable.shape,
            variable=variable.op.name,
        )
        by_device.setdefault(variable.device if sharded else "", []).append(tensor)
    return [SavedShard(device, tuple(tensors)) for device, tensors in sorted(by_device.items())]


def names(tensors: Any) -> list[tuple[Any, ...]]:
    return [(each.name, each.slice_spec, int(each.data_type), each.shape, each.variable) for each in tensors]


def saver_fields(saver_def: Any) -> dict[str, Any]:
    return {field.name: value for field, value in saver_def.ListFields()}


def by_name(nodes: Any) -> dict[str, Any]:
    """All that nodes say, but for the order of control inputs and the shapes that TensorFlow infers."""
    return {node.name: said(node) for node in nodes}


def said(node: Any) -> tuple[Any, ...]:
    attrs = {name: value.SerializeToString(deterministic=True) for name, value in node.attr.items()}
    attrs.pop("_output_shapes", None)
    data = [name for name in node.input if not name.startswith("^")]
    control = sorted(name for name in node.input if name.startswith("^"))
    return node.op, data, control, node.device, attrs


@pytest.mark.parametrize(("build", "options"), PAIRS, ids=str)
def test_the_nodes_beside_those_of_an_imported_saver_are_those_of_tensorflow(
    tf: Any, build: Any, options: dict[str, Any]
) -> None:
    """Both savers' nodes are in scope "save", where the second one's get other names."""
    _, meta = exported_by_tensorflow(tf, build, options)
    with tf.compat.v1.Graph().as_default():
        tf.compat.v1.train.import_meta_graph(type(meta).FromString(meta.SerializeToString()))
        theirs = saver_of_tensorflow(tf, options).export_meta_graph()

    graph = Graph()
    import_meta_graph_def(graph, meta)
    count = len(graph.get_operations())
    shards = shards_of(graph, sharded=options.get("sharded", False))
    ours = add_saver_operations(graph, shards, **{k: v for k, v in options.items() if k != "restore_sequentially"})

    assert saver_fields(ours) == saver_fields(theirs.saver_def)
    assert by_name(encode_graph(graph).node[count:]) == by_name(theirs.graph_def.node[count:])
