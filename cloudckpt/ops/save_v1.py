"""`Save` and `SaveSlices`: named tensors, or slices of them, as one file of the V1 format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.ops.named_tensors import check_lengths, named_tensors
from cloudckpt.ops.refusals import refusals_as_invalid
from cloudckpt.ops.string_arguments import path_argument, string_elements
from cloudckpt.ops.tensor_arguments import tensor_list

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Save", "SaveSlices"]


def Save(
    *,
    filename: Any,
    tensor_names: Any,
    data: Any,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    unsafe_overwrite: bool = False,
) -> None:
    """Write tensors as one V1 file, in place of any that is there: readers see the old one or the new one whole.

    Args:
        filename: the file: a path, or any URL that fsspec reads.
        tensor_names: N names.
        data: N arrays or tensors, as for `SaveV2`, of a dtype that the V1 format has: not bfloat16, float8, int4,
            int2 and their like, qint16 and quint16.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them.
        unsafe_overwrite: replace a file also where it is one of several ("name-00000-of-00003"), which nothing can
            replace all at once, or on a store that can't tell two writers apart.

    Raises:
        InvalidArgumentError: the lists are not equally long or empty, a name comes twice, or V1 has not the dtype.
        TypeError: an argument is of the wrong type, or something in `data` has no dtype of TensorFlow's.
        CheckpointPathError: the file name is empty, or names a folder or one file of a V2 checkpoint.
        CommitConflictError: another writer wrote the file meanwhile; its file is whole, this one was dropped.
        CommitUnknownError: the answer was lost, and reading back did not prove who won.
        UnsupportedOperationError: the file is there, and is not replaced without `unsafe_overwrite`.
        StorageError: the store failed; the file that was there is untouched.
    """
    SaveSlices(
        filename=filename,
        tensor_names=tensor_names,
        shapes_and_slices=[""] * np.size(tensor_names),
        data=data,
        storage_options=storage_options,
        unsafe_overwrite=unsafe_overwrite,
    )


def SaveSlices(
    *,
    filename: Any,
    tensor_names: Any,
    shapes_and_slices: Any,
    data: Any,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    unsafe_overwrite: bool = False,
) -> None:
    """As `Save`, of slices of tensors too.

    Args:
        filename: the file: a path, or any URL that fsspec reads.
        tensor_names: N names; slices of one tensor go by the same.
        shapes_and_slices: N slice specs, as for `SaveV2`: "" for a whole tensor.
        data: as for `Save`.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them.
        unsafe_overwrite: as for `Save`.

    Raises:
        InvalidArgumentError: as `Save`; and a spec is malformed, out of range or not of its array's shape, or slices
            of one tensor overlap or don't fit together.
        TypeError, CheckpointPathError, CommitConflictError, CommitUnknownError, StorageError: as `Save`.
    """
    path, names = path_argument(filename, "filename"), string_elements(tensor_names, "tensor_names")
    specs, arrays = string_elements(shapes_and_slices, "shapes_and_slices"), tensor_list(data, names, "data")
    with open_prefix(path, storage_options) as file:
        check_lengths(file.url, tensor_names=names, shapes_and_slices=specs, data=arrays)
        named = named_tensors(names, specs, arrays, file.url)
        with refusals_as_invalid(file.url):
            save_v1(file, named, unsafe_overwrite=unsafe_overwrite)
