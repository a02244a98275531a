"""Where operations were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.debug_info import MAX_FRAMES, graph_debug_info, write_debug_info
from cloudckpt.storage.open import open_location
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.operation import Operation
from cloudckpt.variables.graphs.traceback import Frame

if TYPE_CHECKING:
    from pathlib import Path

OUTER, INNER = Frame("train.py", 9, "<module>"), Frame("model.py", 3, "build")


def operation(name: str, *frames: Frame) -> Operation:
    return Operation(name, "NoOp", graph=Graph(), traceback=frames)


def test_files_frames_and_traces_stand_once() -> None:
    info = graph_debug_info([operation("a", OUTER, INNER), operation("s/b", OUTER), operation("c", OUTER, INNER)])
    assert list(info.files) == ["train.py", "model.py"]
    assert {name: info.name_to_trace_id[name] for name in info.name_to_trace_id} == {"a@": 0, "s/b@": 1, "c@": 0}
    assert [list(info.traces_by_id[number].frame_id) for number in range(2)] == [[0, 1], [0]]
    frame = info.frames_by_id[1]
    assert (info.files[frame.file_index], frame.line, frame.func) == ("model.py", 3, "build")
    assert (len(info.frames_by_id), len(info.traces_by_id)) == (2, 2)


def test_the_innermost_frames_are_kept_outermost_first() -> None:
    frames = [Frame("f.py", line, "f") for line in range(MAX_FRAMES + 5)]
    info = graph_debug_info([operation("a", *frames)])
    lines = [info.frames_by_id[number].line for number in info.traces_by_id[0].frame_id]
    assert lines == list(range(5, MAX_FRAMES + 5))


def test_imported_operations_have_no_part_in_it() -> None:
    graph = Graph()
    graph.import_operation(message_class("tensorflow.NodeDef")(op="NoOp"), name="a", inputs=(), device="")
    assert graph_debug_info(graph.get_operations()).SerializeToString() == b""


def test_the_file_stands_beside_the_meta_graph(tmp_path: Path) -> None:
    with open_location(tmp_path / "model.ckpt-3.meta") as location:
        write_debug_info(location, [operation("a", OUTER)])
    info = message_class("tensorflow.GraphDebugInfo").FromString((tmp_path / "model.ckpt-3.debug").read_bytes())
    assert list(info.name_to_trace_id) == ["a@"]
