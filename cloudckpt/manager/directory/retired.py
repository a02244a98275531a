"""Deleting what retention has dropped: looked up before the state is swapped, deleted after it.

Another writer can save a retired step again only after a swap of its own, which this manager's swap would lose to. So
what is deleted on the condition that it is still what was looked up before the swap is never another's checkpoint.
Where a store can't delete on a condition, another writer that goes back to a step that is just being deleted may lose
it: one reason more for one writer a directory.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.delete import Doomed, delete_checkpoint, find_doomed
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError, PreconditionFailedError, StorageError
from cloudckpt.manager.reporting.watch import note_deleted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.storage.open import Location

__all__ = ["delete_retired", "look_up_retired"]

logger = logging.getLogger(__name__)


def look_up_retired(directory: Location, names: Iterable[str]) -> dict[str, Doomed | None]:
    """What there is to delete of retired checkpoints, by name; None of those that are gone, or whose index is damaged.

    Those that can't be looked up now are not in the answer. One GET each.
    """
    found: dict[str, Doomed | None] = {}
    for name in names:
        prefix = directory.child(name)
        try:
            found[name] = find_doomed(prefix)
        except (CheckpointDamagedError, CheckpointVersionError) as error:
            logger.warning("%s was to be deleted, and stays: %s", prefix.url, error)
            found[name] = None
        except StorageError as error:
            logger.warning("%s can't be deleted now; the next save tries again: %s", prefix.url, error)
    return found


def delete_retired(retired: Mapping[str, Doomed | None]) -> set[str]:
    """Delete what was looked up; returns the names that need no further attempt. Two requests each."""
    return {name for name, doomed in retired.items() if doomed is None or _delete(doomed)}


def _delete(doomed: Doomed) -> bool:
    try:
        delete_checkpoint(doomed)
    except PreconditionFailedError as error:
        logger.warning("%s was to be deleted, and stays: %s", doomed.prefix.url, error)
    except StorageError as error:
        logger.warning("%s could not be deleted; the next save tries again: %s", doomed.prefix.url, error)
        return False
    else:
        note_deleted([doomed.prefix.url])
    return True
