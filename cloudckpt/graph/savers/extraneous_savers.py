"""The nodes of savers other than the one that a graph is exported with.

Source: python/framework/meta_graph.py, _find_extraneous_saver_nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.graph.names import operation_of, positions_within
from cloudckpt.graph.savers.found_restores import RESTORE_TYPES
from cloudckpt.graph.savers.found_saves import SAVE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["extraneous_saver_nodes"]


def extraneous_saver_nodes(nodes: Iterable[Any], saver_def: Any | None) -> set[str]:
    """The names of the nodes in scopes where something is saved or restored, but for the given saver's scopes.

    As TensorFlow, it takes each saver to be alone in a scope. Linear in the number of nodes.

    Args:
        nodes: NodeDef messages.
        saver_def: the saver to keep; None to keep none.
    """
    kinds = dict(sorted((node.name, node.op) for node in nodes))
    scopes = {_scope(name) for name, kind in kinds.items() if kind in SAVE_TYPES or kind in RESTORE_TYPES}
    if saver_def is not None:
        scopes -= {_scope(operation_of(name)) for name in (saver_def.save_tensor_name, saver_def.restore_op_name)}
    scopes -= {"", *kinds}
    names = list(kinds)
    return {names[position] for scope in _outermost(scopes) for position in positions_within(scope, names)}


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _outermost(scopes: Iterable[str]) -> Iterable[str]:
    """Those that are within none of the others."""
    outer = None
    for scope in sorted(f"{scope}/" for scope in scopes):
        if outer is None or not scope.startswith(outer):
            outer = scope
            yield scope[:-1]
