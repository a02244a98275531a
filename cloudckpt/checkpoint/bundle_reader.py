"""Reading a checkpoint in the V2 format: one index, and any number of data files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.index import BundleIndex, decode_index
from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.checkpoint.gather import Gathering
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.opened import OpenCheckpoint
from cloudckpt.checkpoint.prefix import PrefixFiles, list_prefix
from cloudckpt.collection import collection_paused
from cloudckpt.errors import CheckpointDamagedError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.bundle.entry_columns import EntryHead
    from cloudckpt.checkpoint.opened import TensorInfo, TensorRequest
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
    needed: Mapping[str, int]
    """the keys of the data files that the index needs, with the size that each has at least (bytes)"""

    @property
    def missing(self) -> str | None:
        """What the data files lack of what the index needs, in words; None if the checkpoint is whole."""
        return next(filter(None, map(self._lack, self.needed)), None)

    def data_file(self, shard_id: int) -> ObjectInfo:
        """A data file that the index needs, which is there and long enough for all that the index says is in it.

        Raises:
            CheckpointDamagedError: it isn't.
        """
        key = self._data_key(shard_id)
        if (lack := self._lack(key)) is not None:
            raise self._not_whole(lack)
        return self.data[key]

    def data_url(self, shard_id: int) -> str:
        """Where a data file is, for messages."""
        return self.prefix.store.url(self._data_key(shard_id))

    def place(self, name: str) -> tuple[EntryHead | BundleEntry, int, int]:
        """What the index says of one tensor, the offset of its first byte, and its CRC-32C.

        Raises:
            TensorNotFoundError: there is none of that name.
        """
        try:
            return self.index.entries.place(name)
        except KeyError:
            raise self.no_such_tensor(name) from None

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """See `OpenCheckpoint.tensors`."""
        return self.index.entries.heads

    def read(self, requests: Iterable[TensorRequest]) -> list[NDArray[Any]]:
        """See `OpenCheckpoint.read`.

        Cost: a ranged GET for every 32 MiB (8 on a local disk) or less of neighbouring bytes, several in flight; runs
        of bytes that are wanted go straight into the arrays. Of a stored piece no more is read than the bytes from the
        first to the last that is wanted, with gaps of at most 64 KiB between; of one of strings, all. Memory beyond the
        arrays: what is in flight and can't go straight into them (96 MiB at most), and for a piece of strings 4 bytes
        an element, and its strings if only a part is wanted.
        """
        gathering = Gathering(self)
        with collection_paused():
            for request in requests:
                gathering.add(request)
        return gathering.read()

    def check_whole(self) -> None:
        """See `OpenCheckpoint.check_whole`."""
        if (lack := self.missing) is not None:
            raise self._not_whole(lack)

    def is_current(self) -> bool:
        """See `OpenCheckpoint.is_current`."""
        try:
            return self.prefix.store.stat(self.index_info.key).version == self.index_info.version
        except ObjectNotFoundError:
            return False

    def _data_key(self, shard_id: int) -> str:
        return data_filename(self.prefix.key, shard_id, self.index.header.num_shards)

    def _lack(self, key: str) -> str | None:
        url = self.prefix.store.url(key)
        if (info := self.data.get(key)) is None:
            return f"{url!r} is missing"
        if info.size < (needed := self.needed[key]):
            return f"{url!r} has {info.size} bytes where the index needs {needed}"
        return None

    def _not_whole(self, lack: str) -> CheckpointDamagedError:
        return CheckpointDamagedError(f"{self.prefix.url!r} is not whole: {lack}", path=self.prefix.url)


def open_bundle(prefix: Location, files: PrefixFiles | None = None) -> BundleCheckpoint | None:
    """What `open_checkpoint` does for the V2 format; None if the prefix has no index."""
    key = index_filename(prefix.key)
    try:
        data, info = prefix.store.get(key)
    except ObjectNotFoundError:
        return None
    index = decode_index(data, prefix.store.url(key))
    needed = needed_data_files(prefix.key, index)
    if files is not None:
        checkpoint = BundleCheckpoint(prefix, index, info, files.data, needed)
        if checkpoint.missing is None:
            return checkpoint
    return BundleCheckpoint(prefix, index, info, list_prefix(prefix).data, needed)
