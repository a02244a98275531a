"""One run of a session: which operations it needs, in which order, and what they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.errors import CloudckptError, InvalidArgumentError
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.sessions.kernels import Result, dereferenced, kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.sessions.state import SessionState

__all__ = ["Run"]


class Run:
    """Runs each operation once at most, after those that it takes inputs from.

    Args:
        graph: whose operations they are.
        state: the values that they read and assign.
        feeds: arrays in place of tensors, by the tensors' names.
    """

    def __init__(self, graph: Graph, state: SessionState, feeds: Mapping[str, NDArray[Any]]) -> None:
        self._graph = graph
        self._state = state
        self._feeds = feeds
        self._results: dict[str, Result] = {}

    def execute(self, elements: Iterable[Operation | Tensor]) -> None:
        """Run what these need, and themselves.

        Raises:
            InvalidArgumentError: one of the operations is none that a session can run, or finds a variable that is not
                initialized, a value of another shape, or a placeholder that is not fed.
        """
        wanted = [each.name if isinstance(each, Tensor) else f"^{each.name}" for each in elements]
        for operation in self._in_order(wanted):
            inputs = [self._input(name) for name in operation.inputs if not name.startswith("^")]
            self._results[operation.name] = self._result(operation, inputs)

    def _result(self, operation: Operation, inputs: list[Result]) -> Result:
        try:
            return kernel(operation)(self._state, operation, *inputs)
        except CloudckptError:
            raise
        except (TypeError, ValueError) as error:
            # The nodes of an imported graph may say anything.
            raise InvalidArgumentError(
                f"operation {operation.name!r} can't be run: {error}", tensor=operation.name
            ) from error

    def value(self, tensor: Tensor) -> NDArray[Any]:
        """What a tensor is, once `execute` was told of it.

        Raises:
            InvalidArgumentError: it is a variable's that is not initialized.
        """
        return dereferenced(self._state, self._input(tensor.name))

    def _input(self, name: str) -> Result:
        given = self._given(name)
        if given is not None:
            return given
        operation, _, index = name.partition(":")
        if index not in ("", "0"):
            raise InvalidArgumentError(f"operation {operation!r} has one output, and no {name!r}", tensor=name)
        if operation not in self._results:
            raise InvalidArgumentError(
                f"operation {operation!r} needs what needs it: the graph has a cycle", tensor=name
            )
        if (result := self._results[operation]) is None:
            raise InvalidArgumentError(f"operation {operation!r} gives no tensor", tensor=name)
        return result

    def _given(self, name: str) -> NDArray[Any] | None:
        """What is fed for a tensor, or stands beside the graph for it; of a control input nothing ever does."""
        tensor = name if ":" in name else f"{name}:0"
        fed = self._feeds.get(tensor)
        return self._graph.values_beside.get(tensor.removesuffix(":0")) if fed is None else fed

    def _in_order(self, wanted: list[str]) -> Iterator[Operation]:
        """Each operation that is needed after those that it needs; iterative, as graphs may be deep."""
        seen: set[str] = set()
        pending: list[tuple[Operation, bool]] = [(each, False) for each in reversed(self._sources(wanted))]
        while pending:
            operation, ready = pending.pop()
            if ready:
                yield operation
            elif operation.name not in seen:
                seen.add(operation.name)
                pending.append((operation, True))
                pending.extend((each, False) for each in reversed(self._sources(operation.inputs)))

    def _sources(self, names: Iterable[str]) -> list[Operation]:
        return [self._operation(name) for name in names if self._given(name) is None]

    def _operation(self, name: str) -> Operation:
        operation = name.removeprefix("^").partition(":")[0]
        try:
            return self._graph.get_operation_by_name(operation)
        except KeyError:
            raise InvalidArgumentError(f"the graph has no operation {operation!r}, which another needs") from None
