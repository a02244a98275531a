"""Graphs written beside checkpoints, and what comes back of them: variables, collections and the saver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CloudckptError, InvalidArgumentError
from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import session_with
from tests.programs.observations import Raised, files, outcome, stored, values

if TYPE_CHECKING:
    from pathlib import Path

MetaGraphDef = message_class("tensorflow.MetaGraphDef")


def build(tf: Any) -> Any:
    """A model with scopes, devices and collections; its saver."""
    with tf.device("/cpu:0"):
        w = tf.Variable([1.0, 2.0], name="w")
    with tf.name_scope("head"):
        tf.Variable(3, name="b", trainable=False)
    tf.add_to_collection("favourites", w)
    tf.add_to_collection("numbers", 7)
    tf.add_to_collection("words", "text")
    return tf.train.Saver(max_to_keep=3, keep_checkpoint_every_n_hours=2)


def save(tf: Any, directory: Path, **options: Any) -> str:
    """A checkpoint of the model, with its meta graph."""
    with tf.Graph().as_default(), tf.Session() as session:
        saver = build(tf)
        session.run(tf.global_variables_initializer())
        return saver.save(session, str(directory / "model"), global_step=1, **options)


def describe(tf: Any) -> dict[str, Any]:
    """What the default graph holds that a program asks for."""
    return {
        "variables": [[v.name, list(v.shape), v.dtype.base_dtype.name, v.device] for v in tf.global_variables()],
        "trainable": [v.name for v in tf.trainable_variables()],
        "favourites": [v.name for v in tf.get_collection("favourites")],
        "numbers": tf.get_collection("numbers"),
        "words": [bytes(word) if isinstance(word, bytes) else word for word in tf.get_collection("words")],
        "collections": sorted(map(str, tf.get_default_graph().get_all_collection_keys())),
    }


def nodes(meta: Any) -> dict[str, list[Any]]:
    """The nodes of a meta graph: what they are, where, what they take, and which attributes they say."""
    return {
        node.name: [node.op, node.device, list(node.input), sorted(name for name in node.attr if name[0] != "_")]
        for node in meta.graph_def.node
    }


SAVES: dict[str, dict[str, Any]] = {
    "default": {},
    "no meta graph": {"write_meta_graph": False},
    "a suffix": {"meta_graph_suffix": "graph"},
    "stripped": {"strip_default_attrs": True},
    "debug info": {"save_debug_info": True},
    "no state": {"write_state": False},
}


@pytest.mark.parametrize("options", SAVES)
@over_both()
def test_files_that_a_save_writes(tf: Any, directory: Path, clock: Any, options: str) -> Any:
    returned = save(tf, directory, **SAVES[options])
    metas = [MetaGraphDef.FromString(file.read_bytes()) for file in directory.glob("*.meta")]
    return {"returned": returned, "files": files(directory), "nodes": [nodes(meta) for meta in metas]}


@over_both()
def test_a_job_that_goes_on_from_its_meta_graph_alone(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default(), later.Session() as session:
        saver = later.train.import_meta_graph(prefix + ".meta")
        saver.restore(session, prefix)
        restored = values(session, "w:0", "head/b:0")
        later.global_variables()[0].load([8.0, 9.0], session)
        again = saver.save(session, str(directory / "model"), global_step=2)
        observed = {"values": restored, "again": again, "stored": stored(later, again), "graph": describe(later)}
    return observed | {"last": saver.last_checkpoints, "files": files(directory)}


IMPORTS: dict[str, dict[str, Any]] = {
    "as it was": {},
    "without devices": {"clear_devices": True},
    "in a scope": {"import_scope": "imported"},
    "in scopes": {"import_scope": "one/two", "clear_devices": True},
}


@pytest.mark.parametrize("options", IMPORTS)
@over_both()
def test_import_meta_graph(tf: Any, later: Any, directory: Path, clock: Any, options: str) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default(), later.Session() as session:
        saver = later.train.import_meta_graph(prefix + ".meta", **IMPORTS[options])
        saver.restore(session, prefix)
        restored = values(session, *later.global_variables())
        return {"graph": describe(later), "values": restored, "saver": str(saver.as_saver_def())}


@over_both()
def test_import_into_a_graph_that_has_variables(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default(), later.Session() as session:
        w = later.Variable([0.0, 0.0], name="w")
        later.train.import_meta_graph(prefix + ".meta", import_scope="old").restore(session, prefix)
        session.run(w.initializer)
        everything = later.train.Saver().save(session, str(directory / "both"))
        return {"stored": stored(later, everything), "graph": describe(later)}


EXPORTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "text": {"as_text": True},
    "some collections": {"collection_list": ["favourites", "variables"]},
    "no collections": {"collection_list": []},
    "without devices": {"clear_devices": True},
    "without other savers": {"clear_extraneous_savers": True},
    "a scope": {"export_scope": "head"},
    "debug info": {"save_debug_info": True},
    "stripped": {"strip_default_attrs": True},
}


@pytest.mark.parametrize("options", EXPORTS)
@over_both()
def test_export_meta_graph_of_a_saver(tf: Any, later: Any, directory: Path, clock: Any, options: str) -> Any:
    name = str(directory / "graph.meta")
    with tf.Graph().as_default():
        saver = build(tf)
        tf.train.Saver([tf.global_variables()[0]])
        meta = saver.export_meta_graph(name, **EXPORTS[options])
    with later.Graph().as_default():
        back = later.train.import_meta_graph(name)
        graph = describe(later)
    return {
        "files": files(directory),
        "is text": b"graph_def {" in (directory / "graph.meta").read_bytes(),
        "collections": sorted(meta.collection_def),
        "nodes": nodes(meta),
        "saver": str(meta.saver_def),
        "graph": graph,
        "came back": back is not None,
    }


@over_both()
def test_export_meta_graph_of_a_graph(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default() as graph:
        saver = build(tf)
    with tf.Graph().as_default():
        metas = {
            "another graph": tf.train.export_meta_graph(graph=graph),
            "with a saver": tf.train.export_meta_graph(graph=graph, saver_def=saver.as_saver_def()),
            "collections": tf.train.export_meta_graph(graph=graph, collection_list=["words"]),
        }
        observed = {name: [nodes(meta), sorted(meta.collection_def)] for name, meta in metas.items()}
        observed["has saver"] = [meta.HasField("saver_def") for meta in metas.values()]
        # Without a saver_def, one of all variables comes back.
        observed["saver"] = tf.train.import_meta_graph(metas["another graph"]) is not None
    return observed | {"files": files(directory)}


@over_both()
def test_a_graph_without_variables(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default():
        tf.add_to_collection("words", "text")
        meta = tf.train.export_meta_graph(str(directory / "empty.meta"))
        return {"saver": tf.train.import_meta_graph(str(directory / "empty.meta")), "nodes": nodes(meta)}


@over_both()
def test_no_meta_graph_or_half_of_one(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "half.meta").write_text("graph_def {")
    with tf.Graph().as_default():
        return {
            name: outcome(lambda name=name: tf.train.import_meta_graph(str(directory / f"{name}.meta")))
            for name in ("none", "half")
        }


DAMAGED = "the error names the file and what is wrong with it"


@over_both(
    bytes=Departure(DAMAGED, UnicodeDecodeError, CheckpointDamagedError),
    folder=Departure(DAMAGED, lambda raised: raised.error.__name__ == "FailedPreconditionError", CloudckptError),
)
def test_files_that_are_no_meta_graph(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "bytes.meta").write_bytes(b"\xff\xff\xff")
    (directory / "folder.meta").mkdir()
    with tf.Graph().as_default():
        return {
            name: outcome(lambda name=name: tf.train.import_meta_graph(str(directory / f"{name}.meta")))
            for name in ("bytes", "folder")
        }


@over_both()
def test_meta_graphs_need_a_graph(tf: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    return {
        "import": outcome(lambda: tf.train.import_meta_graph(prefix + ".meta")),
        "export": outcome(lambda: tf.train.export_meta_graph(str(directory / "graph.meta"))),
    }


@over_both()
def test_collections_of_all_kinds(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    kinds: dict[str, list[Any]] = {
        "ints": [1, -2, 2**40],
        "floats": [0.5, -1e30],
        "words": ["a", "日本"],
        "bytes": [b"\x00\xff"],
        "nothing": [],
        "mixed": [1, "a"],
        "objects": [object()],
    }
    with tf.Graph().as_default() as graph:
        w = tf.Variable(1.0, name="w")
        for key, items in (
            kinds | {"operations": [w.op, w.initializer], "tensors": [w.value()], "both": [w, w.op]}
        ).items():
            for item in items:
                tf.add_to_collection(key, item)
        written = outcome(lambda: tf.train.export_meta_graph(str(directory / "graph.meta"), graph=graph))
        meta = None if isinstance(written, Raised) else written
    with later.Graph().as_default():
        if meta is not None:
            later.train.import_meta_graph(str(directory / "graph.meta"))
        found = {key: later.get_collection(key) for key in later.get_default_graph().get_all_collection_keys()}
    return {
        "written": meta is not None,
        "kinds": meta and {key: definition.WhichOneof("kind") for key, definition in meta.collection_def.items()},
        "found": {key: [getattr(item, "name", item) for item in items] for key, items in found.items()},
    }


@over_both()
def test_a_graph_that_is_imported_twice(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default(), later.Session() as session:
        savers = [
            later.train.import_meta_graph(prefix + ".meta", import_scope=scope) for scope in ("one", "one", "two")
        ]
        for saver in savers:
            saver.restore(session, prefix)
        return {"graph": describe(later), "savers": [str(saver.as_saver_def()) for saver in savers]}


@over_both()
def test_a_graph_that_is_imported_over_itself(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default():
        later.train.import_meta_graph(prefix + ".meta")
        again = outcome(lambda: later.train.import_meta_graph(prefix + ".meta"))
        return {"again": again if isinstance(again, Raised) else str(again.as_saver_def()), "graph": describe(later)}


@over_both()
def test_collections_that_are_not_wanted(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default():
        later.train.import_meta_graph(prefix + ".meta", restore_collections_predicate=lambda key: key != "numbers")
        return {"graph": describe(later)}


@over_both()
def test_a_graph_that_goes_through_many_hands(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    """Exported, imported into a scope, exported from it, and imported again, it is what it was."""
    prefix = save(tf, directory)
    with later.Graph().as_default():
        later.train.import_meta_graph(prefix + ".meta", import_scope="scope")
        later.train.export_meta_graph(str(directory / "again.meta"), export_scope="scope", as_text=True)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(str(directory / "again.meta"))
        tf.train.Saver().restore(session, prefix)
        graph = tf.train.export_meta_graph()
        return {"graph": describe(tf), "nodes": nodes(graph), "values": [session.run("w:0"), session.run("head/b:0")]}


@over_both(
    ran=Departure(
        "the nodes are written for TensorFlow; here a saver restores without them",
        [[1.0, 2.0]],
        InvalidArgumentError,
    )
)
def test_nodes_of_a_saver_that_are_run(tf: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with tf.Graph().as_default(), tf.Session() as session:
        definition = build(tf).as_saver_def()
        feed = {definition.filename_tensor_name: prefix}
        return {"ran": outcome(lambda: session.run(definition.restore_op_name, feed) or values(session, "w:0"))}


@over_both()
def test_two_sessions_over_one_graph(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory)
    with later.Graph().as_default() as graph:
        saver = later.train.import_meta_graph(prefix + ".meta")
    with later.Session(graph=graph) as one, later.Session(graph=graph) as other:
        saver.restore(one, prefix)
        saver.restore(other, prefix)
        with graph.as_default():
            later.global_variables()[0].load([5.0, 6.0], other)
        saved = saver.save(other, str(directory / "other"), write_meta_graph=False)
        return {"one": values(one, "w:0"), "other": values(other, "w:0"), "stored": stored(later, saved)}


@over_both()
def test_a_session_of_another_graph(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default():
        saver = build(tf)
    with session_with(tf, v=1.0) as (session, _):
        saved = outcome(lambda: saver.save(session, str(directory / "model")))
    return {"refused": isinstance(saved, Raised), "files": files(directory)}
