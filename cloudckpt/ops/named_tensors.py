"""From lists of names, slice specs and arrays to the tensors of one checkpoint."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.tensor_slice import INT64_MAX, full_slice, parse_shape_and_slice, region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["check_lengths", "named_tensors"]


def check_lengths(path: str, **arguments: Sequence[object]) -> None:
    """See that parallel lists are equally long, and not empty.

    Raises:
        InvalidArgumentError: they aren't.
    """
    lengths = {name: len(values) for name, values in arguments.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise InvalidArgumentError(f"{path!r}: the arguments must be equally long, got {counts}", path=path)
    if 0 in lengths.values():
        raise InvalidArgumentError(f"{path!r}: at least one tensor must be named", path=path)


def named_tensors(
    names: Sequence[str], specs: Sequence[str], arrays: Sequence[NDArray[Any]], path: str
) -> dict[str, NDArray[Any] | SlicedTensor]:
    """What a save takes, in the order of the arguments. Whether slices overlap is left to the save.

    Args:
        names: of the tensors; one that comes in several slices is named as often.
        specs: such as "4 4 0,2:-" for the first rows of a 4x4 matrix, or "" for a whole tensor.
        arrays: of the same length.
        path: the checkpoint's, for messages.

    Raises:
        InvalidArgumentError: a spec is malformed, out of range or not of its array's shape; a tensor or a slice is
            given twice; slices of one name are of tensors of different shapes.
    """
    tensors: dict[str, NDArray[Any] | SlicedTensor] = dict(zip(names, arrays, strict=True))
    if len(tensors) == len(names) and not any(specs):
        return tensors
    parts: dict[str, dict[TensorSlice, NDArray[Any]]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, spec, array in zip(names, specs, arrays, strict=True):
        shape, tensor_slice = _parse(name, spec, array, path)
        if shapes.setdefault(name, shape) != shape:
            raise _misuse(f"tensor {name!r} is said to have the shapes {shapes[name]} and {shape}", name, path)
        given = parts.setdefault(name, {})
        if tensor_slice in given:
            raise _misuse(f"tensor {name!r} is given twice" + (f" as {spec!r}" if spec else ""), name, path)
        given[tensor_slice] = array
        tensors[name] = SlicedTensor(shape, given) if spec or len(given) > 1 else array
    return tensors


def _parse(name: str, spec: str, array: NDArray[Any], path: str) -> tuple[tuple[int, ...], TensorSlice]:
    """The whole tensor's shape, and the slice of it that the array is."""
    if not spec:
        return array.shape, full_slice(array.ndim)
    try:
        shape, tensor_slice = parse_shape_and_slice(spec)
    except ValueError as error:
        raise _misuse(f"the slice spec of tensor {name!r} is wrong: {error}", name, path) from error
    if (expected := region_shape(resolve(tensor_slice, shape))) != array.shape:
        raise _misuse(f"tensor {name!r} has shape {array.shape}, its slice spec {spec!r} says {expected}", name, path)
    if prod(size or 1 for size in shape) * array.itemsize > INT64_MAX:
        raise _misuse(f"tensor {name!r} would be larger than any file can be: its slice spec is {spec!r}", name, path)
    return shape, tensor_slice


def _misuse(found: str, name: str, path: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{path!r}: {found}", path=path, tensor=name)
