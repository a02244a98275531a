"""A string tensor in one go, as tests want it: what the package does piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.bundle.strings import LengthsEncoder, StringsDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def encode_lengths(lengths: Sequence[int] | NDArray[np.integer]) -> tuple[bytes, int]:
    """What stands before the strings, and the entry's checksum so far (not masked)."""
    encoder = LengthsEncoder()
    varints = encoder.add(lengths)
    checksum, crc = encoder.finish()
    return varints + checksum, crc


def decode_strings(
    data: memoryview, count: int, *, path: str, tensor: str, big_endian: bool = False
) -> tuple[list[bytes], int]:
    """The strings of all bytes of an entry, and the entry's checksum (not masked)."""
    if not count and not data:
        return [], 0
    decoder = StringsDecoder(len(data), count, path=path, tensor=tensor, big_endian=big_endian)
    elements = [string for strings in decoder.take(data) for string in strings]
    return elements, decoder.crc32c
