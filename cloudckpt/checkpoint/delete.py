"""Taking a checkpoint away: the index first, so that what remains of it is never mistaken for one."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.index import decode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from cloudckpt.storage.deadline import grace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = ["Doomed", "delete_checkpoint", "delete_written", "discard", "find_doomed"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doomed:
    """One save of a prefix that is to be deleted."""

    prefix: Location
    index: ObjectInfo
    data_files: tuple[str, ...]
    """the keys of those that its index names"""


def find_doomed(prefix: Location) -> Doomed | None:
    """Look up what there is to delete of a prefix; None if it has no index. One GET.

    Raises:
        CheckpointDamagedError: the index can't be read, so nobody knows which data files are its own.
        StorageError: the store failed.
    """
    key = index_filename(prefix.key)
    try:
        data, info = prefix.store.get(key)
    except ObjectNotFoundError:
        return None
    index = decode_index(data, prefix.store.url(key))
    return Doomed(prefix, info, tuple(needed_data_files(prefix.key, index)))


def delete_checkpoint(doomed: Doomed) -> None:
    """Delete one save of a prefix: its index, then the data files that the index names, then side files.

    Where the store can, the index goes only while it is the one that was looked up. A DELETE and a batch of deletes.

    Raises:
        PreconditionFailedError: the checkpoint was replaced meanwhile; nothing was deleted.
        StorageError: the store failed.
    """
    store, index = doomed.prefix.store, doomed.index
    if store.capabilities.delete_if_version:
        store.delete_if_version(index.key, index.version)
    else:
        store.delete([index.key])
    store.delete([*doomed.data_files, f"{doomed.prefix.key}.meta"])


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
    bytes of another save have another commit id.

    Raises:
        PreconditionFailedError: it is another one, and stays.
        StorageError: the store failed.
    """
    if store.capabilities.delete_if_version:
        store.delete_if_version(written.key, written.version)
        return
    with suppress(ObjectNotFoundError):  # gone already
        found = store.stat(written.key)
        if (found.version, found.commit_id) != (written.version, written.commit_id):
            url = store.url(written.key)
            raise PreconditionFailedError(f"{url} was not deleted: another writer has replaced it", path=url)
        store.delete([written.key])
