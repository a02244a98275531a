"""Loading into the structure and types of a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.leaves import tensor_dtype
from cloudckpt.objects.trees.read import read_leaves
from cloudckpt.objects.trees.tree import FlatTree, flatten, is_reserved, rebuild
from cloudckpt.variables.dtypes import DataType, python_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorInfo

__all__ = ["load_like"]

SHOWN = 5
"""How many differences an error lists."""


def load_like(checkpoint: OpenCheckpoint, *, like: object) -> Any:
    """The checkpoint's tensors in the structure of `like`; nothing is read unless all of them fit.

    Raises:
        StructureError: names, shapes or dtypes differ; the message lists the first few.
    """
    template = flatten(like)
    tags = template.tags()
    if differences := _differences(checkpoint, template, tags):
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        shown = [f"{template.path(leaf)} {text}" if leaf else text for leaf, text in differences[:SHOWN]]
        raise StructureError(
            f"{checkpoint.prefix.url!r} does not fit the template: {'; '.join(shown)}{more}",
            path=checkpoint.prefix.url,
        )

    def misfit(name: str, error: ValueError) -> StructureError:
        return StructureError(
            f"tensor {name!r} of {checkpoint.prefix.url!r} does not fit {template.path(name)} of the template: {error}",
            path=checkpoint.prefix.url,
            tensor=name,
        )

    stored = {name: _tag(tag, checkpoint.tensors[name]) for name, tag in tags.items()}
    values = read_leaves(checkpoint, stored, misfit)
    return rebuild(template.structure, iter(values.values()))


def _tag(tag: str, entry: TensorInfo) -> str:
    """The leaf's tag; how an int was stored depends on how large it was."""
    if tag in {"int", "bigint"}:
        return "bigint" if entry.dtype == DataType.STRING else "int"
    return tag


def _differences(
    checkpoint: OpenCheckpoint, template: FlatTree, tags: Mapping[str, str]
) -> list[tuple[str | None, str]]:
    """What does not fit: the tensor name of a leaf of the template, or None, and what there is to say."""
    entries = checkpoint.tensors
    missing = [(name, f"({name!r}) is not in the checkpoint") for name in tags if name not in entries]
    unwanted = [
        (None, f"the checkpoint's tensor {name!r} is not in the template")
        for name in entries
        if name not in tags and not is_reserved(name)
    ]
    unlike = [
        (name, difference)
        for name, array in template.arrays.items()
        if name in entries and (difference := _difference(name, tags[name], array, entries[name]))
    ]
    return [*missing, *unwanted, *unlike]


def _difference(name: str, tag: str, array: NDArray[Any], entry: TensorInfo) -> str | None:
    if array.shape != entry.shape:
        return f"has shape {array.shape}, tensor {name!r} {entry.shape}"
    if not tag.startswith(("array", "scalar")):
        return None  # a Python scalar is made of any tensor of its kind, which decoding checks
    wanted = tensor_dtype(array)
    if wanted != entry.dtype:
        return f"is {python_name(wanted)}, tensor {name!r} {python_name(entry.dtype)}"
    return None
