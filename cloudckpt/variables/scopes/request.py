"""What `get_variable` is asked for, and the initial value that comes of it.

Source: python/ops/variable_scope.py, _VariableStore._get_single_variable.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from cloudckpt.variables.conversion import converted
from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtypes import DataType, python_name, to_numpy
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.scopes.random_initializers import glorot_uniform_initializer
from cloudckpt.variables.scopes.value_initializers import InitializerOfDType, zeros_initializer
from cloudckpt.variables.shape import fully_defined
from cloudckpt.variables.value_nodes import value_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.variables.partitions.partitioners import Partitioner
    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
    from cloudckpt.variables.scopes.value_initializers import Initializer
    from cloudckpt.variables.shape import PartialShape

__all__ = ["AUTO_REUSE", "Reuse", "ReuseMode", "VariableRequest", "initial_value", "value_given"]


class ReuseMode(Enum):
    """The third of the ways of a scope, beside True and False."""

    AUTO_REUSE = 1


AUTO_REUSE: Final = ReuseMode.AUTO_REUSE
"""As `reuse` of a scope: get the variable of that name if there is one, else make it."""
Reuse = bool | ReuseMode


@dataclass(frozen=True, slots=True)
class VariableRequest:
    """What a variable is to be, all defaults of its scope filled in.

    Attributes:
        name: with the scopes' names.
        shape: None where it was not given.
        data_type: of its elements; what an initial value that is given as an array has goes before.
        initializer: a callable, or the initial value; None for the dtype's default.
        reuse: True to get, False to make, `AUTO_REUSE` for either.
        partitioner: how to cut it, or None.
        options: further arguments of `Variable`.
        slice_info: the slice that it is of the variable that is being cut.
    """

    name: str
    shape: PartialShape
    data_type: DataType
    initializer: Any
    reuse: Reuse
    partitioner: Partitioner | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    slice_info: SaveSliceInfo | None = None


def initial_value(request: VariableRequest) -> tuple[Any, DataType | None]:
    """What to make the variable of, and of which dtype; None for that of the value.

    Raises:
        ValueError: there is no initializer for the dtype, or one that needs a shape and there is none.
    """
    initializer = _default_initializer(request) if request.initializer is None else request.initializer
    if isinstance(initializer, type):
        initializer = initializer()
    if not callable(initializer):
        return initializer, None
    if fully_defined(request.shape):
        return _bound(initializer, request), request.data_type
    if _needs_arguments(initializer):
        raise ValueError(
            f"variable {request.name!r} must be given a shape that is fully known, got {request.shape}: only an "
            "initializer without arguments does without"
        )
    return initializer, None


def value_given(initializer: Any, data_type: DataType | None) -> NDArray[Any]:
    """The array that an initial value is which is no callable.

    Args:
        initializer: an array or what can be one, which is converted; or a constant tensor of a graph.
        data_type: what to convert it to; None for the dtype that it has by itself.

    Raises:
        TypeError: it is nothing of the kind, or not of the dtype.
        ValueError: it is a tensor that has to be computed.
    """
    if not isinstance(initializer, Tensor):
        return converted(initializer, data_type)
    if (value := value_beside(initializer)) is None:
        raise ValueError(f"the initial value {initializer!r} is computed when it runs: give an array or a constant")
    return value


def _default_initializer(request: VariableRequest) -> Initializer:
    if request.shape is None:
        raise ValueError(f"variable {request.name!r} must be given a shape or an initial value")
    if request.data_type in (DataType.HALF, DataType.BFLOAT16, DataType.FLOAT, DataType.DOUBLE):
        return glorot_uniform_initializer()
    dtype = to_numpy(request.data_type)
    if dtype.kind in "biuO" or (dtype.kind == "V" and request.data_type.name.startswith(("INT", "UINT"))):
        return zeros_initializer()
    raise ValueError(f"variable {request.name!r} of {python_name(request.data_type)} must be given an initializer")


def _bound(initializer: Initializer, request: VariableRequest) -> Callable[[], Any]:
    """The initializer as a callable without arguments."""
    arguments: dict[str, Any] = {"dtype": DType(request.data_type)}
    if isinstance(initializer, InitializerOfDType) or "partition_info" in _parameters(initializer):
        arguments["partition_info"] = request.slice_info
    shape = [size for size in request.shape or () if size is not None]
    return lambda: initializer(shape, **arguments)


def _needs_arguments(initializer: Callable[..., Any]) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(
        parameter.default is inspect.Parameter.empty and parameter.kind not in variadic
        for parameter in _parameters(initializer).values()
    )


def _parameters(initializer: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(initializer).parameters
    except ValueError:  # some of C's, which say nothing
        return {}
