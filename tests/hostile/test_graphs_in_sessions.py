"""Imported graphs that make no sense, run by a session: refused by name, whatever the nodes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from tests.graph.saver_graphs import saved, with_saver

if TYPE_CHECKING:
    from collections.abc import Callable

DAMAGES: dict[str, Callable[[Any], None]] = {
    "a constant that is a type": lambda attr: setattr(attr["value"], "type", 1),
    "a constant that is a text": lambda attr: setattr(attr["value"], "s", b"x"),
    "a constant that is a function": lambda attr: setattr(attr["value"].func, "name", "f"),
    "a constant that is none": lambda attr: attr["value"].Clear(),
}


def assigned(meta: Any, *, kind: str, assign: str = "Assign") -> Any:
    """Assign to a variable of floats what a node of some type gives; that node's attributes."""
    node = meta.graph_def.node.add(name="value", op=kind)
    meta.graph_def.node.add(name="assign", op=assign, input=["w", "value"]).attr["validate_shape"].b = False
    return node.attr


def run(meta: Any, **options: Any) -> None:
    graph = Graph()
    import_meta_graph_def(graph, meta)
    with Session(graph=graph) as session:
        session.run("assign", **options)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_constant_is_an_array(damage: Callable[[Any], None]) -> None:
    meta = with_saver(saved("w"))
    damage(assigned(meta, kind="Const"))
    with pytest.raises(InvalidArgumentError, match="value"):
        run(meta)


def test_what_gives_no_tensor_is_not_assigned() -> None:
    meta = with_saver(saved("w"))
    assigned(meta, kind="NoOp")
    with pytest.raises(InvalidArgumentError, match="'value' gives no tensor"):
        run(meta)


@pytest.mark.parametrize("assign", ["AssignSub", "AssignAdd"])
def test_what_can_not_be_computed_is_refused(assign: str) -> None:
    meta, graph = with_saver(saved("w", None)), Graph()
    assigned(meta, kind="Placeholder", assign=assign)
    import_meta_graph_def(graph, meta)
    with Session(graph=graph) as session:
        session.assign("w", session.run("value:0", {"value:0": [1.0, 2.0]}))
        with pytest.raises(InvalidArgumentError, match="'assign'"):
            session.run("assign", {"value:0": ["a", "b"]})


def test_a_sum_that_asks_for_any_memory_is_refused() -> None:
    with Graph().as_default() as graph:
        column, row = Variable(np.zeros((1 << 20, 1), np.float32)), Variable(np.zeros((1, 1 << 20), np.float32))
        small = Variable(np.ones((2, 1), np.float32)) + Variable(np.ones((1, 3), np.float32))
        large = column + row
    with Session(graph) as session:
        session.run([variable.initializer for variable in graph.get_collection("variables")])
        assert session.run(small).tolist() == [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
        with pytest.raises(InvalidArgumentError, match="would spread"):
            session.run(large)
