"""Writing the data files of one save: all of them, or none that stays."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.delete import discard
from cloudckpt.checkpoint.parallel import THREADS
from cloudckpt.checkpoint.standing import conflict
from cloudckpt.checkpoint.write import ShardWriter, write_shards
from cloudckpt.errors import PreconditionFailedError
from cloudckpt.storage.store import IfAbsent, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudckpt.checkpoint.plan import ShardPlan
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import Store

__all__ = ["completed_or_discarded", "write_data_files"]


@contextmanager
def completed_or_discarded(prefix: Location) -> Iterator[list[ObjectInfo]]:
    """A list for the data files that the block completes; if it fails, they are deleted again.

    Raises:
        CommitConflictError: instead of `PreconditionFailedError`: another writer has a file of that name.
    """
    completed: list[ObjectInfo] = []
    try:
        yield completed
    except PreconditionFailedError as error:
        discard(prefix, completed)
        raise conflict(prefix) from error
    except BaseException:
        discard(prefix, completed)
        raise


def write_data_files(
    prefix: Location, plans: Sequence[ShardPlan], keys: Sequence[str], completed: list[ObjectInfo]
) -> list[ShardWriter]:
    """Write data files side by side, none of which may be there yet.

    Args:
        prefix: the checkpoint's.
        plans: what goes into each.
        keys: their names.
        completed: those that are visible are appended to it, in order, also if a later one fails.

    Returns:
        Their writers, which know the checksums of what was written.
    """
    store, commit_id = prefix.store, uuid.uuid4().hex
    with ExitStack() as uploads:
        writers = [
            ShardWriter(plan, uploads.enter_context(store.create(key, plan.size, IfAbsent(), commit_id=commit_id)))
            for plan, key in zip(plans, keys, strict=True)
        ]
        write_shards(writers, threads=_threads(store), parallel_parts=store.capabilities.parallel_upload)
        for writer in writers:
            completed.append(writer.complete())  # noqa: PERF401 - they must be known if a later one fails
    return writers


def _threads(store: Store) -> int:
    """How many threads write: what they do on a disk of this machine is work for its processors, not waiting."""
    return min(THREADS, os.cpu_count() or 1) if store.capabilities.local_files else THREADS
