"""Where a saver finds values and puts them: in the variables themselves, or in a session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.collection import collection_paused
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec, VariableSaveable
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.values import OwnValues, SessionValues

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.holder import Holder
    from cloudckpt.variables.sessions.session import Session
    from cloudckpt.variables.values import Values

__all__ = ["Memory", "VariableMemory", "groups_with_values"]


class Memory(ABC):
    """The values of one save or restore."""

    @abstractmethod
    def read(self, saveable: SaveableObject, spec: SaveSpec) -> NDArray[Any] | None:
        """The value of a tensor, not copied where that can be helped; None if it has none and is not to be saved.

        Raises:
            InvalidArgumentError: it has no value here yet.
        """

    def shape(self, saveable: SaveableObject, spec: SaveSpec) -> tuple[int, ...] | None:
        """The shape that a tensor has; None if that can't be told."""
        if isinstance(saveable, VariableSaveable) and saveable.holder.shape is not None:
            return saveable.holder.shape
        value = self.read(saveable, spec)
        return None if value is None else value.shape

    @abstractmethod
    def check_assignable(self, saveables: Iterable[SaveableObject]) -> None:
        """See that all of them can be restored here, before anything is read.

        Raises:
            TypeError: one can't be assigned to.
        """

    @abstractmethod
    def restore(self, saveable: SaveableObject, arrays: list[NDArray[Any]], shapes: Sequence[Any] | None) -> None:
        """Let a saveable take what was read for it; the arrays may be taken over."""


class VariableMemory(Memory):
    """Values of variables, their own or those that a session has for them.

    Args:
        session: whose values those of its graph's variables are; what is of no graph, or another one, has its own.
    """

    def __init__(self, session: Session | None = None) -> None:
        self._session = session
        self._own = OwnValues()
        self._values: Values = self._own if session is None else SessionValues(session)

    def read(self, saveable: SaveableObject, spec: SaveSpec) -> NDArray[Any] | None:
        """See `Memory.read`."""
        if isinstance(saveable, VariableSaveable):
            return self._of(saveable.holder).read(saveable.holder)
        tensor = spec.tensor
        if tensor is None or isinstance(tensor, np.ndarray):
            return tensor
        if isinstance(tensor, Operation | Tensor):
            return np.asarray(self._run(tensor, spec.name))
        holder = as_holder(tensor)
        return np.asarray(tensor) if holder is None else self._of(holder).read(holder)

    def check_assignable(self, saveables: Iterable[SaveableObject]) -> None:
        """See `Memory.check_assignable`."""
        for saveable in saveables:
            if not isinstance(saveable, VariableSaveable):
                continue
            holder = saveable.holder
            if self._of(holder) is self._own and not holder.assignable:
                raise TypeError(
                    f"{saveable.name!r} can't be restored: nothing can be assigned to its "
                    f"{type(holder.thing).__name__} (read-only memory, or of a kind that never changes). Restore to a "
                    "mapping instead: restore({}, save_path)"
                )

    def restore(self, saveable: SaveableObject, arrays: list[NDArray[Any]], shapes: Sequence[Any] | None) -> None:
        """See `Memory.restore`."""
        if isinstance(saveable, VariableSaveable) and type(saveable).restore is VariableSaveable.restore:
            array = arrays[0] if shapes is None else arrays[0].reshape(shapes[0])
            self._of(saveable.holder).assign(saveable.holder, array)
            return
        if operations := [*_operations(saveable.restore(arrays, shapes))]:
            self._run(operations, saveable.name)

    def _of(self, holder: Holder) -> Values:
        if self._session is None or getattr(holder.thing, "graph", None) is self._session.graph:
            return self._values
        return self._own

    def _run(self, fetches: Any, name: str) -> Any:
        if self._session is None:
            raise InvalidArgumentError(
                f"{name!r} is saved and restored by operations of a graph, which only a session runs: pass a Session",
                tensor=name,
            )
        return self._session.run(fetches)


def _operations(returned: Any) -> Iterator[Operation | Tensor]:
    """What a session is to run of what a user's saveable object returned; what has acted already is no operation."""
    if isinstance(returned, Operation | Tensor):
        yield returned
    elif isinstance(returned, list | tuple):
        for each in returned:
            yield from _operations(each)


@collection_paused()
def groups_with_values(groups: Iterable[Iterable[SaveableObject]], memory: Memory) -> list[list[SaveableObject]]:
    """Copies of saveables whose specs' tensors are arrays, read when they are asked for."""
    return [[_with_values(saveable, memory) for saveable in group] for group in groups]


def _with_values(saveable: SaveableObject, memory: Memory) -> SaveableObject:
    bound = copy(saveable)
    bound.specs = [
        SaveSpec(partial(memory.read, saveable, spec), spec.slice_spec, spec.name, spec.dtype, spec.device)
        for spec in saveable.specs
    ]
    return bound
