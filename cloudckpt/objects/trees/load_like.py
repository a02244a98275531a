"""Loading into the structure and types of a template."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.opened import FIXED_SIZE
from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.leaves import is_python_scalar_of, tensor_dtype
from cloudckpt.objects.trees.paths import is_reserved
from cloudckpt.objects.trees.read import read_leaves
from cloudckpt.objects.trees.template import Template, flatten_template
from cloudckpt.objects.trees.tree import rebuild
from cloudckpt.objects.trees.wanted import EVERYTHING
from cloudckpt.variables.dtypes import DataType, python_name
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.holder import like as in_form_of

if TYPE_CHECKING:
    from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorInfo
    from cloudckpt.objects.trees.wanted import Wanted

__all__ = ["load_like"]

logger = logging.getLogger(__name__)

SHOWN = 5
"""How many differences an error lists."""


def load_like(checkpoint: OpenCheckpoint, *, like: object, wanted: Wanted = EVERYTHING) -> Any:
    """The checkpoint's tensors in the structure of `like`; nothing is read unless all that are wanted fit.

    Variables in `like` are assigned to, once everything else has gone well, and stand in the result themselves.

    Raises:
        StructureError: names, shapes or dtypes differ; the message lists the first few.
    """
    template = flatten_template(like)
    fit = _Fit(checkpoint, template, wanted)
    fit.check()
    url = checkpoint.prefix.url

    def misfit(name: str, error: ValueError) -> StructureError:
        return StructureError(
            f"tensor {name!r} of {url!r} does not fit {template.path(name)} of the template: {error}",
            path=url,
            tensor=name,
        )

    values = read_leaves(checkpoint, fit.stored_tags(), misfit, casts=fit.casts)
    assigned = _take_forms(template, values, misfit)
    leaves = values if len(values) == len(template.arrays) else fit.completed(values)
    try:
        tree = rebuild(template.structure, iter(leaves.values()))
    except StructureError as error:
        raise StructureError(f"{url!r} does not fit the template: {error}", path=url) from error
    for variable, array in assigned:
        variable.assign(array)
    return tree


class _Fit:
    """What of a checkpoint goes where in a template."""

    def __init__(self, checkpoint: OpenCheckpoint, template: Template, wanted: Wanted) -> None:
        self._url = checkpoint.prefix.url
        self._entries = entries = checkpoint.tensors
        self._template = template
        self._wanted = wanted
        self._tags = template.tags()
        selects = wanted.selects
        wanted.check(self._url, entries.keys(), template.structure)
        selected = self._tags if selects is None else {name: tag for name, tag in self._tags.items() if selects(name)}
        lacking = [name for name in selected if name not in entries]
        self._found = {name: tag for name, tag in selected.items() if name in entries} if lacking else selected
        self._absent = {name for name in lacking if name in template.optional and _first_item(name) in entries}
        self._missing = [name for name in lacking if name not in self._absent]
        self._unwanted = [
            name
            for name in entries
            if name not in self._tags and not is_reserved(name) and (selects is None or selects(name))
        ]
        self.casts: dict[str, np.dtype] = {}
        """the dtypes to make of tensors, by name"""

    def check(self) -> None:
        """Find the casts that are needed, and see that all fits.

        Raises:
            StructureError: it does not.
        """
        differences: list[tuple[str | None, str]] = []
        if self._wanted.strict:
            differences += [(name, f"({name!r}) is not in the checkpoint") for name in self._missing]
            differences += [
                (None, f"the checkpoint's tensor {name!r} is not in the template") for name in self._unwanted
            ]
        elif self._missing or self._unwanted:
            logger.info(
                "%s: %d tensors restored; %d leaves of the template that it lacks keep their values, and %d tensors "
                "that the template lacks are left out",
                self._url,
                len(self._found),
                len(self._missing),
                len(self._unwanted),
            )
        differences += [(name, text) for name, tag in self._found.items() if (text := self._difference(name, tag))]
        if differences:
            raise self._error(differences)

    def _error(self, differences: list[tuple[str | None, str]]) -> StructureError:
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        shown = [f"{self._template.path(leaf)} {text}" if leaf else text for leaf, text in differences[:SHOWN]]
        return StructureError(f"{self._url!r} does not fit the template: {'; '.join(shown)}{more}", path=self._url)

    def _difference(self, name: str, tag: str) -> str | None:
        array, entry = self._template.arrays[name], self._entries[name]
        cast = self._wanted.cast or name in self._template.weak
        if array.shape != entry.shape:
            return f"has shape {array.shape}, tensor {name!r} {entry.shape}"
        is_array = tag.startswith(("array", "scalar"))
        if not is_array and not cast:
            return None  # a Python scalar is made of any tensor of its kind, which decoding checks
        wanted = tensor_dtype(array)
        if wanted == entry.dtype or is_python_scalar_of(tag, entry.dtype):
            return None
        castable = _castable(entry.dtype, wanted)
        if castable and cast:
            self.casts[name] = array.dtype
        elif is_array:
            return f"is {python_name(wanted)}, tensor {name!r} {python_name(entry.dtype)}{_hint(cast, castable)}"
        return None

    def stored_tags(self) -> dict[str, str]:
        """The tags of the leaves to read, by tensor name."""
        return {name: _stored_tag(tag, self._entries[name]) for name, tag in self._found.items()}

    def completed(self, values: dict[str, object]) -> dict[str, object]:
        """The values of all leaves, in order: those that were read, and the template's own."""
        own = {**self._template.leaves(), **dict.fromkeys(self._absent)}
        return {name: values[name] if name in values else own[name] for name in self._tags}


def _first_item(name: str) -> str:
    """The tensor that is there whenever the state is of which an optional leaf is an item."""
    return f"{name[: name.rfind('/') + 1]}0"


def _castable(stored: int, wanted: DataType) -> bool:
    """Whether NumPy's rule "same_kind" allows the cast; quantised numbers mean nothing without their range."""
    if stored not in FIXED_SIZE or wanted not in FIXED_SIZE:
        return False
    dtypes = FIXED_SIZE[stored], FIXED_SIZE[wanted]
    return not any(dtype.names for dtype in dtypes) and np.can_cast(*dtypes, "same_kind")


def _hint(cast: bool, castable: bool) -> str:
    if castable:
        return " (cast=True would convert it)"
    return " (no cast of the same kind converts it)" if cast else ""


def _stored_tag(tag: str, entry: TensorInfo) -> str:
    """The leaf's tag; how an int was stored depends on how large it was."""
    if tag in {"int", "bigint"}:
        return "bigint" if entry.dtype == DataType.STRING else "int"
    return tag


def _take_forms(template: Template, values: dict[str, object], misfit: Any) -> list[tuple[Any, Any]]:
    """Turn arrays into what the template has in their places; returns variables, with the arrays to assign to them."""
    assigned = []
    for name, existing in template.others.items():
        if name not in values:
            continue
        array = np.asarray(values[name])
        try:
            made = in_form_of(existing, array)
        except (TypeError, ValueError) as error:
            raise misfit(name, error) from error
        holder = as_holder(existing) if made is array else None
        if holder is not None:
            assigned.append((holder, array))
            made = existing
        values[name] = made
    return assigned
