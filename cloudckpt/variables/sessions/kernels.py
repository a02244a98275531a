"""What the operations do that a session can run: those that initialize, assign and read variables, and sums."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.shape import compatible, declared_shape
from cloudckpt.variables.value_nodes import value_beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.operation import Operation
    from cloudckpt.variables.sessions.state import SessionState

__all__ = ["Reference", "Result", "dereferenced", "kernel"]


MAX_SPREAD_BYTES = 1 << 28
"""Of a result that has more elements than any of the arrays that it is computed from."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a variable's operation gives: a place to read when the value is used, or to assign to."""

    operation: Operation


Result = Any
"""Of an operation: an array, a `Reference`, or None where it gives no tensor."""


def dereferenced(state: SessionState, result: Result) -> NDArray[Any]:
    """The array that a result is, or refers to.

    Raises:
        InvalidArgumentError: it refers to a variable that is not initialized.
    """
    return state.read(result.operation.name) if isinstance(result, Reference) else result


def kernel(operation: Operation) -> Callable[..., Result]:
    """The function of the state, the operation and its inputs' results that does what an operation says.

    Raises:
        InvalidArgumentError: it is none of those that a session can run, or has not the inputs of such a one.
    """
    if operation.type not in _KERNELS:
        raise InvalidArgumentError(
            f"operation {operation.name!r} is a {operation.type}, which a Session of this package does not compute: it "
            f"runs what initializes, assigns and reads variables, and sums ({', '.join(sorted(_KERNELS))}). Feed it, "
            "or use TensorFlow",
            tensor=operation.name,
        )
    function, expected = _KERNELS[operation.type]
    found = sum(not name.startswith("^") for name in operation.inputs)
    if expected is not None and found != expected:
        raise InvalidArgumentError(
            f"operation {operation.name!r} has {found} inputs, and a {operation.type} has {expected}",
            tensor=operation.name,
        )
    return function


def _nothing(_state: SessionState, _operation: Operation) -> None:
    return None


def _constant(_state: SessionState, operation: Operation) -> NDArray[Any]:
    value = value_beside(Tensor(operation, 0))
    if value is None:
        raise InvalidArgumentError(
            f"a value must be fed for placeholder {operation.name!r}: session.run(…, feed_dict={{"
            f"'{operation.name}:0': array}})",
            tensor=operation.name,
        )
    return value


def _restored(_state: SessionState, operation: Operation, *_inputs: Result) -> NDArray[Any]:
    value = value_beside(Tensor(operation, 0))
    if value is None:
        raise InvalidArgumentError(
            f"operation {operation.name!r} reads a checkpoint, which a Session of this package doesn't: restore with a "
            "Saver, or call init_from_checkpoint on the variables",
            tensor=operation.name,
        )
    return value


def _reference(_state: SessionState, operation: Operation) -> Reference:
    return Reference(operation)


def _identity(state: SessionState, _operation: Operation, value: Result) -> NDArray[Any]:
    return dereferenced(state, value)


def _concatenation(state: SessionState, _operation: Operation, *inputs: Result) -> NDArray[Any]:
    *parts, axis = [dereferenced(state, each) for each in inputs]
    return np.concatenate(parts, int(axis))


def _elementwise(function: np.ufunc) -> Callable[..., Result]:
    def compute(state: SessionState, operation: Operation, *inputs: Result) -> NDArray[Any]:
        arrays = [dereferenced(state, each) for each in inputs]
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        except ValueError as error:
            raise InvalidArgumentError(f"{operation.name!r}: {error}", tensor=operation.name) from error
        # A graph that somebody else wrote must not ask for any memory.
        if prod(shape) > max(array.size for array in arrays) and prod(shape) * arrays[0].itemsize > MAX_SPREAD_BYTES:
            shapes = " and ".join(str(array.shape) for array in arrays)
            raise InvalidArgumentError(
                f"{operation.name!r} would spread {shapes} to {shape}, which is more than a Session of this package "
                "computes",
                tensor=operation.name,
            )
        with np.errstate(all="ignore"):  # infinities and what wraps are values, as in TensorFlow
            return np.asarray(function(*arrays), arrays[0].dtype)

    return compute


def _assign(state: SessionState, operation: Operation, target: Result, value: Result) -> Reference:
    variable = _variable(operation, target)
    array = dereferenced(state, value)
    shape = declared_shape(variable)
    if operation.attrs.get("validate_shape", True) and not compatible(shape, array.shape):
        raise InvalidArgumentError(
            f"{operation.name!r} can't assign shape {array.shape} to variable {variable.name!r} of shape {shape}",
            tensor=variable.name,
        )
    state.assign(variable.name, array)
    return Reference(variable)


def _updating(change: Callable[[Any, Any], Any]) -> Callable[..., Result]:
    def update(state: SessionState, operation: Operation, target: Result, value: Result) -> Reference:
        variable = _variable(operation, target)
        delta = dereferenced(state, value)

        def changed(array: NDArray[Any]) -> NDArray[Any]:
            if array.shape != delta.shape:
                raise InvalidArgumentError(
                    f"{operation.name!r} takes shapes that are equal: variable {variable.name!r} has shape "
                    f"{array.shape}, the value {delta.shape}",
                    tensor=variable.name,
                )
            return np.asarray(change(array, delta), array.dtype)

        state.update(variable.name, changed)
        return Reference(variable)

    return update


def _is_initialized(state: SessionState, operation: Operation, target: Result) -> NDArray[Any]:
    return np.asarray(state.is_initialized(_variable(operation, target).name))


def _variable(operation: Operation, target: Result) -> Operation:
    if not isinstance(target, Reference):
        raise InvalidArgumentError(
            f"{operation.name!r} assigns to {operation.inputs[0]!r}, which is no variable, or was fed",
            tensor=operation.name,
        )
    return target.operation


_KERNELS: Final[dict[str, tuple[Callable[..., Result], int | None]]] = {
    "AddV2": (_elementwise(np.add), 2),
    "Assign": (_assign, 2),
    "AssignAdd": (_updating(np.add), 2),
    "AssignAddVariableOp": (_updating(np.add), 2),
    "AssignSub": (_updating(np.subtract), 2),
    "AssignSubVariableOp": (_updating(np.subtract), 2),
    "AssignVariableOp": (_assign, 2),
    "ConcatV2": (_concatenation, None),
    "Const": (_constant, 0),
    "Identity": (_identity, 1),
    "IsVariableInitialized": (_is_initialized, 1),
    "Mul": (_elementwise(np.multiply), 2),
    "Neg": (_elementwise(np.negative), 1),
    "NoOp": (_nothing, 0),
    "Placeholder": (_constant, 0),
    "ReadVariableOp": (_identity, 1),
    "RealDiv": (_elementwise(np.true_divide), 2),
    "RestoreV2": (_restored, 3),
    "Sub": (_elementwise(np.subtract), 2),
    "VarHandleOp": (_reference, 0),
    "VarIsInitializedOp": (_is_initialized, 1),
    "Variable": (_reference, 0),
    "VariableV2": (_reference, 0),
}
"""What runs an operation of a type, and how many tensors it takes; None for any number."""
