"""The `.meta` file: a graph with its collections and its saver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.graph.encoding.proto_file import read_proto, write_proto

if TYPE_CHECKING:
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["read_meta_graph", "write_meta_graph"]


def read_meta_graph(location: Location) -> Any:
    """The MetaGraphDef in a file, in bytes or as text: TensorFlow tells them apart by trying, not by the name. One GET.

    Source: python/framework/meta_graph.py, read_meta_graph_file.

    Raises:
        CheckpointNotFoundError: there is no such file.
        CheckpointDamagedError: it is empty, or neither the bytes nor the text of a MetaGraphDef.
        StorageError: the store failed.
    """
    return read_proto(location, "tensorflow.MetaGraphDef")


def write_meta_graph(location: Location, meta_graph: Any, *, as_text: bool = False) -> ObjectInfo:
    """Write a MetaGraphDef, ours or TensorFlow's, in place of what is there. One PUT.

    Raises:
        InvalidArgumentError: as `write_proto`.
        StorageError: the store failed.
    """
    return write_proto(location, meta_graph, as_text=as_text)
