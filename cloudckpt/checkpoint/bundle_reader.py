"""Reading a checkpoint in the V2 format: one index, and any number of data files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.index import BundleIndex, decode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.gather import Gathering
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorRequest
from cloudckpt.checkpoint.prefix import PrefixFiles, list_prefix
from cloudckpt.errors import CheckpointDamagedError, ObjectNotFoundError, TensorNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["BundleCheckpoint", "open_bundle"]


@dataclass(frozen=True, slots=True)
class BundleCheckpoint(OpenCheckpoint):
    """One save in the V2 format: its index, and the data files that were there with it."""

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

    @property
    def tensors(self) -> Mapping[str, BundleEntry]:
        """See `OpenCheckpoint.tensors`."""
        return self.index.entries

    def read(self, requests: Iterable[TensorRequest]) -> list[NDArray[Any]]:
        """See `OpenCheckpoint.read`.

        Cost: a ranged GET for every 8 MiB or less of neighbouring bytes, several in flight; runs of bytes that are
        wanted go straight into the arrays. Of a stored piece no more is read than the bytes from the first to the last
        that is wanted, with gaps of at most 64 KiB between; of one of strings, all. Memory beyond the arrays: what is
        in flight (32 MiB), and for a piece of strings 4 bytes an element, and its strings if only a part is wanted.
        """
        self.check_whole()
        gathering = Gathering(self)
        for request in requests:
            gathering.add(request)
        return gathering.read()

    def check_whole(self) -> None:
        """See `OpenCheckpoint.check_whole`."""
        if self.missing is not None:
            raise CheckpointDamagedError(f"{self.prefix.url!r} is not whole: {self.missing}", path=self.prefix.url)

    def is_current(self) -> bool:
        """See `OpenCheckpoint.is_current`."""
        try:
            return self.prefix.store.stat(self.index_info.key).version == self.index_info.version
        except ObjectNotFoundError:
            return False


def open_bundle(prefix: Location, files: PrefixFiles | None = None) -> BundleCheckpoint | None:
    """What `open_checkpoint` does for the V2 format; None if the prefix has no index."""
    key = index_filename(prefix.key)
    try:
        data, info = prefix.store.get(key)
    except ObjectNotFoundError:
        return None
    index = decode_index(data, prefix.store.url(key))
    if files is not None and _missing(prefix, index, files.data) is None:
        return BundleCheckpoint(prefix, index, info, files.data, None)
    listed = list_prefix(prefix).data
    return BundleCheckpoint(prefix, index, info, listed, _missing(prefix, index, listed))


def _missing(prefix: Location, index: BundleIndex, data: Mapping[str, ObjectInfo]) -> str | None:
    for key, size in needed_data_files(prefix.key, index).items():
        url = prefix.store.url(key)
        if (info := data.get(key)) is None:
            return f"{url!r} is missing"
        if info.size < size:
            return f"{url!r} has {info.size} bytes where the index needs {size}"
    return None
