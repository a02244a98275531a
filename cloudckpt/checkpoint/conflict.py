"""The error of a save that another writer has overtaken, which says who that was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import index_filename
from cloudckpt.errors import CommitConflictError, StorageError, Winner

if TYPE_CHECKING:
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["conflict", "winner_of"]

logger = logging.getLogger(__name__)


def conflict(prefix: Location, key: str | None = None) -> CommitConflictError:
    """The error about a prefix that another writer saves to. One request, to see whether it has committed, and when.

    Args:
        prefix: the prefix.
        key: the file that makes a checkpoint of it; its `.index` by default.
    """
    key = index_filename(prefix.key) if key is None else key
    try:
        winner = winner_of(prefix, prefix.store.stat(key))
    except StorageError as error:
        logger.info("who won %s can't be seen: %s", prefix.url, error)
        winner = None
    if winner is None:
        what = f"{prefix.url!r} is being saved, or was deleted, by another writer; this save was dropped"
    else:
        what = (
            f"another writer saved {prefix.url!r} while this save was under way, {winner}; its checkpoint is whole and "
            "this one was dropped"
        )
    advice = "See to it that one job writes here, restore what is there, and save again"
    return CommitConflictError(f"{what}. {advice}", path=prefix.url, winner=winner)


def winner_of(place: Location, found: ObjectInfo, step: int | None = None) -> Winner:
    """Who wrote what was found there."""
    return Winner(place.store.url(found.key), found.version, found.modified, found.commit_id, step)
