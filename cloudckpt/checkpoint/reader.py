"""Opening one checkpoint, and reading tensors that all belong to the same save of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cloudckpt.bundle.index import BundleIndex, decode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.prefix import PrefixFiles, check_prefix, list_prefix
from cloudckpt.checkpoint.read import read_entries
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    ShortReadError,
    TensorNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.targets import StringForm
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["OpenCheckpoint", "open_checkpoint", "read_consistently"]

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often a read starts again because the checkpoint was replaced under it."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class OpenCheckpoint:
    """One save of a prefix: its index, and the data files that were there with it."""

    prefix: Location
    index: BundleIndex
    index_info: ObjectInfo
    data: Mapping[str, ObjectInfo]
    missing: str | None
    """what the data files lack of what the index needs, in words; None if the checkpoint is whole"""

    def entry(self, name: str) -> BundleEntry:
        """The index entry of one tensor.

        Raises:
            TensorNotFoundError: there is none of that name.
        """
        try:
            return self.index.entries[name]
        except KeyError:
            raise TensorNotFoundError(
                f"{self.prefix.url!r} has no tensor {name!r}; it has {len(self.index.entries)} others",
                path=self.prefix.url,
                tensor=name,
            ) from None

    def read(self, names: Iterable[str], forms: Mapping[str, StringForm] | None = None) -> dict[str, NDArray[Any]]:
        """The named tensors, whole and checked, as new arrays.

        Args:
            names: of the tensors.
            forms: what arrays to make of string tensors, by name; others become object arrays of bytes.

        Raises:
            TensorNotFoundError: there is none of that name; nothing was read.
            CheckpointDamagedError: a data file is missing or too short, or the bytes don't match their checksum.
            CheckpointVersionError: a tensor is of a dtype that this version does not know.
            UnsupportedOperationError: a tensor is no array, or is stored in slices.
            ObjectChangedError: a data file was replaced meanwhile.
            StorageError: the store failed.

        Cost: a ranged GET for every 16 MiB or less of neighbouring tensors, several in flight, straight into the
        arrays. Memory beyond these: for string tensors, what is in flight and 4 bytes an element.
        """
        entries = {name: self.entry(name) for name in names}
        self.check_whole()
        return read_entries(self.prefix, self.index, entries, self.data, forms or {})

    def check_whole(self) -> None:
        """See that nothing is missing, from what was listed: no request.

        Raises:
            CheckpointDamagedError: a data file is missing or too short.
        """
        if self.missing is not None:
            raise CheckpointDamagedError(f"{self.prefix.url!r} is not whole: {self.missing}", path=self.prefix.url)

    def is_current(self) -> bool:
        """Whether the prefix still holds this save. One request."""
        try:
            return self.prefix.store.stat(self.index_info.key).version == self.index_info.version
        except ObjectNotFoundError:
            return False


def open_checkpoint(prefix: Location, files: PrefixFiles | None = None) -> OpenCheckpoint:
    """Read the index of a prefix, and see which data files are there. No data is read.

    Args:
        prefix: the checkpoint's prefix.
        files: what a listing of its folder has just shown, which saves the LIST if nothing is missing from it: it may
            be older than the index.

    Raises:
        CheckpointPathError: the path can't be a prefix.
        CheckpointNotFoundError: the prefix has no index.
        CheckpointDamagedError: the index does not parse.
        CheckpointVersionError: a newer program wrote it.

    Cost: a GET, and a LIST where `files` does not do.
    """
    check_prefix(prefix)
    key = index_filename(prefix.key)
    try:
        data, info = prefix.store.get(key)
    except ObjectNotFoundError as error:
        raise _not_found(prefix) from error
    index = decode_index(data, prefix.store.url(key))
    if files is not None and _missing(prefix, index, files.data) is None:
        return OpenCheckpoint(prefix, index, info, files.data, None)
    listed = list_prefix(prefix).data
    return OpenCheckpoint(prefix, index, info, listed, _missing(prefix, index, listed))


def _missing(prefix: Location, index: BundleIndex, data: Mapping[str, ObjectInfo]) -> str | None:
    for key, size in needed_data_files(prefix.key, index).items():
        url = prefix.store.url(key)
        if (info := data.get(key)) is None:
            return f"{url!r} is missing"
        if info.size < size:
            return f"{url!r} has {info.size} bytes where the index needs {size}"
    return None


def read_consistently(
    prefix: Location, read: Callable[[OpenCheckpoint], Result], files: PrefixFiles | None = None
) -> Result:
    """Open a prefix and read from it, such that everything comes from one and the same save.

    A save that replaces the checkpoint meanwhile makes the read start again, a few times. What looks like damage is
    damage only if the prefix still holds the index that was read, and its data files were looked up after it.

    Raises:
        CheckpointNotFoundError: the prefix has no index.
        CheckpointDamagedError: the checkpoint is not whole.
        ObjectChangedError: it was replaced again and again.

    Cost: that of `open_checkpoint`, one request more to look at the index again, and those of `read`.
    """
    for _ in range(ATTEMPTS):
        checkpoint = open_checkpoint(prefix, files)
        try:
            checkpoint.check_whole()
            result = read(checkpoint)
        except (CheckpointDamagedError, ObjectChangedError, ObjectNotFoundError, ShortReadError) as error:
            if checkpoint.is_current():
                if isinstance(error, CheckpointDamagedError):
                    raise
                if files is None:  # else they may be older than the index: look again
                    raise CheckpointDamagedError(f"{prefix.url!r} is not whole: {error}", path=prefix.url) from error
        else:
            if checkpoint.is_current():
                return result
        logger.info("%s was replaced while it was read; starting again", prefix.url)
        files = None
    raise ObjectChangedError(
        f"{prefix.url!r} was replaced {ATTEMPTS} times while it was read; stop the writer, or read a checkpoint that "
        "nobody overwrites",
        path=prefix.url,
    )


def _not_found(prefix: Location) -> CheckpointNotFoundError:
    index = prefix.store.url(index_filename(prefix.key))
    return CheckpointNotFoundError(
        f"there is no checkpoint {prefix.url!r}: its index {index!r} does not exist. Check the path: it is the "
        "prefix of a checkpoint's files, such as 'run/ckpt-100'",
        path=prefix.url,
    )
