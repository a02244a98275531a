"""A part of a graph, and its names without the scope that it was in.

Source: python/framework/meta_graph.py, _node_def and _should_include_node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.tensor_names import decode_name, encode_name
from cloudckpt.descriptors import message_class
from cloudckpt.graph.collections import UNBOUND_INPUT
from cloudckpt.graph.colocation import CLASS_ATTR, CLASS_PREFIX
from cloudckpt.graph.names import in_scope, strip_scope

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["FRAME_NAME", "LOOP_ENTRIES", "exported_graph_def"]

LOOP_ENTRIES = frozenset({"Enter", "RefEnter"})
"""Operations that begin a loop, which has a name in their attribute `FRAME_NAME`."""
FRAME_NAME = "frame_name"


def exported_graph_def(
    graph_def: Any, export_scope: str | None, excluded: Container[str], *, clear_devices: bool
) -> tuple[Any, list[str]]:
    """Some nodes of a graph, with all its functions, and the inputs that they take from nodes that are not among them.

    Args:
        graph_def: the GraphDef, which is not changed.
        export_scope: only the nodes whose names begin with it, without it in their names.
        excluded: the names of nodes to leave out.
        clear_devices: leave out where nodes are to run.
    """
    exported = message_class("tensorflow.GraphDef")()
    exported.versions.MergeFromString(graph_def.versions.SerializeToString())
    if graph_def.HasField("library"):
        exported.library.MergeFromString(graph_def.library.SerializeToString())
    unbound: dict[str, None] = {}
    for node in graph_def.node:
        if node.name not in excluded and (node.name.startswith(UNBOUND_INPUT) or in_scope(node.name, export_scope)):
            kept = exported.node.add()
            kept.MergeFromString(node.SerializeToString())
            if export_scope:
                _leave_scope(kept, export_scope, unbound)
            if clear_devices:
                kept.device = ""
    return exported, list(unbound)


def _leave_scope(node: Any, scope: str, unbound: dict[str, None]) -> None:
    for position, name in enumerate(node.input):
        if name.lstrip("^").startswith(scope):
            node.input[position] = strip_scope(name, scope)
        else:
            control = "^" if name.startswith("^") else ""
            node.input[position] = f"{control}{UNBOUND_INPUT}{name.removeprefix('^')}"
            unbound[node.input[position]] = None
    node.name = strip_scope(node.name, scope)
    if CLASS_ATTR in node.attr:
        classes = node.attr[CLASS_ATTR].list.s
        classes[:] = [
            encode_name(strip_scope(decode_name(name), scope))
            for name in classes
            if not name.startswith(CLASS_PREFIX) or name[len(CLASS_PREFIX) :].startswith(scope.encode())
        ]
    if node.op in LOOP_ENTRIES and FRAME_NAME in node.attr:
        frame = node.attr[FRAME_NAME]
        frame.s = encode_name(strip_scope(decode_name(frame.s), scope))
