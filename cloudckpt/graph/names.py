"""Names of nodes: of what gives a tensor, and within scopes, which a part of a graph may leave or be put into.

Source: python/framework/ops.py, strip_name_scope and prepend_name_scope; what they do to odd names was tried.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["in_scope", "operation_of", "positions_within", "prepend_scope", "strip_scope"]

_MARKS = ("^", "loc:@")
"""What may stand before a name: it is a control input, or a place to be colocated with."""


def operation_of(tensor: str) -> str:
    """The name of the operation that gives a tensor, or of a control input: "w" for "w", "w:1" and "^w"."""
    return tensor.removeprefix("^").partition(":")[0]


def in_scope(name: str, scope: str | None) -> bool:
    """Whether a name begins with a scope, as TensorFlow asks it: "w2/b" is in scope "w", too."""
    return not scope or name.startswith(scope)


def positions_within(scope: str, names: Sequence[str]) -> range:
    """Where among sorted names those stand that are within a scope, as "s/w" and "s/t/w" are within "s".

    To look at every scope that a name is in would be quadratic in the length of the name.
    """
    # "0" is the character after "/".
    return range(bisect_left(names, f"{scope}/"), bisect_left(names, f"{scope}0"))


def strip_scope(name: str, scope: str | None) -> str:
    """A name without the scope at its beginning; the name itself where it has another one, or no scope is given."""
    if not scope:
        return name
    mark, rest = _split(name)
    start = scope.removesuffix("/") + "/"
    return mark + rest[len(start) :].lstrip("/") if rest.startswith(start) else name


def prepend_scope(name: str, scope: str | None) -> str:
    """A name within a scope; the name itself where no scope is given."""
    if not scope:
        return name
    mark, rest = _split(name)
    return f"{mark}{scope.removesuffix('/')}/{rest}"


def _split(name: str) -> tuple[str, str]:
    for mark in _MARKS:
        if name.startswith(mark):
            return mark, name[len(mark) :]
    return "", name
