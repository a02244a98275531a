"""A variable's own value stays whole: whoever reads, copies, pickles or updates it."""

from __future__ import annotations

import copy
import pickle
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_can_not_be_written_into_either(copied: Callable[[Variable], Variable]) -> None:
    original = Variable([1.0, 2.0], name="w", trainable=False, device="/cpu:1")
    twin = copied(original)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(twin)[0] = 9
    assert (twin.name, twin.trainable, twin.device, twin.dtype) == ("w:0", False, original.device, original.dtype)
    twin.assign([3.0, 4.0])
    assert original.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_graph_is_not_copied(copied: Callable[[Any], Any]) -> None:
    with Graph().as_default() as graph:
        variable = Variable(1.0)
    for each in (graph, variable, variable.initializer, Session(graph)):
        with pytest.raises(TypeError, match="export_meta_graph writes it to a file"):
            copied(each)


def test_a_scalar_is_not_iterated_over() -> None:
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        list(Variable(1.0))
    assert 2 in Variable([1, 2])


def test_a_scalar_becomes_a_complex_number() -> None:
    assert complex(Variable(1 + 2j)) == 1 + 2j
    with pytest.raises(TypeError):
        float(Variable(1 + 2j))


@pytest.mark.parametrize("value", ["text", True])
def test_nothing_is_added_to_texts_and_bools(value: Any) -> None:
    for graph in (None, Graph()):
        variable = Variable(value) if graph is None else _made_in(graph, value)
        for update in (variable.assign_add, variable.assign_sub):
            with pytest.raises(TypeError, match="nothing can be added to it"):
                update(value)


def _made_in(graph: Graph, value: Any) -> Variable:
    with graph.as_default():
        return Variable(value)


def test_an_update_waits_for_another_threads() -> None:
    variable = Variable([1.0])
    other = threading.Thread(target=lambda: variable.assign_add([10.0]))

    def changed(own: NDArray[Any]) -> NDArray[Any]:
        other.start()
        other.join(timeout=0.1)  # it does not end before this one has
        return own + 1

    variable.update(changed)
    other.join()
    assert variable.numpy().tolist() == [12.0]


def test_an_update_copies_nothing_that_is_added() -> None:
    variable, delta = Variable(np.zeros(500_000, np.float32)), np.ones(500_000, np.float32)
    tracemalloc.start()
    variable.assign_add(delta)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert delta.nbytes <= peak < 1.5 * delta.nbytes


def test_what_was_given_and_what_was_read_are_the_callers() -> None:
    given = np.array([1.0, 2.0], np.float32)
    one = Variable(given)
    other = Variable(one)
    given[:] = 9
    read = one.numpy()
    read[:] = 8
    one.assign_add([1.0, 1.0])
    assert (one.numpy().tolist(), other.numpy().tolist()) == ([2.0, 3.0], [1.0, 2.0])


def test_a_sessions_value_and_its_own_do_not_touch() -> None:
    with Graph().as_default():
        variable = Variable([1.0, 2.0])
        session = Session()
        session.run(variable.initializer)
        session.run(variable)[:] = 9
        session.run(variable.assign_add([1.0, 1.0]))
    variable.assign([5.0, 5.0])
    assert session.run(variable).tolist() == [2.0, 3.0]
