"""Removing what is garbage, on the condition that it is still what was seen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cloudckpt.errors import PreconditionFailedError
from cloudckpt.garbage.report import Garbage, GarbageKind, Spared
from cloudckpt.storage.failures import Failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.store import ObjectInfo, Store, Unfinished

__all__ = ["Removal"]

logger = logging.getLogger(__name__)

_CHANGED = "it was replaced while the collector looked at it"


class Removal:
    """Takes notes of garbage, and removes it at once unless it is a dry run. One failure does not end it.

    Attributes:
        found: all that was noted.
        deleted: what of it is gone.
        kept: what was not touched.
    """

    def __init__(self, store: Store, *, dry_run: bool) -> None:
        self._store = store
        self._dry_run = dry_run
        self._failures = Failures()
        self.found: list[Garbage] = []
        self.deleted: list[Garbage] = []
        self.kept: list[Spared] = []

    def keep(self, key: str, reason: str) -> None:
        """Note what may be garbage, and stays."""
        self.kept.append(Spared(self._store.url(key), reason))

    def remove(self, kind: GarbageKind, objects: Sequence[ObjectInfo], prefix: str) -> None:
        """Remove objects.

        Args:
            kind: of what they are.
            objects: as they were listed.
            prefix: that all their keys begin with, to look at them again where deletions know no conditions.
        """
        garbage = [Garbage(kind, self._store.url(info.key), info.size, info.modified) for info in objects]
        self.found += garbage
        if self._dry_run:
            return
        pairs = list(zip(objects, garbage, strict=True))
        if self._store.capabilities.delete_if_version:
            for info, piece in pairs:
                with self._failures.collected():
                    self._remove_if_unchanged(info, piece)
        else:
            with self._failures.collected():
                self._remove_together(pairs, prefix)

    def discard(self, upload: Unfinished) -> None:
        """Free an unfinished upload."""
        kind = GarbageKind.UNFINISHED_UPLOAD
        piece = Garbage(kind, self._store.url(upload.key), upload.size, upload.began)
        self.found.append(piece)
        if self._dry_run:
            return
        with self._failures.collected():
            upload.discard()
            self._note(piece)

    def finish(self) -> None:
        """Raise the first failure, if there was any; everything else was done."""
        self._failures.raise_first()

    def _remove_if_unchanged(self, info: ObjectInfo, piece: Garbage) -> None:
        try:
            self._store.delete_if_version(info.key, info.version)
        except PreconditionFailedError:
            self.keep(info.key, _CHANGED)
        else:
            self._note(piece)

    def _remove_together(self, pairs: list[tuple[ObjectInfo, Garbage]], prefix: str) -> None:
        """Look once more, and delete what is still the same, in a batch."""
        now = {info.key: info for info in self._store.list(prefix, recursive=True)}
        unchanged = [pair for pair in pairs if now.get(pair[0].key) == pair[0]]
        for info, _ in pairs:
            if now.get(info.key, info) != info:
                self.keep(info.key, _CHANGED)
        self._store.delete([info.key for info, _ in unchanged])
        for _, piece in unchanged:
            self._note(piece)

    def _note(self, piece: Garbage) -> None:
        self.deleted.append(piece)
        logger.info("deleted %s", piece)
