"""What a graph is exported with, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.savers.save_plan import SavedShard
from cloudckpt.graph.savers.saver_operations import add_saver_operations
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.variable import Variable
from tests.graph.saver_graphs import graph_of, saved


@pytest.fixture
def graph() -> Graph:
    """A variable, two savers and a collection of them."""
    graph = graph_of(saved("w"), device="/cpu:1")
    for _ in range(2):
        saver_def = add_saver_operations(graph, [SavedShard("", (saved("w"),))])
        graph.add_to_collection("savers", saver_def)
    return graph


def test_it_says_no_version_of_tensorflow(graph: Graph) -> None:
    info = export_meta_graph_def(graph).meta_info_def
    assert (info.tensorflow_version, info.tensorflow_git_version) == ("", "")
    assert {op.name for op in info.stripped_op_list.op} >= {"VariableV2", "SaveV2", "Assign"}


def test_what_the_user_says_of_it_is_kept(graph: Graph) -> None:
    info = message_class("tensorflow.MetaGraphDef.MetaInfoDef")(meta_graph_version="mine", tags=["serve"])
    info.stripped_op_list.op.add(name="Own")
    said = export_meta_graph_def(graph, meta_info_def=info).meta_info_def
    assert (said.meta_graph_version, list(said.tags)) == ("mine", ["serve"])
    assert [op.name for op in said.stripped_op_list.op] == ["Own"]


def test_devices_are_left_out(graph: Graph) -> None:
    assert {node.device for node in export_meta_graph_def(graph).graph_def.node} > {""}
    assert {node.device for node in export_meta_graph_def(graph, clear_devices=True).graph_def.node} == {""}
    assert graph.get_operation_by_name("w").device == "/device:CPU:1"


@pytest.mark.parametrize("keep", [0, 1, None])
def test_other_savers_are_left_out(graph: Graph, keep: int | None) -> None:
    savers = graph.get_collection("savers")
    saver_def = None if keep is None else savers[keep]
    meta = export_meta_graph_def(graph, saver_def=saver_def, clear_extraneous_savers=True)

    scopes = {node.name.partition("/")[0] for node in meta.graph_def.node}
    assert scopes == ({"w"} if keep is None else {"w", ("save", "save_1")[keep]})
    kept = meta.collection_def["savers"].bytes_list.value
    assert list(kept) == ([] if saver_def is None else [saver_def.SerializeToString()])


def test_another_graph_def_is_exported_in_place_of_the_nodes(graph: Graph) -> None:
    other = message_class("tensorflow.GraphDef")()
    other.node.add(name="other", op="NoOp", device="/cpu:0")
    meta = export_meta_graph_def(graph, graph_def=other, clear_devices=True)
    assert [node.name for node in meta.graph_def.node] == ["other"]
    assert "savers" in meta.collection_def
    assert other.node[0].device == "/cpu:0"


def test_default_attributes_are_left_out(graph: Graph) -> None:
    def attributes(**options: bool) -> set[str]:
        nodes = export_meta_graph_def(graph, **options).graph_def.node
        return {name for node in nodes if node.name == "w" for name in node.attr}

    assert attributes() == {"container", "dtype", "shape", "shared_name"}
    assert attributes(strip_default_attrs=True) == {"dtype", "shape"}


def test_what_a_scope_takes_from_outside_is_named() -> None:
    with Graph().as_default() as graph:
        Variable(np.float32(1), name="w")
        with graph.name_scope("s"), graph.control_dependencies([graph.get_operation_by_name("w/Assign")]):
            graph.add_operation("Identity", "x", inputs=("w",), attrs={"_class": ["loc:@w", "loc:@s/x", "else"]})
            graph.add_operation("Enter", "y", inputs=("s/x",), attrs={"frame_name": "s/loop"})
    graph.add_to_collection("unbound_inputs", "left over")

    meta = export_meta_graph_def(graph, export_scope="s")

    x, y = meta.graph_def.node
    assert (x.name, list(x.input)) == ("x", ["$unbound_inputs_w", "^$unbound_inputs_w/Assign"])
    assert list(x.attr["_class"].list.s) == [b"loc:@x", b"else"]
    assert (y.input[0], y.attr["frame_name"].s) == ("x", b"loop")
    unbound = [b"$unbound_inputs_w", b"^$unbound_inputs_w/Assign"]
    assert sorted(meta.collection_def["unbound_inputs"].bytes_list.value) == unbound
    assert "variables" not in meta.collection_def
    renamed = export_meta_graph_def(graph, export_scope="s", unbound_inputs_col_name="inputs")
    assert sorted(renamed.collection_def["inputs"].bytes_list.value) == unbound
    assert graph.get_collection("unbound_inputs") == ["left over"]
