"""Loading into the structure and types of a template."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import StructureError
from cloudckpt.objects.leaves import tensor_dtype
from cloudckpt.objects.read import read_leaves
from cloudckpt.objects.tree import FlatTree, Leaf, flatten, is_reserved, rebuild
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.reader import OpenCheckpoint

__all__ = ["load_like"]

SHOWN = 5
"""How many differences an error lists."""


def load_like(checkpoint: OpenCheckpoint, *, like: object) -> Any:
    """The checkpoint's tensors in the structure of `like`; nothing is read unless all of them fit.

    Raises:
        StructureError: names, shapes or dtypes differ; the message lists the first few.
    """
    template = flatten(like)
    if differences := list(_differences(checkpoint, template)):
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        raise StructureError(
            f"{checkpoint.prefix.url!r} does not fit the template: {'; '.join(differences[:SHOWN])}{more}",
            path=checkpoint.prefix.url,
        )

    def misfit(name: str, error: ValueError) -> StructureError:
        return StructureError(
            f"tensor {name!r} of {checkpoint.prefix.url!r} does not fit {template.leaves[name].path} of the template: "
            f"{error}",
            path=checkpoint.prefix.url,
            tensor=name,
        )

    tags = {name: _tag(leaf, checkpoint.index.entries[name]) for name, leaf in template.leaves.items()}
    values = read_leaves(checkpoint, tags, misfit)
    return rebuild(template.structure, lambda leaf: values[leaf.name])


def _tag(leaf: Leaf, entry: BundleEntry) -> str:
    """The leaf's tag; how an int was stored depends on how large it was."""
    if leaf.tag in {"int", "bigint"}:
        return "bigint" if entry.dtype == DataType.STRING else "int"
    return leaf.tag


def _differences(checkpoint: OpenCheckpoint, template: FlatTree) -> list[str]:
    entries = checkpoint.index.entries
    missing = [
        f"{leaf.path} ({name!r}) is not in the checkpoint"
        for name, leaf in template.leaves.items()
        if name not in entries
    ]
    unwanted = [
        f"the checkpoint's tensor {name!r} is not in the template"
        for name in entries
        if name not in template.leaves and not is_reserved(name)
    ]
    unlike = [
        difference
        for name, leaf in template.leaves.items()
        if name in entries and (difference := _difference(name, leaf, entries[name])) is not None
    ]
    return missing + unwanted + unlike


def _difference(name: str, leaf: Leaf, entry: BundleEntry) -> str | None:
    if leaf.array.shape != entry.shape:
        return f"{leaf.path} has shape {leaf.array.shape}, tensor {name!r} {entry.shape}"
    if not leaf.tag.startswith(("array", "scalar")):
        return None  # a Python scalar is made of any tensor of its kind, which decoding checks
    wanted = tensor_dtype(leaf.array)
    if wanted != entry.dtype:
        return f"{leaf.path} is {wanted.name.lower()}, tensor {name!r} {_dtype_name(entry)}"
    return None


def _dtype_name(entry: BundleEntry) -> str:
    with suppress(ValueError):
        return DataType(entry.dtype).name.lower()
    return f"of the unknown dtype {entry.dtype}"
