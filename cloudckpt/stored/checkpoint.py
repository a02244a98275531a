"""A checkpoint as people look into it: its tensors by name, read when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.checkpoint.opened import UNREADABLE
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.stored.batches import in_batches
from cloudckpt.stored.pieces import file_order, stored_bytes
from cloudckpt.stored.source import StoredSource, open_source
from cloudckpt.stored.tensor import StoredTensor

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["StoredCheckpoint", "open_checkpoint"]

BATCH_BYTES = 64 << 20
"""What is read ahead of an iteration, beyond a tensor that is larger by itself."""


def open_checkpoint(
    path: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None, mmap: bool = False
) -> StoredCheckpoint:
    """Open a checkpoint to look into it: names, dtypes, shapes and places of its tensors, without reading any.

    The result is a mapping from names to `StoredTensor`, and a context manager that closes it::

        with open_checkpoint("run/ckpt-100") as checkpoint:
            checkpoint["w"].shape
            checkpoint["w"][10:20]

    All that is read belongs to the save that was there when it was opened. If another one replaces it meanwhile,
    what is already read stays as it is, and a read that needs files which are gone raises `ObjectChangedError`; it is
    not opened anew by itself, since tensors may have come, gone, or changed their shapes.

    Args:
        path: the checkpoint's prefix, such as "s3://bucket/run/ckpt-100": a local path, or any URL that fsspec reads.
            Of version 1 also a file, or a pattern of shards such as "run/ckpt-?????-of-00002".
        storage_options: options of the store, as fsspec takes them.
        mmap: return read-only arrays over the files themselves, with no copy, for tensors on a local disk that are
            stored in one piece, in this machine's byte order, and at an offset that suits their dtype (cloudckpt
            aligns all of 64 bytes or more; TensorFlow aligns none, so there it is chance). Others are read as usual.
            Mapped bytes are not checked. A file that another program cuts short while it is mapped ends this process
            when it touches what is gone (SIGBUS): nothing can catch that. cloudckpt itself never changes a data file.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that name.
        CheckpointPathError: the path names a folder or one file of a checkpoint.
        CheckpointDamagedError: the index does not parse. A data file that is missing or too short is found when
            something in it is read.
        CheckpointVersionError: a newer program wrote it in a way that this one does not know.
        UnsupportedOperationError: `mmap=True`, and the store is not a local disk.
        ObjectChangedError: it was replaced again and again while it was opened.
        StorageError: the store failed.

    Cost: a GET of the index, a LIST, and a look at the index again. Of version 1 a look at each file, a read of its
    end, and one of its first block where that is not the same.
    """
    return StoredCheckpoint(open_source(open_prefix(path, storage_options), mmap=mmap))


class StoredCheckpoint(Mapping[str, StoredTensor]):
    """One save of a checkpoint, open for reading: a mapping from the names of its tensors, in order, to handles.

    Any number of threads may read from it at once. It is closed by `close`, at the end of its `with` block, or when
    nothing refers to it or its tensors any more; arrays that were read stay valid, also mapped ones.
    """

    def __init__(self, source: StoredSource) -> None:
        self._source = source
        self._tensors = source.checkpoint.tensors

    @property
    def path(self) -> str:
        """The checkpoint's prefix, by the path or URL a person would use, without credentials."""
        return self._source.url

    def __getitem__(self, name: str) -> StoredTensor:
        self._source.require_open()
        try:
            return StoredTensor(name, self._tensors[name], self._source)
        except KeyError:
            raise self._source.checkpoint.no_such_tensor(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def read(self, names: Iterable[str] | None = None, *, verify: bool = False) -> dict[str, NDArray[Any]]:
        """Read many tensors at once, neighbours in one request and several requests side by side.

        Each is checked against its checksum, but for mapped ones.

        Args:
            names: of the tensors; all but resources and variants by default.
            verify: read and check also what would be mapped.

        Returns:
            The arrays by name, in the order of the names; strings are object arrays of bytes.

        Raises:
            TensorNotFoundError: there is none of that name; nothing was read.
            TypeError: `names` is one string, which would be taken for the names of its characters.
            Exception: and what `StoredTensor.read` raises.

        Cost: a ranged read for every 8 MiB or less of neighbouring tensors, several in flight, straight into the
        arrays.
        """
        if isinstance(names, str | bytes):
            raise TypeError(f"read takes several names, and {names!r} is one string: pass a list of names: [{names!r}]")
        return self._source.read_whole(self._readable() if names is None else names, verify=verify)

    def arrays(self, *, verify: bool = False) -> Iterator[tuple[str, NDArray[Any]]]:
        """Iterate over the names and arrays of all tensors but resources and variants, in the order of their bytes.

        Each is read and checked as `read` does, some ahead of the iteration: 64 MiB at most, or one tensor that is
        larger. So a checkpoint of any size can be gone through in bounded memory, and in few requests.

        Raises: what `read` raises.
        """
        for names in self._batches():
            batch = self._source.read_whole(names, verify=verify)
            for name in names:
                yield name, batch.pop(name)  # so that it lives no longer than its user wants it

    def _batches(self) -> Iterator[list[str]]:
        checkpoint, readable = self._source.checkpoint, set(self._readable())
        names = filter(readable.__contains__, file_order(checkpoint))
        return in_batches(names, partial(stored_bytes, checkpoint), BATCH_BYTES)

    def _readable(self) -> list[str]:
        return [name for name, info in self._tensors.items() if info.dtype not in UNREADABLE]

    def close(self) -> None:
        """Free the store's connections. Arrays stay valid; what reads afterwards raises `ValueError`."""
        self._source.close()

    def __enter__(self) -> Self:
        self._source.require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        state = ", closed" if self._source.is_closed else ""
        return f"<StoredCheckpoint {self.path!r}: {len(self)} tensors{state}>"
