"""What the handles of an open checkpoint read from: one and the same save, until it is closed."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.errors import CheckpointDamagedError, ObjectChangedError, ObjectNotFoundError, ShortReadError
from cloudckpt.stored.checked import read_checked
from cloudckpt.stored.mapped import MappedFiles, require_local_files
from cloudckpt.variables.dtypes import to_numpy
from cloudckpt.variables.tensor_slice import as_index, region_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.storage.location import Location
    from cloudckpt.variables.tensor_slice import Region

__all__ = ["StoredSource", "open_source"]


def open_source(prefix: Location, *, mmap: bool = False) -> StoredSource:
    """Open a prefix to read from it; raises what `cloudckpt.open_checkpoint` raises.

    Args:
        prefix: the checkpoint's; its store is the source's from now on, and is closed where this raises.
        mmap: whether to map what can be mapped, instead of reading it.
    """
    try:
        if mmap:
            require_local_files(prefix)
        return StoredSource(read_consistently(prefix, lambda checkpoint: checkpoint, whole=False), mmap=mmap)
    except BaseException:
        prefix.store.close()
        raise


class StoredSource:
    """One save, kept open until it is closed or nothing refers to it any more. Thread-safe, but for closing it.

    Attributes:
        checkpoint: the save.
        url: its prefix, by the path or URL a person would use.
    """

    def __init__(self, checkpoint: OpenCheckpoint, *, mmap: bool) -> None:
        self.checkpoint = checkpoint
        self.url = checkpoint.prefix.url
        self._close = weakref.finalize(self, checkpoint.prefix.store.close)
        self._files = MappedFiles(checkpoint) if mmap and isinstance(checkpoint, BundleCheckpoint) else None

    def close(self) -> None:
        """Free the store's connections and descriptors; arrays stay valid. A second time does nothing."""
        self._close()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return not self._close.alive

    def require_open(self) -> None:
        """Raise ValueError if it was closed."""
        if self.is_closed:
            raise ValueError(f"the checkpoint {self.url!r} is closed: open it again to read from it")

    def read_whole(self, names: Iterable[str], *, verify: bool = False) -> dict[str, NDArray[Any]]:
        """The named tensors: mapped where they can be and need not be checked, else read and checked."""
        wanted = list(names)
        with self._pinned():
            mapped = {} if verify else {name: array for name in wanted if (array := self._map(name)) is not None}
            arrays = mapped | self.checkpoint.read_named(name for name in wanted if name not in mapped)
        return {name: arrays[name] for name in wanted}

    def read_region(self, name: str, region: Region, *, verify: bool) -> NDArray[Any]:
        """A region of a tensor: mapped if it can be and need not be checked, else read."""
        shape, info = region_shape(region), self.checkpoint.tensors[name]
        self.checkpoint.region_of(TensorRequest(name, region), info)  # refuses what no array can be
        if shape == info.shape:
            return self.read_whole([name], verify=verify)[name]
        with self._pinned():
            if not verify and (array := self._map(name)) is not None:
                return array[as_index(region)]
            if 0 in shape:
                return np.empty(shape, to_numpy(info.dtype))
            if verify and isinstance(self.checkpoint, BundleCheckpoint):
                return read_checked(self.checkpoint, name, region)
            return self.checkpoint.read([TensorRequest(name, region)])[0]

    def is_mapped(self, name: str) -> bool:
        """Whether reading the tensor maps it."""
        return self._files is not None and self._files.can_map(name)

    def _map(self, name: str) -> NDArray[Any] | None:
        return None if self._files is None else self._files.array(name)

    @contextmanager
    def _pinned(self) -> Iterator[None]:
        """Read from the save that was opened and from no other, and tell damage from a save that has replaced it."""
        self.require_open()
        try:
            yield
        except (CheckpointDamagedError, ObjectChangedError, ObjectNotFoundError, ShortReadError) as error:
            if isinstance(error, ObjectChangedError) or not self.checkpoint.is_current():
                raise ObjectChangedError(
                    f"the checkpoint {self.url!r} was replaced or deleted since it was opened: open it again",
                    path=self.url,
                ) from error
            if isinstance(error, CheckpointDamagedError):
                raise
            raise CheckpointDamagedError(f"{self.url!r} is not whole: {error}", path=self.url) from error
