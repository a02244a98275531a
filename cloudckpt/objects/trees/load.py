"""Loading one checkpoint as a tree."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.opened import UNREADABLE
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.errors import CheckpointDamagedError, RecoveryWarning
from cloudckpt.objects.trees.read import read_leaves, widths_are_credible
from cloudckpt.objects.trees.structure import STRUCTURE_TENSOR, decode_structure
from cloudckpt.objects.trees.template import load_like
from cloudckpt.objects.trees.tree import rebuild
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.storage.open import Location

__all__ = ["load", "load_tree"]


def load(
    path: str | os.PathLike[str],
    *,
    like: object = None,
    storage_options: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> Any:
    """Read one checkpoint whole, every byte checked: the tree that was saved, with new NumPy arrays.

    A checkpoint that another program wrote (TensorFlow, say) has no tree; it comes back as a flat dict by tensor
    name, strings as object arrays of bytes.

    Args:
        path: the checkpoint's prefix, such as "s3://bucket/run/ckpt-100": a local path, or any URL that fsspec reads.
        like: a tree whose structure and leaf types to return instead; its leaves must be exactly the checkpoint's
            tensors, of the same shapes and dtypes. Its arrays are not written to.
        storage_options: options of the store, as fsspec takes them.
        timeout: seconds for all of it, retries included; None for no limit.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that name.
        CheckpointPathError: the path names a folder or one file of a checkpoint.
        CheckpointDamagedError: a file is missing or too short, or bytes don't match their checksum.
        CheckpointVersionError: a newer program wrote it in a way that this one does not know.
        StructureError: the checkpoint does not fit `like`; the message names the leaves.
        TypeError: `like` holds something that no checkpoint can hold.
        StorageTimeoutError: the time was over before.
        StorageError: the store failed.

    Cost: a GET of the index, a LIST, a look at the index again, and a ranged GET for every 32 MiB (or less; 8 on a
    local disk) of neighbouring tensors, several in flight, read straight into the arrays.
    """
    with time_limit(timeout), open_prefix(path, storage_options) as prefix:
        return load_tree(prefix, like=like)


def load_tree(prefix: Location, *, like: object = None, files: PrefixFiles | None = None) -> Any:
    """What `load` does, at an open location; `files` as `open_checkpoint` takes it."""
    read = _read_tree if like is None else partial(load_like, like=like)
    return read_consistently(prefix, read, files)


def _read_tree(checkpoint: OpenCheckpoint) -> Any:
    if STRUCTURE_TENSOR not in checkpoint.tensors:
        return _read_flat(checkpoint)
    url = checkpoint.prefix.url
    text = checkpoint.read_named([STRUCTURE_TENSOR])[STRUCTURE_TENSOR].reshape(-1)
    entries = checkpoint.tensors
    structure, tags = decode_structure(text[0] if text.size and isinstance(text[0], bytes) else b"", url, entries)

    def misfit(name: str, error: ValueError) -> CheckpointDamagedError:
        return CheckpointDamagedError(
            f"tensor {name!r} of {url!r} is not what its structure says, {tags[name]!r}: {error}", path=url, tensor=name
        )

    values = read_leaves(checkpoint, tags, misfit, trust_widths=widths_are_credible(entries, tags))
    return rebuild(structure, iter(values.values()))


def _read_flat(checkpoint: OpenCheckpoint) -> dict[str, Any]:
    entries = checkpoint.tensors
    skipped = [name for name, entry in entries.items() if entry.dtype in UNREADABLE]
    if skipped:
        warnings.warn(
            f"{checkpoint.prefix.url!r} holds {len(skipped)} tensors that are no arrays (resources or variants) and "
            f"were left out, the first being {skipped[0]!r}",
            RecoveryWarning,
            stacklevel=6,  # up to the line that called `load`, or the manager's `restore`
        )
    return checkpoint.read_named([name for name, entry in entries.items() if entry.dtype not in UNREADABLE])
