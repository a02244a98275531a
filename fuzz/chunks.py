"""Inputs of several parts: each part is two bytes of length, little-endian, and as many bytes, or what is left."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

__all__ = ["join_chunks", "mutate_chunks", "split_chunks"]

_LENGTH_SIZE = 2
_LONGEST = 2 ** (8 * _LENGTH_SIZE) - 1


def split_chunks(data: bytes) -> list[bytes]:
    """The parts of an input; every input has some meaning."""
    return list(_chunks(data))


def _chunks(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        start = position + _LENGTH_SIZE
        position = start + int.from_bytes(data[position:start], "little")
        yield data[start:position]


def join_chunks(chunks: Sequence[bytes]) -> bytes:
    """The input that has these parts."""
    return b"".join(len(chunk[:_LONGEST]).to_bytes(_LENGTH_SIZE, "little") + chunk[:_LONGEST] for chunk in chunks)


def mutate_chunks(data: bytes, max_size: int, random: Random, mutate: Callable[[bytes, int], bytes]) -> bytes:
    """Change one part, or which parts there are, and leave the lengths right.

    Args:
        data: an input.
        max_size: bytes that the result may have.
        random: where choices come from.
        mutate: changes the bytes of one part, at most as many as its second argument.
    """
    chunks = split_chunks(data) or [b""]
    place = random.randrange(len(chunks))
    action = random.randrange(8)
    if action == 0:
        del chunks[place]
    elif action == 1:
        chunks.insert(place, random.choice(chunks))
    elif action == 2:
        other = random.randrange(len(chunks))
        chunks[place], chunks[other] = chunks[other], chunks[place]
    elif action == 3:
        chunks.insert(place, b"")
    else:
        room = max(1, min(_LONGEST, max_size - len(data) + len(chunks[place])))
        chunks[place] = mutate(chunks[place], room)
    return join_chunks(list(islice(chunks, 1000)))[:max_size]
