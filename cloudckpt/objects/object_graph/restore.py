"""Restoring a tree of objects from one checkpoint, whichever way it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.objects.object_graph.by_name import RestorationByName
from cloudckpt.objects.object_graph.restoration import Restoration
from cloudckpt.objects.object_graph.stored import is_object_based
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.objects.object_graph.node import Node
    from cloudckpt.objects.object_graph.pending import Source

__all__ = ["restore_objects"]


def restore_objects(
    source: Source, root: Node, by_name: Callable[[], Iterable[Node]], *, keep_pending: bool, skip_slots: bool
) -> Restoration | RestorationByName:
    """Read a checkpoint, check it against the objects, and assign what it has for them, all from one and the same save.

    Args:
        source: which checkpoint.
        root: of the objects.
        by_name: gives all objects, asked for if the checkpoint goes by name.
        keep_pending: as for `Restoration`, like the next one.
        skip_slots: see there.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that name.
        CheckpointPathError: the path names a folder, or one file of a checkpoint.
        CloudckptError: and what `Restoration`, `RestorationByName` and `read_consistently` raise.
    """

    def read(checkpoint: OpenCheckpoint) -> Restoration | RestorationByName:
        if not is_object_based(checkpoint):
            return RestorationByName(checkpoint, by_name(), source)
        return Restoration(checkpoint, root, source, keep_pending=keep_pending, skip_slots=skip_slots)

    with time_limit(source.timeout), open_prefix(source.path, source.storage_options) as prefix:
        restoration = read_consistently(prefix, read, whole=False)
    restoration.finish()
    return restoration
