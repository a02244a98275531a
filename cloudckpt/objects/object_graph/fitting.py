"""Whether a stored value fits what is to take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError
from cloudckpt.objects.object_graph.stored import damaged_graph
from cloudckpt.variables.dtypes import python_name
from cloudckpt.variables.shape import compatible

if TYPE_CHECKING:
    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.objects.object_graph.matching import Match
    from cloudckpt.objects.object_graph.node import Attribute
    from cloudckpt.objects.object_graph.stored import StoredGraph

__all__ = ["check_fit", "check_match"]

MOST = 10
"""How many names a message shows."""


def check_match(checkpoint: OpenCheckpoint, graph: StoredGraph, match: Match) -> None:
    """See from the index that all values are there, and of the dtypes and shapes of what takes them. No request.

    Raises:
        CheckpointDamagedError: the tree names a tensor that the checkpoint does not have.
        TensorNotFoundError: the checkpoint has values of an object, but not those that the object takes.
        InvalidArgumentError: a ValueError: a value is of another dtype or shape.
        UnsupportedOperationError, CheckpointVersionError: it can't be read into an array.
    """
    for number, attribute in match.lacking:
        raise _other_object(checkpoint, graph, number, attribute)
    for number, key, attribute in match.assignments:
        if key not in checkpoint.tensors:
            found = f"says that {graph.path(number)!r} is stored as {key!r}, which is not there"
            raise damaged_graph(checkpoint, found)
        if not _fits(checkpoint, key, attribute):
            raise _misfit(checkpoint, graph.path(number), key, attribute)


def _other_object(
    checkpoint: OpenCheckpoint, graph: StoredGraph, number: int, attribute: Attribute
) -> TensorNotFoundError:
    url, names = checkpoint.prefix.url, [stored.name for stored in graph.objects[number].attributes]
    return TensorNotFoundError(
        f"object {graph.path(number)!r} can't be restored from {url!r}: it takes {attribute.name!r}, and what was "
        f"saved there is {', '.join(map(repr, names[:MOST]))}. Make an object of the kind that was saved, or leave it "
        "out of what is restored",
        path=url,
        tensor=graph.path(number),
    )


def check_fit(checkpoint: OpenCheckpoint, name: str, attribute: Attribute) -> None:
    """The same of one value that goes by its name, and is there."""
    if not _fits(checkpoint, name, attribute):
        raise _misfit(checkpoint, name, name, attribute)


def _fits(checkpoint: OpenCheckpoint, key: str, attribute: Attribute) -> bool:
    tensor = checkpoint.tensors[key]
    checkpoint.region_of(TensorRequest(key), tensor)
    return attribute.data_type in (None, tensor.dtype) and compatible(attribute.shape, tensor.shape)


def _misfit(checkpoint: OpenCheckpoint, path: str, key: str, attribute: Attribute) -> InvalidArgumentError:
    tensor, url = checkpoint.tensors[key], checkpoint.prefix.url
    if attribute.data_type not in (None, tensor.dtype):
        found = f"of {python_name(tensor.dtype)}, and the object's is of {python_name(attribute.data_type)}"
    else:
        found = f"of shape {tensor.shape}, and the object's is of shape {attribute.shape}"
    return InvalidArgumentError(
        f"object {path!r} can't be restored from {url!r}: the value there, {key!r}, is {found}. Make the object as it "
        "was when it was saved, or leave it out of what is restored",
        path=url,
        tensor=key,
    )
