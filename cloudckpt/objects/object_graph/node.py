"""What the object graph knows of one object, whatever framework it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.shape import PartialShape

__all__ = ["PYTHON_STATE", "VARIABLE_VALUE", "Attribute", "ClosedNode", "Node", "SlotMaker", "SlotVariable"]

VARIABLE_VALUE = "VARIABLE_VALUE"
"""The attribute that is a variable's value. Source: python/trackable/constants.py."""

PYTHON_STATE = "py_state"
"""The attribute that is the state of an object of Python. Source: python/trackable/python_state.py."""


class Attribute(Protocol):
    """One tensor of an object itself, such as a variable's value."""

    @property
    def name(self) -> str:
        """Its name within the object: `VARIABLE_VALUE` for a variable's value."""

    @property
    def full_name(self) -> str:
        """The name that a variable has without the graph, for checkpoints by name; "" if it is no variable."""

    @property
    def data_type(self) -> DataType | None:
        """TensorFlow's dtype of what `assign` takes; None where any will do."""

    @property
    def shape(self) -> PartialShape:
        """The shape of what `assign` takes, with None for dimensions that may be of any size; None for any shape."""

    def read(self) -> NDArray[Any]:
        """The value in the host's memory, not copied where that can be helped: not to be written to.

        Raises:
            TypeError: it has no value that one process can read, or none that TensorFlow has a dtype for.
        """

    def assign(self, array: NDArray[Any]) -> None:
        """Set the value to an array of its dtype and shape, which nobody may write to from then on.

        Raises:
            TypeError: it can't be assigned to; the message says what to do.
        """


class SlotVariable(NamedTuple):
    """A variable that an optimizer keeps beside another one, such as its momentum."""

    variable: Any
    """the variable that it is beside"""
    name: str
    """the slot's, such as "momentum"; all variables of an optimizer share it"""
    slot: Any
    """the slot variable"""


class Node(Protocol):
    """One object of the graph. Made anew whenever it is needed: objects, not nodes, are compared, by identity."""

    @property
    def thing(self) -> Any:
        """The object: two nodes of one object are one."""

    def children(self) -> Mapping[str, Any]:
        """The objects that it holds, by their names within it, in the order in which TensorFlow lists them.

        Raises:
            ValueError: it was changed in a way that its children's names would not survive.
        """

    def attributes(self) -> Mapping[str, Attribute]:
        """Its own tensors, by their names."""

    def slots(self, variables: Sequence[Any]) -> Iterable[SlotVariable]:
        """An optimizer's slot variables for those of these objects that have any, by the slots' names, then by these.

        Args:
            variables: all objects of the graph in the order of their ids, not only variables.
        """

    def adopt(self, name: str, restore: Callable[[Any], None]) -> bool:
        """Have `restore(child)` called once, as soon as the object gets a child of that name that it has not now.

        Several for one name are called newest first: a restore gives nothing to what a later one has given values.

        Returns:
            Whether the object can do that; where not, nothing is kept.
        """

    def adopt_any(self, restore: Callable[[Any], None]) -> bool:
        """Have `restore(child)` called for each child of a name that the object has not now, whatever the name.

        Several are called newest first, after those that `adopt` was given.

        Returns:
            As `adopt`.
        """


class ClosedNode:
    """A node with no slot variables beneath it, whose object does not say when it gets another child."""

    __slots__ = ()

    def slots(self, variables: Sequence[Any]) -> Iterable[SlotVariable]:  # noqa: ARG002  # as Node says
        """None."""
        return ()

    def adopt(self, name: str, restore: Callable[[Any], None]) -> bool:  # noqa: ARG002  # as Node says
        """Never: make the object's children first, and restore then."""
        return False

    def adopt_any(self, restore: Callable[[Any], None]) -> bool:  # noqa: ARG002  # as Node says
        """Never, as `adopt`."""
        return False


@runtime_checkable
class SlotMaker(Protocol):
    """The node of an optimizer that makes its slot variables when it first needs them."""

    def adopt_slot(self, variable: Any, name: str, restore: Callable[[Any], None]) -> bool:
        """Have `restore(slot)` called once, as soon as the optimizer has that slot variable, which it has not now.

        It may make the slot variable for this, and call `restore` at once.

        Args:
            variable: the variable that it is beside.
            name: the slot's.
            restore: takes the slot variable.

        Returns:
            Whether the optimizer can do that; where not, nothing is kept.
        """
