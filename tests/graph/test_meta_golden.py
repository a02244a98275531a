"""Our graphs beside `.meta` files that real TensorFlow wrote of the same programs, node by node and byte by byte."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

import cloudckpt.compat.v1 as tf
from cloudckpt.descriptors import message_class
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from tests.golden.meta_cases import CASES, FOLDER, make


def golden(case: str) -> Any:
    data = gzip.decompress((FOLDER / f"{case}.meta.gz").read_bytes())
    return message_class("tensorflow.MetaGraphDef").FromString(data)


def test_every_case_has_its_file() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{case}.meta.gz" for case in CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_same_program_makes_the_same_graph(case: str) -> None:
    with tf.Graph().as_default():
        saver, _ = make(tf, case)
        ours = saver.export_meta_graph()
    theirs = golden(case)

    assert [node.name for node in ours.graph_def.node] == [node.name for node in theirs.graph_def.node]
    for our_node, their_node in zip(ours.graph_def.node, theirs.graph_def.node, strict=True):
        assert said(our_node) == said(their_node), our_node.name
    assert ours.saver_def == theirs.saver_def
    assert dict(ours.collection_def) == dict(theirs.collection_def)
    assert op_names(ours) == op_names(theirs)


@pytest.mark.parametrize("case", CASES)
def test_what_is_imported_is_exported_again(case: str) -> None:
    theirs, graph = golden(case), tf.Graph()
    import_meta_graph_def(graph, theirs)

    again = export_meta_graph_def(graph, saver_def=theirs.saver_def)

    assert again.graph_def == theirs.graph_def
    assert again.saver_def == theirs.saver_def
    assert dict(again.collection_def) == dict(theirs.collection_def)
    assert again.meta_info_def.stripped_op_list == theirs.meta_info_def.stripped_op_list


@pytest.mark.parametrize("case", CASES)
def test_what_their_saver_saves_is_what_ours_saves(case: str) -> None:
    theirs, imported = golden(case), tf.Graph()
    import_meta_graph_def(imported, theirs)
    with tf.Graph().as_default() as graph:
        ours = make(tf, case)[0].as_saver_def()

    assert find_saver_operations(imported, theirs.saver_def) == find_saver_operations(graph, ours)


def said(node: Any) -> tuple[Any, ...]:
    """All that a node says, but for the order of control inputs, and the shapes that TensorFlow infers."""
    attrs = {name: value for name, value in node.attr.items() if name != "_output_shapes"}
    control = sorted(name for name in node.input if name.startswith("^"))
    return node.op, [name for name in node.input if not name.startswith("^")], control, node.device, attrs


def op_names(meta: Any) -> list[str]:
    return [op.name for op in meta.meta_info_def.stripped_op_list.op]
