"""Containers beyond dict, list and tuple, each with the plain one that is saved in its place.

A file never says of what class something was: who loads it gives a template, or gets the plain containers.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.objects.trees.structure import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudckpt.objects.trees.structure import Key

__all__ = ["Container", "data_class", "mapping", "named_tuple", "standard_container"]


class Container(NamedTuple):
    """A container of any class, taken apart by one level."""

    kind: str
    """of the plain one that is saved in its place: "dict", "list" or "tuple\""""
    keys: Sequence[Key]
    children: Sequence[object]
    make: Callable[[list[Any]], Any]
    """makes one like it of other children, in the same order; with a TypeError or ValueError where they don't do"""


def named_tuple(thing: Any) -> Container | None:
    """A named tuple as a dict by field."""
    fields = getattr(type(thing), "_fields", None)
    if not isinstance(thing, tuple) or not isinstance(fields, tuple):
        return None
    return Container("dict", [Field(name) for name in fields], thing, type(thing)._make)  # type: ignore[attr-defined]  # a named tuple's


def standard_container(thing: Any) -> Container | None:
    """An OrderedDict or defaultdict, which keeps its attributes and its factory, or a deque, as a list."""
    if isinstance(thing, deque):
        return Container("list", range(len(thing)), list(thing), lambda children: type(thing)(children, thing.maxlen))
    if not isinstance(thing, OrderedDict | defaultdict):
        return None
    keys = list(thing)

    def make(children: list[Any]) -> Any:
        made = copy.copy(thing)
        made.update(zip(keys, children, strict=True))
        return made

    return Container("dict", keys, list(thing.values()), make)


def mapping(thing: Any) -> Container | None:
    """A mapping of any other class as a dict; one like it is made by calling its class with a dict."""
    if not isinstance(thing, Mapping):
        return None
    items = dict(thing.items())

    def make(children: list[Any]) -> Any:
        return type(thing)(dict(zip(items, children, strict=True)))  # type: ignore[call-arg]  # as mappings are made

    return Container("dict", list(items), list(items.values()), make)


def data_class(thing: Any) -> Container | None:
    """A dataclass's instance as a dict by field, those without a value left out.

    One like it is made as a copy is, without `__init__` and `__post_init__`: its fields are what was saved, and what
    it has beside them is what it had, but for cached properties, which are computed anew of the fields.
    """
    if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return None
    names = [Field(field.name) for field in dataclasses.fields(thing) if hasattr(thing, field.name)]

    def make(children: list[Any]) -> Any:
        made = copy.copy(thing)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(made, name, child)  # a frozen one's own refuses
        for name in [*getattr(made, "__dict__", ())]:
            if isinstance(getattr(type(made), name, None), cached_property):
                del made.__dict__[name]
        return made

    return Container("dict", names, [getattr(thing, name) for name in names], make)
