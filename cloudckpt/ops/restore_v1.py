"""`Restore` and `RestoreSlice`: one tensor, or a slice of it, out of the files of the V1 format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.checkpoint.v1_reader import open_v1
from cloudckpt.errors import CheckpointNotFoundError
from cloudckpt.ops.integer_arguments import integer_argument
from cloudckpt.ops.requests import tensor_request
from cloudckpt.ops.string_arguments import path_argument, string_scalar
from cloudckpt.variables.dtype_arguments import data_type_argument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.storage.location import Location

__all__ = ["Restore", "RestoreSlice"]


def Restore(
    *,
    file_pattern: Any,
    tensor_name: Any,
    dt: Any,
    preferred_shard: int = -1,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> NDArray[Any]:
    """Read one tensor from a V1 file, or from all the files that a pattern matches.

    Args:
        file_pattern: the file, or a pattern such as "ckpt-?????-of-00003": `*`, `?` and `[...]` in the last component
            of a path, or of any URL that fsspec reads.
        tensor_name: the tensor's.
        dt: its dtype, which must be the stored one: TensorFlow's, NumPy's, ml_dtypes', a `DataType` or a name.
        preferred_shard: in TensorFlow the file to open first; here all headers are read, and it only must be -1 or
            more.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        A new array; strings as an object array of bytes.

    Raises:
        CheckpointNotFoundError: no file matches.
        TensorNotFoundError: there is no tensor of that name, or the slices that are stored leave out some of it.
        InvalidArgumentError: the dtype is not the stored one; an argument is no single value.
        TypeError: an argument is of the wrong type.
        CheckpointDamagedError: a file is damaged, or is no V1 file.
        CheckpointPathError: the pattern is empty, or names a folder or one file of a V2 checkpoint.
        StorageError: the store failed.
    """
    return RestoreSlice(
        file_pattern=file_pattern,
        tensor_name=tensor_name,
        shape_and_slice="",
        dt=dt,
        preferred_shard=preferred_shard,
        storage_options=storage_options,
    )


def RestoreSlice(
    *,
    file_pattern: Any,
    tensor_name: Any,
    shape_and_slice: Any,
    dt: Any,
    preferred_shard: int = -1,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> NDArray[Any]:
    """As `Restore`, of a slice of the tensor.

    Args:
        file_pattern: as for `Restore`.
        tensor_name: the tensor's.
        shape_and_slice: the tensor's shape and the slice that is wanted, as in "4 4 0,2:-"; "" for the whole. What is
            stored need not be cut in the same way.
        dt: as for `Restore`.
        preferred_shard: as for `Restore`.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        A new array of the slice's shape; strings as an object array of bytes.

    Raises:
        InvalidArgumentError: as `Restore`; and the spec is malformed, out of range, or of another shape than stored.
        CheckpointNotFoundError, TensorNotFoundError, TypeError, CheckpointDamagedError, CheckpointPathError,
            StorageError: as `Restore`.
    """
    path = path_argument(file_pattern, "file_pattern")
    wanted, spec = string_scalar(tensor_name, "tensor_name"), string_scalar(shape_and_slice, "shape_and_slice")
    data_type = data_type_argument(dt, "dt")
    integer_argument(preferred_shard, "preferred_shard", least=-1)

    def read(checkpoint: OpenCheckpoint) -> NDArray[Any]:
        return checkpoint.read([tensor_request(checkpoint, wanted, spec, data_type)])[0]

    with open_prefix(path, storage_options) as files:
        return read_consistently(files, read, opening=_open)


def _open(files: Location, _listed: object) -> OpenCheckpoint:
    """As TensorFlow's ops do, V1 files only, also where a V2 checkpoint has the same name."""
    if (checkpoint := open_v1(files)) is None:
        raise CheckpointNotFoundError(
            f"no file matches {files.url!r}; if that is the prefix of a V2 checkpoint, use RestoreV2", path=files.url
        )
    return checkpoint
