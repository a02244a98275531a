"""Saving one checkpoint: data first, then the one write that makes it the checkpoint of its prefix.

The order of writes, and what holds after each (a crash may come between any two):

1. LIST the prefix: names and versions of what is there (`standing.look`).
2. Data files are written under names that no file of the prefix has (`data_files`). The old checkpoint, if any, is
   untouched.
3. The `.index` is written, on the condition that it is still what 1 saw (`commit_index`). Before it the prefix holds
   the old checkpoint, after it the new one, and never anything between.
4. The data files that the old index named are deleted, by their names, never by a pattern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.commit_index import SavedCheckpoint
from cloudckpt.checkpoint.content import Content, content_of
from cloudckpt.checkpoint.entries import Entries
from cloudckpt.checkpoint.partial import ALIGNMENT, commit_partials, write_plans
from cloudckpt.checkpoint.plan import plan_shards
from cloudckpt.checkpoint.prefix import check_prefix
from cloudckpt.checkpoint.standing import look

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
    from cloudckpt.storage.location import Location

__all__ = ["SavedCheckpoint", "save_groups", "save_tensors"]

SHARD_BYTES = 32 << 20
"""A store that takes one file's bytes only in order gets one data file for each so many bytes, up to
`Store.max_concurrency`."""


def save_tensors(
    prefix: Location,
    tensors: Mapping[str, NDArray[Any] | SlicedTensor],
    *,
    alignment: int = ALIGNMENT,
    shards: int | None = None,
    reuse_names: bool = True,
    unsafe_overwrite: bool = False,
    replaceable: Container[str] | None = None,
    before_commit: Callable[[], None] = lambda: None,
    max_save_time: float | None = None,
) -> SavedCheckpoint:
    """Write tensors as the checkpoint of a prefix: afterwards it is whole there, or nothing there has changed.

    Args:
        prefix: where; an existing checkpoint is replaced in one atomic step.
        tensors: arrays by name, or slices of them; in the data files they stand in this order. They must not change
            before this returns. C-contiguous ones are not copied.
        alignment: bytes; 1 lays the data file out exactly as TensorFlow does.
        shards: data files to write at most, of about equal size; by default as many as the store takes side by side.
        reuse_names: False takes random names for the data files also where the prefix is empty, because a checkpoint
            of that name was deleted before and a late DELETE of it may still be under way.
        unsafe_overwrite: replace an existing checkpoint also on a store that can't do it conditionally.
        replaceable: versions of the index; if another one is there, it is another writer's. None to replace any.
        before_commit: called when all data is written, before the index is; if it raises, the data is deleted again.
        max_save_time: as for `standing.look`.

    Raises:
        CheckpointPathError: the path can't be a prefix.
        TypeError: an array is of no type that TensorFlow has.
        StructureError: no checkpoint can hold a tensor of that name, or a string is not valid UTF-8.
        InvalidArgumentError: slices overlap, are not in their tensor, or don't have their arrays' shapes or one dtype.
        CommitConflictError: another writer committed or took the same names meanwhile; its checkpoint is whole.
        CommitTimeoutError: it took longer than `max_save_time`; the prefix is as it was.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won.
        StorageError: the store failed; the prefix is as it was.

    Cost: one LIST, the data files (one request each if small, else two more than they have parts), one PUT of the
    index. Replacing adds a GET of the old index and one batch of deletes. Memory beyond the arrays: that of
    `write_data_files`, and the index.
    """
    check_prefix(prefix)
    content = content_of(tensors)
    del tensors  # the names of a million tensors take more memory than all else that is kept of them
    standing = look(prefix, unsafe_overwrite=unsafe_overwrite, replaceable=replaceable, max_save_time=max_save_time)
    count = shards or _shard_count(prefix, content)
    plans = plan_shards(content.keys, content.sources, alignment=alignment, shards=count)
    names = standing.choose_names(len(plans), reuse_names=reuse_names)
    part = write_plans(prefix, plans, content.sliced, names)
    del content, plans
    return commit_partials(standing, [part], before_commit=before_commit)


def save_groups(
    prefix: Location,
    groups: Sequence[Mapping[str, NDArray[Any] | SlicedTensor]],
    *,
    alignment: int = ALIGNMENT,
    unsafe_overwrite: bool = False,
) -> SavedCheckpoint:
    """As `save_tensors`, with a data file for each group that has tensors, in the order of the groups.

    Args:
        prefix: where; an existing checkpoint is replaced in one atomic step.
        groups: arrays by name, or slices of them; slices of one tensor may be in several groups.
        alignment: as for `save_tensors`.
        unsafe_overwrite: as for `save_tensors`.

    Raises:
        InvalidArgumentError: as `save_tensors`; or two groups have the same tensor, or slices that overlap.
        CloudckptError: and what `save_tensors` raises.

    Cost: that of `save_tensors`; the data files are written side by side.
    """
    check_prefix(prefix)
    contents = [content for content in map(content_of, groups) if content.keys]
    sliced = _united_slices(prefix, contents)
    standing = look(prefix, unsafe_overwrite=unsafe_overwrite)
    plans = [plan for content in contents for plan in plan_shards(content.keys, content.sources, alignment=alignment)]
    part = write_plans(prefix, plans, sliced, standing.choose_names(len(plans)))
    return commit_partials(standing, [part])


def _united_slices(prefix: Location, contents: Sequence[Content]) -> dict[bytes, BundleEntry]:
    """The tensors of which all groups together have slices, once it is sure that they fit together."""
    united = Entries()
    for content in contents:
        united.add(Entries(dict.fromkeys(content.keys, b""), content.sliced), prefix.url)
    if len(contents) > 1:
        united.check_overlaps(prefix.url)
    return united.sliced


def _shard_count(prefix: Location, content: Content) -> int:
    if prefix.store.capabilities.parallel_upload:
        return 1
    total = sum(source.nbytes for source in content.sources)
    return min(prefix.store.max_concurrency, max(1, total // SHARD_BYTES))
