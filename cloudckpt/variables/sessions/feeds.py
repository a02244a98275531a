"""Values that a caller gives a session in place of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.conversion import sealed_copy
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.shape import compatible

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["fed_arrays"]


def fed_arrays(graph: Graph, feed_dict: Mapping[Any, Any]) -> dict[str, NDArray[Any]]:
    """The arrays to take in place of tensors, by the tensors' names.

    Args:
        graph: whose tensors they are.
        feed_dict: by tensors, variables, or their names.

    Raises:
        TypeError: it is no mapping; a key is no tensor of the graph; or a value can't be of its dtype, is an integer
            that this has no room for, or an element of a graph.
        ValueError: a value is of another shape.
    """
    if not isinstance(feed_dict, Mapping):
        raise TypeError(f"feed_dict must be a dict from tensors to values, got {feed_dict!r}")
    return dict(_fed(graph, key, value) for key, value in feed_dict.items())


def _fed(graph: Graph, key: Any, value: Any) -> tuple[str, NDArray[Any]]:
    try:
        tensor = graph.as_graph_element(key)
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(f"can't feed {key!r}: {error.args[0]}") from error
    if not isinstance(tensor, Tensor):
        raise TypeError(f"can't feed {key!r}: it is an operation, not a tensor")
    if getattr(value, "graph", None) is not None:
        raise TypeError(f"can't feed {key!r} with {value!r}: it is to be run; feed an array")
    array = sealed_copy(value, None if tensor.dtype is None else DataType(tensor.dtype.as_datatype_enum))
    if isinstance(value, int) and array.dtype.kind in "iu" and array != value:
        raise TypeError(f"can't feed {key!r}: {array.dtype} has no room for {value}")
    if not compatible(tensor.shape, array.shape):
        raise ValueError(f"can't feed shape {array.shape} for tensor {tensor.name!r}, which has shape {tensor.shape}")
    return tensor.name, array
