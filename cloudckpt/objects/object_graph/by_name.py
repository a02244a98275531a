"""Restoring objects from a checkpoint that was written by name: variables go by the names that they have themselves.

Source of the behaviour: python/checkpoint/checkpoint.py, _NameBasedRestoreCoordinator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.objects.object_graph.fitting import check_fit
from cloudckpt.objects.object_graph.last_restored import last_restored, new_restore, note_restored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.objects.object_graph.node import Attribute, Node

__all__ = ["RestorationByName"]


class _Taker(NamedTuple):
    thing: Any
    attribute: Attribute


class RestorationByName:
    """A restore by name that is read and checked, and assigns nothing before `finish`.

    What the checkpoint lacks is left as it is, and what it has beyond the objects does not matter.

    Args:
        checkpoint: an open one.
        nodes: of all objects to restore.

    Raises:
        CheckpointDamagedError: the checkpoint is not whole, or its bytes don't match their checksums.
        InvalidArgumentError: a value is of another dtype or shape than its variable.
        CloudckptError: and what `OpenCheckpoint.read` raises.

    Cost: one read, of all values at once.
    """

    def __init__(self, checkpoint: OpenCheckpoint, nodes: Iterable[Node]) -> None:
        self.number, self.url = new_restore(), checkpoint.prefix.url
        self.missing: list[tuple[Any, str]] = []
        """objects of which the checkpoint lacks a value, with its name"""
        self._things: list[Any] = []
        self._takers: dict[str, list[_Taker]] = {}
        for node in nodes:
            self._add(checkpoint, node)
        self._values = checkpoint.read_named(self._takers)

    def _add(self, checkpoint: OpenCheckpoint, node: Node) -> None:
        self._things.append(node.thing)
        for attribute in node.attributes().values():
            name = attribute.full_name
            if not name or name not in checkpoint.tensors:
                self.missing.append((node.thing, name or attribute.name))
                continue
            check_fit(checkpoint, name, attribute)
            self._takers.setdefault(name, []).append(_Taker(node.thing, attribute))

    def finish(self) -> None:
        """Assign what was read; an object that a later restore has given values keeps them."""
        for name, takers in self._takers.items():
            for thing, attribute in takers:
                if last_restored(thing) < self.number:
                    attribute.assign(self._values[name])
        for thing in self._things:
            note_restored(thing, max(self.number, last_restored(thing)))
        self._things, self._takers, self._values = [], {}, {}
