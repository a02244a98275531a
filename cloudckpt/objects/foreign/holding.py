"""Nodes of objects that have no tensors themselves, but hold others that have."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.objects.object_graph.node import ClosedNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.objects.object_graph.node import Attribute

__all__ = ["HoldingNode"]


@dataclass(frozen=True, slots=True)
class HoldingNode(ClosedNode):
    """An object that does not say when it gets another child."""

    thing: Any

    @abstractmethod
    def children(self) -> Mapping[str, Any]:
        """See `Node.children`."""

    def attributes(self) -> Mapping[str, Attribute]:
        """None."""
        return {}
