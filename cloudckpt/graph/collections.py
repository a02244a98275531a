"""A graph's collections as CollectionDefs.

Variables and savers are kept as messages, operations and tensors by name, numbers and strings as they are; what is
none of these is left out, with a warning.

Source: python/framework/meta_graph.py, add_collection_def and import_scoped_meta_graph_with_return_elements; which
collections are kept as messages: register_proto_function in python/ops/ref_variable.py and training/saver.py.
"""

from __future__ import annotations

import logging
import operator
from typing import TYPE_CHECKING, Any, Final

from cloudckpt.descriptors import message_class
from cloudckpt.errors import CloudckptError
from cloudckpt.graph.context_names import NAMED_CONTEXTS, moved_out_of_scope
from cloudckpt.graph.names import in_scope, operation_of, strip_scope
from cloudckpt.graph.savers.saver_names import moved_out_of
from cloudckpt.graph.variable_def import encode_variable
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["UNBOUND_INPUT", "VARIABLE_COLLECTIONS", "encode_collection"]

logger = logging.getLogger(__name__)

VARIABLE_COLLECTIONS: Final = frozenset(
    {
        GraphKeys.GLOBAL_VARIABLES,
        GraphKeys.TRAINABLE_VARIABLES,
        GraphKeys.MOVING_AVERAGE_VARIABLES,
        GraphKeys.LOCAL_VARIABLES,
        GraphKeys.MODEL_VARIABLES,
        GraphKeys.METRIC_VARIABLES,
        GraphKeys.GLOBAL_STEP,
    }
)
"""Collections whose values are kept as VariableDefs."""
_EMPTY_KIND: Final = b"\n\x00"
"""A CollectionDef of a kind, and without values."""
UNBOUND_INPUT: Final = "$unbound_inputs_"
"""What the name of a tensor begins with that a graph takes from outside of the scope that was exported."""


def encode_collection(
    graph: Graph,
    key: Any,
    values: Iterable[Any],
    *,
    export_scope: str | None = None,
    excluded: Container[str] = frozenset(),
) -> Any:
    """The CollectionDef of a collection's values; None of an empty one, and of one that can't be kept.

    Args:
        graph: whose collection it is.
        key: its name; one that is no string is not kept.
        values: what is in it.
        export_scope: only what is in this scope, by names without it.
        excluded: names of operations that are left out of the graph, and so of its collections.
    """
    if not isinstance(key, str):
        logger.warning("collection %r is not exported: only those are that have a string as their name", key)
        return None
    included = [value for value in values if _is_included(value, export_scope, excluded)]
    if not included:
        return None
    message = message_class("tensorflow.CollectionDef")()
    try:
        _encode(message, graph, key, included, export_scope)
    except (CloudckptError, AttributeError, TypeError, ValueError, KeyError, RuntimeError) as error:
        logger.warning("collection %r is not exported, because of what is in it: %s", key, error)
        return None
    return message if message.ByteSize() > len(_EMPTY_KIND) else None


def _is_included(value: Any, export_scope: str | None, excluded: Container[str]) -> bool:
    name = value if isinstance(value, str) else getattr(value, "name", None)
    if not isinstance(name, str):
        return True
    if operation_of(name) in excluded:
        return False
    return name.removeprefix("^").startswith(UNBOUND_INPUT) or in_scope(name, export_scope)


def _encode(message: Any, graph: Graph, key: str, values: list[Any], export_scope: str | None) -> None:
    if key in VARIABLE_COLLECTIONS:
        _add(message, [encode_variable(value, export_scope) for value in values])
    elif key == GraphKeys.SAVERS:
        _add(message, [_saver_def(value, export_scope) for value in values])
    elif key in NAMED_CONTEXTS and all(isinstance(value, bytes) for value in values):
        moved = [moved_out_of_scope(key, value, export_scope) for value in values]
        message.bytes_list.value.extend([value for value in moved if value is not None])
    else:
        _encode_plain(message, graph, values, export_scope)


def _add(message: Any, encoded: list[Any]) -> None:
    # What is in another scope than the one that is exported is None.
    message.bytes_list.value.extend([each.SerializeToString() for each in encoded if each is not None])


def _saver_def(saver: Any, export_scope: str | None) -> Any:
    if hasattr(saver, "to_proto"):
        return saver.to_proto(export_scope=export_scope)
    return moved_out_of(saver, export_scope)


def _encode_plain(message: Any, graph: Graph, values: list[Any], export_scope: str | None) -> None:
    """Values of one kind, which is that of the first."""
    first = values[0]
    if isinstance(first, str | bytes):
        message.bytes_list.value.extend([each.encode() if isinstance(each, str) else each for each in values])
    elif isinstance(first, int):
        message.int64_list.value.extend(map(operator.index, values))
    elif isinstance(first, float):
        message.float_list.value.extend(values)
    elif _is_any(first):
        for each in values:
            message.any_list.value.add(type_url=each.type_url, value=each.value)
    else:
        names = [graph.as_graph_element(each.name).name for each in values if in_scope(each.name, export_scope)]
        message.node_list.value.extend([strip_scope(name, export_scope) for name in names])


def _is_any(value: Any) -> bool:
    descriptor = getattr(value, "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", None) == "google.protobuf.Any"
