"""Taking a checkpoint away: the index first, so that what remains of it is never mistaken for one."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.index import decode_index
from cloudckpt.bundle.naming import index_filename, meta_graph_filename
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.errors import CheckpointDamagedError, ObjectNotFoundError, PreconditionFailedError, StorageError
from cloudckpt.storage.deadline import grace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = [
    "Doomed",
    "delete_checkpoint",
    "delete_found",
    "delete_written",
    "discard",
    "find_doomed",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doomed:
    """One save of a prefix that is to be deleted."""

    prefix: Location
    index: ObjectInfo
    data_files: tuple[str, ...]
    """the keys of those that its index names"""


def find_doomed(prefix: Location, *, even_damaged: bool = False) -> Doomed | None:
    """Look up what there is to delete of a prefix; None if it has no index. One GET.

    Args:
        prefix: the checkpoint's.
        even_damaged: take an index that can't be read for one that names no data files; what there is of them stays
            behind, and is garbage.

    Raises:
        CheckpointDamagedError: the index can't be read, so nobody knows which data files are its own.
        CheckpointVersionError: a newer program wrote it.
        StorageError: the store failed.
    """
    key = index_filename(prefix.key)
    try:
        data, info = prefix.store.get(key)
    except ObjectNotFoundError:
        return None
    try:
        data_files = tuple(needed_data_files(prefix.key, decode_index(data, prefix.store.url(key))))
    except CheckpointDamagedError as error:
        if not even_damaged:
            raise
        logger.warning("the data files of %s stay behind, because its index can't be read: %s", prefix.url, error)
        data_files = ()
    return Doomed(prefix, info, data_files)


def delete_checkpoint(doomed: Doomed, *, meta_graph_suffix: str = "meta") -> None:
    """Delete one save of a prefix: its index, then the data files that the index names, then the meta graph.

    Where the store can, the index goes only while it is the one that was looked up. A DELETE and a batch of deletes.

    Raises:
        PreconditionFailedError: the checkpoint was replaced meanwhile; nothing was deleted.
        StorageError: the store failed.
    """
    store = doomed.prefix.store
    delete_found(store, doomed.index)
    store.delete([*doomed.data_files, meta_graph_filename(doomed.prefix.key, meta_graph_suffix)])


def delete_found(store: Store, found: ObjectInfo) -> None:
    """Delete an object that was just looked up; where the store can, only while it is that one. One request.

    Raises:
        PreconditionFailedError: it was replaced meanwhile.
        StorageError: the store failed.
    """
    if store.capabilities.delete_if_version:
        store.delete_if_version(found.key, found.version)
    else:
        store.delete([found.key])


@grace()
def discard(prefix: Location, written: Iterable[ObjectInfo]) -> None:
    """Delete data files that this process wrote and no index names; what can't be deleted is logged, and is garbage.

    Called while another error is on its way to the user, which a failure here must not hide.
    """
    for info in written:
        try:
            delete_written(prefix.store, info)
        except StorageError as error:
            logger.warning("%s was not committed and stays behind: %s", prefix.store.url(info.key), error)


def delete_written(store: Store, written: ObjectInfo) -> None:
    """Delete an object that this process wrote, if it is still that one.

    A process that was stopped for so long that its files were collected must not delete those that another one has
    written under the same names since. So where deletions know no conditions, the object is looked at first; equal
    bytes of another save have another commit id, where the caller knows that of the object.

    Raises:
        PreconditionFailedError: it is another one, and stays.
        StorageError: the store failed.
    """
    if store.capabilities.delete_if_version:
        store.delete_if_version(written.key, written.version)
        return
    with suppress(ObjectNotFoundError):  # gone already
        found = store.stat(written.key)
        if found.version != written.version or written.commit_id not in (None, found.commit_id):
            url = store.url(written.key)
            raise PreconditionFailedError(f"{url} was not deleted: another writer has replaced it", path=url)
        store.delete([written.key])
