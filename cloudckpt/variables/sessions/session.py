"""Sessions: values of a graph's variables, beside the variables' own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.operation import Operation
from cloudckpt.variables.own_value import unshared
from cloudckpt.variables.sessions.default_session import default_session
from cloudckpt.variables.sessions.feeds import fed_arrays
from cloudckpt.variables.sessions.fetches import Question, fetched_element, mapped
from cloudckpt.variables.sessions.run import Run
from cloudckpt.variables.sessions.state import SessionState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["InteractiveSession", "Session"]


class Session:
    """Holds values of the variables of a graph, none of them initialized at first, and runs what changes them.

    It runs what initializes, assigns and reads variables; it computes nothing else. As a context manager it is the
    default session, its graph is the default graph, and it is closed at the end; `as_default` is for more than one such
    block. Several threads may use it: each
    value is replaced whole, so a reader gets what was there at one moment, though not that of all variables at one.

    Args:
        target: the graph; or "" as TensorFlow has it, where it can name a server.
        graph: the graph, by TensorFlow's name for it; the default graph if None.
        config: taken for the sake of programs that give it: there is nothing to configure.

    Raises:
        TypeError: `graph` is no `Graph`, or `target` neither that nor a string.
        ValueError: `target` names a server, or is a graph beside another one.
    """

    def __init__(self, target: str | Graph = "", graph: Graph | None = None, config: Any = None) -> None:  # noqa: ARG002  # documented
        self._graph = _graph(target, graph)
        self._state = SessionState()
        self._closed = False
        self._entered: ExitStack | None = None

    @property
    def graph(self) -> Graph:
        """The graph whose variables it holds values of."""
        return self._graph

    def run(
        self,
        fetches: Any,
        feed_dict: Mapping[Any, Any] | None = None,
        options: Any = None,  # noqa: ARG002  # there are none here: taken for the sake of programs that give them
        run_metadata: Any = None,  # noqa: ARG002  # likewise
    ) -> Any:
        """Run what is asked for, and what that needs, each operation once.

        Args:
            fetches: variables, tensors, operations, or their names ("w:0", "init"), in lists, tuples and dicts.
            feed_dict: values to take in place of tensors.
            options: ignored.
            run_metadata: ignored.

        Returns:
            In the same lists, tuples and dicts: for each variable and tensor its value, a NumPy scalar if it has no
            dimension, else an array that is the caller's; None for an operation.

        Raises:
            RuntimeError: the session is closed, or its graph is empty.
            TypeError: something is neither an element of a graph nor the name of one; or is fed what it can't be.
            ValueError: an element is of another graph, or there is none of that name; or is fed another shape.
            InvalidArgumentError: a variable is not initialized; or an operation is one that a session can't run.
        """
        self._check_open()
        if not self._graph.get_operations():
            raise RuntimeError("the session's graph is empty: make variables within `with graph.as_default():` first")
        wanted: list[Any] = []
        elements = mapped(fetches, lambda fetch: fetched_element(self._graph, fetch))
        mapped(elements, wanted.append)
        run = Run(self._graph, self._state, fed_arrays(self._graph, feed_dict or {}))
        run.execute(each for each in wanted if not isinstance(each, Question))
        return mapped(elements, lambda element: self._result(run, element))

    def _result(self, run: Run, element: Any) -> Any:
        if isinstance(element, Operation):
            return None
        return unshared(element.answer(self._state) if isinstance(element, Question) else run.value(element))

    def read(self, name: str) -> NDArray[Any]:
        """The value of a variable without a copy, read only.

        Args:
            name: of its operation, such as "scope/w"; or whatever else a value was assigned to.

        Raises:
            RuntimeError: the session is closed.
            InvalidArgumentError: it is not initialized.
        """
        self._check_open()
        return self._state.read(name)

    def assign(self, name: str, array: NDArray[Any]) -> None:
        """Set the value of a variable, without a copy of an array in C order: nobody may write to it any more.

        Args:
            name: of its operation; or any other, to hold what an imported graph restores beside variables.
            array: of its dtype and shape: the caller has seen to that.

        Raises:
            RuntimeError: the session is closed.
        """
        self._check_open()
        self._state.assign(name, array)

    def is_initialized(self, name: str) -> bool:
        """Whether there is a value for a name, as `read` and `assign` take it.

        Raises:
            RuntimeError: the session is closed.
        """
        self._check_open()
        return self._state.is_initialized(name)

    def as_default(self) -> AbstractContextManager[Self]:
        """A `with` block within which it is the session of `eval` and `run`; it is not closed at the end."""
        return default_session(self)

    def close(self) -> None:
        """Forget all values; what is asked of it from here on raises RuntimeError."""
        self._closed = True
        self._state.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the session is closed")

    def __enter__(self) -> Self:
        if self._entered is not None:
            raise RuntimeError("the session is entered already: `with session.as_default():` can be entered again")
        with ExitStack() as entered:
            entered.enter_context(self._graph.as_default())
            entered.enter_context(self.as_default())
            self._entered = entered.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        self.close()

    def _leave(self) -> None:
        if self._entered is not None:
            entered, self._entered = self._entered, None
            entered.close()


class InteractiveSession(Session):
    """A session that is the default one, with its graph, from the moment that it is made until it is closed."""

    def __init__(self, target: str | Graph = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        self.__enter__()

    def close(self) -> None:
        """Forget all values, and be the default no longer."""
        self._leave()
        super().close()


def _graph(target: Any, graph: Any) -> Graph:
    if isinstance(target, Graph):
        if graph not in (None, target):
            raise ValueError("a session has one graph: give it once")
        return target
    if not isinstance(target, str):
        raise TypeError(f"target must be a Graph, or a string, got {type(target).__name__}")
    if target:
        raise ValueError(f"a session runs in this process alone, not on the server {target!r}")
    if graph is None:
        return get_default_graph()
    if not isinstance(graph, Graph):
        raise TypeError(f"graph must be a cloudckpt.Graph, got {type(graph).__name__}")
    return graph
