"""A checkpoint's `.index` file: a table of the bundle's header and of one entry for every tensor."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.entry_columns import NamedEntries
from cloudckpt.bundle.entry_decoding import decode_entries
from cloudckpt.bundle.table_reader import decode_blocks
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.bundle.tensor_names import decode_names, encode_name
from cloudckpt.collection import collection_paused
from cloudckpt.errors import CheckpointDamagedError, StructureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Buffer

__all__ = ["BundleIndex", "decode_index", "encode_index", "encode_rows"]

_HEADER_KEY = b""

# The keys of slices are in the ordered code, which begins them with the number 0: one byte, NUL
# (core/util/saved_tensor_slice_util.cc). Names come after them.
_AFTER_SLICE_KEYS = b"\1"


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """What an `.index` file says."""

    header: BundleHeader
    entries: NamedEntries
    """By tensor name, in the order of the names' UTF-8 bytes (those that are no UTF-8 with surrogate escapes)."""
    slice_entries: dict[bytes, BundleEntry] = field(default_factory=dict)
    """Entries of the slices that tensors are stored in, by their keys, in order."""

    def extents(self) -> Iterator[tuple[int, int, int]]:
        """Shard, offset and size of every tensor and slice that has bytes of its own."""
        yield from self.entries.extents()
        for entry in self.slice_entries.values():
            if not entry.slices:
                yield entry.shard_id, entry.offset, entry.size


def encode_index(
    header: BundleHeader,
    entries: Mapping[str, BundleEntry],
    slice_entries: Mapping[bytes, BundleEntry] | None = None,
) -> bytes:
    """The bytes of an `.index` file, exactly those that TensorFlow writes for these entries, in whatever order.

    Raises:
        StructureError: a tensor has no name: the empty key is the header's.
    """
    rows = {encode_name(name): entry.encode() for name, entry in entries.items()}
    rows.update((key, entry.encode()) for key, entry in (slice_entries or {}).items())
    if _HEADER_KEY in rows:
        raise StructureError("a tensor's name is empty: a checkpoint can't hold it, so name it", tensor="")
    return encode_rows(header, rows)


@collection_paused()
def encode_rows(header: BundleHeader, rows: Mapping[bytes, bytes]) -> bytes:
    """The bytes of an `.index` file of entries that are encoded already, by their keys, in whatever order."""
    in_order = ((key, rows[key]) for key in sorted(rows))
    return encode_table(chain([(_HEADER_KEY, header.encode())], in_order))


@collection_paused()
def decode_index(data: Buffer, path: str) -> BundleIndex:
    """Read the bytes of an `.index` file, and check every one of them.

    What is returned can be acted upon: offsets and sizes are not negative, shards exist, sizes fit dtype and shape.
    Whether the data files are that long is for the caller to see.

    Args:
        data: the whole file.
        path: the file's, for messages.

    Raises:
        ChecksumMismatchError: the file was altered.
        CheckpointDamagedError: it is cut short, or says what can't be.
        CheckpointVersionError: a newer program wrote it in a form that this version must not read.
    """
    blocks = filter(None, decode_blocks(data, path))
    first = next(blocks, [])
    if not first or first[0][0] != _HEADER_KEY:
        raise CheckpointDamagedError(f"{path}: its header is missing. Restore another checkpoint.", path=path)
    header = BundleHeader.decode(first[0][1], path=path)
    entries = NamedEntries()
    slice_entries: dict[bytes, BundleEntry] = {}
    for block in filter(None, chain([first[1:]], blocks)):
        keys, values = zip(*block, strict=True)
        names = decode_names(keys)
        columns = decode_entries(names, values, path=path, num_shards=header.num_shards)
        slices = bisect_left(keys, _AFTER_SLICE_KEYS)
        slice_entries.update(zip(keys[:slices], columns.entries(), strict=False))
        entries.add(names[slices:], columns.after(slices))
    return BundleIndex(header, entries, slice_entries)
