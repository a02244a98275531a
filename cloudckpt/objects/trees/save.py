"""Saving a tree as one checkpoint."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.commit import SavedCheckpoint, save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.collection import collection_paused
from cloudckpt.objects.trees.structure import STRUCTURE_TENSOR, encode_structure
from cloudckpt.objects.trees.tree import FlatTree, flatten
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.storage.open import Location

__all__ = ["flatten_for_save", "save", "save_tree", "tensors_of"]


def save(
    path: str | os.PathLike[str],
    tree: object,
    *,
    storage_options: Mapping[str, Any] | None = None,
    unsafe_overwrite: bool = False,
    timeout: float | None = None,
) -> str:
    """Write a tree as one checkpoint: when this returns it is whole and durable, and until then nothing is there.

    An existing checkpoint of that name is replaced in one atomic step: a crash at any moment leaves the old one or
    the new one. No `checkpoint` state file is written: that is `CheckpointManager`'s work. Real TensorFlow reads the
    result (`tf.train.load_checkpoint`), under the keys joined by "/" as tensor names.

    Args:
        path: the checkpoint's prefix, such as "s3://bucket/run/ckpt-100": a local path, or any URL that fsspec reads.
        tree: nested dicts (keys str or int), lists, tuples, named tuples, dataclasses, mappings and JAX's pytrees; of
            arrays and scalars of NumPy, JAX and torch of TensorFlow's dtypes, variables, JAX's typed random keys,
            random generators, Python scalars, str, bytes and None; arrays of strings too. What it holds must not
            change before this returns.
        storage_options: options of the store, as fsspec takes them (credentials, endpoint, ...); for local paths
            `fsync=False` trades durability for speed.
        unsafe_overwrite: replace an existing checkpoint also on a store that can't tell two writers apart.
        timeout: seconds for all of it, retries included; None for no limit. Cleaning up after it may take some more.

    Returns:
        The path, as given.

    Raises:
        TypeError: the tree holds something that can't be saved; the message has its path in the tree.
        StructureError: two leaves come to one tensor name, or a name is empty, reserved or not valid UTF-8.
        CheckpointPathError: the path names a folder or one file of a checkpoint.
        CommitConflictError: another writer saved there meanwhile; its checkpoint is whole, this one was dropped.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won.
        StorageTimeoutError: the time was over before; the checkpoint that was there is untouched.
        StorageError: the store failed; the checkpoint that was there is untouched.

    Cost: one LIST, one request for a small data file or two more than its parts for a large one, one PUT of the
    index; replacing adds a GET and a batch of deletes. C-contiguous arrays in the host's memory are not copied, those
    of accelerators once, all of them before the first is written; memory beyond them stays under 128 MiB.
    """
    with time_limit(timeout), open_prefix(path, storage_options) as prefix:
        save_tree(prefix, tree, unsafe_overwrite=unsafe_overwrite)
    return os.fspath(path)


def save_tree(prefix: Location, tree: object, *, unsafe_overwrite: bool = False) -> SavedCheckpoint:
    """What `save` does, at an open location."""
    return save_tensors(prefix, tensors_of(tree), unsafe_overwrite=unsafe_overwrite)


def tensors_of(tree: object) -> dict[str, NDArray[Any]]:
    """The tensors that hold a tree, by name, with the one that describes its structure. No array is copied.

    Raises:
        TypeError, StructureError: as `save`.
    """
    return flatten_for_save(tree).arrays


@collection_paused()
def flatten_for_save(tree: object) -> FlatTree:
    """A tree taken apart, with the tensor that describes its structure among its arrays, as the last one.

    Arrays in the host's memory are not copied: what is not in `frozen` must not change before it is written.

    Raises:
        TypeError, StructureError: as `save`.
    """
    flat = flatten(tree)
    flat.arrays[STRUCTURE_TENSOR] = np.array(encode_structure(flat.structure), object)
    return flat
