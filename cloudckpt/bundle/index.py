"""A checkpoint's `.index` file: a table of the bundle's header and of one entry for every tensor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.table_reader import decode_table
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.errors import CheckpointDamagedError, StructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

__all__ = ["BundleIndex", "decode_index", "encode_index"]

_HEADER_KEY = b""

# The keys of slices are in the ordered code, which begins them with the number 0: one byte, NUL
# (core/util/saved_tensor_slice_util.cc).
_SLICE_KEY_START = b"\0"


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """What an `.index` file says."""

    header: BundleHeader
    entries: dict[str, BundleEntry]
    """By tensor name, in the order of the names' UTF-8 bytes (those that are no UTF-8 with surrogate escapes)."""
    slice_entries: dict[bytes, BundleEntry] = field(default_factory=dict)
    """Entries of the slices that tensors are stored in, by their keys, in order."""


def encode_index(
    header: BundleHeader,
    entries: Mapping[str, BundleEntry],
    slice_entries: Mapping[bytes, BundleEntry] | None = None,
) -> bytes:
    """The bytes of an `.index` file, exactly those that TensorFlow writes for these entries, in whatever order.

    Raises:
        StructureError: a tensor has no name: the empty key is the header's.
    """
    values = {_encode_name(name): entry.encode() for name, entry in entries.items()}
    values |= {key: entry.encode() for key, entry in (slice_entries or {}).items()}
    if _HEADER_KEY in values:
        raise StructureError("a tensor's name is empty: a checkpoint can't hold it, so name it", tensor="")
    values[_HEADER_KEY] = header.encode()
    return encode_table(sorted(values.items()))


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
    table = decode_table(data, path)
    if not table or table[0][0] != _HEADER_KEY:
        raise CheckpointDamagedError(f"{path}: its header is missing. Restore another checkpoint.", path=path)
    header = BundleHeader.decode(table[0][1], path=path)
    index = BundleIndex(header, {}, {})
    for key, value in table[1:]:
        name = _decode_name(key)
        entry = BundleEntry.decode(value, path=path, name=name, num_shards=header.num_shards)
        if key.startswith(_SLICE_KEY_START):
            index.slice_entries[key] = entry
        else:
            index.entries[name] = entry
    return index


def _encode_name(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decode_name(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
