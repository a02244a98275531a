"""One restore of a tree of objects: what takes which value, now or as soon as it is there."""

from __future__ import annotations

import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.objects.object_graph.fitting import check_match
from cloudckpt.objects.object_graph.last_restored import new_restore, note_restored
from cloudckpt.objects.object_graph.matching import Matching
from cloudckpt.objects.object_graph.node import PYTHON_STATE
from cloudckpt.objects.object_graph.pending import PendingValues, readable
from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.objects.object_graph.stored import ROOT, damaged_graph, read_stored_graph
from cloudckpt.objects.object_graph.unused import Unused

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.objects.object_graph.matching import Match, Wait
    from cloudckpt.objects.object_graph.node import Node
    from cloudckpt.objects.object_graph.pending import Source

__all__ = ["Restoration"]

logger = logging.getLogger(__name__)


class Restoration:
    """A restore that is read and checked, and assigns nothing before `finish`.

    It lives as long as its status, or an object that may yet get a child that it waits for. When it goes, a warning
    names the values that no object has taken.

    Args:
        checkpoint: an open one, written by object.
        root: the object to restore.
        source: where it was opened.
        keep_pending: whether values of objects that are not there yet are read now, and kept for them.
        skip_slots: leave out optimizers' slot variables.

    Raises:
        CheckpointDamagedError: the checkpoint is not whole, or its bytes don't match their checksums.
        InvalidArgumentError: a value is of another dtype or shape than what takes it.
        ValueError: an object was changed such that its children's names would not survive.
        CloudckptError: and what `OpenCheckpoint.read` raises.

    Cost: two reads, of the tree, and of all values at once.
    """

    def __init__(
        self, checkpoint: OpenCheckpoint, root: Node, source: Source, *, keep_pending: bool, skip_slots: bool
    ) -> None:
        graph = read_stored_graph(checkpoint)
        if not graph.objects:
            raise damaged_graph(checkpoint, "has no objects")
        self.number, self.url = new_restore(), checkpoint.prefix.url
        self.matching = Matching(graph, self.number, skip_slots=skip_slots)
        self.unused = Unused(self.matching, self.url)
        match, arrivals = self.matching.match(ROOT, root), _Arrivals()
        check_match(checkpoint, graph, match)
        wanted = [assignment.key for assignment in match.assignments]
        waits = _wait(match, arrivals.arrive)
        if keep_pending:
            awaited = self.matching.awaited(waits, match.slot_waits)
            wanted += [key for key in graph.keys(awaited) if readable(checkpoint, key)]
        self._values = PendingValues(source, checkpoint, checkpoint.read_named(wanted))
        self._unfinished: tuple[Match, _Arrivals] | None = match, arrivals

    def finish(self) -> None:
        """Assign what was read, and from now on what comes late.

        Raises:
            Exception: what an object raises that can't take its value; those before it have theirs then.
        """
        if self._unfinished is not None:
            match, arrivals = self._unfinished
            self._unfinished = None
            arrivals.restoration = self
            weakref.finalize(self, self.unused.warn)
            self._assign(match)

    def let_go(self) -> None:
        """Free the memory of what waits: what is wanted yet is read again, while the checkpoint is there."""
        self._values.let_go()

    def arrive(self, number: int, thing: Any) -> None:
        """Restore an object that has come late.

        Raises:
            CheckpointNotFoundError: its values were not kept, and the checkpoint is no longer there.
            CloudckptError: and what the constructor raises. In any case the values wait on, for another object or
                another time.
        """
        node, bound = as_node(thing), self.matching.bound(number)
        if node is None or bound is not None:
            if bound is not thing:
                logger.warning(
                    "%r of %r is two objects here, of which only the first was restored",
                    self.matching.graph.path(number),
                    self.url,
                )
            return
        match = self.matching.match(number, node)
        try:
            check_match(self._values.checkpoint, self.matching.graph, match)
            self._assign(match)
        except BaseException:
            self.matching.release(match)
            raise
        _wait(match, self.arrive)

    def _assign(self, match: Match) -> None:
        with self._values.taken({assignment.key for assignment in match.assignments}) as values:
            # Python state first, as TensorFlow: it is the user's, and may refuse.
            for assignment in sorted(match.assignments, key=lambda each: each.attribute.name != PYTHON_STATE):
                assignment.attribute.assign(values[assignment.key])
        for thing in match.things.values():
            note_restored(thing, self.number)
        self.matching.settled.update(number for number, _ in match.met)
        for optimizer, original, slot in match.slot_waits:
            optimizer.adopt_slot(original, slot.name, partial(self.arrive, slot.variable))


class _Arrivals:
    """What objects call while nobody knows yet whether the restore will succeed; until it has, they call in vain."""

    def __init__(self) -> None:
        self.restoration: Restoration | None = None

    def arrive(self, number: int, thing: Any) -> None:
        if self.restoration is not None:
            self.restoration.arrive(number, thing)


def _wait(match: Match, arrive: Callable[[int, Any], None]) -> list[Wait]:
    """Have the objects call that may get what is missing; those of the waits that they take."""
    return [wait for wait in match.waits if wait.parent.adopt(wait.name, partial(arrive, wait.number))]
