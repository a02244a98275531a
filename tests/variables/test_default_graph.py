"""Which graph is the default, and whether anything executes eagerly."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cloudckpt.variables.graphs.default_graph import (
    default_graph,
    disable_eager_execution,
    enable_eager_execution,
    executing_eagerly,
    get_default_graph,
    reset_default_graph,
)
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def graphs_alone() -> Iterator[None]:
    disable_eager_execution()
    reset_default_graph()
    yield
    enable_eager_execution()
    reset_default_graph()


def test_there_is_none_from_the_start() -> None:
    assert executing_eagerly()
    assert default_graph() is None
    assert isinstance(get_default_graph(), Graph)
    assert default_graph() is None  # asking for one does not make it the place of variables
    assert Variable(1.0).graph is None


def test_within_a_block_nothing_executes_eagerly() -> None:
    with Graph().as_default() as graph:
        assert not executing_eagerly()
        assert default_graph() is get_default_graph() is graph
    assert executing_eagerly()


@pytest.mark.usefixtures("graphs_alone")
def test_without_eager_execution_there_is_always_one() -> None:
    assert not executing_eagerly()
    first = Variable(1.0, name="w")
    assert first.graph is default_graph() is get_default_graph()
    assert Variable(1.0, name="w").name == "w_1:0"
    reset_default_graph()
    assert Variable(1.0, name="w").name == "w:0"
    assert first.graph is not get_default_graph()


@pytest.mark.usefixtures("graphs_alone")
def test_each_thread_has_its_own() -> None:
    seen: list[object] = []
    mine = get_default_graph()
    thread = threading.Thread(target=lambda: seen.extend([default_graph(), executing_eagerly()]))
    thread.start()
    thread.join()
    assert seen[0] not in (None, mine)
    assert seen[1] is False


def test_a_blocks_graph_can_not_be_reset() -> None:
    with Graph().as_default(), pytest.raises(AssertionError, match="leave the block"):
        reset_default_graph()
