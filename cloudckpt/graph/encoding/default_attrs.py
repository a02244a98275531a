"""Attributes that need not be written, because they have the value that their op gives them anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["strip_default_attrs"]


def strip_default_attrs(graph_def: Any, op_defs: Mapping[str, Any]) -> None:
    """Remove the attributes of nodes, also within functions, that have their op's default.

    An older TensorFlow then reads a graph whose ops have gained attributes since, as long as none of them is used
    (python/framework/meta_graph.py, strip_graph_default_valued_attrs). A node that calls a function keeps all, and so
    does one of an op that is not described.

    Args:
        graph_def: the GraphDef, which is changed.
        op_defs: OpDef messages by the names of their ops.
    """
    functions = {function.signature.name for function in graph_def.library.function}
    defaults = {name: _defaults(op_def) for name, op_def in op_defs.items() if name not in functions}
    _strip(graph_def.node, defaults)
    for function in graph_def.library.function:
        _strip(function.node_def, defaults)


def _defaults(op_def: Any) -> dict[str, Any]:
    return {attr.name: attr.default_value for attr in op_def.attr if attr.HasField("default_value")}


def _strip(nodes: Any, defaults: Mapping[str, Mapping[str, Any]]) -> None:
    for node in nodes:
        for name, default in defaults.get(node.op, {}).items():
            if name in node.attr and node.attr[name] == default:
                del node.attr[name]
