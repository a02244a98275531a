"""Names within scopes: how they change when a part of a graph leaves its scope, or is put into one.

Source: python/framework/ops.py, strip_name_scope and prepend_name_scope; what they do to odd names was tried.
"""

from __future__ import annotations

__all__ = ["in_scope", "prepend_scope", "strip_scope"]

_MARKS = ("^", "loc:@")
"""What may stand before a name: it is a control input, or a place to be colocated with."""


def in_scope(name: str, scope: str | None) -> bool:
    """Whether a name begins with a scope, as TensorFlow asks it: "w2/b" is in scope "w", too."""
    return not scope or name.startswith(scope)


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
