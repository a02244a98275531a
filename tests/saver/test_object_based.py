"""Names of variables out of the tree of objects of a tf.train.Checkpoint, which is untrusted as all of a checkpoint."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CloudckptError, InvalidArgumentError, TensorNotFoundError
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH, is_object_based
from cloudckpt.saver.object_based import keys_by_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudckpt.checkpoint.opened import OpenCheckpoint

KEY = "{}/.ATTRIBUTES/VARIABLE_VALUE"


def graph_of(*variables: tuple[str, str]) -> bytes:
    """A tree of objects with these names and keys."""
    graph = message_class("tensorflow.TrackableObjectGraph")()
    for number, (name, key) in enumerate(variables):
        graph.nodes.add().children.add(node_id=number + 1, local_name=f"v{number}")
        graph.nodes.add().attributes.add(name="VARIABLE_VALUE", full_name=name, checkpoint_key=key)
    encoded: bytes = graph.SerializeToString()
    return encoded


class Saving:
    """Saves checkpoints and opens them."""

    def __init__(self, folder: Path) -> None:
        self.place = open_prefix(folder / "ckpt", None)

    def opened(self, tensors: dict[str, Any]) -> OpenCheckpoint:
        save_tensors(self.place, tensors)
        return open_checkpoint(self.place)

    def tree(self, *variables: tuple[str, str], graph: bytes | None = None) -> OpenCheckpoint:
        """One by object, with a tensor under each key."""
        graph = graph_of(*variables) if graph is None else graph
        tensors = {key: np.arange(number) for number, (_, key) in enumerate(variables)}
        return self.opened(tensors | {OBJECT_GRAPH: np.array(graph, object)})


@pytest.fixture
def saving(tmp_path: Path) -> Iterator[Saving]:
    made = Saving(tmp_path)
    with made.place:
        yield made


def test_keys_of_names(saving: Saving) -> None:
    variables = [("dense/kernel", KEY.format("model/layer-0/kernel")), ("dense/bias", KEY.format("model/layer-0/bias"))]
    checkpoint = saving.tree(*variables)
    assert is_object_based(checkpoint)
    assert keys_by_object(checkpoint, dict(variables)) == dict(variables)
    assert keys_by_object(checkpoint, ["dense/bias"]) == {"dense/bias": KEY.format("model/layer-0/bias")}
    assert keys_by_object(checkpoint, []) == {}


def test_what_has_no_name_is_left_out(saving: Saving) -> None:
    """Iterators and tables."""
    checkpoint = saving.tree(("", "table/.ATTRIBUTES/table-keys"), ("w", KEY.format("w")))
    assert keys_by_object(checkpoint, ["w"]) == {"w": KEY.format("w")}
    with pytest.raises(TensorNotFoundError):
        keys_by_object(checkpoint, [""])


def test_a_variable_that_is_there_twice_is_one(saving: Saving) -> None:
    graph = graph_of(("w", KEY.format("w")), ("w", KEY.format("w")))
    checkpoint = saving.tree(("w", KEY.format("w")), graph=graph)
    assert keys_by_object(checkpoint, ["w"]) == {"w": KEY.format("w")}


def test_several_variables_of_one_name_are_not_chosen_from(saving: Saving) -> None:
    checkpoint = saving.tree(("w", KEY.format("a")), ("w", KEY.format("b")), ("x", KEY.format("x")))
    assert keys_by_object(checkpoint, ["x"]) == {"x": KEY.format("x")}
    with pytest.raises(InvalidArgumentError, match=r"2 variables of '.*/ckpt' had the name 'w'.*'a/.*'b/.*a dict"):
        keys_by_object(checkpoint, ["x", "w"])


def test_names_that_are_missing_are_set_against_those_that_are_there(saving: Saving) -> None:
    checkpoint = saving.tree(("a", KEY.format("a")), ("b", KEY.format("b")), ("c", KEY.format("c")))
    with pytest.raises(TensorNotFoundError) as raised:
        keys_by_object(checkpoint, ["a", "d", "e"])
    assert raised.value.tensor == "d"
    assert raised.value.path == checkpoint.prefix.url
    for part in ("the names 'd', 'e'", "not asked for, 'b', 'c'", "1 of the names did match", "_1"):
        assert part in str(raised.value)


def test_a_message_shows_some_of_very_many_names(saving: Saving) -> None:
    names = [f"layer_{number}" for number in range(5000)]
    checkpoint = saving.tree(graph=graph_of(*((name, KEY.format(name)) for name in names)))
    with pytest.raises(TensorNotFoundError, match="4980 others") as raised:
        keys_by_object(checkpoint, [f"{name}_1" for name in names])
    assert len(str(raised.value)) < 2000


def test_what_was_saved_by_name_has_no_objects(saving: Saving) -> None:
    checkpoint = saving.opened({"w": np.zeros(3)})
    assert not is_object_based(checkpoint)
    with pytest.raises(TensorNotFoundError, match=OBJECT_GRAPH):
        keys_by_object(checkpoint, ["w"])


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (np.array(b"\xff\xff\xff", object), "does not parse"),
        (np.array(graph_of(("w", "w"))[:-1], object), "does not parse"),
        (np.array(graph_of(("w", "x")).replace(b"x", b"\xff"), object), "does not parse"),
        (np.array([b""], object), "no string"),
        (np.array(3.0), "no string"),
    ],
    ids=["rubbish", "cut off", "no UTF-8", "vector", "number"],
)
def test_a_tree_that_is_none(saving: Saving, tree: np.ndarray, found: str) -> None:
    checkpoint = saving.opened({"w": np.zeros(3), OBJECT_GRAPH: tree})
    with pytest.raises(CheckpointDamagedError, match=found) as raised:
        keys_by_object(checkpoint, ["w"])
    assert raised.value.tensor == OBJECT_GRAPH


def test_a_key_that_is_not_there(saving: Saving) -> None:
    checkpoint = saving.tree(graph=graph_of(("w", KEY.format("w"))))
    with pytest.raises(CheckpointDamagedError, match=r"'w' is stored as 'w/\.ATTRIBUTES/VARIABLE_VALUE', which is not"):
        keys_by_object(checkpoint, ["w"])


def flipped(at: int, bits: int) -> bytes:
    """A tree with some bits of one byte changed."""
    graph = bytearray(graph_of(("w", KEY.format("w")), ("x", KEY.format("x"))))
    graph[at % len(graph)] ^= bits
    return bytes(graph)


@given(graph=st.binary(max_size=60) | st.builds(flipped, st.integers(0), st.integers(1, 255)))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_by_name(saving: Saving, graph: bytes) -> None:
    checkpoint = saving.tree(("w", KEY.format("w")), graph=graph)
    try:
        found = keys_by_object(checkpoint, ["w"])
    except CloudckptError as raised:
        error = raised
    else:
        assert found == {"w": KEY.format("w")}
        return
    assert error.path == checkpoint.prefix.url


def test_the_collector_runs_on_afterwards(saving: Saving) -> None:
    keys_by_object(saving.tree(("w", KEY.format("w"))), ["w"])
    assert gc.isenabled()
