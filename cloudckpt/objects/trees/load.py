"""Loading one checkpoint as a tree."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.callers import warn_caller
from cloudckpt.checkpoint.opened import UNREADABLE
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.errors import CheckpointDamagedError, RecoveryWarning
from cloudckpt.objects.trees.load_like import load_like
from cloudckpt.objects.trees.read import read_leaves, widths_are_credible
from cloudckpt.objects.trees.structure import STRUCTURE_TENSOR, decode_structure
from cloudckpt.objects.trees.tree import rebuild
from cloudckpt.objects.trees.wanted import Wanted, prune
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.objects.trees.wanted import Only
    from cloudckpt.storage.open import Location

__all__ = ["load", "load_tree"]


def load(
    path: str | os.PathLike[str],
    *,
    like: object = None,
    only: Only = None,
    strict: bool = True,
    cast: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> Any:
    """Read one checkpoint, every byte checked: the tree that was saved, of plain containers and new NumPy arrays.

    Named tuples, dataclasses and nodes of JAX's come back as dicts by field, random generators as their states, and
    the arrays of every framework as NumPy's; with a template as what this has in their places. No class is imported
    because a file names it. A checkpoint that another program wrote (TensorFlow, say) has no tree; it comes back as a
    flat dict by tensor name, strings as object arrays of bytes.

    Args:
        path: the checkpoint's prefix, such as "s3://bucket/run/ckpt-100": a local path, or any URL that fsspec reads.
        like: a tree whose structure and leaf types to return instead; its leaves must be exactly the checkpoint's
            tensors, of the same shapes and dtypes. An array of JAX, or a `jax.ShapeDtypeStruct`, becomes one on its
            devices with its sharding, a tensor of torch one on its device. Its arrays and generators are not written
            to. Its variables (this package's, TensorFlow's, Keras's) are: they are assigned to, last of all, and are
            in the result themselves.
        only: what to read of it: tensor names or beginnings of them ("model", ["model/encoder", "step"]) up to a "/",
            or a function that is asked for every name. Other leaves keep the template's values; without a template the
            tree lacks them, and a list or tuple that lacks some becomes a dict by index. A beginning that nothing has
            is an error.
        strict: False to leave leaves of `like` that the checkpoint lacks as they are, and what `like` lacks out.
        cast: whether dtypes may differ from those of `like` where NumPy's rule "same_kind" converts them, such as
            float64 to bfloat16, or int64 to int32, which wraps around.
        storage_options: options of the store, as fsspec takes them.
        timeout: seconds for all of it, retries included; None for no limit.

    Raises:
        CheckpointNotFoundError: there is no checkpoint of that name.
        CheckpointPathError: the path names a folder or one file of a checkpoint.
        CheckpointDamagedError: a file is missing or too short, or bytes don't match their checksum.
        CheckpointVersionError: a newer program wrote it in a way that this one does not know.
        StructureError: the checkpoint does not fit `like`; the message names the leaves. Nothing was read, unless it
            is about a value.
        TypeError: `like` holds something that no checkpoint can hold, or `only` is nothing that selects.
        StorageTimeoutError: the time was over before.
        StorageError: the store failed.

    Cost: a GET of the index, a LIST, a look at the index again, and a ranged GET for every 32 MiB (or less; 8 on a
    local disk) of neighbouring tensors, several in flight, read straight into the arrays.
    """
    with time_limit(timeout), open_prefix(path, storage_options) as prefix:
        return load_tree(prefix, like=like, only=only, strict=strict, cast=cast)


def load_tree(
    prefix: Location,
    *,
    like: object = None,
    only: Only = None,
    strict: bool = True,
    cast: bool = False,
    files: PrefixFiles | None = None,
) -> Any:
    """What `load` does, at an open location; `files` as `open_checkpoint` takes it."""
    wanted = Wanted(only, strict, cast)
    read = partial(_read_tree, wanted=wanted) if like is None else partial(load_like, like=like, wanted=wanted)
    return read_consistently(prefix, read, files)


def _read_tree(checkpoint: OpenCheckpoint, *, wanted: Wanted) -> Any:
    url, entries = checkpoint.prefix.url, checkpoint.tensors
    if STRUCTURE_TENSOR not in entries:
        wanted.check(url, entries.keys())
        return _read_flat(checkpoint, wanted.selects)
    text = checkpoint.read_named([STRUCTURE_TENSOR])[STRUCTURE_TENSOR].reshape(-1)
    structure, tags = decode_structure(text[0] if text.size and isinstance(text[0], bytes) else b"", url, entries)
    wanted.check(url, entries.keys(), structure)
    if (selects := wanted.selects) is not None:
        _, structure = prune(structure, selects)
        tags = {name: tag for name, tag in tags.items() if selects(name)}

    def misfit(name: str, error: ValueError) -> CheckpointDamagedError:
        return CheckpointDamagedError(
            f"tensor {name!r} of {url!r} is not what its structure says, {tags[name]!r}: {error}", path=url, tensor=name
        )

    values = read_leaves(checkpoint, tags, misfit, trust_widths=widths_are_credible(entries, tags))
    return rebuild(structure, iter(values.values()))


def _read_flat(checkpoint: OpenCheckpoint, selects: Callable[[str], bool] | None) -> dict[str, Any]:
    entries = checkpoint.tensors
    names = [name for name in entries if selects is None or selects(name)]
    skipped = [name for name in names if entries[name].dtype in UNREADABLE]
    if skipped:
        warn_caller(
            f"{checkpoint.prefix.url!r} holds {len(skipped)} tensors that are no arrays (resources or variants) and "
            f"were left out, the first being {skipped[0]!r}",
            RecoveryWarning,
        )
    return checkpoint.read_named([name for name in names if entries[name].dtype not in UNREADABLE])
