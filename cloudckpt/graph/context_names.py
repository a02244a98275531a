"""Collections whose values are messages that are all names: the contexts of loops and conditionals, queue runners.

A graph keeps them as bytes, since nothing here runs them. The names in them follow when the graph moves into a scope
or out of one.

Sources: python/ops/control_flow_ops.py, python/ops/while_loop.py and python/training/queue_runner_impl.py, to_proto
and _init_from_proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.names import in_scope, prepend_scope, strip_scope
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NAMED_CONTEXTS", "moved_into_scope", "moved_out_of_scope"]

NAMED_CONTEXTS: Final = {
    GraphKeys.COND_CONTEXT: ("tensorflow.CondContextDef", "context_name"),
    GraphKeys.WHILE_CONTEXT: ("tensorflow.WhileContextDef", "context_name"),
    GraphKeys.QUEUE_RUNNERS: ("cloudckpt.graph.QueueRunnerDef", "queue_name"),
}
"""The collections, with the messages that their values are and the field that says in which scope one is."""


def moved_into_scope(key: str, data: bytes, scope: str) -> bytes:
    """A value of one of these collections, as it is within a scope.

    Raises:
        InvalidArgumentError: it is not the message that it should be.
    """
    if not scope:
        return data
    message = _parsed(key, data)
    _rename(message, lambda name: prepend_scope(name, scope))
    return _serialized(message)


def moved_out_of_scope(key: str, data: bytes, scope: str | None) -> bytes | None:
    """A value of one of these collections, as it is outside of a scope; None if it is in another one.

    Raises:
        InvalidArgumentError: as `moved_into_scope`.
    """
    if not scope:
        return data
    message = _parsed(key, data)
    if not in_scope(getattr(message, NAMED_CONTEXTS[key][1]), scope):
        return None
    _rename(message, lambda name: strip_scope(name, scope))
    return _serialized(message)


def _parsed(key: str, data: bytes) -> Any:
    full_name = NAMED_CONTEXTS[key][0]
    try:
        return message_class(full_name).FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(f"collection {key!r} has a value that is no {full_name}: {error}") from error


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def _rename(message: Any, change: Callable[[str], str]) -> None:
    """Change all strings of a message, and of those in it: each is the name of a node or tensor, or of a scope."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            renamed = {change(name): change(other) for name, other in value.items()}
            value.clear()
            value.update(renamed)
        elif field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                _rename(each, change)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value[:] = map(change, value)
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, change(value))
