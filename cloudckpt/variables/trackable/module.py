"""Named objects that know the variables and the other such objects in their attributes."""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from cloudckpt.variables.foreign.trackables import is_foreign_variable
from cloudckpt.variables.graphs.default_scopes import name_scope
from cloudckpt.variables.trackable.leaves import leaves
from cloudckpt.variables.trackable.name_scope import NameScope
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Module"]

_Method = TypeVar("_Method", bound="Callable[..., Any]")

_IDENTIFIER = re.compile(r"[a-zA-Z_]\w*", re.ASCII)
_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])")


class Module(Trackable):
    """A named object that knows the variables and modules in its attributes, as `tf.Module`.

    Args:
        name: a valid identifier; the class's name in snake case if None.

    Raises:
        ValueError: the name is no identifier.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = _NEW_WORD.sub("_", type(self).__name__).lower()
        elif not _IDENTIFIER.fullmatch(name):
            raise ValueError(f"{name!r} can't be a module's name: it must be an identifier of ASCII letters and digits")
        self._name = name
        with name_scope(name) as scope:
            self._name_scope = NameScope(scope)

    @property
    def name(self) -> str:
        """Its own name; `name_scope.name` has those of the scopes around it, too."""
        return self._name

    @property
    def name_scope(self) -> NameScope:
        """A `with` block that puts its name before those of variables, after the scopes in which it was made.

        It can be entered again and again, and within itself.
        """
        return self._name_scope

    @property
    def variables(self) -> tuple[Any, ...]:
        """Its variables by the names of its attributes, then those of each submodule in that order; each once.

        They are looked for, each time, in all attributes, and in lists, tuples and mappings there, the values of a
        mapping by its keys. Variables of other frameworks count, but not those in modules or layers of theirs.
        """
        return tuple(filter(_is_variable, self._leaves()))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """Those of `variables` that are trainable."""
        return tuple(filter(_is_trainable, self.variables))

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """Those of `variables` that are not trainable."""
        return tuple(variable for variable in self.variables if not _is_trainable(variable))

    @property
    def submodules(self) -> tuple[Module, ...]:
        """All modules that are found as `variables` are; never itself."""
        return tuple(leaf for leaf in self._leaves() if isinstance(leaf, Module))

    @classmethod
    def with_name_scope(cls, method: _Method) -> _Method:
        """A decorator of methods but `__init__`: they run within their module's name scope."""

        @wraps(method)
        def within(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return within  # type: ignore[return-value]  # it takes and gives what the method does

    def _leaves(self) -> Iterator[Any]:
        """All that is in its attributes, then in its submodules', each thing once. Source: python/module/module.py."""
        met = {id(self)}
        waiting: list[Module] = [self]
        while waiting:
            submodules = []
            for leaf in leaves(vars(waiting.pop())):
                if id(leaf) in met:
                    continue
                met.add(id(leaf))
                yield leaf
                if isinstance(leaf, Module):
                    submodules.append(leaf)
            waiting.extend(reversed(submodules))


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, Variable) or is_foreign_variable(leaf)


def _is_trainable(variable: Any) -> bool:
    return bool(getattr(variable, "trainable", False) or getattr(variable, "requires_grad", False))
