"""Reading the leaves of a tree: tensors by name, as the values that their tags say."""

from __future__ import annotations

from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.targets import StringForm
from cloudckpt.objects.leaves import claimed_bytes, decode_leaf, string_form, unsized_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.reader import OpenCheckpoint
    from cloudckpt.errors import CloudckptError

__all__ = ["read_leaves", "widths_are_credible"]

WIDTH_GROWTH = 64
WIDTH_BYTES = 128 << 20
"""What arrays of fixed-width strings may take: so many times what is stored of them, and so many bytes."""


def read_leaves(
    checkpoint: OpenCheckpoint,
    tags: Mapping[str, str],
    misfit: Callable[[str, ValueError], CloudckptError],
    *,
    trust_widths: bool = True,
) -> dict[str, object]:
    """The values of all leaves, by tensor name.

    Args:
        checkpoint: where they are.
        tags: what each is to become.
        misfit: the error to raise about a tensor that can't become that.
        trust_widths: whether fixed-width strings may be allocated as their tags say.
    """

    @contextmanager
    def translated(name: str) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise misfit(name, error) from error

    def form_of(name: str, tag: str) -> StringForm:
        form = string_form(tag) if trust_widths else unsized_form(tag)
        return form if form.convert is None else StringForm(form.dtype, translated(name)(form.convert))

    tensors = checkpoint.read(tags, {name: form_of(name, tag) for name, tag in tags.items()})
    values: dict[str, object] = {}
    for name, tag in tags.items():
        with translated(name):
            values[name] = decode_leaf(tag, tensors.pop(name))
    return values


def widths_are_credible(entries: Mapping[str, BundleEntry], tags: Mapping[str, str]) -> bool:
    """Whether the widths of strings in a checkpoint's tags stand in proportion to what is stored.

    They always do unless somebody made them up, or arrays are nearly empty; such arrays come back narrower.
    """
    widths = {name: width for name, tag in tags.items() if (width := claimed_bytes(tag))}
    claimed = sum(width * prod(entries[name].shape) for name, width in widths.items())
    return claimed <= WIDTH_GROWTH * sum(entries[name].size for name in widths) + WIDTH_BYTES
