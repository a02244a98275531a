"""Variable scopes: names and defaults for the variables that `get_variable` makes, and whether it gets them again.

Source: python/ops/variable_scope.py.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.default_graph import executing_eagerly, get_default_graph
from cloudckpt.variables.graphs.default_scopes import current_name_scope, name_scope
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.scopes.counts import ScopeCounts
from cloudckpt.variables.scopes.request import AUTO_REUSE, Reuse
from cloudckpt.variables.scopes.store import VariableStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.partitions.partitioners import Partitioner

__all__ = ["VariableScope", "get_variable_scope", "scopes_of", "variable_scope"]


@dataclass(slots=True)
class VariableScope:
    """What `get_variable` puts before a name, and takes where it is not told otherwise.

    Attributes:
        name: what is put before the names of variables, without a slash at its end; "" for the outermost scope.
        original_name_scope: the name scope, slash and all, that was opened with it; for `name_scope`.
        reuse: False to make variables, True to get again those that were made, `AUTO_REUSE` for either.
        initializer: for variables that are given none.
        partitioner: likewise.
        dtype: likewise.
    """

    name: str = ""
    original_name_scope: str = ""
    reuse: Reuse = False
    initializer: Any = None
    partitioner: Partitioner | None = None
    dtype: Any = DataType.FLOAT

    def reuse_variables(self) -> None:
        """From here on get variables again, here and in the scopes that are opened within."""
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """Set the default initializer."""
        self.initializer = initializer

    def set_partitioner(self, partitioner: Partitioner | None) -> None:
        """Set the default partitioner."""
        self.partitioner = partitioner

    def set_dtype(self, dtype: Any) -> None:
        """Set the default dtype."""
        self.dtype = dtype

    def get_collection(self, name: str) -> list[Any]:
        """The values of a collection of the default graph whose names begin with the scope's."""
        return get_default_graph().get_collection(name, f"{self.name}/" if self.name else None)

    def global_variables(self) -> list[Any]:
        """The scope's global variables."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Any]:
        """The scope's local variables."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def trainable_variables(self) -> list[Any]:
        """The scope's trainable variables."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)


class _OfThread(threading.local):
    """The scope that a thread is in, and those that it has opened."""

    def __init__(self) -> None:
        self.current = VariableScope()
        self.counts = ScopeCounts()

    @contextmanager
    def entered(self, scope: VariableScope, *, again: bool) -> Iterator[None]:
        outer = self.current
        with self.counts.opened(scope.name, again=again):
            self.current = scope
            try:
                yield
            finally:
                self.current = outer


class GraphVariables:
    """What a graph's `get_variable` knows."""

    def __init__(self) -> None:
        self.store = VariableStore()
        self.of_thread = _OfThread()


def scopes_of(graph: Graph) -> GraphVariables:
    """What `get_variable` knows of a graph, made when it is first asked for."""
    if graph.variable_scopes is None:
        graph.variable_scopes = GraphVariables()
    known: GraphVariables = graph.variable_scopes
    return known


def get_variable_scope() -> VariableScope:
    """The scope that this thread is in, in the default graph."""
    return scopes_of(get_default_graph()).of_thread.current


class variable_scope:  # noqa: N801 - TensorFlow's name
    """A `with` block that puts a name before those of the variables that `get_variable` makes within it.

    It opens a name scope too: what is made otherwise within it, by `Variable` for instance, has its name from there,
    which, other than a variable scope's, is made unique when it is opened again. Executing eagerly, `get_variable`
    makes a new variable whenever it is called, whatever `reuse` says, as in TensorFlow.

    Args:
        name_or_scope: a name, within the scope around; or a scope from an earlier block, which is entered again
            wherever that is; None for `default_name`.
        default_name: a name that is made unique within the scope around.
        values: taken for the sake of programs that give them, as `regularizer` is.
        initializer: for variables that are given none; None for that of the scope around, as with the next two.
        regularizer: see above.
        partitioner: likewise.
        reuse: True to get variables again that were made, and never make any; `AUTO_REUSE` to make those that are not
            there; None or False for what holds around.
        dtype: likewise.
        auxiliary_name_scope: whether to open a name scope; without one that of around stays.

    Raises:
        TypeError: there is neither a name nor a default one; or it is neither a string nor a scope.
        ValueError: `reuse` is none of these; or it is given for a default name, which never is of an older scope.
    """

    def __init__(
        self,
        name_or_scope: str | VariableScope | None,
        default_name: str | None = None,
        values: Sequence[Any] | None = None,  # noqa: ARG002 - documented
        *,
        initializer: Any = None,
        regularizer: Any = None,  # noqa: ARG002 - documented
        partitioner: Partitioner | None = None,
        reuse: Reuse | None = None,
        dtype: Any = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        if name_or_scope is None and default_name is None:
            raise TypeError("a variable scope needs a name_or_scope, or a default_name")
        if name_or_scope is not None and not isinstance(name_or_scope, str | VariableScope):
            raise TypeError(f"name_or_scope must be a string or a VariableScope, got {name_or_scope!r}")
        if reuse not in (True, False, None, AUTO_REUSE):
            raise ValueError(f"reuse must be True, False, None or AUTO_REUSE, got {reuse!r}")
        if reuse and name_or_scope is None:
            raise ValueError("reuse needs a name_or_scope: a default name is never that of an older scope")
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._defaults = {
            "initializer": initializer,
            "partitioner": partitioner,
            "dtype": dtype,
            "reuse": reuse or None,
        }
        self._auxiliary_name_scope = auxiliary_name_scope
        self._entered: list[ExitStack] = []

    def __enter__(self) -> VariableScope:
        of_thread = scopes_of(get_default_graph()).of_thread
        with ExitStack() as entered:
            scope = self._new_scope(of_thread, entered.enter_context(self._name_scope()))
            entered.enter_context(of_thread.entered(scope, again=isinstance(self._name_or_scope, VariableScope)))
            self._entered.append(entered.pop_all())
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, traceback)

    def _name_scope(self) -> AbstractContextManager[str]:
        given = self._default_name if self._name_or_scope is None else self._name_or_scope
        name = given.name.rpartition("/")[2] if isinstance(given, VariableScope) else given
        if not self._auxiliary_name_scope:
            return nullcontext(current_name_scope())
        return name_scope(name) if name else nullcontext("")

    def _new_scope(self, of_thread: _OfThread, original_name_scope: str) -> VariableScope:
        around, given = of_thread.current, self._name_or_scope
        if isinstance(given, VariableScope):
            scope = replace(given)
        else:
            name = of_thread.counts.unique(around.name, self._default_name or "") if given is None else given
            scope = replace(
                around, name=f"{around.name}/{name}" if around.name else name, original_name_scope=original_name_scope
            )
        chosen = {field: value for field, value in self._defaults.items() if value is not None}
        scope = replace(scope, **chosen)
        return replace(scope, reuse=AUTO_REUSE) if executing_eagerly() else scope
