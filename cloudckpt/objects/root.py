"""The root of what a `Checkpoint` saves and restores, where this is another object than the `Checkpoint`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cloudckpt.objects.object_graph.node import Attribute, Node, SlotVariable
    from cloudckpt.variables.trackable.tracking import Tracking

__all__ = ["AttachedRoot"]


@dataclass(frozen=True, slots=True)
class AttachedRoot:
    """An object together with others that are saved as if it held them.

    Attributes:
        node: of the object.
        attached: the others, by name.
        late: takes restores of those that are attached later.
        late_names: their names.
    """

    node: Node
    attached: Mapping[str, Any]
    late: Tracking
    late_names: frozenset[str]

    @property
    def thing(self) -> Any:
        """The object."""
        return self.node.thing

    def children(self) -> Mapping[str, Any]:
        """The object's own, then those that are attached."""
        return {**self.node.children(), **self.attached}

    def attributes(self) -> Mapping[str, Attribute]:
        """The object's own."""
        return self.node.attributes()

    def slots(self, variables: Sequence[Any]) -> Iterable[SlotVariable]:
        """The object's own."""
        return self.node.slots(variables)

    def adopt(self, name: str, restore: Callable[[Any], None]) -> bool:
        """See `Node.adopt`."""
        if name not in self.late_names:
            return self.node.adopt(name, restore)
        self.late.adopt(name, restore)
        return True

    def adopt_any(self, restore: Callable[[Any], None]) -> bool:
        """The object's own."""
        return self.node.adopt_any(restore)
