"""`RestoreV2`: named tensors, or slices of them, out of one checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.ops.named_tensors import check_lengths
from cloudckpt.ops.requests import tensor_request
from cloudckpt.ops.string_arguments import path_argument, string_vector
from cloudckpt.variables.dtype_arguments import data_type_argument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint

__all__ = ["RestoreV2"]


def RestoreV2(
    *,
    prefix: Any,
    tensor_names: Any,
    shape_and_slices: Any,
    dtypes: Any,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> list[NDArray[Any]]:
    """Read tensors, or slices of tensors, all from one and the same save of a checkpoint.

    Reads V2 checkpoints, and V1 files where the prefix has no index. A slice need not be stored as such: it is put
    together from whatever slices there are, whatever the dtype.

    Args:
        prefix: the checkpoint's prefix: a path, or any URL that fsspec reads.
        tensor_names: N names.
        shape_and_slices: N slice specs: "" for the whole tensor, or its shape and the slice of it that is wanted, as
            in "4 4 0,2:-".
        dtypes: N dtypes, which must be those stored: TensorFlow's, NumPy's, those of ml_dtypes, ours (`DataType`), or
            names.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        N new arrays; strings as object arrays of bytes.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that prefix.
        TensorNotFoundError: it has no tensor of that name, or the slices that are stored leave out some of what was
            asked for.
        InvalidArgumentError: the lists are not equally long or empty; a dtype or a spec's shape is not the stored
            one; a spec is malformed or out of range.
        TypeError: an argument is of the wrong type.
        CheckpointDamagedError: a file that has some of what was asked for is missing or too short, or bytes don't
            match their checksum; those of a part of a stored tensor are not compared.
        CheckpointVersionError: a newer program wrote it.
        CheckpointPathError: the prefix is empty, or names a folder or one file of a checkpoint.
        UnsupportedOperationError: a tensor is no array but a resource or a variant.
        StorageError: the store failed.

    Cost: a GET of the index, a LIST, a look at the index again, and ranged GETs for what is asked for, several in
    flight, straight into the arrays.
    """
    path = path_argument(prefix, "prefix")
    names = string_vector(tensor_names, "tensor_names")
    specs = string_vector(shape_and_slices, "shape_and_slices")
    if not isinstance(dtypes, list | tuple):
        raise TypeError(f"dtypes must be a list, got {dtypes!r}")
    data_types = [data_type_argument(dtype, "dtypes") for dtype in dtypes]

    def read(checkpoint: OpenCheckpoint) -> list[NDArray[Any]]:
        wanted = zip(names, specs, data_types, strict=True)
        return checkpoint.read([tensor_request(checkpoint, *tensor) for tensor in wanted])

    with open_prefix(path, storage_options) as location:
        check_lengths(location.url, tensor_names=names, shape_and_slices=specs, dtypes=data_types)
        return read_consistently(location, read, whole=False)
