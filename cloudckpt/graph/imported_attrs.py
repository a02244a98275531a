"""The attributes of an imported node as Python values, decoded when they are looked at.

A graph of a million attributes may be imported only to be saved again: hardly one of them is ever looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.attr_values import decode_attr

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ImportedAttrs"]


class ImportedAttrs(Mapping[str, object]):
    """The attributes of a NodeDef message, as `Operation.attrs` has them; functions stay messages.

    Looking one up raises InvalidArgumentError where its message makes no sense.
    """

    __slots__ = ("_definition", "_messages")

    def __init__(self, definition: Any) -> None:
        self._definition = definition
        self._messages = definition.attr

    def __getitem__(self, name: str) -> object:
        # A map of protobuf's makes an entry for a key that is only looked up.
        if name not in self._messages:
            raise KeyError(name)
        try:
            return decode_attr(self._messages[name])
        except InvalidArgumentError as error:
            raise InvalidArgumentError(
                f"attribute {name!r} of node {self._definition.name!r}: {error.message}"
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._messages
