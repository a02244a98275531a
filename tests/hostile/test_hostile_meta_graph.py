"""Meta graphs whose parts were exchanged at random: each is imported, or refused by name, and soon."""

from __future__ import annotations

import gzip
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudckpt.descriptors import message_class
from cloudckpt.errors import CloudckptError
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.variables.graphs.graph import Graph
from tests.golden.meta_cases import CASES, FOLDER

TYPES = ("Assign", "Const", "Identity", "RestoreV2", "SaveV2", "ShardedFilename", "PartitionedCall", "VarHandleOp")


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_damaged_graph_is_imported_or_refused(case: str, data: st.DataObject) -> None:
    meta = message_class("tensorflow.MetaGraphDef").FromString(
        gzip.decompress((FOLDER / f"{case}.meta.gz").read_bytes())
    )
    for _ in range(data.draw(st.integers(1, 6))):
        exchange(meta, data)
    graph = Graph()
    with suppress(CloudckptError):
        import_meta_graph_def(graph, meta)
        export_meta_graph_def(graph, saver_def=meta.saver_def, export_scope="save", clear_extraneous_savers=True)
        find_saver_operations(graph, meta.saver_def)


def exchange(meta: Any, data: st.DataObject) -> None:
    """Give a node another one's input, attribute or type, or the saver another node."""
    nodes = meta.graph_def.node
    node, other = (nodes[data.draw(st.integers(0, len(nodes) - 1))] for _ in range(2))
    name = data.draw(st.sampled_from([other.name, f"^{other.name}", f"{other.name}:1", "", ":", "a:b:c"]))
    match data.draw(st.sampled_from(["input", "more", "attribute", "type", "saver", "collection"])):
        case "input" if node.input:
            node.input[data.draw(st.integers(0, len(node.input) - 1))] = name
        case "more":
            node.input.append(name)
        case "attribute" if node.attr and other.attr:
            to, of = (data.draw(st.sampled_from(sorted(each.attr))) for each in (node, other))
            node.attr[to].CopyFrom(other.attr[of])
        case "type":
            node.op = data.draw(st.sampled_from(TYPES))
        case "saver":
            fields = ["filename_tensor_name", "save_tensor_name", "restore_op_name"]
            setattr(meta.saver_def, data.draw(st.sampled_from(fields)), name)
        case "collection":
            key = data.draw(st.sampled_from(sorted(meta.collection_def)))
            meta.collection_def[key].bytes_list.value.append(data.draw(st.binary(max_size=20)))
