"""Checking all of one checkpoint: every byte of its index, and every byte of its tensors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.v1_files import find_files
from cloudckpt.errors import ObjectChangedError, ObjectNotFoundError
from cloudckpt.verification.bundle import verify_bundle
from cloudckpt.verification.v1 import verify_v1

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cloudckpt.storage.open import Location
    from cloudckpt.verification.report import VerifyReport

__all__ = ["verify", "verify_prefix"]

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often it starts again because the checkpoint was replaced under it."""


def verify(path: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> VerifyReport:
    """Check everything of one checkpoint, and report what is wrong where. Nothing is changed.

    Checked are the index's blocks, header and entries; that every data file is there and long enough; that no two
    tensors share bytes; that slices are all there and apart from each other; and every tensor's bytes against their
    checksum. Damage does not stop it: what can still be checked is, and the report says what could not.

    Args:
        path: the checkpoint's prefix, such as "s3://bucket/run/ckpt-100".
        storage_options: options of the store, as fsspec takes them.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that name.
        CheckpointPathError: the path names a folder or one file of a checkpoint.
        ObjectChangedError: it was replaced again and again while it was read.
        StorageError: the store failed, so nothing can be said.

    Cost: a GET of the index, a LIST, a ranged GET for every 8 MiB or less of data, four in flight, and a look at the
    index again. Memory: 32 MiB and a multiple of the index, whatever the size of the tensors; and 4 bytes for each
    string of those that are being read.
    """
    with open_prefix(path, storage_options) as prefix:
        return verify_prefix(prefix)


def verify_prefix(prefix: Location) -> VerifyReport:
    """What `verify` does, at an open location."""
    for _ in range(ATTEMPTS):
        report, is_current = _verify_bundle(prefix) or _verify_v1(prefix) or (None, False)
        if is_current and report is not None:
            return report
        if report is None:
            open_checkpoint(prefix)  # raises that there is none, and says what was probably meant
        logger.info("%s was replaced while it was verified; starting again", prefix.url)
    raise ObjectChangedError(
        f"{prefix.url!r} was replaced {ATTEMPTS} times while it was verified; stop the writer first", path=prefix.url
    )


def _verify_bundle(prefix: Location) -> tuple[VerifyReport, bool] | None:
    """The report, and whether the prefix still holds what it is about; None if it has no index."""
    key = index_filename(prefix.key)
    try:
        data, info = prefix.store.get(key)
    except ObjectNotFoundError:
        return None
    report = verify_bundle(prefix, data)
    try:
        return report, prefix.store.stat(key).version == info.version
    except ObjectNotFoundError:
        return report, False


def _verify_v1(pattern: Location) -> tuple[VerifyReport, bool] | None:
    """The same of the V1 format; None if there is no such file, and none that matches."""
    found = find_files(pattern)
    if not found:
        return None
    report = verify_v1(pattern, found)
    again = find_files(pattern)
    return report, [(info.key, info.version) for info in found] == [(info.key, info.version) for info in again]
