"""Names for the data files of one save: none that a file of the prefix has, or that a late DELETE may still hit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import SystemRandom
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import data_filename
from cloudckpt.bundle.tensor_names import encode_name
from cloudckpt.errors import InvalidArgumentError, StructureError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from cloudckpt.bundle.index import BundleIndex

__all__ = ["ShardNames", "choose_names", "needed_data_files", "tensor_key"]


@dataclass(frozen=True, slots=True)
class ShardNames:
    """The data files of one save: consecutive shards out of a number that need not all exist."""

    first: int
    """the shard id of the first"""
    num_shards: int
    """what the index's header says, and the names end in"""
    keys: tuple[str, ...]

    def split(self, counts: Iterable[int]) -> list[ShardNames]:
        """Shares of the data files, of so many each, for as many processes.

        Raises:
            InvalidArgumentError: they come to more than there are, or one is negative.
        """
        counts = list(counts)
        if sum(counts) > len(self.keys) or min(counts, default=0) < 0:
            raise InvalidArgumentError(
                f"the names of {len(self.keys)} data files can't be shared out as {counts}: choose as many as the "
                "shares come to"
            )
        bounds = pairwise(accumulate(counts, initial=0))
        return [ShardNames(self.first + start, self.num_shards, self.keys[start:stop]) for start, stop in bounds]


def choose_names(prefix_key: str, count: int, *, taken: Container[str], fresh: bool) -> ShardNames:
    """Name `count` data files.

    Args:
        prefix_key: the checkpoint's prefix.
        count: how many data files.
        taken: keys that must not be used.
        fresh: no file of this prefix was ever there, so TensorFlow's own `data-00000-of-0000N` are safe. Otherwise N
            and the first shard are random: TensorFlow reads such a checkpoint, whose other shards never existed.
    """
    if fresh:
        return _names(prefix_key, 0, max(count, 1), count)
    while True:
        num_shards = SystemRandom().randint(max(10_000, count), max(99_999, 2 * count))
        names = _names(prefix_key, SystemRandom().randrange(num_shards - count + 1), num_shards, count)
        if not any(key in taken for key in names.keys):
            return names


def tensor_key(name: str) -> bytes:
    """The key of a tensor in the index; its order is that of the tensors in the data files.

    Raises:
        StructureError: no index can hold that name: it is empty (the header's key), begins with a null character (as
            the keys of slices do), or has surrogates that stand for no byte.
    """
    if not name or name.startswith("\0"):
        raise StructureError(
            f"a tensor can't be named {name!r}: a checkpoint keeps names that are empty or begin with a null "
            "character for itself; rename it",
            tensor=name,
        )
    try:
        return encode_name(name)
    except UnicodeEncodeError as error:
        raise StructureError(f"the tensor name {name!r} is not valid UTF-8: {error.reason}", tensor=name) from error


def _names(prefix_key: str, first: int, num_shards: int, count: int) -> ShardNames:
    keys = tuple(data_filename(prefix_key, shard, num_shards) for shard in range(first, first + count))
    return ShardNames(first, num_shards, keys)


def needed_data_files(prefix_key: str, index: BundleIndex) -> dict[str, int]:
    """The keys of exactly those data files that an index refers to, with the size that each has at least (bytes).

    That is also the sum of its tensors' sizes: no two share bytes, so a small file can't claim to fill a large memory.
    """
    ends: dict[int, int] = {}
    sums: dict[int, int] = {}
    for shard, offset, size in index.extents():
        ends[shard] = max(ends.get(shard, 0), offset + size)
        sums[shard] = sums.get(shard, 0) + size
    num_shards = index.header.num_shards
    return {data_filename(prefix_key, shard, num_shards): max(ends[shard], sums[shard]) for shard in sorted(ends)}
