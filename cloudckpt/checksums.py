"""CRC-32C: computing it, joining it, and masking it as TensorFlow does.

Each piece of a save is read once for its checksum; those of tensors, parts and objects follow by `combine`.

A CRC is held as the crc32c package returns it: bit 31 is the coefficient of x^0, bit 0 that of x^31, so multiplying by
x shifts to the right. Then crc(a + b) = crc(a) * x^(8 * len(b)) + crc(b), modulo the polynomial, and the inversions at
both ends of the algorithm cancel.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = ["combine", "crc32c", "crc32c_function", "mask", "unmask"]

_POLYNOMIAL = 0x82F63B78
_ONE = 0x80000000
_X8 = 0x00800000
_BITS = tuple(_ONE >> power for power in range(32))
_UINT32 = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8


def crc32c(data: Buffer, value: int = 0) -> int:
    """The CRC-32C of the bytes, going on from that of what came before them. Large buffers release the GIL.

    Args:
        data: C-contiguous, of any item type that the buffer protocol knows (ml_dtypes' are none: view them as uint8).
        value: the CRC-32C of the bytes before, 0 if there are none.
    """
    return crc32c_function()(data, value)


@cache
def crc32c_function() -> Callable[..., int]:
    """What `crc32c` calls, for loops over many small buffers."""
    # The package looks up its own version when it is imported, which takes as long as all of ours.
    from crc32c import crc32c as implementation  # noqa: PLC0415

    return implementation


def combine(crc_a: int, crc_b: int, length_b: int) -> int:
    """The CRC-32C of a + b, from those of a and of b. A few microseconds, whatever the length; no data is touched.

    Args:
        crc_a: of the first bytes.
        crc_b: of the bytes after them.
        length_b: how many bytes b has.
    """
    return _multiply(crc_a, _shift(length_b)) ^ crc_b if crc_a else crc_b


@overload
def mask(crc: int) -> int: ...
@overload
def mask(crc: NDArray[np.uint32]) -> NDArray[np.uint32]: ...
def mask(crc: Any) -> Any:
    """What TensorFlow stores in place of a CRC, as the CRC of data that holds CRCs is weak (core/lib/hash/crc32c.h).

    Of one, or of an array of them.
    """
    rotated = (crc >> 15) | (crc << 17)
    return (rotated + _MASK_DELTA) & _UINT32


@overload
def unmask(masked: int) -> int: ...
@overload
def unmask(masked: NDArray[np.uint32]) -> NDArray[np.uint32]: ...
def unmask(masked: Any) -> Any:
    """The CRC that was masked, or an array of them."""
    rotated = (masked - _MASK_DELTA) & _UINT32
    return ((rotated >> 17) | (rotated << 15)) & _UINT32


@lru_cache(maxsize=4096)
def _shift(length: int) -> int:
    """x^(8 * length): what appending so many bytes multiplies a CRC by."""
    product = _ONE
    position = 0
    while length:
        if digit := length & 0xF:
            product = _multiply(product, _digit_shift(digit, position))
        length >>= 4
        position += 1
    return product


@cache
def _digit_shift(digit: int, position: int) -> int:
    """x^(8 * digit * 16^position): a length is put together from the digits of its hexadecimal form."""
    if digit > 1:
        return _multiply(_digit_shift(digit - 1, position), _digit_shift(1, position))
    return _multiply(_digit_shift(15, position - 1), _digit_shift(1, position - 1)) if position else _X8


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials over GF(2), modulo that of CRC-32C."""
    product = 0
    for bit in _BITS:
        if a & bit:
            product ^= b
        b = b >> 1 ^ _POLYNOMIAL if b & 1 else b >> 1
    return product
