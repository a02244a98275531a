"""Restoring objects from a checkpoint that was written by name: variables go by the names that they have themselves.

Source of the behaviour: python/checkpoint/checkpoint.py, _NameBasedRestoreCoordinator; python/trackable/base.py,
Trackable._handle_deferred_dependencies.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.objects.object_graph.fitting import check_fit
from cloudckpt.objects.object_graph.last_restored import last_restored, new_restore, note_restored, weakly
from cloudckpt.objects.object_graph.recognise import as_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.objects.object_graph.node import Attribute, Node
    from cloudckpt.objects.object_graph.pending import Source

__all__ = ["RestorationByName"]


class _Taker(NamedTuple):
    thing: Any
    name: str
    attribute: Attribute


class RestorationByName:
    """A restore by name that is read and checked, and assigns nothing before `finish`.

    What the checkpoint lacks is left as it is, and what it has beyond the objects does not matter. What the objects get
    later is restored then; which names that will be nobody knows, so their values are read then, too.

    Args:
        checkpoint: an open one.
        nodes: of all objects to restore.
        source: where it was opened.

    Raises:
        CheckpointDamagedError: the checkpoint is not whole, or its bytes don't match their checksums.
        InvalidArgumentError: a value is of another dtype or shape than its variable.
        CloudckptError: and what `OpenCheckpoint.read` raises.

    Cost: one read, of all values at once.
    """

    def __init__(self, checkpoint: OpenCheckpoint, nodes: Iterable[Node], source: Source) -> None:
        self.number, self.url = new_restore(), checkpoint.prefix.url
        self._checkpoint, self._source = checkpoint, source
        self._missing: list[tuple[Callable[[], Any], str]] = []
        nodes = list(nodes)
        takers = self._takers(nodes)
        self._unfinished = nodes, takers, checkpoint.read_named({taker.name for taker in takers})

    def missing(self) -> Iterator[tuple[Any, str]]:
        """The objects of which the checkpoint lacks a value, with its name."""
        return ((thing, name) for found, name in self._missing if (thing := found()) is not None)

    def finish(self) -> None:
        """Assign what was read, and from now on what comes late; what a later restore has given values keeps them."""
        found, self._unfinished = self._unfinished, ([], [], {})
        self._assign(*found)

    def arrive(self, thing: Any) -> None:
        """Restore an object that has come late, and what it holds.

        Raises:
            CheckpointNotFoundError: the checkpoint has a value for it, and is no longer there.
            CloudckptError: and what the constructor raises. In any case nothing was assigned.

        Cost: none if the checkpoint has none of the names; else a read of their values.
        """
        nodes = self._arrived(thing)
        if takers := self._takers(nodes):
            self._assign(nodes, takers, self._source.read_again(self._checkpoint, {taker.name for taker in takers}))
        else:
            self._assign(nodes, [], {})

    def _arrived(self, thing: Any) -> list[Node]:
        """The nodes of all objects below one that this restore has not met yet."""
        nodes: list[Node] = []
        met: set[int] = set()
        waiting = deque([thing])
        while waiting:
            node = as_node(waiting.popleft())
            if node is None or id(node.thing) in met or last_restored(node.thing) >= self.number:
                continue
            met.add(id(node.thing))
            nodes.append(node)
            waiting.extend(node.children().values())
        return nodes

    def _takers(self, nodes: Iterable[Node]) -> list[_Taker]:
        """What takes which value."""
        takers = []
        for node in nodes:
            for attribute in node.attributes().values():
                name = attribute.full_name
                if not name or name not in self._checkpoint.tensors:
                    self._missing.append((weakly(node.thing), name or attribute.name))
                    continue
                check_fit(self._checkpoint, name, attribute)
                takers.append(_Taker(node.thing, name, attribute))
        return takers

    def _assign(self, nodes: Iterable[Node], takers: Iterable[_Taker], values: dict[str, NDArray[Any]]) -> None:
        for thing, name, attribute in takers:
            if last_restored(thing) < self.number:
                attribute.assign(values[name])
        for node in nodes:
            note_restored(node.thing, max(self.number, last_restored(node.thing)))
            node.adopt_any(self.arrive)
