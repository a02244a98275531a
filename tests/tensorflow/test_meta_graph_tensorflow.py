"""`.meta` files both ways: real TensorFlow goes on from ours, and we from its, with all that is in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt.train
from cloudckpt.descriptors import message_class
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.train import Saver, SaverDef, export_meta_graph, import_meta_graph, load_checkpoint
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.partitions.partitioners import fixed_size_partitioner
from cloudckpt.variables.scopes.get_variable import get_variable
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from cloudckpt.variables.variable_lists import global_variables_initializer
from tests.tensorflow.real_graphs import read, real_files

if TYPE_CHECKING:
    from pathlib import Path

SAVERS: list[dict[str, Any]] = [
    {},
    {"sharded": True},
    {"write_version": SaverDef.V1},
    {"sharded": True, "write_version": SaverDef.V1},
    {"reshape": True},
    {"restore_sequentially": True},
    {"max_to_keep": 2, "keep_checkpoint_every_n_hours": 0.5, "name": "mine"},
]


def our_variables() -> dict[str, Any]:
    """Variables of several devices, scopes, shapes and dtypes, and one in parts; their values by operation."""
    graph = Graph()
    with graph.as_default():
        with graph.device("/cpu:0"), graph.name_scope("layer"):
            Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="w")
        with graph.device("/cpu:1"):
            Variable(np.array([b"a", b"\xff\0"], object), name="words", trainable=False)
            Variable(np.int64(7), name="step", trainable=False)
        Variable(np.arange(7000, dtype=np.float64).reshape(70, 100), name="large")
        Variable(np.full((70, 100), 0.5, np.float64), name="halves")
        get_variable("table", shape=(5, 2), initializer=_counted, partitioner=fixed_size_partitioner(2))
    return {variable.op.name: variable.numpy() for variable in graph.get_collection("variables")} | {"graph": graph}


def _counted(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("options", SAVERS, ids=str)
def test_tensorflow_restores_runs_and_saves_our_graph(tf: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    values = our_variables()
    graph = values.pop("graph")
    with graph.as_default():
        saver = Saver(**options)
        with Session() as session:
            session.run(global_variables_initializer())
            path = saver.save(session, str(tmp_path / "ours"), global_step=3)

    again = tmp_path / "again"
    again.mkdir()
    with tf.compat.v1.Graph().as_default(), two_devices(tf) as session:
        theirs = tf.compat.v1.train.import_meta_graph(str(tmp_path / "ours-3.meta"))
        theirs.restore(session, path)
        restored = session.run({name: f"{name}:0" for name in values})
        assert_same(restored, values)
        assert [each.name for each in tf.compat.v1.trainable_variables()] == [
            each.name for each in graph.get_collection("trainable_variables")
        ]
        assert theirs.as_saver_def().SerializeToString() == saver.as_saver_def().SerializeToString()
        second = theirs.save(session, str(again / "model"))

    first, copied = load_checkpoint(path), load_checkpoint(second)
    assert copied.get_variable_to_shape_map() == first.get_variable_to_shape_map()
    for name in first.get_variable_to_shape_map():
        np.testing.assert_array_equal(copied.get_tensor(name), first.get_tensor(name))


def test_tensorflow_initializes_our_graph(tf: Any, tmp_path: Path) -> None:
    values = our_variables()
    with values.pop("graph").as_default(), Session() as session:
        session.run(global_variables_initializer())
        Saver().save(session, str(tmp_path / "ours"))
    with tf.compat.v1.Graph().as_default(), two_devices(tf) as session:
        tf.compat.v1.train.import_meta_graph(str(tmp_path / "ours.meta"))
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="must feed a value for placeholder tensor 'large/initial_value'"
        ):
            session.run(tf.compat.v1.global_variables_initializer())
        session.run(tf.compat.v1.global_variables_initializer(), {"large/initial_value:0": values["large"]})
        assert_same(session.run({name: f"{name}:0" for name in values}), values)


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("options", SAVERS, ids=str)
def test_we_restore_and_save_tensorflows_graph(
    tf: Any, tmp_path: Path, options: dict[str, Any], use_resource: bool
) -> None:
    with tf.compat.v1.Graph().as_default(), two_devices(tf) as session:
        model(tf, use_resource=use_resource)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(**options)
        path = saver.save(session, str(tmp_path / "theirs"), global_step=7)
        values = {each.op.name: session.run(each) for each in tf.compat.v1.global_variables()}
        trainable = [each.op.name for each in tf.compat.v1.trainable_variables()]
        layer = session.run("layer/out:0", {"x:0": np.ones((1, 2), np.float32)})

    graph = Graph()
    with graph.as_default():
        ours = import_meta_graph(str(tmp_path / "theirs-7.meta"))
        assert ours is not None
        with Session() as session:
            ours.restore(session, path)
            assert_same({name: session.run(f"{name}:0") for name in values}, values)
            again = ours.save(session, str(tmp_path / "again"), global_step=8)
    variables = {each.op.name: each for each in graph.get_collection("variables")}
    assert {name: each.shape for name, each in variables.items()} == {name: v.shape for name, v in values.items()}
    assert [each.op.name for each in graph.get_collection("trainable_variables")] == trainable
    assert ours.as_saver_def().SerializeToString() == saver.as_saver_def().SerializeToString()

    with tf.compat.v1.Graph().as_default(), two_devices(tf) as session:
        theirs = tf.compat.v1.train.import_meta_graph(str(tmp_path / "again-8.meta"))
        theirs.restore(session, again)
        variables = tf.compat.v1.global_variables()
        assert_same(session.run({each.op.name: each for each in variables}), values)
        np.testing.assert_array_equal(session.run("layer/out:0", {"x:0": np.ones((1, 2), np.float32)}), layer)


def test_a_table_and_what_it_holds_is_restored_and_saved(tf: Any, tmp_path: Path) -> None:
    from tensorflow.python.ops.lookup_ops import MutableHashTable

    with tf.compat.v1.Graph().as_default(), tf.compat.v1.Session() as session:
        table = MutableHashTable(tf.string, tf.int64, -1, name="table", checkpoint=True)
        tf.compat.v1.Variable(2.5, name="w", use_resource=False)
        table.lookup(tf.constant(["two", "none"]), name="found")
        session.run([tf.compat.v1.global_variables_initializer(), table.insert(["one", "two"], [1, 2])])
        path = tf.compat.v1.train.Saver().save(session, str(tmp_path / "theirs"))

    with Graph().as_default(), Session() as session:
        saver = import_meta_graph(f"{path}.meta")
        assert saver is not None
        saver.restore(session, path)
        again = saver.save(session, str(tmp_path / "again"))

    with tf.compat.v1.Graph().as_default(), tf.compat.v1.Session() as session:
        theirs = tf.compat.v1.train.import_meta_graph(f"{again}.meta")
        theirs.restore(session, again)
        found = session.graph.get_operation_by_name("found/LookupTableFindV2").outputs[0]
        assert session.run([found, "w:0"]) == [pytest.approx([2, -1]), 2.5]


def test_collections_come_back(tf: Any, tmp_path: Path) -> None:
    with tf.compat.v1.Graph().as_default() as theirs:
        w = tf.compat.v1.Variable(1.0, name="w", use_resource=False)
        for key, value in (("texts", "a"), ("ints", 3), ("floats", 0.5), ("ops", w.op), ("tensors", w.read_value())):
            theirs.add_to_collection(key, value)
        tf.compat.v1.train.export_meta_graph(str(tmp_path / "theirs.meta"))
        tensor = theirs.get_collection("tensors")[0].name

    with Graph().as_default() as ours:
        import_meta_graph(tmp_path / "theirs.meta")
        export_meta_graph(str(tmp_path / "ours.meta"), as_text=True)
    assert ours.get_collection("texts") == [b"a"]
    assert ours.get_collection("ints") + ours.get_collection("floats") == [3, 0.5]
    assert ours.get_collection("ops") == [ours.get_operation_by_name("w")]
    assert ours.get_collection("tensors") == [ours.get_tensor_by_name(tensor)]

    with tf.compat.v1.Graph().as_default() as again:
        tf.compat.v1.train.import_meta_graph(str(tmp_path / "ours.meta"))
        assert again.get_collection("texts") == [b"a"]
        assert again.get_collection("ops")[0].name == "w"
        assert again.get_collection("tensors")[0].name == tensor


def test_a_graph_without_a_saver_gets_one_of_all_variables_or_none(tf: Any) -> None:
    with tf.compat.v1.Graph().as_default():
        tf.constant(1.0)
        without = tf.compat.v1.train.export_meta_graph()
        tf.compat.v1.Variable(1.0, name="w", use_resource=False)
        with_variable = tf.compat.v1.train.export_meta_graph()
    for meta in (without, with_variable):
        with tf.compat.v1.Graph().as_default():
            theirs = tf.compat.v1.train.import_meta_graph(meta)
        with Graph().as_default():
            ours = import_meta_graph(meta)
        assert (ours is None) == (theirs is None)
    assert ours is not None
    assert ours.as_saver_def().SerializeToString() == theirs.as_saver_def().SerializeToString()


def test_there_is_no_graph_to_import_or_export_eagerly(tf: Any) -> None:
    for train in (tf.compat.v1.train, cloudckpt.train):
        with pytest.raises(RuntimeError, match="graph"):
            train.import_meta_graph(tf.compat.v1.MetaGraphDef())
        with pytest.raises(RuntimeError, match="graph"):
            train.export_meta_graph()


def test_graphs_of_real_programs_come_through_unchanged(tf: Any, real_checkpoints: Path) -> None:
    """What is imported and exported again is the same: nodes, functions, versions, ops, and what the saver saves."""
    graphs = 0
    for path, kind in real_files(real_checkpoints):
        file = read(path, message_class(f"tensorflow.{kind}")())
        for meta in file.meta_graphs if kind == "SavedModel" else [file]:
            graph = Graph()
            saver_def = meta.saver_def if meta.HasField("saver_def") else None
            import_meta_graph_def(graph, meta)
            again = export_meta_graph_def(graph, saver_def=saver_def)
            assert again.graph_def == meta.graph_def, path
            assert sorted(again.collection_def) == sorted(meta.collection_def), path
            theirs = {op.name: op for op in meta.meta_info_def.stripped_op_list.op}
            for op in again.meta_info_def.stripped_op_list.op:
                assert op == theirs.get(op.name, op), path
            if saver_def is not None:
                plan = find_saver_operations(graph, saver_def)
                saved = {each.variable for shard in plan.shards for each in shard.tensors} - {""}
                assert saved == {each.variable for each in plan.restored}, path
            graphs += 1
    assert graphs > 30


def test_variables_of_real_programs_are_restored(tf: Any, real_checkpoints: Path) -> None:
    """Every `.meta` that stands beside its checkpoint."""
    restored = 0
    for path, kind in real_files(real_checkpoints):
        prefix = str(path).removesuffix(".meta")
        if kind != "MetaGraphDef" or not (os.path.exists(prefix) or os.path.exists(f"{prefix}.index")):
            continue
        stored = load_checkpoint(prefix)
        with Graph().as_default() as graph, Session() as session:
            saver = import_meta_graph(path)
            assert saver is not None
            saver.restore(session, prefix)
            for tensor in find_saver_operations(graph, saver.as_saver_def()).restored:
                np.testing.assert_array_equal(session.read(tensor.variable), stored.get_tensor(tensor.name))
                restored += 1
    assert restored > 100


def test_saved_models_of_real_programs_are_saved_again_as_tensorflow_does(
    tf: Any, real_checkpoints: Path, tmp_path: Path
) -> None:
    """Each whose variables are beside it: the same tensors, the object graph of TensorFlow 2 among them."""
    saved = 0
    for path, kind in real_files(real_checkpoints):
        variables = path.parent / "variables" / "variables"
        if kind != "SavedModel" or not os.path.exists(f"{variables}.index") or "tfdf" in path.parent.name:
            continue  # that of decision forests has ops which TensorFlow itself lacks
        meta = read(path, message_class("tensorflow.SavedModel")()).meta_graphs[0].SerializeToString()
        paths = []
        for train, graph, session in (
            (tf.compat.v1.train, tf.compat.v1.Graph(), tf.compat.v1.Session),
            (cloudckpt.train, Graph(), Session),
        ):
            with graph.as_default(), session() as opened:
                saver = train.import_meta_graph(tf.compat.v1.MetaGraphDef.FromString(meta))
                saver.restore(opened, str(variables))
                paths.append(saver.save(opened, str(tmp_path / f"{saved}-{len(paths)}")))
        theirs, ours = map(load_checkpoint, paths)
        assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map(), path
        for name in theirs.get_variable_to_shape_map():
            np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name), err_msg=f"{path}: {name}")
        saved += 1
    assert saved > 10


def model(tf: Any, *, use_resource: bool) -> None:
    """A layer, an optimizer's step, variables of two devices, one in parts, one that is not trained."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, (None, 2), name="x")
    with v1.variable_scope("layer", use_resource=use_resource):
        with tf.device("/cpu:0"):
            w = v1.get_variable("w", initializer=np.arange(6, dtype=np.float32).reshape(2, 3))
        with tf.device("/cpu:1"):
            b = v1.get_variable("b", initializer=np.array([1.0, 2.0, 3.0], np.float32))
        out = tf.add(tf.matmul(x, w), b, name="out")
        v1.get_variable("table", (5, 2), partitioner=v1.fixed_size_partitioner(2))
        v1.get_variable("words", initializer=np.array([b"a", b"bc"], object), trainable=False)
    step = v1.train.get_or_create_global_step()
    v1.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(out), global_step=step)


def two_devices(tf: Any) -> Any:
    return tf.compat.v1.Session(config=tf.compat.v1.ConfigProto(device_count={"CPU": 2}))


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.asarray(found[name]).dtype == np.asarray(value).dtype, name
        np.testing.assert_array_equal(found[name], value, err_msg=name)
