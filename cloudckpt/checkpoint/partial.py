"""A checkpoint written in parts, by any number of processes: data files under names that were chosen before, and at
last the one index that names them all. No byte is moved twice.

One process looks at the prefix (`look`), chooses names for the data files of all (`Standing.choose_names`) and hands
each its share (`ShardNames.split`). Each writes its tensors and slices (`write_partial`), and hands back what it wrote.
The first commits (`commit_partials`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.entry import BundleHeader
from cloudckpt.checkpoint.commit_index import SavedCheckpoint, commit_index
from cloudckpt.checkpoint.content import content_of
from cloudckpt.checkpoint.data_files import completed_or_discarded, write_data_files
from cloudckpt.checkpoint.delete import discard
from cloudckpt.checkpoint.entries import Entries
from cloudckpt.checkpoint.plan import plan_shards
from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.names import ShardNames
    from cloudckpt.checkpoint.plan import ShardPlan
    from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
    from cloudckpt.checkpoint.standing import Standing
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["ALIGNMENT", "PartialSave", "commit_partials", "write_partial", "write_plans"]

ALIGNMENT = 64
"""Where large tensors begin in a data file (bytes), so that a reader may map them; TensorFlow reads such files."""


@dataclass(frozen=True, slots=True)
class PartialSave:
    """Data files that are written and that no index names yet. It can be pickled, and sent to another process."""

    header: BundleHeader
    """what the index is to say of the whole checkpoint; the same in all parts"""
    files: tuple[ObjectInfo, ...]
    entries: Entries


def write_partial(
    prefix: Location,
    tensors: Mapping[str, NDArray[Any] | SlicedTensor],
    names: ShardNames,
    *,
    alignment: int = ALIGNMENT,
) -> PartialSave:
    """Write some of a checkpoint's tensors and slices into data files of their own.

    Nothing that a reader sees changes: the files are part of a checkpoint once `commit_partials` has named them.

    Args:
        prefix: the checkpoint's.
        tensors: arrays by name, or slices of them. They must not change before this returns.
        names: the data files to write. No other process has them; of those that the tensors do not fill none is made.
        alignment: bytes; 1 lays a data file out exactly as TensorFlow does.

    Raises:
        TypeError: an array is of no type that TensorFlow has.
        StructureError: no checkpoint can hold a tensor of that name, or a string is not valid UTF-8.
        InvalidArgumentError: slices overlap, are not in their tensor, or don't have their arrays' shapes; or there are
            tensors and no names.
        CommitConflictError: another writer took the same names meanwhile.
        StorageError: the store failed; what was completed is gone again.

    Cost: for each data file one request if small, else two more than it has parts. Memory beyond the arrays: that
    of `write_data_files`, and the entries.
    """
    content = content_of(tensors)
    plans = plan_shards(content.keys, content.sources, alignment=alignment, shards=len(names.keys))
    return write_plans(prefix, plans, content.sliced, names)


def write_plans(
    prefix: Location, plans: Sequence[ShardPlan], sliced: dict[bytes, BundleEntry], names: ShardNames
) -> PartialSave:
    """What `write_partial` does with tensors that are laid out already: no more data files than there are names."""
    if len(plans) > len(names.keys):
        raise InvalidArgumentError(
            f"a part of {prefix.url!r} has tensors for {len(plans)} data files, and names for {len(names.keys)} data "
            "files: share out a name at least to each part that has tensors",
            path=prefix.url,
        )
    with completed_or_discarded(prefix) as completed:
        writers = write_data_files(prefix, plans, names.keys[: len(plans)], completed)
    entries = Entries(sliced=sliced)
    for shard_id, writer in enumerate(writers, names.first):
        writer.add_entries(entries, shard_id)
    return PartialSave(BundleHeader(names.num_shards), tuple(completed), entries)


def commit_partials(
    standing: Standing, partials: Sequence[PartialSave], *, before_commit: Callable[[], None] = lambda: None
) -> SavedCheckpoint:
    """Make what was written in parts the checkpoint of its prefix, in one atomic step. No data is moved.

    Args:
        standing: what was found at the prefix before the names were chosen.
        partials: all parts, one or more, whose names were chosen together. They stay as they are.
        before_commit: called when only the index is still to be written; if it raises, the data is deleted again.

    Raises:
        InvalidArgumentError: two parts have the same tensor or slice, or slices of one tensor that overlap or don't
            fit together, or they are not of one save; the data is deleted.
        CommitConflictError: another writer committed meanwhile; its checkpoint is whole.
        CommitTimeoutError: the save has taken too long; the data is deleted.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won.
        StorageError: the store failed; the prefix is as it was.

    Cost: one PUT of the index; replacing adds a batch of deletes.
    """
    written = [info for partial in partials for info in partial.files]
    try:
        index = _united_index(standing, partials)
        before_commit()
    except BaseException:
        discard(standing.prefix, written)
        raise
    return commit_index(standing, index, written)


def _united_index(standing: Standing, partials: Sequence[PartialSave]) -> bytes:
    headers = {partial.header for partial in partials}
    if len(headers) != 1:
        found = sorted(header.num_shards for header in headers)
        raise InvalidArgumentError(
            f"{standing.prefix.url!r} can't be committed: its parts are named as of {found} data files. Commit one or "
            "more parts whose names were chosen together",
            path=standing.prefix.url,
        )
    if len(partials) == 1:
        return partials[0].entries.encode(partials[0].header)
    entries = Entries()
    for partial in partials:
        entries.add(partial.entries, standing.prefix.url)
    entries.check_overlaps(standing.prefix.url)
    return entries.encode(headers.pop())
