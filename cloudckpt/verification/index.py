"""Reading an index for verification: what can be read of a damaged one is read, and what can't be is told."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.entry_columns import NamedEntries
from cloudckpt.bundle.index import BundleIndex, decode_index
from cloudckpt.bundle.slice_keys import SLICE_KEY_START, tensor_of_key
from cloudckpt.bundle.table_reader import TableReader
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError
from cloudckpt.verification.log import message_about
from cloudckpt.verification.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.verification.log import VerifyLog

__all__ = ["read_blocks", "salvage_index"]


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
        name = tensor_of_key(key)
        try:
            entry = BundleEntry.decode(value, path=file, name=name, num_shards=header.num_shards)
        except CheckpointDamagedError as error:
            log.add(Finding(FindingKind.ENTRY_DAMAGED, message_about(error, file), file, tensor=name))
            log.lose([name])
        else:
            if key.startswith(SLICE_KEY_START):
                slice_entries[key] = entry
            else:
                entries[name] = entry
    return BundleIndex(header, NamedEntries.of(entries), slice_entries)
