"""A name scope that can be entered more than once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from cloudckpt.variables.graphs.default_scopes import name_scope

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["NameScope"]


class NameScope:
    """A `with` block that puts a prefix before the names of variables, whatever scopes are around it.

    It can be entered again and again, and within itself; by one thread at a time.

    Args:
        name: the prefix, with a slash at its end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._entered: list[ExitStack] = []

    @property
    def name(self) -> str:
        """The prefix, such as "outer/dense/"."""
        return self._name

    def __enter__(self) -> str:
        with ExitStack() as stack:
            scope = stack.enter_context(name_scope(self._name))
            self._entered.append(stack.pop_all())
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, traceback)

    def __reduce__(self) -> tuple[type[NameScope], tuple[str]]:
        return NameScope, (self._name,)

    def __repr__(self) -> str:
        return f"NameScope({self._name!r})"
