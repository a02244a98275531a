"""Small meta graphs that claim, repeat or nest beyond measure: no memory and no time that the file does not back."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from tests.graph.saver_graphs import node_of, plan_of, saved, with_saver

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1 << 20
NAMES = ["SaveV2/tensor_names", "SaveV2/shape_and_slices", "RestoreV2/tensor_names", "RestoreV2/shape_and_slices"]


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """No more than this is allocated, in bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def claim(meta: Any, name: str, *shape: int) -> None:
    """Let a constant have one value, and a shape."""
    tensor = node_of(meta, name).attr["value"].tensor
    del tensor.string_val[1:]
    tensor.tensor_shape.Clear()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20, 1 << 20), (1 << 24,)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_one_string_that_stands_for_very_many_names_none(name: str, shape: tuple[int, ...]) -> None:
    meta = with_saver(saved("w"), saved("b"))
    claim(meta, f"save/{name}", *shape)
    with at_most(MEBIBYTE), pytest.raises(InvalidArgumentError, match="save/"):
        plan_of(meta)


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 24,), (2,), (0,)], ids=str)
def test_a_filename_is_one_string(shape: tuple[int, ...]) -> None:
    meta = with_saver(saved("w"))
    claim(meta, "save/filename/input", *shape)
    if shape == (0,):
        node_of(meta, "save/filename/input").attr["value"].tensor.ClearField("string_val")
    with at_most(MEBIBYTE), pytest.raises(InvalidArgumentError, match="file"):
        plan_of(meta)


def test_one_value_of_an_initializer_does_not_become_terabytes() -> None:
    meta = with_saver(saved("w", None))
    initial = meta.graph_def.node.add(name="zeros", op="Const")
    initial.attr["dtype"].type = initial.attr["value"].tensor.dtype = 1
    initial.attr["value"].tensor.tensor_shape.dim.add(size=1 << 40)
    meta.graph_def.node.add(name="w/Assign", op="Assign", input=["w", "zeros"]).attr["validate_shape"].b = False
    graph = Graph()
    with at_most(MEBIBYTE):
        import_meta_graph_def(graph, meta)
        assert export_meta_graph_def(graph).graph_def == meta.graph_def
        find_saver_operations(graph, meta.saver_def)
        with Session(graph=graph) as session, pytest.raises(InvalidArgumentError, match="1099511627776"):
            session.run("w/Assign")


def test_a_function_is_not_looked_at_for_every_one_of_many_calls() -> None:
    meta = with_saver(saved("w"))
    function = meta.graph_def.library.function.add()
    function.signature.name = "large"
    for number in range(10_000):
        function.node_def.add(name=f"n{number}", op="NoOp")
    for number in range(90):
        caller = meta.graph_def.node.add(name=f"call{number}", op="PartitionedCall")
        caller.attr["f"].func.name = "large"
        node_of(meta, "save/restore_all").input.append(f"^call{number}")
    with pytest.raises(InvalidArgumentError, match="'large': too many calls"):
        plan_of(meta)


def test_a_name_of_very_many_scopes_is_one_name() -> None:
    """To look at each of the scopes would be quadratic in the length of the name, and never end."""
    name = "/".join(["a"] * 1_000_000)
    meta = message_class("tensorflow.MetaGraphDef")()
    for node in (name, "other/save/SaveV2"):
        meta.graph_def.node.add(name=node, op="SaveV2")
    graph = Graph()
    with at_most(200 * MEBIBYTE):
        for _ in range(2):
            import_meta_graph_def(graph, meta)
        left = export_meta_graph_def(graph, clear_extraneous_savers=True).graph_def
    assert [operation.name for operation in graph.get_operations()][2] == f"{name}_1"
    assert [node.name for node in left.node] == []


def test_a_name_that_is_a_scope_in_the_graph_gives_way() -> None:
    """So do those that the search for another name meets."""
    graph = Graph()
    for names in (["s/x", "s_1/y"], ["s", "s_2"], ["s_1"]):
        meta = message_class("tensorflow.MetaGraphDef")()
        for name in names:
            meta.graph_def.node.add(name=name, op="NoOp")
        import_meta_graph_def(graph, meta)
    assert [operation.name for operation in graph.get_operations()] == ["s/x", "s_1/y", "s_3", "s_2", "s_1_1"]
