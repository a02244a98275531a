"""Nodes of our own objects, and of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.objects.object_graph.node import PYTHON_STATE, VARIABLE_VALUE, Attribute, ClosedNode, SlotVariable
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.shape import shape_of
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.trackable.tracks import Tracks
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.holder import Holder
    from cloudckpt.variables.shape import PartialShape

__all__ = [
    "SlotMakerNode",
    "State",
    "TrackableNode",
    "VariableNode",
    "array_node",
    "holder_node",
    "trackable_node",
    "variable_node",
]


@dataclass(frozen=True, slots=True)
class _Value:
    """The value of whatever holds a tensor."""

    holder: Holder
    name: str = VARIABLE_VALUE

    @property
    def full_name(self) -> str:
        info = self.holder.save_slice_info
        return self.holder.name if info is None else info.full_name

    @property
    def data_type(self) -> DataType:
        return self.holder.data_type

    @property
    def shape(self) -> PartialShape:
        # Not the holder's, which knows whole shapes only.
        return shape_of(self.holder.thing)

    def read(self) -> NDArray[Any]:
        return self.holder.read()

    def assign(self, array: NDArray[Any]) -> None:
        self.holder.assign(array)


@dataclass(frozen=True, slots=True)
class State:
    """What a `PythonState` says of itself."""

    thing: PythonState
    name: str = PYTHON_STATE
    full_name: str = ""
    data_type: DataType = DataType.STRING
    shape: tuple[int, ...] = ()

    def read(self) -> NDArray[Any]:
        """What `serialize` gives, as one string."""
        text = self.thing.serialize()
        if not isinstance(text, str | bytes):
            raise TypeError(f"{type(self.thing).__qualname__}.serialize() must give a str or bytes, not {text!r}")
        array = np.empty((), object)
        array[()] = text.encode() if isinstance(text, str) else text
        return array

    def assign(self, array: NDArray[Any]) -> None:
        """Let `deserialize` take the string."""
        self.thing.deserialize(array.item())


@dataclass(frozen=True, slots=True)
class VariableNode(ClosedNode):
    """A variable, or an array that can be assigned to: one value, and nothing beneath it."""

    holder: Holder

    @property
    def thing(self) -> Any:
        """The variable or array."""
        return self.holder.thing

    def children(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def attributes(self) -> Mapping[str, Attribute]:
        """The value."""
        return {VARIABLE_VALUE: _Value(self.holder)}


@dataclass(frozen=True, slots=True)
class TrackableNode:
    """One of our own objects."""

    thing: Any

    def children(self) -> Mapping[str, Any]:
        """What it tracks."""
        return self.thing.__children__() if isinstance(self.thing, Tracks) else {}

    def attributes(self) -> Mapping[str, Attribute]:
        """The state of a `PythonState`."""
        return {PYTHON_STATE: State(self.thing)} if isinstance(self.thing, PythonState) else {}

    def slots(self, variables: Sequence[Any]) -> Iterator[SlotVariable]:
        """Those of an optimizer that has `get_slot_names()` and `get_slot(variable, name)`, as TensorFlow's have."""
        # Found on the class, so that no __getattr__ of the user's is asked.
        if not hasattr(type(self.thing), "get_slot_names"):
            return
        for name in self.thing.get_slot_names():
            for variable in variables:
                try:
                    slot = self.thing.get_slot(variable, name)
                except (AttributeError, KeyError):  # as TensorFlow: of what has no slot an optimizer may say so
                    continue
                if slot is not None:
                    yield SlotVariable(variable, name, slot)

    def adopt(self, name: str, restore: Callable[[Any], None]) -> bool:
        """For all but a `PythonState` that tracks nothing."""
        if not isinstance(self.thing, Tracks):
            return False
        self.thing.__tracking__.adopt(name, restore)
        return True

    def adopt_any(self, restore: Callable[[Any], None]) -> bool:
        """As `adopt`."""
        if not isinstance(self.thing, Tracks):
            return False
        self.thing.__tracking__.adopt_any(restore)
        return True


class SlotMakerNode(TrackableNode):
    """An optimizer that makes a slot variable on demand, by its `add_slot(variable, name)`, as TensorFlow's do."""

    __slots__ = ()

    def adopt_slot(self, variable: Any, name: str, restore: Callable[[Any], None]) -> bool:
        """Make it, and restore it."""
        self.thing.add_slot(variable, name)
        restore(self.thing.get_slot(variable, name))
        return True


def trackable_node(thing: Any) -> TrackableNode | None:
    """The node of what tracks objects, or has Python state; None for anything else."""
    if not isinstance(thing, Tracks | PythonState):
        return None
    return SlotMakerNode(thing) if hasattr(type(thing), "add_slot") else TrackableNode(thing)


def variable_node(thing: Any) -> VariableNode | None:
    """The node of a `cloudckpt.Variable`; None for anything else."""
    return holder_node(thing) if isinstance(thing, Variable) else None


def holder_node(thing: Any) -> VariableNode | None:
    """The node of anything that `as_holder` recognises, whether it can be assigned to or not; None for anything else.

    Raises:
        TypeError: as `as_holder`.
    """
    return None if (holder := as_holder(thing)) is None else VariableNode(holder)


def array_node(thing: Any) -> VariableNode | None:
    """As `holder_node`, of what can be assigned to."""
    node = holder_node(thing)
    return node if node is not None and node.holder.assignable else None
