"""The value of variables as a tensor, by TensorFlow's name for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import python_name
from cloudckpt.variables.graphs.nodes import constant
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.partitions.partitioned import PartitionedVariable
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["convert_to_tensor"]


def convert_to_tensor(value: Any, dtype: Any = None, name: str | None = None) -> Tensor | NDArray[Any]:
    """What a session runs for a value; outside of graphs an array.

    Args:
        value: a variable, which is read; one in parts, which are put together; a tensor; or what `constant` takes.
        dtype: what it must be of, and what becomes a constant is converted to; None for its own.
        name: of a constant.

    Raises:
        ValueError: it is a variable or tensor of another dtype.
        TypeError: as `constant`.
    """
    if not isinstance(value, Variable | PartitionedVariable | Tensor):
        return constant(value, dtype, name=name or "Const")
    if dtype is not None and value.dtype not in (None, wanted := data_type_argument(dtype, "dtype")):
        raise ValueError(f"{value!r} is of {value.dtype}, and {python_name(wanted)} is asked for")
    if isinstance(value, Tensor):
        return value
    return value.value() if isinstance(value, Variable) else value.as_tensor()
