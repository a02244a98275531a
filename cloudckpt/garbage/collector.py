"""One collection: the state first, then a listing, then the index of each prefix that has old data; see
docs/design/garbage.md for why in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.bundle.index import decode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.quarantine import quarantined_indexes
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointVersionError,
    ObjectNotFoundError,
    PermissionDeniedError,
)
from cloudckpt.garbage.listing import newest, saves_of, sort_listing, unnamed
from cloudckpt.garbage.names import is_tensorflow_part, upload_of
from cloudckpt.garbage.removal import Removal
from cloudckpt.garbage.report import GarbageKind, GarbageReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.bundle.index import BundleIndex
    from cloudckpt.garbage.names import BaseName
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Collector"]


class Collector:
    """Finds and removes the garbage of one directory, once.

    Args:
        directory: where.
        now: the time by the store's clock, from before the listing.
        min_age: seconds; what is younger stays.
        base_name: whose files are looked at.
        dry_run: whether nothing is removed.
    """

    def __init__(self, directory: Location, *, now: float, min_age: float, base_name: BaseName, dry_run: bool) -> None:
        self._directory = directory
        self._store = directory.store
        self._folder = directory.child("").key
        self._min_age = min_age
        self._latest = now - min_age
        self._base_name = base_name
        self._dry_run = dry_run
        self._removal = Removal(self._store, dry_run=dry_run)

    def run(self) -> GarbageReport:
        """List, look at the indexes, and remove.

        Raises:
            StorageError: the store failed; after a failed deletion, once all others were tried.
        """
        objects = self._store.list(self._folder + (self._base_name.name or ""), recursive=True)
        listing = sort_listing(self._folder, objects, self._base_name)
        for prefix, files in listing.data.items():
            self._collect_data(prefix, files, has_index=prefix in listing.indexes)
        for info in listing.temporaries:
            self._collect_temporaries(info.key, [info], [info])
        for folder, files in listing.folders.items():
            parts = [info for info in files if is_tensorflow_part(info.key.removeprefix(folder))]
            self._collect_temporaries(folder, files, parts)
        self._collect_uploads()
        self._removal.finish()
        removal = self._removal
        return GarbageReport(
            directory=self._directory.url,
            min_age=self._min_age,
            found=tuple(removal.found),
            deleted=tuple(removal.deleted),
            kept=tuple(removal.kept),
            dry_run=self._dry_run,
        )

    def _collect_data(self, prefix: str, files: Sequence[ObjectInfo], *, has_index: bool) -> None:
        """Remove the data files of saves that are old enough and not the prefix's checkpoint."""
        saves = saves_of(files)
        old = [info for save in saves if self._is_old(newest(save)) for info in save]
        if not has_index:
            for save in saves:
                if not self._is_old(newest(save)):
                    self._removal.keep(save[0].key, self._too_young("the newest data file of its save"))
        if not old:
            return
        try:
            index = self._index(prefix)
        except (CheckpointDamagedError, CheckpointVersionError, PermissionDeniedError) as error:
            self._removal.keep(prefix, f"its index can't be read, so nobody knows which data files it needs: {error}")
            return
        kind = GarbageKind.DATA_WITHOUT_INDEX if index is None else GarbageKind.UNNAMED_DATA
        if garbage := self._unneeded(prefix, unnamed(prefix, index, old)):
            self._removal.remove(kind, garbage, f"{prefix}.data-")

    def _unneeded(self, prefix: str, files: Sequence[ObjectInfo]) -> Sequence[ObjectInfo]:
        """Those files that no broken checkpoint which was put aside needs.

        Looked up after the index was read: putting aside copies the index before it deletes it.
        """
        for aside in quarantined_indexes(self._store, prefix) if files else ():
            try:
                index = decode_index(self._store.get(aside.key)[0], self._store.url(aside.key))
            except (
                CheckpointDamagedError,
                CheckpointVersionError,
                ObjectNotFoundError,
                PermissionDeniedError,
            ) as error:
                self._removal.keep(aside.key, f"it can't be read, so nobody knows which data files it needs: {error}")
                return ()
            files = unnamed(prefix, index, files)
        return files

    def _index(self, prefix: str) -> BundleIndex | None:
        key = index_filename(prefix)
        try:
            data, _ = self._store.get(key)
        except ObjectNotFoundError:
            return None
        return decode_index(data, self._store.url(key))

    def _collect_temporaries(self, key: str, together: Sequence[ObjectInfo], parts: Sequence[ObjectInfo]) -> None:
        """Remove files of TensorFlow's that belong together, if the newest of all is old enough."""
        if not self._is_old(newest(together)):
            self._removal.keep(key, self._too_young("it, or what lies beside it"))
        elif parts:
            self._removal.remove(GarbageKind.TENSORFLOW_TEMPORARY, parts, key)

    def _collect_uploads(self) -> None:
        """Free uploads of checkpoints' files, and the store's own temporaries; those of other programs stay."""
        for upload in self._store.unfinished(self._folder):
            prefix = upload_of(upload.key.removeprefix(self._folder), is_ours=upload.is_ours)
            if prefix is None or (prefix and not self._base_name.covers(prefix)):
                continue
            if upload.began and self._is_old(upload.began):
                self._removal.discard(upload)
            else:
                self._removal.keep(upload.key, self._too_young("an upload of it"))

    def _is_old(self, modified: float) -> bool:
        return modified <= self._latest

    def _too_young(self, what: str) -> str:
        return f"{what} is younger than {self._min_age:.0f} seconds, or of unknown age: it may be a save under way"
