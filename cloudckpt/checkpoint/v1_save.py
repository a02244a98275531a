"""Saving a checkpoint in the V1 format: one file, which one write puts in the place of what was there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.table_writer import table_chunks
from cloudckpt.checkpoint.conflict import conflict
from cloudckpt.checkpoint.parallel import COPIED_BYTES, run_side_by_side
from cloudckpt.checkpoint.prefix import check_prefix
from cloudckpt.checkpoint.standing import overwrite_condition
from cloudckpt.checkpoint.v1_content import V1Content
from cloudckpt.checkpoint.v1_files import is_one_of_several
from cloudckpt.checksums import combine, crc32c
from cloudckpt.errors import (
    InvalidArgumentError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo, Upload, WriteCondition

__all__ = ["save_v1"]


def save_v1(
    file: Location,
    tensors: Mapping[str, NDArray[Any] | SlicedTensor],
    *,
    compress: bool = False,
    unsafe_overwrite: bool = False,
) -> ObjectInfo:
    """Write tensors as one V1 file, in place of any that is there: readers see the old one or the new one, whole.

    A checkpoint in several files is written by one call for each, under the names `name-00000-of-00003` and so on. A
    tensor can be cut over them (`SlicedTensor`). All files together are replaced by no atomic step; so that none of an
    earlier save is.

    Args:
        file: the file's own name.
        tensors: arrays by name, or slices of them. They must not change before this returns.
        compress: with snappy, which TensorFlow reads; without it the file is the one that TensorFlow writes.
        unsafe_overwrite: replace a file also where it is one of several, or the store can't do it conditionally.

    Returns:
        The file as the store has it.

    Raises:
        CheckpointPathError: the path can't name a checkpoint.
        TypeError: an array is of no type that TensorFlow has.
        StructureError: a name or a string is not valid UTF-8.
        InvalidArgumentError: V1 has not the dtype; a tensor, or a slice, comes to 2 GiB or more; slices overlap, are
            not in their tensor, or don't have their arrays' shapes.
        UnsupportedOperationError: the file is there, and is not replaced without `unsafe_overwrite`.
        CommitConflictError: another writer wrote the file meanwhile; its file is whole, this one was dropped.
        CommitUnknownError: the answer was lost, and reading back did not prove who won.
        StorageError: the store failed; what was there is untouched.

    Cost: a look at the file, and an upload. Everything is encoded twice, because the size of an upload is told first.
    Memory beyond the arrays: about three times what the largest tensor or slice comes to in the file (an integer up to
    ten bytes), parts of the upload (96 MiB), and up to 4 KiB for every tensor.
    """
    check_prefix(file)
    content = V1Content(tensors)
    condition = _condition(file, _look(file), unsafe_overwrite=unsafe_overwrite)
    chunks = partial(_chunks, content, compress=compress)
    try:
        return _upload(file, chunks, condition)
    except PreconditionFailedError as error:
        raise conflict(file, file.key) from error


def _chunks(content: V1Content, *, compress: bool) -> Iterator[bytes]:
    return table_chunks(content.entries(), compress=compress)


def _look(file: Location) -> ObjectInfo | None:
    try:
        return file.store.stat(file.key)
    except ObjectNotFoundError:
        return None


def _condition(file: Location, found: ObjectInfo | None, *, unsafe_overwrite: bool) -> WriteCondition:
    if found is not None and is_one_of_several(file.key) and not unsafe_overwrite:
        raise UnsupportedOperationError(
            f"{file.url!r} exists, and is one of several files of a checkpoint, which nothing can replace all at once: "
            "save under a new name, or give unsafe_overwrite=True if a crash in between may cost the checkpoint",
            path=file.url,
        )
    return overwrite_condition(file, found, unsafe_overwrite=unsafe_overwrite)


def _upload(file: Location, chunks: Callable[[], Iterator[bytes]], condition: WriteCondition) -> ObjectInfo:
    size, store = sum(map(len, chunks())), file.store
    with store.create(file.key, size, condition, commit_id=uuid.uuid4().hex) as upload:
        sending = _Sending(upload)
        affordable = max(1, COPIED_BYTES // upload.part_size) if store.capabilities.parallel_upload else 1
        tasks = sending.tasks(_parts(chunks(), upload.part_size))
        run_side_by_side(tasks, threads=min(store.max_concurrency, affordable))
        if sending.sent != size:
            raise InvalidArgumentError(
                f"{file.url!r} was not written: arrays changed while they were saved. Save copies of them",
                path=file.url,
            )
        return upload.complete(sending.crc32c)


@dataclass(slots=True)
class _Sending:
    """An upload under way, with what the parts taken so far come to."""

    upload: Upload
    sent: int = 0
    crc32c: int = 0

    def tasks(self, parts: Iterable[list[memoryview]]) -> Iterator[Callable[[], None]]:
        """One task for each part; to be taken one at a time, and run in any order."""
        for part in parts:
            offset, checksum, size = self.sent, 0, sum(map(len, part))
            for piece in part:
                checksum = crc32c(piece, checksum)
            self.crc32c = combine(self.crc32c, checksum, size)
            self.sent += size
            yield partial(self.upload.write, offset, part, checksum)


def _parts(chunks: Iterable[bytes], part_size: int) -> Iterator[list[memoryview]]:
    """The same bytes in parts of a given size, and a shorter one at the end."""
    part: list[memoryview] = []
    room = part_size
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            part.append(rest[:room])
            room -= len(part[-1])
            rest = rest[len(part[-1]) :]
            if not room:
                yield part
                part, room = [], part_size
    if part:
        yield part
