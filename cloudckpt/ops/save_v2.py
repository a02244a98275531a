"""`SaveV2`: named tensors, or slices of them, as one checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.ops.named_tensors import check_lengths, named_tensors
from cloudckpt.ops.refusals import refusals_as_invalid
from cloudckpt.ops.string_arguments import path_argument, string_vector
from cloudckpt.ops.tensor_arguments import tensor_list

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SaveV2"]


def SaveV2(
    *,
    prefix: Any,
    tensor_names: Any,
    shape_and_slices: Any,
    tensors: Any,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    unsafe_overwrite: bool = False,
) -> None:
    """Write tensors, or slices of tensors, as one V2 checkpoint: it is whole there when this returns, or not at all.

    Where the prefix is fresh the files are byte for byte those that TensorFlow's op writes (if slices of one tensor are
    given one after the other). An existing checkpoint of that prefix is replaced in one atomic step; then the data
    file has another name, which TensorFlow reads too.

    Args:
        prefix: the checkpoint's prefix, such as "s3://bucket/run/ckpt-100": a path, or any URL that fsspec reads.
        tensor_names: N names.
        shape_and_slices: N slice specs: "" for a whole tensor, or the whole tensor's shape and what of it is given,
            as in "4 4 0,2:-" for the first two rows of a 4x4 matrix. Slices of one tensor go by the same name.
        tensors: N arrays or tensors, of TensorFlow's dtypes; Python's numbers become float32, int32, bool and
            complex128 as in TensorFlow. They must not change before this returns.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them; for local paths `fsync=False` trades durability
            for speed.
        unsafe_overwrite: replace an existing checkpoint also on a store that can't tell two writers apart.

    Raises:
        InvalidArgumentError: the lists are not equally long or empty; a spec is malformed, out of range or not of its
            array's shape; a name comes twice; slices overlap or don't fit together; no checkpoint can hold the name.
        TypeError: an argument is of the wrong type, or something in `tensors` has no dtype of TensorFlow's.
        CheckpointPathError: the prefix is empty, or names a folder or one file of a checkpoint.
        CommitConflictError: another writer saved there meanwhile; its checkpoint is whole, this one was dropped.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won.
        UnsupportedOperationError: the checkpoint exists, and is not replaced without `unsafe_overwrite`.
        StorageError: the store failed; the checkpoint that was there is untouched.

    Cost: one LIST, one request for a small data file or two more than its parts for a large one, one PUT of the
    index; replacing adds a GET and a batch of deletes. C-contiguous arrays are not copied.
    """
    path = path_argument(prefix, "prefix")
    names = string_vector(tensor_names, "tensor_names")
    specs = string_vector(shape_and_slices, "shape_and_slices")
    arrays = tensor_list(tensors, names, "tensors")
    with open_prefix(path, storage_options) as location:
        check_lengths(location.url, tensor_names=names, shape_and_slices=specs, tensors=arrays)
        named = named_tensors(names, specs, arrays, location.url)
        with refusals_as_invalid(location.url):
            save_tensors(location, named, alignment=1, shards=1, unsafe_overwrite=unsafe_overwrite)
