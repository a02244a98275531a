"""Our own variables, as savers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.foreign.foreign_holder import known_shape
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

__all__ = ["VariableHolder", "variable_holder"]


@dataclass(frozen=True, slots=True, eq=False)
class VariableHolder:
    """A variable by its own value; a session or a mapping may hold others for it, by its name."""

    thing: Variable

    @property
    def name(self) -> str:
        """Its operation's."""
        return self.thing.op.name

    @property
    def data_type(self) -> DataType:
        """Of its elements."""
        return self.thing.data_type

    @property
    def shape(self) -> tuple[int, ...] | None:
        """None where it is not fully known."""
        return known_shape(self.thing.shape)

    @property
    def device(self) -> str:
        """Its operation's; "" where nothing was said."""
        return self.thing.device

    @property
    def save_slice_info(self) -> SaveSliceInfo | None:
        """What its maker said that it is a slice of."""
        return self.thing.save_slice_info

    @property
    def assignable(self) -> bool:
        """Always."""
        return True

    @property
    def frozen(self) -> bool:
        """Always: a value is replaced, never written into."""
        return True

    def read(self) -> NDArray[Any]:
        """Its own value, not copied."""
        return self.thing.own_value

    def assign(self, array: NDArray[Any]) -> None:
        """Make the array its own value, not copied."""
        self.thing.take_over(array)


def variable_holder(thing: Any) -> VariableHolder | None:
    """The holder of a `cloudckpt.Variable`; None for anything else."""
    return VariableHolder(thing) if isinstance(thing, Variable) else None
