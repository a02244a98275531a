"""Whole checkpoints made of an input's parts, opened, read and verified: the three must agree."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from math import prod
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from cloudckpt.bundle.content_checksums import content_checksum
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.checkpoint import read, v1_read
from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checksums import mask
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CloudckptError, TensorNotFoundError, UnsupportedOperationError
from cloudckpt.variables.tensor_slice import region_shape, resolve
from cloudckpt.verification import data as verify_data
from cloudckpt.verification import v1_file as verify_v1_file
from cloudckpt.verification.report import FindingKind
from cloudckpt.verification.verify import verify_prefix
from fuzz.files import place_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorInfo
    from cloudckpt.storage.location import Location
    from cloudckpt.verification.report import VerifyReport

__all__ = ["DisagreementError", "read_v1", "read_v2"]

SHARDS = 2
"""Data files that an input of version 2 has."""
COMPRESS, MEND, SMALL_READS = 1, 2, 4
"""Bits of the first part: compress blocks, set the entries' checksums right, read a few bytes at a time."""


class DisagreementError(Exception):
    """Two ways of reading the same bytes, or reading and writing, say different things."""


def read_v2(parts: Sequence[bytes]) -> None:
    """Read a checkpoint of version 2.

    Args:
        parts: options, the data files, then the keys and values of the index in turn.

    Raises:
        CloudckptError: it can't be opened.
        DisagreementError: `verify` and reading don't agree about it.
    """
    options = _options(parts)
    data = [*parts[1 : 1 + SHARDS], *[b""] * SHARDS][:SHARDS]
    rows = _rows(parts[1 + SHARDS :])
    if options & MEND:
        rows = {key: _mended(value, data) if key else value for key, value in rows.items()}
    files = {f"ckpt.data-{shard:05d}-of-{SHARDS:05d}": content for shard, content in enumerate(data) if content}
    files["ckpt.index"] = encode_table(sorted(rows.items()), compress=bool(options & COMPRESS))
    _read(place_files(files, "ckpt"), options)


def read_v1(parts: Sequence[bytes]) -> None:
    """Read a checkpoint of version 1.

    Args:
        parts: options, then the keys and values of the file in turn.

    Raises: what `read_v2` raises.
    """
    options = _options(parts)
    content = encode_table(sorted(_rows(parts[1:]).items()), compress=bool(options & COMPRESS))
    _read(place_files({"ckpt": content}, "ckpt"), options)


def _options(parts: Sequence[bytes]) -> int:
    return int.from_bytes(parts[0][:1], "little") if parts else 0


def _rows(parts: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(parts[::2], parts[1::2], strict=False))


def _mended(value: bytes, data: Sequence[bytes]) -> bytes:
    """The entry with the checksum of the bytes that it is about, where there are such bytes."""
    message = message_class("tensorflow.BundleEntryProto")()
    try:
        message.ParseFromString(value)
    except DecodeError:
        return value
    start, stop = message.offset, message.offset + message.size
    if not (0 <= message.shard_id < len(data) and 0 <= start <= stop <= len(data[message.shard_id])):
        return value
    checksum = content_checksum(
        message.dtype, message.size, max(0, prod(dim.size for dim in message.shape.dim)), big_endian=False
    )
    with suppress(ValueError):
        checksum.take(0, memoryview(data[message.shard_id][start:stop]))
        message.crc32c = mask(checksum.finish())
    return bytes(message.SerializeToString())


@contextmanager
def _small_reads(bytes_at_once: int) -> Iterator[None]:
    """Cut everything into requests of a few bytes."""
    limits: list[tuple[ModuleType, str]] = [
        (verify_data, "READ_BYTES"),
        (verify_v1_file, "READ_BYTES"),
        (v1_read, "RANGE_BYTES"),
        (read, "RANGE_BYTES"),
        (read, "IN_ORDER_BYTES"),
    ]
    before = [getattr(module, name) for module, name in limits]
    try:
        for module, name in limits:
            setattr(module, name, bytes_at_once)
        yield
    finally:
        for (module, name), value in zip(limits, before, strict=True):
            setattr(module, name, value)


def _read(prefix: Location, options: int) -> None:
    with _small_reads(7 if options & SMALL_READS else 1 << 20):
        report = verify_prefix(prefix)
        str(report)
        report.as_dict()
        try:
            checkpoint = open_checkpoint(prefix)
            checkpoint.check_whole()
        except CloudckptError as error:
            if report.ok:
                raise DisagreementError(f"verified, and can't be opened: {error}") from error
            raise
        for name in checkpoint.tensors:
            _read_tensor(checkpoint, name, report)


def _read_tensor(checkpoint: OpenCheckpoint, name: str, report: VerifyReport) -> None:
    try:
        (array,) = checkpoint.read([TensorRequest(name)])
    except UnsupportedOperationError:
        return
    except TensorNotFoundError as error:
        if not any(note.kind is FindingKind.TENSOR_PARTIAL and note.tensor == name for note in report.notes):
            raise DisagreementError(f"verified, and {name!r} lacks elements: {error}") from error
        return
    except CloudckptError as error:
        if name not in report.damaged_tensors and report.ok:
            raise DisagreementError(f"verified, and {name!r} can't be read: {error}") from error
        return
    if name in report.damaged_tensors and not _may_be_read(name, checkpoint.tensors[name], report):
        raise DisagreementError(f"{name!r} is damaged, and was read")
    _compare_half(checkpoint, name, array)


def _may_be_read(name: str, info: TensorInfo, report: VerifyReport) -> bool:
    """Whether what `verify` finds wrong with a tensor is nothing that reading all of it meets.

    Of one without elements nothing is read, one of several slices may be the whole, so that the others are not, and no
    slice is read that its tensor does not list.
    """
    stored_whole = any(region_shape(resolve(each, info.shape)) == info.shape for each in info.slices)
    about = [finding for finding in report.problems if finding.tensor in (name, None)]
    unlisted = {finding.slice_spec for finding in about if finding.kind is FindingKind.SLICE_UNLISTED} - {None}
    met = {finding.kind for finding in about if finding.slice_spec not in unlisted} - _NOT_MET_BY_READERS
    return not met or stored_whole or 0 in info.shape


_NOT_MET_BY_READERS = {FindingKind.RANGES_OVERLAP, FindingKind.SLICE_UNLISTED}


def _compare_half(checkpoint: OpenCheckpoint, name: str, array: NDArray[Any]) -> None:
    """The second half of a tensor along its first dimension is the same by itself."""
    if not array.ndim or array.shape[0] < 2:
        return
    middle = array.shape[0] // 2
    rest = ((0, None),) * (array.ndim - 1)
    (half,) = checkpoint.read([TensorRequest(name, ((middle, array.shape[0] - middle), *rest))])
    wanted = array[middle:]
    same = half.tolist() == wanted.tolist() if array.dtype == object else half.tobytes() == wanted.tobytes()
    if half.shape != wanted.shape or not same:
        raise DisagreementError(f"the second half of {name!r} is another by itself")
