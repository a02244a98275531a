"""TensorFlow's `CheckpointReader`: what a checkpoint holds, by its tensors' names.

Source: python/training/py_checkpoint_reader.py, and core's util/checkpoint_reader.cc that it wraps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from cloudckpt.bundle.tensor_names import decode_name
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.collection import collection_paused
from cloudckpt.ops.debug_string import debug_string
from cloudckpt.stored.source import StoredSource, open_source
from cloudckpt.variables.dtype import DType

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

    from cloudckpt.storage.location import Location

__all__ = ["CheckpointReader", "NewCheckpointReader"]


class CheckpointReader:
    """What a checkpoint holds, by its tensors' names, with the methods of TensorFlow's class of that name.

    Beyond TensorFlow's it takes paths of any store, puts slices of every dtype together, of V1 checkpoints too, checks
    what it reads against its checksums, and belongs to one save until it is closed, at the latest when nothing refers
    to it any more. The empty name, which TensorFlow takes for a tensor's, is none. To read a part of a tensor, use
    `cloudckpt.open_checkpoint`.

    Args:
        filepattern: the checkpoint's prefix; a V1 file, or a pattern of V1 shards.
        storage_options: options of the store, as fsspec takes them.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that name.
        CheckpointDamagedError: the index, or the V1 file, does not parse.
        CheckpointPathError: the path names a folder or one file of a checkpoint.
        CheckpointVersionError: a newer program wrote it in a way that this one does not know.
        StorageError: the store failed.

    Cost: as `cloudckpt.open_checkpoint`.
    """

    def __init__(
        self, filepattern: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self._source: StoredSource = open_source(open_prefix(filepattern, storage_options))

    @classmethod
    def at(cls, prefix: Location) -> Self:
        """A reader of an open location, whose store it closes; raises what the class itself raises."""
        reader = cls.__new__(cls)
        reader._source = open_source(prefix)  # noqa: SLF001 - its own
        return reader

    def get_tensor(self, tensor_str: str | bytes) -> Any:
        """The whole tensor, checked, as TensorFlow gives it.

        Returns:
            A new array. Of a scalar NumPy's scalar, or bytes; strings are object arrays of bytes; quantised elements
            plain integers.

        Raises:
            TensorNotFoundError: there is none of that name, or the checkpoint has only some of its slices.
            CheckpointDamagedError: a data file is missing or too short, or bytes don't match their checksum.
            UnsupportedOperationError: it is a resource or a variant.
            ObjectChangedError: the checkpoint was replaced since it was opened.
            ValueError: the reader was closed.
            StorageError: the store failed.
        """
        name = _decoded(tensor_str)
        array = self._source.read_whole([name])[name]
        if array.dtype.names:
            array = array[array.dtype.names[0]]
        return array if array.ndim else array[()]

    def has_tensor(self, tensor_str: str | bytes) -> bool:
        """Whether there is a tensor of that name, whole or in slices. No request."""
        return _decoded(tensor_str) in self._source.checkpoint.tensors

    @collection_paused()
    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes of all tensors, by name, in the order of the names. No request."""
        return {name: list(info.shape) for name, info in self._source.checkpoint.tensors.items()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The dtypes of all tensors, by name, in the order of the names. No request.

        The values have `name`, `as_numpy_dtype` and `as_datatype_enum` as `tf.DType` has.
        """
        tensors = self._source.checkpoint.tensors
        dtypes = {number: DType(number) for number in {info.dtype for info in tensors.values()}}
        return {name: dtypes[info.dtype] for name, info in tensors.items()}

    def debug_string(self) -> bytes:
        """A line for every tensor, `name (DT_FLOAT) [2,3]`, as TensorFlow prints it. No request.

        A V2 checkpoint's slices have a line each, under the keys that they have in the index.
        """
        return debug_string(self._source.checkpoint)

    def close(self) -> None:
        """Free the store's connections and descriptors. Afterwards `get_tensor` raises `ValueError`."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<CheckpointReader {self._source.url!r}: {len(self._source.checkpoint.tensors)} tensors>"


NewCheckpointReader = CheckpointReader
"""TensorFlow 1's name for making one."""


def _decoded(name: str | bytes) -> str:
    """A tensor's name as text, as names of an index are."""
    if isinstance(name, bytes):
        return decode_name(name)
    if isinstance(name, str):
        return name
    raise TypeError(f"a tensor's name must be str or bytes, got {name!r}")
