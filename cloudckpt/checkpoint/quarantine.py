"""Putting a broken checkpoint aside: it is no checkpoint any more, and nothing of it is lost.

What makes files a checkpoint is the index under its name, so that is what moves, and no data: the index gets a name of
its own beside it, `<prefix>.index.quarantined-<digest>`, and is deleted. Collectors of garbage look for such names and
leave alone what those indexes need (docs/design/quarantine.md).
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.delete import delete_written
from cloudckpt.checksums import crc32c
from cloudckpt.errors import PreconditionFailedError
from cloudckpt.storage.store import Always, IfAbsent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = ["put_aside", "quarantined_indexes"]

logger = logging.getLogger(__name__)

_MARK = ".quarantined-"


def put_aside(prefix: Location, index: ObjectInfo) -> str:
    """Take the index of a broken checkpoint away under another name; its data stays where it is.

    A crash on the way leaves the checkpoint as it was, perhaps beside a copy of its index. A GET, a PUT and a DELETE;
    a look before it where deletions know no conditions.

    Args:
        prefix: the checkpoint's.
        index: the index that was found broken, or whose data was.

    Returns:
        The URL of the index from here on.

    Raises:
        ObjectNotFoundError, PreconditionFailedError: it was deleted or replaced meanwhile, and what is there stays.
        StorageError: the store failed.
    """
    store = prefix.store
    data, info = store.get(index.key)
    if info.version != index.version:
        raise PreconditionFailedError(f"{prefix.url!r} was not put aside: another writer has replaced it")
    # By its content, so that all who find the same one broken at a time give it one name.
    aside = f"{index_filename(prefix.key)}{_MARK}{hashlib.sha256(data).hexdigest()[:16]}"
    with suppress(PreconditionFailedError):
        store.put(aside, data, IfAbsent() if store.capabilities.create_if_absent else Always(), crc32c=crc32c(data))
    delete_written(store, info)
    logger.warning("%s is broken, and was put aside: its index is %s now", prefix.url, store.url(aside))
    return store.url(aside)


def quarantined_indexes(store: Store, prefix: str) -> Iterator[ObjectInfo]:
    """The indexes of broken checkpoints that were put aside. A LIST.

    Args:
        store: where.
        prefix: the key of the checkpoints' prefix.
    """
    return store.list(f"{index_filename(prefix)}{_MARK}")
