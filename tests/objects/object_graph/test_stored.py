"""The tree of objects of a checkpoint, which is untrusted as all of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import CheckpointDamagedError, CloudckptError
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH, StoredGraph, read_stored_graph
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.variable import Variable
from tests.objects.object_graph.stored_graphs import Graph, key, write

if TYPE_CHECKING:
    from pathlib import Path

FAR = 2**31 - 1


def read(path: str) -> StoredGraph:
    with open_prefix(path, None) as prefix:
        return read_stored_graph(open_checkpoint(prefix))


def program() -> Checkpoint:
    """Objects under names that the trees here have, too."""
    module = Module()
    module.a, module.b, module.loop = Variable(0.0), Variable(0.0), module
    return Checkpoint(module)


def test_paths_are_shortest_ways(tmp_path: Path) -> None:
    graph = Graph()
    graph.add(("model", 1), ("optimizer", 2), ("w", 3))
    graph.add(("w", 3), ("b", 4))
    graph.add()
    graph.variable("w")
    graph.variable("b")
    graph.slot(2, "m", 4, graph.variable("slot"))
    graph.add()
    stored = read(write(tmp_path, graph.encoded(), w=1.0, b=np.float32(2), slot=3.0))
    paths = [stored.path(number) for number in range(7)]
    assert paths == ["(root)", "model", "optimizer", "w", "model.b", "optimizer's 'm' of model.b", "(object 6)"]


def test_paths_that_are_very_long_are_cut(tmp_path: Path) -> None:
    graph = Graph()
    for number in range(5000):
        graph.add((f"name_{number}", number + 1))
    graph.add(("x" * 10_000, 0))
    stored = read(write(tmp_path, graph.encoded()))
    assert stored.path(5000).endswith(".name_4998.name_4999")
    assert len(stored.path(5000)) < 400


@pytest.mark.parametrize("number", [-1, 2, FAR])
@pytest.mark.parametrize("where", ["child", "original", "slot"])
def test_numbers_that_are_none(tmp_path: Path, number: int, where: str) -> None:
    graph = Graph()
    graph.add(("a", number if where == "child" else 1))
    graph.variable("a")
    if where != "child":
        graph.slot(0, "m", *(number, 1) if where == "original" else (1, number))
    path = write(tmp_path, graph.encoded(), a=np.float32(1))
    with pytest.raises(
        CheckpointDamagedError, match=rf"has 2 objects, and object 0 refers to object {number}"
    ) as raised:
        program().restore(path)
    assert (raised.value.path, raised.value.tensor) == (path, OBJECT_GRAPH)


def test_no_objects_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointDamagedError, match="has no objects"):
        program().restore(write(tmp_path, b""))


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    """It is damage where the value is wanted, and none where nobody asks for it."""
    graph = Graph()
    graph.add(("a", 1), ("late", 2))
    graph.variable("a")
    graph.variable("late")
    checkpoint = program()
    checkpoint.restore(write(tmp_path, graph.encoded(), a=np.float32(3))).expect_partial()
    assert checkpoint.root.a.numpy() == 3.0
    with pytest.raises(CheckpointDamagedError, match=r"'late' is stored as 'late/\.ATTRIBUTES.*', which is not there"):
        checkpoint.root.late = Variable(0.0)
    with pytest.raises(CheckpointDamagedError, match=r"'a' is stored as"):
        program().restore(write(tmp_path, graph.encoded(), late=np.float32(3)))


def test_circles_end(tmp_path: Path) -> None:
    graph = Graph()
    graph.add(("loop", 1), ("a", 2))
    graph.add(("loop", 0), ("loop", 1), ("a", 2), ("b", 3))
    graph.variable("a")
    graph.add(("a", 0), VARIABLE_VALUE=key("b"))
    checkpoint = program()
    status = checkpoint.restore(write(tmp_path, graph.encoded(), a=np.float32(1), b=np.float32(2)))
    assert checkpoint.root.a.numpy() == 1.0
    status.expect_partial()


def test_an_optimizer_that_is_its_own_slot_variable(tmp_path: Path) -> None:
    graph = Graph()
    graph.add(("a", 1))
    graph.variable("a")
    for name in ("m", "m", "v"):
        graph.slot(0, name, 1, 0)
        graph.slot(0, name, 0, 1)
        graph.slot(1, name, 1, 1)
    checkpoint = program()
    checkpoint.restore(write(tmp_path, graph.encoded(), a=np.float32(1)))
    assert checkpoint.root.a.numpy() == 1.0


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    """The first one is the object's, as in TensorFlow."""
    graph = Graph()
    graph.add(("a", 1), ("a", 2))
    graph.variable("a")
    graph.variable("b")
    checkpoint = program()
    checkpoint.restore(write(tmp_path, graph.encoded(), a=np.float32(1), b=np.float32(2))).expect_partial()
    assert checkpoint.root.a.numpy() == 1.0


def test_very_many_references_take_time_in_proportion(tmp_path: Path) -> None:
    graph = Graph()
    graph.add(*((f"n{number}", 1 + number % 2) for number in range(100_000)))
    graph.variable("a")
    graph.variable("b")
    for _ in range(50_000):
        graph.slot(0, "m", 1, 2)
    status = program().restore(write(tmp_path, graph.encoded(), a=np.float32(1), b=np.float32(2)))
    with pytest.raises(AssertionError, match="2 objects have no value"):
        status.assert_consumed()
    status.expect_partial()


def flipped(at: int, bits: int) -> bytes:
    """A tree with some bits of one byte changed."""
    graph = Graph()
    graph.add(("a", 1), ("b", 2), ("loop", 0), ("opt", 3))
    graph.variable("a")
    graph.variable("b")
    graph.add()
    graph.slot(3, "m", 1, 2)
    encoded = bytearray(graph.encoded())
    encoded[at % len(encoded)] ^= bits
    return bytes(encoded)


@given(graph=st.binary(max_size=60) | st.builds(flipped, st.integers(0), st.integers(1, 255)))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_restored_or_refused_by_name(tmp_path: Path, graph: bytes) -> None:
    checkpoint, path = program(), write(tmp_path, graph, a=np.float32(1), b=np.float32(2))
    try:
        checkpoint.restore(path).expect_partial().assert_consumed()
    except CloudckptError as raised:
        error: Exception = raised
    except AssertionError as unmatched:
        error = unmatched
    else:
        return
    assert path in str(error)
    if isinstance(error, CloudckptError):
        assert [float(each) for each in (checkpoint.root.a, checkpoint.root.b)] == [0.0, 0.0]
