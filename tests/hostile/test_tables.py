"""Tables that lie, with right checksums: loops, overlaps, bombs, keys out of order. The file's size bounds all work."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import cramjam
import pytest

from cloudckpt.bundle import table_reader
from cloudckpt.bundle.entry import BundleHeader
from cloudckpt.bundle.table import SNAPPY
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.verification.verify import verify
from tests.bundle.tables import decode_table
from tests.hostile.forgery import EMPTY_BLOCK, ForgedTable, Forgery, block_of, elements, entry_proto
from tests.hostile.readers import READERS, assert_refused, refusals

if TYPE_CHECKING:
    from pathlib import Path

TWO = elements((2,))
HEADER = (b"", BundleHeader(1).encode())
ENTRY = entry_proto(1, (2,), size=8)


def refused_by_all(index: bytes, tmp_path: Path) -> str:
    """What readers say of a checkpoint with this index."""
    forgery = Forgery()
    forgery.tensor("a", TWO)
    prefix = forgery.write(tmp_path / "ckpt")
    prefix.with_name("ckpt.index").write_bytes(index)
    return assert_refused(prefix, {"a": TWO})["load"]


def test_a_table_without_lies(tmp_path: Path) -> None:
    forgery = Forgery()
    forgery.tensor("a", TWO)
    prefix = forgery.write(tmp_path / "ckpt")
    table = ForgedTable()
    handle = table.block(block_of(HEADER, (b"a", forgery.rows[b"a"])))
    prefix.with_name("ckpt.index").write_bytes(table.finish(block_of((b"b", handle))))
    assert refusals(prefix, {"a": TWO}) == {}


def test_keys_that_are_not_in_order(tmp_path: Path) -> None:
    table = ForgedTable()
    handle = table.block(block_of(HEADER, (b"b", ENTRY), (b"a", ENTRY)))
    assert "keys are not in order" in refused_by_all(table.finish(block_of((b"c", handle))), tmp_path)


def test_a_key_twice_in_a_block(tmp_path: Path) -> None:
    table = ForgedTable()
    handle = table.block(block_of(HEADER, (b"a", ENTRY), (b"a", ENTRY)))
    assert "keys are not in order" in refused_by_all(table.finish(block_of((b"c", handle))), tmp_path)


def test_a_key_twice_in_two_blocks(tmp_path: Path) -> None:
    table = ForgedTable()
    first = table.block(block_of(HEADER, (b"a", ENTRY)))
    second = table.block(block_of((b"a", ENTRY), (b"b", ENTRY)))
    assert "not in order" in refused_by_all(table.finish(block_of((b"a", first), (b"c", second))), tmp_path)


@pytest.mark.parametrize("separators", [(b"b", b"a"), (b"b", b"b"), (b"\xff", b"\xff\xff")], ids=str)
def test_separators_that_lie(separators: tuple[bytes, bytes], tmp_path: Path) -> None:
    table = ForgedTable()
    first = table.block(block_of(HEADER, (b"a", ENTRY)))
    second = table.block(block_of((b"b", ENTRY)))
    index = block_of((separators[0], first), (separators[1], second))
    refused_by_all(table.finish(index), tmp_path)


def test_the_index_is_its_own_data_block(tmp_path: Path) -> None:
    """The block's handle is in the block, so its own checksum holds: only its place is known before it is written."""
    table = ForgedTable()
    index = block_of((b"c", encode_varint(0) + encode_varint(14)))
    assert len(index) == 14
    handle = table.block(index)
    refused_by_all(table.footer(table.block(EMPTY_BLOCK), handle), tmp_path)


def test_the_index_leads_to_the_metaindex(tmp_path: Path) -> None:
    table = ForgedTable()
    metaindex = table.block(EMPTY_BLOCK)
    index = table.block(block_of((b"c", metaindex)))
    assert "header is missing" in refused_by_all(table.footer(metaindex, index), tmp_path)


def test_the_metaindex_is_the_index(tmp_path: Path) -> None:
    table = ForgedTable()
    index = table.block(block_of((b"c", table.block(block_of(HEADER, (b"a", ENTRY))))))
    assert "metaindex is not empty" in refused_by_all(table.footer(index, index), tmp_path)


def test_one_block_listed_again_and_again(tmp_path: Path) -> None:
    table = ForgedTable()
    handle = table.block(block_of(HEADER, (b"a", ENTRY)))
    index = block_of(*((f"c{number:06}".encode(), handle) for number in range(5000)))
    assert "overlap" in refused_by_all(table.finish(index), tmp_path)


def blocks_read(data: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that are decompressed and decoded of a table, whatever comes of it."""
    total = 0
    inner = table_reader.decode_block

    def counted(block: bytes, **options: int) -> list[tuple[bytes, bytes]]:
        nonlocal total
        total += len(block)
        return inner(block, **options)

    monkeypatch.setattr(table_reader, "decode_block", counted)
    with suppress(CheckpointDamagedError):
        decode_table(data, "index")
    return total


def test_work_is_bounded_by_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of handles that lead to one large block: it is decoded once at most."""
    table = ForgedTable()
    large = table.block(block_of(HEADER, (b"a", bytes(1 << 20))))
    index = block_of(*((f"c{number:06}".encode(), large) for number in range(3000)))
    data = table.finish(index)
    assert blocks_read(data, monkeypatch) <= 2 * len(data)


@pytest.mark.parametrize("claim", [10**6, 2**31, 2**32 - 1, 2**62])
def test_a_block_that_claims_to_unpack_to_more(claim: int, tmp_path: Path) -> None:
    table = ForgedTable()
    handle = table.block(encode_varint(claim) + b"\x00a" * 20, SNAPPY)
    assert "claims to unpack" in refused_by_all(table.finish(block_of((b"c", handle))), tmp_path)


def test_a_bomb_of_zeros(tmp_path: Path) -> None:
    """Real snappy data, as dense as it can be: what it unpacks to is a small multiple of the file."""
    table = ForgedTable()
    bomb = bytes(cramjam.snappy.compress_raw(bytes(64 << 20)))
    index = table.finish(block_of((b"c", table.block(bomb, SNAPPY))))
    tracemalloc.start()
    try:
        refused_by_all(index, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * len(index)


def test_keys_that_share_one_long_prefix(tmp_path: Path) -> None:
    """Each costs a few bytes, and would be as long as the first."""
    block = bytearray()
    block += encode_varint(0) + encode_varint(100_000) + encode_varint(0) + b"k" * 100_000
    for number in range(50_000):
        block += encode_varint(99_990) + encode_varint(10) + encode_varint(0) + f"{number:010}".encode()
    block += bytes(4) + (1).to_bytes(4, "little")
    table = ForgedTable()
    handle = table.block(bytes(block))
    tracemalloc.start()
    try:
        refused_by_all(table.finish(block_of((b"l", handle))), tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(block)


RESTARTS = [0, 1, 2, 3, 1000, 2**30, 2**32 - 1]


@pytest.mark.parametrize("restarts", RESTARTS)
def test_restarts_that_lie(restarts: int, tmp_path: Path) -> None:
    whole = block_of(HEADER, (b"a", ENTRY))
    forged = whole[:-4] + restarts.to_bytes(4, "little")
    table = ForgedTable()
    index = table.finish(block_of((b"c", table.block(forged))))
    if restarts == 1:
        assert forged == whole
    else:
        refused_by_all(index, tmp_path)


@pytest.mark.parametrize(
    "numbers", [(1, 1, 1), (0, 2**62, 1), (0, 1, 2**62), (0, 2**63, 2**63), (2**64 - 1, 1, 1)], ids=str
)
def test_an_entry_of_a_block_that_lies(numbers: tuple[int, int, int], tmp_path: Path) -> None:
    block = b"".join(map(encode_varint, numbers)) + b"kv" + bytes(4) + (1).to_bytes(4, "little")
    table = ForgedTable()
    refused_by_all(table.finish(block_of((b"z", table.block(block)))), tmp_path)


@pytest.mark.parametrize("handle", [b"", b"\x80", b"\x00", b"\xff" * 10 + b"\x01", b"\x00\x05extra"], ids=repr)
def test_a_handle_that_can_not_be_read(handle: bytes, tmp_path: Path) -> None:
    refused_by_all(ForgedTable().finish(block_of((b"c", handle))), tmp_path)


@pytest.mark.parametrize("offset", [1, 2**31, 2**62, 2**64 - 1])
@pytest.mark.parametrize("size", [0, 2**31, 2**63, 2**64 - 1])
def test_a_handle_that_leaves_the_file(offset: int, size: int, tmp_path: Path) -> None:
    table = ForgedTable()
    handle = encode_varint(offset) + encode_varint(size)
    refused_by_all(table.finish(block_of((b"c", handle))), tmp_path)
    refused_by_all(table.footer(handle[:20], table.block(EMPTY_BLOCK)), tmp_path)


def test_no_data_blocks_at_all(tmp_path: Path) -> None:
    assert "header is missing" in refused_by_all(ForgedTable().finish(EMPTY_BLOCK), tmp_path)


def test_an_unknown_compression(tmp_path: Path) -> None:
    table = ForgedTable()
    handle = table.block(block_of(HEADER, (b"a", ENTRY)), 2)
    assert "compressed in an unknown way" in refused_by_all(table.finish(block_of((b"c", handle))), tmp_path)


def test_a_tensor_under_the_key_of_the_header(tmp_path: Path) -> None:
    table = ForgedTable()
    handle = table.block(block_of((b"", ENTRY), (b"a", ENTRY)))
    refused_by_all(table.finish(block_of((b"c", handle))), tmp_path)


def test_what_can_be_read_is_verified_beside_a_lost_block(tmp_path: Path) -> None:
    forgery = Forgery()
    forgery.tensor("a", TWO)
    prefix = forgery.write(tmp_path / "ckpt")
    table = ForgedTable()
    first = table.block(block_of(HEADER, (b"a", forgery.rows[b"a"])))
    second = table.block(block_of((b"c", ENTRY), (b"b", ENTRY)))
    prefix.with_name("ckpt.index").write_bytes(table.finish(block_of((b"b", first), (b"d", second))))
    report = verify(prefix)
    assert len(report.problems) == 1
    assert report.tensors_checked == 1
    assert {*refusals(prefix, {"a": TWO})} >= {*READERS} - {"slices"}
