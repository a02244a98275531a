"""What must hold of a header and of an entry before anything is allocated or read on their word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError
from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.tensor_slice import INT64_MAX, MAX_RANK

if TYPE_CHECKING:
    from cloudckpt.bundle.entry import BundleEntry

__all__ = ["check_entry", "check_header", "check_version", "damaged_entry", "tensor_bytes"]

_FORMAT_VERSION = 1
_STRING_CHECKSUM_SIZE = 4

# What has no fixed size: strings, and C++ objects of which only the bytes are known.
_VARIABLE_SIZE = (DataType.STRING, DataType.RESOURCE, DataType.VARIANT)
_ITEM_SIZES: dict[int, int] = {
    data_type: to_numpy(data_type).itemsize for data_type in DataType if data_type not in _VARIABLE_SIZE
}


def check_header(header: Any, path: str) -> None:
    """Check a BundleHeaderProto: the version of the format, and its shards.

    Raises:
        CheckpointVersionError: its writer says that this version would misread it.
        CheckpointDamagedError: it makes no sense.
    """
    check_version(header.version, path)
    if header.num_shards < 1 or header.endianness not in (0, 1):
        raise CheckpointDamagedError(
            f"{path}: its header says {header.num_shards} shards and byte order {header.endianness}. Restore another "
            "checkpoint.",
            path=path,
        )


def check_version(version: Any, path: str) -> None:
    """Check the VersionDef of either format, as TensorFlow does (core/framework/versions.cc, CheckVersions).

    Raises:
        CheckpointVersionError: its writer says that this version would misread it.
        CheckpointDamagedError: it makes no sense.
    """
    if version.min_consumer > _FORMAT_VERSION or _FORMAT_VERSION in version.bad_consumers:
        raise CheckpointVersionError(
            f"{path} is in version {version.producer} of its format, and says that readers of version "
            f"{_FORMAT_VERSION}, such as this one, must not read it: upgrade cloudckpt",
            path=path,
        )
    if version.producer < 0:
        raise CheckpointDamagedError(
            f"{path}: its header says that it is in version {version.producer}. Restore another checkpoint.", path=path
        )


def check_entry(entry: BundleEntry, *, path: str, name: str, num_shards: int) -> None:
    """Check that an entry can be true.

    Raises:
        CheckpointDamagedError: it can't.
    """
    if entry.dtype == 0:
        raise damaged_entry(path, name, "has no dtype")
    elements = _count_elements(entry.shape, _ITEM_SIZES.get(entry.dtype, 1))
    if elements is None:
        raise damaged_entry(path, name, f"has shape {_shorten(entry.shape)}")
    if not 0 <= entry.shard_id < num_shards:
        raise damaged_entry(path, name, f"is in shard {entry.shard_id} of {num_shards}")
    if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > INT64_MAX:
        raise damaged_entry(path, name, f"has {entry.size} bytes at offset {entry.offset}")
    if entry.is_sliced:
        _check_slices(entry, path, name)
    else:
        _check_size(entry, elements, path, name)


def damaged_entry(path: str, name: str, found: str) -> CheckpointDamagedError:
    """The error about one tensor's entry."""
    return CheckpointDamagedError(
        f"{path}: by its entry, tensor {name!r} {found}. Restore another checkpoint.", path=path, tensor=name
    )


def tensor_bytes(dtype: int, shape: tuple[int, ...]) -> int | None:
    """The bytes of a tensor; None if its dtype has no fixed size, or no tensor can have that shape."""
    item_size = _ITEM_SIZES.get(dtype)
    elements = _count_elements(shape, item_size or 1)
    return None if item_size is None or elements is None else item_size * elements


def _count_elements(shape: tuple[int, ...], item_size: int) -> int | None:
    """None if no int64 can count the bytes, also where another dimension is zero, or there are too many dimensions."""
    extent = item_size
    elements = 1
    for size in shape:
        elements *= size
        extent *= size or 1
        if size < 0 or extent > INT64_MAX:
            return None
    return elements if len(shape) <= MAX_RANK else None


def _check_size(entry: BundleEntry, elements: int, path: str, name: str) -> None:
    item_size = _ITEM_SIZES.get(entry.dtype)
    if item_size is not None:
        if entry.size != elements * item_size:
            raise damaged_entry(
                path, name, f"has {entry.size} bytes, where dtype and shape take {elements * item_size}"
            )
    elif entry.dtype == DataType.STRING:
        # Every string has a length of one byte or more, and all together a checksum; none at all may be nothing.
        least = elements + _STRING_CHECKSUM_SIZE
        if entry.size < least and (entry.size or elements):
            raise damaged_entry(path, name, f"has {entry.size} bytes for {elements} strings")


def _check_slices(entry: BundleEntry, path: str, name: str) -> None:
    for tensor_slice in entry.slices:
        fits = len(tensor_slice) == len(entry.shape) and all(
            start == 0 if length is None else start >= 0 and length > 0 and start + length <= size
            for (start, length), size in zip(tensor_slice, entry.shape, strict=True)
        )
        if not fits:
            raise damaged_entry(path, name, f"has the slice {_shorten(tensor_slice)} of shape {_shorten(entry.shape)}")


def _shorten(value: tuple[object, ...]) -> str:
    return str(value) if len(value) <= 8 else f"{value[:8]} and {len(value) - 8} more"
