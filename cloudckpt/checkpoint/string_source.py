"""The bytes of a string tensor as they will stand in a data file, encoded in runs that are made when they are read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cloudckpt.bundle.strings import LengthsEncoder
from cloudckpt.checkpoint.sources import BLOCK_BYTES, BlockSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["encode_string", "string_source"]

CHUNK_ELEMENTS = 1 << 16
"""How many elements are Python objects at once, unless they are long."""


class Run(NamedTuple):
    """Neighbouring elements that are encoded together; of a long text alone, the characters from `first` to `last`."""

    start: int
    stop: int
    first: int | None = None
    last: int | None = None


def string_source(array: NDArray[Any]) -> BlockSource:
    """The source of an array of `S`, `U` or object dtype, in C order whatever its memory is like.

    Memory beyond the array: a block, and some bytes for every block that there is.

    Raises:
        TypeError: an element is neither str nor bytes.
        UnicodeEncodeError: a text has surrogates, so it has no UTF-8.
    """
    lengths = LengthsEncoder()
    headers, strings = _Blocks(), _Blocks()
    for start, stop in _chunks(array):
        elements = _elements(array, start, stop)
        sizes = [len(encode_string(element)) for element in elements]
        headers.add(partial(_header, array, start, stop), len(lengths.add(sizes)))
        for run, size in _runs(elements, sizes, start):
            strings.add(partial(_joined, array, run), size)
    checksum, crc32c = lengths.finish()
    headers.add(lambda: memoryview(checksum), len(checksum))
    makers = headers.makers + strings.makers
    return BlockSource(
        np.dtype(object),
        array.shape,
        headers.sizes + strings.sizes,
        lambda block: makers[block](),
        header_size=sum(headers.sizes),
        header_crc32c=crc32c,
    )


class _Blocks:
    """Blocks, each by its size in bytes and by how to make it."""

    def __init__(self) -> None:
        self.makers: list[Callable[[], memoryview]] = []
        self.sizes: list[int] = []

    def add(self, make: Callable[[], memoryview], size: int) -> None:
        self.makers.append(make)
        self.sizes.append(size)


def _chunks(array: NDArray[Any]) -> Iterator[tuple[int, int]]:
    cell = 1 if array.dtype.kind == "O" else max(array.itemsize, 1)
    step = min(CHUNK_ELEMENTS, max(1, BLOCK_BYTES // cell))
    for start in range(0, array.size, step):
        yield start, min(start + step, array.size)


def _elements(array: NDArray[Any], start: int, stop: int) -> list[Any]:
    elements: list[Any] = array.flat[start:stop].tolist()
    return elements


def _header(array: NDArray[Any], start: int, stop: int) -> memoryview:
    sizes = [len(encode_string(element)) for element in _elements(array, start, stop)]
    return memoryview(LengthsEncoder().add(sizes))


def _runs(elements: Sequence[Any], sizes: Sequence[int], offset: int) -> Iterator[tuple[Run, int]]:
    """Runs of at most `BLOCK_BYTES` or of a single element, with their sizes in bytes."""
    start, total = 0, 0
    for stop, size in enumerate(sizes):
        if stop > start and total + size > BLOCK_BYTES:
            yield from _cut(elements[start], Run(offset + start, offset + stop), total)
            start, total = stop, 0
        total += size
    yield from _cut(elements[start], Run(offset + start, offset + len(sizes)), total)


def _cut(element: object, run: Run, size: int) -> Iterator[tuple[Run, int]]:
    """The run itself; a text that is longer than a block in pieces, since only a whole run can be encoded."""
    if size <= BLOCK_BYTES or not isinstance(element, str):
        yield run, size
        return
    for first in range(0, len(element), BLOCK_BYTES):
        last = first + BLOCK_BYTES
        yield run._replace(first=first, last=last), len(element[first:last].encode())


def _joined(array: NDArray[Any], run: Run) -> memoryview:
    elements = _elements(array, run.start, run.stop)
    if len(elements) > 1:
        return memoryview(b"".join(map(encode_string, elements)))
    (element,) = elements
    return memoryview(encode_string(element if run.first is None else element[run.first : run.last]))


def encode_string(element: object) -> bytes:
    """The bytes that are stored of an element: a text's UTF-8.

    Raises:
        TypeError: it is neither str nor bytes.
        UnicodeEncodeError: a text has surrogates, so it has no UTF-8.
    """
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise TypeError(f"a string tensor holds str or bytes, not {type(element).__name__}")
