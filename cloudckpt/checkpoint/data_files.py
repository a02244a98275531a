"""Writing the data files of one save: all of them, or none that stays."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.conflict import conflict
from cloudckpt.checkpoint.delete import discard
from cloudckpt.checkpoint.parallel import run_side_by_side, writing_threads
from cloudckpt.checkpoint.write import ShardWriter, write_shards
from cloudckpt.errors import CommitUnknownError, PreconditionFailedError, StorageError
from cloudckpt.storage.deadline import grace
from cloudckpt.storage.store import IfAbsent, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudckpt.checkpoint.plan import ShardPlan
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import Upload

__all__ = ["completed_or_discarded", "write_data_files"]

logger = logging.getLogger(__name__)


@contextmanager
def completed_or_discarded(prefix: Location) -> Iterator[list[ObjectInfo]]:
    """A list for the data files that the block completes; if it fails, they are deleted again.

    Raises:
        CommitConflictError: instead of `PreconditionFailedError`: another writer has a file of that name.
        StorageError: instead of `CommitUnknownError`, what made it unknown whether a data file was written.
    """
    completed: list[ObjectInfo] = []
    try:
        yield completed
    except PreconditionFailedError as error:
        discard(prefix, completed)
        raise conflict(prefix) from error
    except CommitUnknownError as error:
        discard(prefix, completed)
        failure = error.__cause__ or error  # whatever became of the file, no index names it
        raise failure from failure.__cause__
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
        completed: those that are visible are appended to it, in order, also if another one fails.

    Returns:
        Their writers, which know the checksums of what was written.

    Memory beyond the arrays: `COPIED_BYTES`, or one part if that is more.
    """
    store, commit_id, threads = prefix.store, uuid.uuid4().hex, writing_threads(prefix.store)
    uploads: dict[str, Upload] = {}

    def begin(key: str, plan: ShardPlan) -> None:
        uploads[key] = store.create(key, plan.size, IfAbsent(), commit_id=commit_id)

    try:
        run_side_by_side((partial(begin, *each) for each in zip(keys, plans, strict=True)), threads=threads)
        writers = [ShardWriter(plan, uploads[key]) for key, plan in zip(keys, plans, strict=True)]
        try:
            write_shards(writers, threads=threads, parallel_parts=store.capabilities.parallel_upload)
        finally:
            completed += [writer.info for writer in writers if writer.info is not None]
    except BaseException:
        _abort(prefix, uploads.values())
        raise
    return writers


@grace()
def _abort(prefix: Location, uploads: Iterable[Upload]) -> None:
    """Abort side by side: a server that does not answer takes its time once, and not once for each upload."""
    try:
        run_side_by_side((upload.abort for upload in uploads), threads=prefix.store.max_concurrency)
    except StorageError as error:  # must not hide the one that is on its way to the user
        logger.warning("unfinished uploads of %s stay behind: %s", prefix.url, error)
