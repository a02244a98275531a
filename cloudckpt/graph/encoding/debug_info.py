"""Where in the program the operations of a graph were made: a GraphDebugInfo, which is kept beside a `.meta` file.

Sources: python/framework/meta_graph.py, export_scoped_meta_graph; python/framework/error_interpolation.py.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.proto_file import write_proto
from cloudckpt.storage.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.variables.graphs.operation import Operation
    from cloudckpt.variables.graphs.traceback import Frame

__all__ = ["MAX_FRAMES", "graph_debug_info", "write_debug_info"]

MAX_FRAMES = 10
"""Of a traceback, the innermost ones: as many as TensorFlow keeps."""


def write_debug_info(meta_graph: Location, operations: Iterable[Operation], *, as_text: bool = False) -> None:
    """Write the GraphDebugInfo of operations beside a `.meta` file: "model-3.debug" beside "model-3.meta". One PUT.

    Raises:
        StorageError: the store failed.
    """
    beside = Location(meta_graph.store, f"{os.path.splitext(meta_graph.key)[0]}.debug")
    write_proto(beside, graph_debug_info(operations), as_text=as_text)


def graph_debug_info(operations: Iterable[Operation]) -> Any:
    """The GraphDebugInfo of operations; those without a traceback, such as imported ones, have no part in it."""
    info = _DebugInfo()
    for operation in operations:
        if operation.traceback:
            info.add(operation.name, operation.traceback[-MAX_FRAMES:])
    return info.message


class _DebugInfo:
    """A GraphDebugInfo that grows: files, frames and traces are numbered as they come, and each stands once."""

    def __init__(self) -> None:
        self.message = message_class("tensorflow.GraphDebugInfo")()
        self._files: dict[str, int] = {}
        self._frames: dict[Frame, int] = {}
        self._traces: dict[tuple[Frame, ...], int] = {}

    def add(self, name: str, frames: tuple[Frame, ...]) -> None:
        # After the "@" would stand the function that the operation is in.
        self.message.name_to_trace_id[f"{name}@"] = self._trace(frames)

    def _trace(self, frames: tuple[Frame, ...]) -> int:
        if (number := self._traces.get(frames)) is None:
            number = self._traces[frames] = len(self._traces)
            self.message.traces_by_id[number].frame_id.extend([self._frame(frame) for frame in frames])
        return number

    def _frame(self, frame: Frame) -> int:
        if (number := self._frames.get(frame)) is None:
            number = self._frames[frame] = len(self._frames)
            place = self.message.frames_by_id[number]
            place.file_index, place.line, place.func = self._file(frame.filename), frame.lineno, frame.function
        return number

    def _file(self, name: str) -> int:
        if (number := self._files.get(name)) is None:
            number = self._files[name] = len(self._files)
            self.message.files.append(name)
        return number
