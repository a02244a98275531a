"""One block of a table: keys and values in ascending order, each key without what it shares with the one before.

An entry is three varints (bytes of the key shared with the previous one, bytes not shared, bytes of the value), then
the rest of the key, then the value. Every few entries a restart shares nothing, so that a reader can search; the
offsets of the restarts, then their number, end the block, as little-endian uint32.

Source: core/lib/io/block_builder.cc and block.cc.
"""

from __future__ import annotations

import struct

from cloudckpt.bundle.varint import decode_varint, encode_varint

__all__ = ["BlockBuilder", "decode_block", "shared_prefix_length"]

_UINT32_SIZE = 4
_KEY_GROWTH = 64
"""How many times what is stored of a block its keys may come to, written out: TensorFlow's come to 16 times at most, as
every 16th shares nothing, and compressed ones to little more, as what tells entries apart has no pattern. A block that
is made to exhaust memory shares one long key over all its entries."""


class BlockBuilder:
    """Puts a block together.

    Args:
        restart_interval: how many entries there are from one restart to the next.
    """

    def __init__(self, restart_interval: int) -> None:
        self._restart_interval = restart_interval
        self._entries = bytearray()
        self._restarts = [0]
        self._since_restart = 0
        self._last_key = b""

    @property
    def is_empty(self) -> bool:
        """Whether no entry was added yet."""
        return not self._entries

    @property
    def size(self) -> int:
        """Bytes that the block would have if it ended here."""
        return len(self._entries) + _UINT32_SIZE * (len(self._restarts) + 1)

    def add(self, key: bytes, value: bytes) -> None:
        """Append an entry, whose key is greater than the last one's."""
        if self._since_restart == self._restart_interval:
            self._restarts.append(len(self._entries))
            self._since_restart = 0
            shared = 0
        else:
            shared = shared_prefix_length(self._last_key, key)
        unshared = key[shared:]
        self._entries += encode_varint(shared) + encode_varint(len(unshared)) + encode_varint(len(value)) + unshared
        self._entries += value
        self._since_restart += 1
        self._last_key = key

    def finish(self) -> bytes:
        """The whole block."""
        numbers = [*self._restarts, len(self._restarts)]
        return bytes(self._entries) + struct.pack(f"<{len(numbers)}I", *numbers)


def decode_block(block: bytes, *, stored_size: int | None = None) -> list[tuple[bytes, bytes]]:
    """The keys and values of a block, in the order they stand in. Their order is for the caller to check.

    Args:
        block: the whole of it.
        stored_size: the bytes that it has in its file, where it is compressed there.

    Raises:
        ValueError: it is no block; the message says what is wrong.
    """
    try:
        entries = block[: _end_of_entries(block)]
        return _decode_entries(entries, len(entries) if stored_size is None else stored_size)
    except IndexError:
        raise ValueError("an entry runs over the end of its block") from None


def _end_of_entries(block: bytes) -> int:
    if len(block) < _UINT32_SIZE:
        raise ValueError("a block is too short to say how many restarts it has")
    restarts = int.from_bytes(block[-_UINT32_SIZE:], "little")
    end = len(block) - _UINT32_SIZE * (restarts + 1)
    if end < 0 or restarts == 0:
        raise ValueError(f"a block of {len(block)} bytes claims {restarts} restarts")
    return end


def _decode_entries(data: bytes, stored_size: int) -> list[tuple[bytes, bytes]]:
    entries = []
    key = b""
    position = 0
    room = _KEY_GROWTH * stored_size
    while position < len(data):
        numbers = data[position : position + 3]
        if len(numbers) == 3 and numbers.isascii():  # each takes one byte, as nearly always
            shared, unshared, value_size = numbers
            position += 3
        else:
            shared, position = decode_varint(data, position)
            unshared, position = decode_varint(data, position)
            value_size, position = decode_varint(data, position)
        value_start = position + unshared
        value_end = value_start + value_size
        if shared > len(key) or value_end > len(data):
            raise ValueError("an entry claims more bytes than there are")
        key = key[:shared] + data[position:value_start]
        room -= len(key)
        if room < 0:
            raise ValueError(f"its keys come to more than {_KEY_GROWTH} times what is stored of it")
        entries.append((key, data[value_start:value_end]))
        position = value_end
    return entries


def shared_prefix_length(a: bytes, b: bytes) -> int:
    """How many bytes at the beginning of both are the same."""
    # As little-endian numbers, their lowest bit that differs is in the first byte that differs: no loop is needed.
    difference = int.from_bytes(a, "little") ^ int.from_bytes(b, "little")
    lowest = difference & -difference
    return min(len(a), len(b), (lowest.bit_length() - 1) // 8) if difference else min(len(a), len(b))
