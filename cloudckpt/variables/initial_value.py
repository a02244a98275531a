"""What a variable is made of, and which shape it declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.conversion import converted, sealed_copy
from cloudckpt.variables.dtypes import python_name
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.shape import PartialShape, compatible, partial_shape
from cloudckpt.variables.value_nodes import value_beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType

__all__ = ["DeclaredShape", "InitialValue"]


@dataclass(frozen=True, slots=True)
class InitialValue:
    """What a user gives for an initial value.

    Attributes:
        given: a value, a constant tensor, or a callable that gives one of these.
        data_type: what it is to be converted to; None for what it is by itself.
    """

    given: Any
    data_type: DataType | None

    @property
    def deferred(self) -> bool:
        """Whether it is a callable, called when it is needed."""
        return callable(self.given)

    def __call__(self) -> Tensor | NDArray[Any]:
        """The value, not to be written to; or the constant tensor.

        Raises:
            TypeError: it is no tensor, or not of the dtype.
            ValueError: it is a tensor that has to be computed.
        """
        value = self.given() if self.deferred else self.given
        return sealed_copy(value, self.data_type) if not isinstance(value, Tensor) else self._constant(value)

    def array(self) -> NDArray[Any]:
        """The value for a variable that is in no graph.

        Raises:
            TypeError: it is no tensor, or not of the dtype.
            ValueError: it is a tensor of a graph.
        """
        value = self()
        if isinstance(value, Tensor):
            raise ValueError(f"the initial value {value!r} is one of a graph, and the variable is in none")  # noqa: TRY004
        return value

    def _constant(self, tensor: Tensor) -> Tensor:
        value = value_beside(tensor)
        if value is None:
            raise ValueError(f"the initial value {tensor!r} is computed when it runs: give an array or a constant")
        if self.data_type is not None and converted(value, self.data_type) is not value:
            raise TypeError(f"the initial value {tensor!r} is not of dtype {python_name(self.data_type)}")
        return tensor


@dataclass(frozen=True, slots=True)
class DeclaredShape:
    """Which shape a user says a variable has.

    Attributes:
        given: None for that of the initial value.
        validate: whether that of the initial value must fit, and counts where none is given.
    """

    given: Any
    validate: bool

    def of(self, value: NDArray[Any]) -> PartialShape:
        """The declared shape of a variable with this initial value.

        Raises:
            ValueError: the value is of another shape.
            TypeError: what was given is no shape.
        """
        if self.given is None:
            return value.shape if self.validate else None
        shape = partial_shape(self.given)
        if self.validate and not compatible(shape, value.shape):
            raise ValueError(f"the initial value has shape {value.shape}, the variable is declared as {shape}")
        return shape
