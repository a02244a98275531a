"""Nodes of objects that have no tensors themselves, but hold others that have."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloudckpt.objects.object_graph.node import Attribute, SlotVariable

__all__ = ["HoldingNode"]


@dataclass(frozen=True, slots=True)
class HoldingNode:
    """An object that does not say when it gets another child."""

    thing: Any

    @abstractmethod
    def children(self) -> Mapping[str, Any]:
        """See `Node.children`."""

    def attributes(self) -> Mapping[str, Attribute]:
        """None."""
        return {}

    def slots(self, variables: Sequence[Any]) -> Iterator[SlotVariable]:  # noqa: ARG002  # as Node says
        """None."""
        return iter(())

    def adopt(self, name: str, restore: Callable[[Any], None]) -> bool:  # noqa: ARG002  # as Node says
        """Never: make the object's children first, and restore then."""
        return False

    def adopt_any(self, restore: Callable[[Any], None]) -> bool:  # noqa: ARG002  # as Node says
        """Never, as `adopt`."""
        return False
