"""Several checkpoints made one, as TensorFlow's MergeV2Checkpoints does; see docs/design/merge.md.

Source: core/util/tensor_bundle/tensor_bundle.cc, MergeBundles.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import data_filename
from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
from cloudckpt.checkpoint.copy import FileCopy, copy_files
from cloudckpt.checkpoint.delete import Doomed, delete_checkpoint
from cloudckpt.checkpoint.entries import Entries
from cloudckpt.checkpoint.names import tensor_key
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.checkpoint.partial import PartialSave, commit_partials
from cloudckpt.checkpoint.prefix import check_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.checkpoint.standing import look
from cloudckpt.errors import CheckpointNotFoundError, InvalidArgumentError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudckpt.bundle.entry import BundleHeader
    from cloudckpt.checkpoint.commit_index import SavedCheckpoint
    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.storage.location import Location

__all__ = ["merge_checkpoints"]

logger = logging.getLogger(__name__)


def merge_checkpoints(
    sources: Sequence[Location],
    destination: Location,
    *,
    delete_old: bool,
    allow_missing: bool,
    unsafe_overwrite: bool = False,
) -> SavedCheckpoint:
    """Make one checkpoint of several: the destination gets all their tensors and slices, in one atomic step.

    A crash at any moment leaves the destination's old checkpoint or the new one, and the sources whole until the new
    one is there. Data files are copied as they are, also what this version can't read (variants, future dtypes).

    Args:
        sources: prefixes of checkpoints in the V2 format, whatever the numbers of their data files.
        destination: where to; none of the sources. An existing checkpoint is replaced.
        delete_old: delete the sources once the new checkpoint is committed, each one's index first. Empty folders stay.
        allow_missing: pass over sources that are not there, as long as one is.
        unsafe_overwrite: replace an existing checkpoint also on a store that can't do it conditionally.

    Raises:
        InvalidArgumentError: there are no sources; one is missing, of the V1 format, or the destination itself; two
            have the same tensor or slice, or slices of one tensor that overlap or don't fit together; or they
            differ in byte order or version. Nothing was written.
        CheckpointPathError: a path can't be a prefix.
        CheckpointDamagedError: a source is not whole.
        CommitConflictError: another writer committed at the destination meanwhile; its checkpoint is whole.
        CommitTimeoutError: it took longer than a save may; the destination is as it was.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won.
        ObjectChangedError, ObjectNotFoundError: a source was replaced or deleted meanwhile; merge again.
        StorageError: a store failed; the destination is as it was.

    Cost: for each source a GET, a LIST and a HEAD; the copies (`copy_files`: by the store itself where the source's
    `Store` is the destination's, the same object, and can); and what a commit costs. Memory: the
    indexes, and what `write_data_files` needs.
    """
    _check_places(sources, destination)
    found = _open_all(sources, destination, allow_missing=allow_missing)
    header = _common_header(found)
    shards = [_shards(checkpoint) for checkpoint in found]
    standing = look(destination, unsafe_overwrite=unsafe_overwrite)
    names = standing.choose_names(sum(map(len, shards)))

    entries, copies = Entries(), list[FileCopy]()
    for checkpoint, of_source, share in zip(found, shards, names.split(map(len, shards)), strict=True):
        entries.add(_renumbered(checkpoint, dict(zip(of_source, count(share.first)))), checkpoint.prefix.url)
        store, data = checkpoint.prefix.store, checkpoint.data
        copies += [FileCopy(store, data[old], new) for old, new in zip(of_source.values(), share.keys, strict=True)]
    entries.check_overlaps(destination.url)

    written = sorted(copy_files(destination, copies), key=lambda info: info.key)
    part = PartialSave(replace(header, num_shards=names.num_shards), tuple(written), entries)
    saved = commit_partials(standing, [part])
    if delete_old:
        for checkpoint, of_source in zip(found, shards, strict=True):
            _delete(checkpoint, tuple(of_source.values()))
    return saved


def _check_places(sources: Sequence[Location], destination: Location) -> None:
    check_prefix(destination)
    for source in sources:
        check_prefix(source)
        if source.url == destination.url:
            raise _refusal(destination, "it is one of the checkpoints that are to be merged; merge into a new name")
    if not sources:
        raise _refusal(destination, "there are no checkpoints to merge; name at least one")


def _open_all(sources: Sequence[Location], destination: Location, *, allow_missing: bool) -> list[BundleCheckpoint]:
    """The sources that are there, in their order, each whole."""
    opened: dict[int, OpenCheckpoint] = {}
    missing: dict[int, CheckpointNotFoundError] = {}

    def open_one(number: int, source: Location) -> None:
        try:
            opened[number] = read_consistently(source, lambda checkpoint: checkpoint)
        except CheckpointNotFoundError as error:
            missing[number] = error

    opening = (partial(open_one, *numbered) for numbered in enumerate(sources))
    run_side_by_side(opening, threads=destination.store.max_concurrency)
    if missing and not (opened and allow_missing):
        error = missing[min(missing)]
        raise _refusal(destination, str(error)) from error
    return [_in_v2(opened[number], destination) for number in sorted(opened)]


def _in_v2(checkpoint: OpenCheckpoint, destination: Location) -> BundleCheckpoint:
    if isinstance(checkpoint, BundleCheckpoint):
        return checkpoint
    raise _refusal(
        destination,
        f"{checkpoint.prefix.url!r} is in the V1 format, and only checkpoints in the V2 format can be merged; load it "
        "and save it again first",
    )


def _common_header(found: Sequence[BundleCheckpoint]) -> BundleHeader:
    """What the headers of all say, but for the number of data files."""
    first = found[0]
    for other in found:
        if replace(other.index.header, num_shards=first.index.header.num_shards) != first.index.header:
            raise InvalidArgumentError(
                f"{other.prefix.url!r} can't be merged with {first.prefix.url!r}: their byte orders or versions differ "
                f"({other.index.header} and {first.index.header}); load the one and save it again first",
                path=other.prefix.url,
            )
    return first.index.header


def _shards(checkpoint: BundleCheckpoint) -> dict[int, str]:
    """The keys of the data files that the index needs, by their shard ids."""
    prefix, num_shards = checkpoint.prefix.key, checkpoint.index.header.num_shards
    needed = sorted({shard_id for shard_id, _, _ in checkpoint.index.extents()})
    return {shard_id: data_filename(prefix, shard_id, num_shards) for shard_id in needed}


def _renumbered(checkpoint: BundleCheckpoint, numbers: Mapping[int, int]) -> Entries:
    """The entries of a checkpoint whose data files get other shard ids."""
    entries, index = Entries(), checkpoint.index
    by_key = ((tensor_key(name), entry) for name, entry in index.entries.items())
    for key, entry in chain(by_key, index.slice_entries.items()):
        if entry.is_sliced:
            entries.sliced[key] = entry
        else:
            entries.stored[key] = entry._replace(shard_id=numbers[entry.shard_id]).encode()
    return entries


def _delete(checkpoint: BundleCheckpoint, data_files: tuple[str, ...]) -> None:
    prefix = checkpoint.prefix
    try:
        # A store that deletes without a condition is asked first: what has replaced the source was not merged.
        if prefix.store.capabilities.delete_if_version or checkpoint.is_current():
            delete_checkpoint(Doomed(prefix, checkpoint.index_info, data_files))
        else:
            logger.warning("%s was merged, and stays: another checkpoint has replaced it", prefix.url)
    except StorageError as error:
        # The merged checkpoint is committed, and must not look failed.
        logger.warning("%s was merged, and stays: %s", prefix.url, error)


def _refusal(destination: Location, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"nothing can be merged into {destination.url!r}: {reason}", path=destination.url)
