"""Entries taken apart by hand: the same values and the same errors as protobuf, whatever the bytes."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudckpt.bundle import entry_decoding
from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.entry_decoding import decode_entries
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import DataType

PATH = "bucket/ckpt-1.index"
SHARDS = 60
USUAL = BundleEntry(DataType.FLOAT, (2, 3), 1, 64, 24, 0x12345678)
NUMBERS = st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1))


def outcome(decode: Any) -> object:
    try:
        return decode()
    except CheckpointDamagedError as error:
        return str(error), error.path, error.tensor


def check(values: list[bytes]) -> None:
    """All at once or each by protobuf: the same entries, or the same error about the first that is damaged."""
    names = [f"layer{number}/w" for number in range(len(values))]

    def at_once() -> list[BundleEntry]:
        return [*decode_entries(names, values, path=PATH, num_shards=SHARDS).entries()]

    def one_by_one() -> list[BundleEntry]:
        return [
            BundleEntry.decode(value, path=PATH, name=name, num_shards=SHARDS)
            for name, value in zip(names, values, strict=True)
        ]

    assert outcome(at_once) == outcome(one_by_one)


def padded(number: int, length: int) -> bytes:
    """A varint of more bytes than it needs, as protobuf still reads it."""
    encoded = encode_varint(number)
    if length <= len(encoded):
        return encoded
    return encoded[:-1] + bytes([encoded[-1] | 0x80]) + b"\x80" * (length - len(encoded) - 1) + b"\0"


@st.composite
def varint_field(draw: st.DrawFn, number: int) -> bytes:
    return encode_varint(number << 3) + padded(draw(NUMBERS), draw(st.integers(1, 10)))


@st.composite
def shape_field(draw: st.DrawFn) -> bytes:
    message = message_class("tensorflow.TensorShapeProto")(unknown_rank=draw(st.integers(0, 9)) == 9)
    for size in draw(st.lists(st.integers(-1, 6), max_size=3)):
        message.dim.add(size=size, name=draw(st.sampled_from(["", "", "batch"])))
    encoded = message.SerializeToString()
    return b"\x12" + padded(len(encoded), draw(st.integers(1, 3))) + encoded


FIELDS = st.one_of(
    *(varint_field(number) for number in (1, 3, 4, 5, 9)),
    shape_field(),
    st.binary(min_size=4, max_size=4).map(b"\x35".__add__),
    st.binary(max_size=4).map(lambda data: b"\x52" + encode_varint(len(data)) + data),
)


@st.composite
def usual_entries(draw: st.DrawFn) -> bytes:
    """Fields in order with values that fit, now and then one that doesn't."""
    data_type = draw(st.sampled_from([DataType.FLOAT, DataType.BOOL, DataType.BFLOAT16, DataType.STRING]))
    shape = tuple(draw(st.lists(st.integers(0, 200), max_size=3)))
    size = {DataType.FLOAT: 4, DataType.BFLOAT16: 2}.get(data_type, 1)
    for dim in shape:
        size *= dim
    return BundleEntry(
        data_type,
        shape,
        draw(st.sampled_from([0, 1, SHARDS - 1, SHARDS])),
        draw(st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 2**14))),
        size + draw(st.sampled_from([0, 0, 0, 0, 1, 4])),
        draw(st.integers(0, 2**32 - 1)),
    ).encode()


@given(st.lists(usual_entries(), min_size=1, max_size=5))
def test_usual_entries_are_what_protobuf_says(values: list[bytes]) -> None:
    check(values)


@given(st.lists(st.lists(FIELDS, max_size=8).map(b"".join), min_size=1, max_size=3))
def test_any_fields_in_any_order_are_what_protobuf_says(values: list[bytes]) -> None:
    check(values)


@given(st.lists(usual_entries(), min_size=1, max_size=3), st.data())
def test_any_altered_bytes_are_what_protobuf_says(values: list[bytes], data: st.DataObject) -> None:
    victim = data.draw(st.integers(0, len(values) - 1))
    value = values[victim]
    start = data.draw(st.integers(0, len(value)))
    stop = data.draw(st.integers(start, min(len(value), start + 3)))
    values[victim] = value[:start] + data.draw(st.binary(max_size=3)) + value[stop:]
    check(values)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3))
@example([b""])
@example([b"\x08\x01\x12"])
@example([b"\x08\x01\x12\x7f"])
def test_any_bytes_are_what_protobuf_says(values: list[bytes]) -> None:
    check(values)


HEAD, TAIL = b"\x08\x01\x12\0", b"\x28\x04\x35abcd"


@pytest.mark.parametrize(
    "values",
    [
        [HEAD + b"\x20\x01\x02" + TAIL, HEAD + b"\x20" + TAIL],  # two numbers for one offset, and none for the next
        [HEAD + b"\x20\x80" + TAIL, HEAD + b"\x20\x01\x01" + TAIL],  # one that ends in the next entry
        [HEAD + b"\x20" + b"\xff" * 8 + b"\x7f" + TAIL],  # 2**63 - 1: with the size, beyond int64
        [HEAD + b"\x20" + b"\xff" * 9 + b"\x01" + TAIL],  # -1
        [HEAD + b"\x20\x81\0" + TAIL],
        [HEAD + b"\x18\x80\x00\x20\x01" + TAIL],
        [HEAD + b"\x18\0\x20\0" + TAIL],
        [HEAD + b"\x20\x01" + TAIL + b"\x18\x01"],
        [HEAD + b"\x20\x01" + TAIL + TAIL],
        [HEAD + b"\x28\x04"],
        [b"\x08\x01\x12\x02\x18\x01" + TAIL],  # of unknown rank
        [b"\x08\x01\x12\x02\x12\0\x18\x35abcd"],  # the shard looks like the checksum's field number
        [b"\x08\x01\x12\x80\0\x20\x05\x52\x7b" + bytes(123) + TAIL],  # a padded length
        [BundleEntry(DataType.BOOL, (2**63 - 1,), 0, 1, 2**63 - 1, 0).encode()],
    ],
)
def test_what_only_looks_usual_is_what_protobuf_says(values: list[bytes]) -> None:
    check([*values, USUAL.encode()])


def test_usual_entries_need_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all of the above would hold without any of it being read by hand."""
    entries = [
        BundleEntry(data_type, (3, size), shard, offset, 12 * size, 7)
        for data_type in (DataType.FLOAT, DataType.QINT32)
        for size in (0, 5)
        for shard in (0, 2, 42_416)
        for offset in (0, 1, 300, 2**40)
    ]
    monkeypatch.setattr(BundleEntry, "decode", None)
    names = ["x"] * len(entries)
    values = [entry.encode() for entry in entries]
    assert [*decode_entries(names, values, path=PATH, num_shards=99_999).entries()] == entries


def test_many_heads_are_not_kept_for_ever() -> None:
    values = [BundleEntry(DataType.FLOAT, (size,), 0, 0, 4 * size, 0).encode() for size in range(5000)]
    decode_entries(["x"] * len(values), values, path=PATH, num_shards=1)
    kept = entry_decoding._decode_head.cache_info()
    assert kept.currsize <= kept.maxsize < len(values)


def test_a_long_head_is_not_kept() -> None:
    shape = message_class("tensorflow.TensorShapeProto")()
    shape.dim.add(size=1, name="n" * 100_000)
    encoded = shape.SerializeToString()
    value = b"\x08\x01\x12" + encode_varint(len(encoded)) + encoded + b"\x28\x04\x35" + struct.pack("<I", 0)
    entry_decoding._decode_head.cache_clear()
    check([value])
    assert decode_entries(["x"], [value], path=PATH, num_shards=1).entry(0).shape == (1,)
