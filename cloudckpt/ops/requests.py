"""What a restoring op asks of an open checkpoint, checked against what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.dtype import DType
from cloudckpt.variables.tensor_slice import is_full, parse_shape_and_slice

if TYPE_CHECKING:
    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.variables.dtypes import DataType

__all__ = ["tensor_request"]


def tensor_request(checkpoint: OpenCheckpoint, name: str, spec: str, dtype: DataType) -> TensorRequest:
    """The request for one tensor, or for the slice of it that a spec names.

    Args:
        checkpoint: where it is.
        name: the tensor's.
        spec: such as "4 4 0,2:-"; "" for the whole. What is stored need not be cut in the same way.
        dtype: what it must be.

    Raises:
        TensorNotFoundError: there is no tensor of that name.
        InvalidArgumentError: it is of another dtype or shape, or the spec is malformed.
    """
    if (stored := checkpoint.tensors.get(name)) is None:
        raise checkpoint.no_such_tensor(name)
    if stored.dtype != dtype:
        found, expected = DType(stored.dtype).name, DType(dtype).name
        raise _misfit(f"is of {found}, not of {expected} as was asked for", name, checkpoint)
    if not spec:
        return TensorRequest(name)
    try:
        shape, tensor_slice = parse_shape_and_slice(spec)
    except ValueError as error:
        raise _misfit(f"can't be read by its slice spec: {error}", name, checkpoint) from error
    if shape != stored.shape:
        raise _misfit(f"has shape {stored.shape}, its slice spec {spec!r} says {shape}", name, checkpoint)
    return TensorRequest(name, None if is_full(tensor_slice) else tensor_slice)


def _misfit(found: str, name: str, checkpoint: OpenCheckpoint) -> InvalidArgumentError:
    path = checkpoint.prefix.url
    return InvalidArgumentError(f"tensor {name!r} in {path!r} {found}", path=path, tensor=name)
