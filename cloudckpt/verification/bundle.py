"""Checking a checkpoint in the V2 format: one index, and any number of data files."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.verification.data import DataFile, read_through
from cloudckpt.verification.index import salvage_index
from cloudckpt.verification.layout import lay_out, lost
from cloudckpt.verification.log import VerifyLog
from cloudckpt.verification.report import Finding, FindingKind, VerifyReport
from cloudckpt.verification.slices import claims_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.bundle.index import BundleIndex
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo
    from cloudckpt.verification.log import Claim

__all__ = ["verify_bundle"]


def verify_bundle(prefix: Location, data: bytes) -> VerifyReport:
    """Check the checkpoint whose index has just been read.

    Args:
        prefix: the checkpoint's.
        data: the whole index.

    Raises:
        StorageError: the store failed.
    """
    log = VerifyLog()
    file = prefix.store.url(index_filename(prefix.key))
    index = salvage_index(data, file, log)
    if index is None:
        return log.report(prefix.url, "V2", (), 0)
    is_whole = not log.findings
    claims = list(claims_of(index, file, log))
    listed = list_prefix(prefix).data
    files = _lay_out_files(prefix, index, claims, listed, log)
    read_through(prefix.store, files)
    bytes_checked = sum(file.report(log) for file in files)
    if is_whole:  # else it may be a lost entry that names it
        _note_unnamed(prefix, index, claims, listed, log)
    return log.report(prefix.url, "V2", {claim.tensor for claim in claims}, bytes_checked)


def _lay_out_files(
    prefix: Location, index: BundleIndex, claims: Iterable[Claim], listed: Mapping[str, ObjectInfo], log: VerifyLog
) -> list[DataFile]:
    """The data files that are there of those that are needed."""
    of_shard: defaultdict[int, list[Claim]] = defaultdict(list)
    for claim in claims:
        of_shard[claim.entry.shard_id].append(claim)
    files = []
    for shard_id, claimed in sorted(of_shard.items()):
        key = data_filename(prefix.key, shard_id, index.header.num_shards)
        url, info = prefix.store.url(key), listed.get(key)
        if info is None:
            log.lose(claim.tensor for claim in claimed)
            log.add(Finding(FindingKind.FILE_MISSING, f"the index needs it, and it is not there: {lost(claimed)}", url))
        else:
            extents = lay_out(url, info.size, claimed, log, big_endian=index.header.big_endian)
            files.append(DataFile(info, url, claimed, extents))
    return files


def _note_unnamed(
    prefix: Location, index: BundleIndex, claims: Iterable[Claim], listed: Mapping[str, ObjectInfo], log: VerifyLog
) -> None:
    named = {data_filename(prefix.key, claim.entry.shard_id, index.header.num_shards) for claim in claims}
    for key, info in listed.items():
        if key not in named:
            message = f"no entry of the index is in its {info.size} bytes: garbage, or a save that is under way"
            log.add(Finding(FindingKind.FILE_UNNAMED, message, prefix.store.url(key), size=info.size))
