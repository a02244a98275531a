"""What is fuzzed: functions of bytes. Each lets through the errors that are documented, and nothing else may happen."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.content_checksums import content_checksum
from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.entry_decoding import decode_entries
from cloudckpt.bundle.index import decode_index, encode_index
from cloudckpt.bundle.slice_keys import decode_slice_key, encode_slice_key
from cloudckpt.bundle.strings import StringsDecoder
from cloudckpt.bundle.table_reader import decode_blocks
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointVersionError,
    CloudckptError,
    InvalidArgumentError,
    StateFileError,
)
from cloudckpt.graph.encoding.attr_values import decode_attr
from cloudckpt.graph.encoding.meta_graph_file import read_meta_graph, write_meta_graph
from cloudckpt.state.state_file import decode_state, encode_state
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import format_shape_and_slice, parse_shape_and_slice
from fuzz.checkpoints import DisagreementError, read_v1, read_v2
from fuzz.chunks import split_chunks
from fuzz.files import forge_table, place_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["CHUNKED", "TARGETS"]

PATH = "input"
MAX_GROWTH = 100
"""How many times its own size a table may unpack to, keys written out."""


def table(data: bytes) -> None:
    """A table as it is: few inputs get past its checksums."""
    with suppress(CheckpointDamagedError):
        _check_rows(chain.from_iterable(decode_blocks(data, PATH)), len(data))


def blocks(data: bytes) -> None:
    """Parts: which blocks say that they are compressed; keys of the index with handles; the data blocks."""
    flags, *parts = split_chunks(data) or [b""]
    half = len(parts) // 2
    index = [(key, b"") for key in parts[:half]]
    content = forge_table(parts[half:], index, compressed=int.from_bytes(flags[:4], "little"))
    with suppress(CheckpointDamagedError):
        _check_rows(chain.from_iterable(decode_blocks(content, PATH)), len(content))


def _check_rows(found: Iterable[tuple[bytes, bytes]], size: int) -> None:
    rows = list(found)
    keys = [key for key, _ in rows]
    if keys != sorted(set(keys)):
        raise DisagreementError("keys out of order were accepted")
    if sum(len(key) + len(value) for key, value in rows) > MAX_GROWTH * (size + 1):
        raise DisagreementError(f"a table of {size} bytes unpacked to more than {MAX_GROWTH} times as many")


def index(data: bytes) -> None:
    """Parts: keys and values of an index in turn, which are sorted first."""
    parts = split_chunks(data)
    rows = dict(zip(parts[::2], parts[1::2], strict=False))
    content = encode_table(sorted(rows.items()))
    with suppress(CheckpointDamagedError, CheckpointVersionError):
        found = decode_index(content, PATH)
        again = decode_index(encode_index(found.header, found.entries, found.slice_entries), PATH)
        if again != found:
            raise DisagreementError("an index that was read is written as another")
    _compare_entries([value for key, value in rows.items() if key])


def _compare_entries(values: list[bytes]) -> None:
    """The sooner way to read entries is the same as the usual one."""
    names = ["t"] * len(values)
    alone = [_attempt(partial(BundleEntry.decode, value, name="t")) for value in values]
    sooner = [_attempt(partial(_decode_sooner, ["t"], [value])) for value in values]
    together = _attempt(partial(_decode_sooner, names, values)) if values else []
    for value, one, other in zip(values, alone, sooner, strict=True):
        if other not in (one, [one]):
            raise DisagreementError(f"{value!r} is {one}, and {other} when it is read sooner")
    if not any(isinstance(entry, str) for entry in alone) and together != alone:
        raise DisagreementError(f"{values} are {alone} one by one, and {together} together")


def _decode_sooner(names: list[str], values: list[bytes], **options: Any) -> list[BundleEntry]:
    return list(decode_entries(names, values, **options).entries())


def _attempt(read: Callable[..., Any]) -> Any:
    """What is read, or the message of the error that is documented."""
    try:
        return read(path=PATH, num_shards=3)
    except CheckpointDamagedError as error:
        return str(error)


def strings(data: bytes) -> None:
    """Two bytes say how many strings and in which pieces they come, then the bytes of a string tensor."""
    count, step, content = data[:1], data[1:2], memoryview(data[2:])
    pieces = (
        [content[start : start + max(1, step[0])] for start in range(0, len(content), max(1, step[0]))] if step else []
    )
    size = len(content)
    number = count[0] if count else 0
    try:
        decoder = StringsDecoder(size, number, path=PATH, tensor="t")
        found = sum(len(run) for piece in pieces for run in decoder.take(piece))
        decoded: int | None = decoder.crc32c if found == number else None
    except CheckpointDamagedError:
        decoded = None
    checked = _checksum(DataType.STRING, number, pieces, size)
    if decoded is not None and decoded != checked:
        raise DisagreementError(f"strings have the checksum {decoded:#x}, and {checked} without an array")
    _checksum(DataType.VARIANT, number, pieces, size)


def _checksum(dtype: int, count: int, pieces: list[memoryview], size: int) -> int | None:
    checksum = content_checksum(dtype, size, count, big_endian=False)
    start = 0
    try:
        for piece in pieces:
            checksum.take(start, piece)
            start += len(piece)
        return checksum.finish()
    except ValueError:
        return None


def slices(data: bytes) -> None:
    """A slice spec, and the key of a slice."""
    with suppress(ValueError):
        key = decode_slice_key(data)
        if encode_slice_key(*key) != data:
            raise DisagreementError(f"{data!r} is read as {key}, which has another key")
    with suppress(ValueError):
        parsed = parse_shape_and_slice(data.decode("utf-8", "replace"))
        if parse_shape_and_slice(format_shape_and_slice(*parsed)) != parsed:
            raise DisagreementError(f"{data!r} is read as {parsed}, which is written as something else")


def state(data: bytes) -> None:
    """A `checkpoint` state file."""
    with suppress(StateFileError):
        found = decode_state(data, PATH)
        if repr(decode_state(encode_state(found), PATH)) != repr(found):
            raise DisagreementError(f"{found} is written as another state")


def meta(data: bytes) -> None:
    """A `.meta` file, in bytes or as text, and what the attributes of its nodes say."""
    location = place_files({PATH: data}, PATH)
    with suppress(CheckpointDamagedError):
        found = read_meta_graph(location)
        for attr in chain.from_iterable(node.attr.values() for node in found.graph_def.node):
            with suppress(InvalidArgumentError):
                decode_attr(attr)
        write_meta_graph(location, found)
        again = read_meta_graph(location)
        if again.SerializeToString(deterministic=True) != found.SerializeToString(deterministic=True):
            raise DisagreementError("a meta graph that was read is written as another")


def v1(data: bytes) -> None:
    """Parts: keys and values of a V1 file in turn; the file is compressed if the first key says so."""
    with suppress(CloudckptError):
        read_v1(split_chunks(data))


def v2(data: bytes) -> None:
    """Parts: a data file, then keys and values of an index in turn."""
    with suppress(CloudckptError):
        read_v2(split_chunks(data))


CHUNKED: dict[str, Callable[[bytes], None]] = {
    "blocks": blocks,
    "index": index,
    "v1": v1,
    "v2": v2,
}
"""Those whose inputs are parts (`fuzz.chunks`)."""
TARGETS: dict[str, Callable[[bytes], None]] = {
    **CHUNKED,
    "meta": meta,
    "slices": slices,
    "state": state,
    "strings": strings,
    "table": table,
}
