"""Reading the leaves of a tree: tensors by name, as the values that their tags say."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.opened import AS_BYTES, StringForm
from cloudckpt.objects.trees.leaves import claimed_bytes, decode_leaf, string_form, unsized_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorInfo
    from cloudckpt.errors import CloudckptError

    Misfit = Callable[[str, ValueError], CloudckptError]

__all__ = ["read_leaves", "widths_are_credible"]

WIDTH_GROWTH = 64
WIDTH_BYTES = 128 << 20
"""What arrays of fixed-width strings may take: so many times what is stored of them, and so many bytes."""


def read_leaves(
    checkpoint: OpenCheckpoint,
    tags: Mapping[str, str],
    misfit: Misfit,
    *,
    trust_widths: bool = True,
    casts: Mapping[str, np.dtype] | None = None,
) -> dict[str, object]:
    """The values of all leaves by tensor name, in the order of the tags.

    Args:
        checkpoint: where they are.
        tags: what each is to become.
        misfit: the error to raise about a tensor that can't become that.
        trust_widths: whether fixed-width strings may be allocated as their tags say.
        casts: the dtypes that some tensors are to be cast to before, by name.
    """
    form_of = string_form if trust_widths else unsized_form
    forms = {tag: form for tag in set(tags.values()) if (form := form_of(tag)) is not AS_BYTES}
    special = {name: _explained(forms[tag], name, misfit) for name, tag in tags.items() if tag in forms}
    tensors = checkpoint.read_named(tags, special)
    for name, dtype in (casts or {}).items():
        tensors[name] = tensors[name].astype(dtype)
    values: dict[str, object] = {}
    for name, tag in tags.items():
        try:
            values[name] = decode_leaf(tag, tensors.pop(name))
        except ValueError as error:
            raise misfit(name, error) from error
    return values


def _explained(form: StringForm, name: str, misfit: Misfit) -> StringForm:
    """The form, with errors that say what tensor they are about."""
    if (convert := form.convert) is None:
        return form

    def converted(strings: Sequence[bytes]) -> Sequence[Any]:
        try:
            return convert(strings)
        except ValueError as error:
            raise misfit(name, error) from error

    return StringForm(form.dtype, converted)


def widths_are_credible(entries: Mapping[str, TensorInfo], tags: Mapping[str, str]) -> bool:
    """Whether the widths of strings in a checkpoint's tags stand in proportion to what is stored.

    They always do unless somebody made them up, or arrays are nearly empty; such arrays come back narrower.
    """
    claims = {tag: width for tag in set(tags.values()) if (width := claimed_bytes(tag))}
    widths = {name: claims[tag] for name, tag in tags.items() if tag in claims}
    claimed = sum(width * prod(entries[name].shape) for name, width in widths.items())
    return claimed <= WIDTH_GROWTH * sum(entries[name].size for name in widths) + WIDTH_BYTES
