"""Which stored slices make up a region of a tensor, and whether they do."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cloudckpt.errors import CheckpointDamagedError, TensorNotFoundError
from cloudckpt.variables.overlap import find_overlap
from cloudckpt.variables.tensor_slice import format_shape_and_slice, intersect, region_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.variables.tensor_slice import Region

__all__ = ["cover"]


def cover(
    region: Region, stored: Sequence[Region], *, shape: Sequence[int], path: str, tensor: str
) -> list[tuple[int, Region]]:
    """The stored slices that have elements of a region: the position of each, and the elements that both have.

    Args:
        region: what is wanted of the tensor.
        stored: the slices of it that there are.
        shape: the whole tensor's, for messages.
        path: the checkpoint's, for messages.
        tensor: its name, for messages.

    Raises:
        TensorNotFoundError: elements of the region are in no slice.
        CheckpointDamagedError: elements of the region are in two slices.

    Cost: that of `find_overlap`. Slices that share no elements cover a region if and only if they have as many of its
    elements as there are.
    """
    shared = [
        (position, common) for position, piece in enumerate(stored) if (common := intersect(region, piece)) is not None
    ]
    try:
        overlap = find_overlap([common for _, common in shared])
    except ValueError as error:
        raise _damaged(path, tensor, str(error)) from error
    if overlap is not None:
        first, second = (format_shape_and_slice(shape, stored[shared[position][0]]) for position in overlap)
        raise _damaged(path, tensor, f"the slices {first!r} and {second!r}, which overlap")
    wanted = prod(region_shape(region))
    found = sum(prod(region_shape(common)) for _, common in shared)
    if found != wanted:
        raise TensorNotFoundError(
            f"{path!r} has {found} of the {wanted} elements of {format_shape_and_slice(shape, region)!r} of tensor "
            f"{tensor!r}, in {len(stored)} slices: it is one part of a checkpoint, or was merged from too few parts",
            path=path,
            tensor=tensor,
        )
    return shared


def _damaged(path: str, tensor: str, found: str) -> CheckpointDamagedError:
    return CheckpointDamagedError(
        f"{path!r} is damaged: of tensor {tensor!r} it holds {found}. Restore another checkpoint.",
        path=path,
        tensor=tensor,
    )
