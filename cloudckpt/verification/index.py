"""Reading an index for verification: what can be read of a damaged one is read, and what can't be is told."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import BundleIndex, decode_index
from cloudckpt.bundle.slice_keys import decode_slice_key
from cloudckpt.bundle.table_reader import TableReader
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError
from cloudckpt.verification.log import message_about
from cloudckpt.verification.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.verification.log import VerifyLog

__all__ = ["read_blocks", "salvage_index"]

_SLICE_KEY_START = b"\0"


def salvage_index(data: bytes, file: str, log: VerifyLog) -> BundleIndex | None:
    """All that an index says and that can be true; None if not even its header can be read.

    Args:
        data: the whole file.
        file: its path.
        log: takes what is wrong: blocks whose checksums differ, entries that can't be true.
    """
    try:
        with suppress(CheckpointDamagedError):
            return decode_index(data, file)
    except CheckpointVersionError as error:
        log.add(Finding(FindingKind.VERSION_UNSUPPORTED, message_about(error, file), file))
        return None
    return _salvage(data, file, log)


def read_blocks(table: TableReader, file: str, log: VerifyLog) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of all blocks of a table that can be read."""
    for number in range(table.block_count):
        try:
            yield from table.block(number)
        except CheckpointDamagedError as error:
            start, stop = table.extent(number)
            log.add(
                Finding(FindingKind.INDEX_DAMAGED, message_about(error, file), file, offset=start, size=stop - start)
            )


def _salvage(data: bytes, file: str, log: VerifyLog) -> BundleIndex | None:
    """Block by block, and entry by entry: slower, and stopped by nothing but the loss of what stands first."""
    view = memoryview(data)
    try:
        rows = read_blocks(TableReader(lambda start, stop: view[start:stop], len(view), file), file, log)
        key, value = next(rows, (None, b""))
        if key != b"":
            raise CheckpointDamagedError("its header is missing")
        header = BundleHeader.decode(value, path=file)
    except CheckpointDamagedError as error:
        log.add(Finding(FindingKind.INDEX_DAMAGED, message_about(error, file), file))
        return None
    entries: dict[str, BundleEntry] = {}
    slice_entries: dict[bytes, BundleEntry] = {}
    for key, value in rows:
        try:
            entry = BundleEntry.decode(value, path=file, name=_readable(key), num_shards=header.num_shards)
        except CheckpointDamagedError as error:
            log.add(Finding(FindingKind.ENTRY_DAMAGED, message_about(error, file), file, tensor=_readable(key)))
            log.lose([_readable(key)])
        else:
            if key.startswith(_SLICE_KEY_START):
                slice_entries[key] = entry
            else:
                entries[_readable(key)] = entry
    return BundleIndex(header, entries, slice_entries)


def _readable(key: bytes) -> str:
    """The name of the tensor that the key is about, as far as it can be read."""
    if key.startswith(_SLICE_KEY_START):
        with suppress(ValueError):
            return decode_slice_key(key)[0]
    return key.decode("utf-8", "surrogateescape")
