"""The argument `sess` of a saver's methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudckpt.saver.mapping_memory import MappingMemory
from cloudckpt.saver.memory import VariableMemory
from cloudckpt.variables.sessions.session import Session

if TYPE_CHECKING:
    from cloudckpt.saver.memory import Memory

__all__ = ["memory_argument"]


def memory_argument(sess: Any) -> Memory:
    """Where the values of a save or a restore are, from the argument `sess`.

    Args:
        sess: None for the variables themselves, a `Session`, or a mapping of arrays by their names in the checkpoint.

    Raises:
        TypeError: it is none of these.
    """
    if sess is None:
        return VariableMemory()
    if isinstance(sess, Session):
        return VariableMemory(sess)
    if isinstance(sess, Mapping):
        return MappingMemory(sess)
    raise TypeError(
        f"sess must be a Session, None for the variables' own values, or a mapping of arrays by name, got {sess!r}, a "
        f"{type(sess).__module__}.{type(sess).__qualname__}"
    )
