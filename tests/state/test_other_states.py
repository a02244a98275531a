"""Finding what the state files of other savers in a directory name."""

from __future__ import annotations

import pytest

from cloudckpt.state import other_states
from cloudckpt.state.other_states import OtherStates
from cloudckpt.state.state_file import CheckpointState, encode_state
from cloudckpt.storage.location import Location
from cloudckpt.testing.faults import FaultyStore
from tests.state.places import Place, fresh_place


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    return fresh_place("memory", request)


def names(place: Place, states: OtherStates, operations: list[str] | None = None) -> set[str]:
    with place.open() as directory:
        store = FaultyStore(directory.store, 0)
        listing = list(store.list(directory.child("").key))
        found = set(states.names(Location(store, directory.key), listing, "checkpoint"))
    if operations is not None:
        operations[:] = store.operations[1:]
    return found


def test_those_of_all_state_files_but_ones_own(place: Place) -> None:
    place.write("checkpoint", encode_state(CheckpointState("m-9", ("m-9",))))
    place.write("best", encode_state(CheckpointState("/elsewhere/m-3", ("m-2", "/elsewhere/m-3"), retired=("m-1",))))
    place.write(
        "last", b' # a remark\nall_model_checkpoint_paths: "s3://b/m-5"\nmodel_checkpoint_path:"m-4-?????-of-00002"'
    )
    assert names(place, OtherStates()) == {"m-2", "m-3", "m-4-?????-of-00002", "m-5"}


@pytest.mark.parametrize(
    "data",
    [b"", b"rubbish", b'model_checkpoint_path: "', b'node { model_checkpoint_path: "m-1" }', b"\xff" * 100],
)
def test_what_is_no_state_file_names_nothing(place: Place, data: bytes) -> None:
    place.write("graph.pbtxt", data)
    assert names(place, OtherStates()) == set()


def test_only_what_may_be_one_is_read_and_only_once(place: Place) -> None:
    for name in ("m-1.index", "m-1.data-00000-of-00001", "m-1.meta", "events.out.tfevents.1.host", "checkpoint"):
        place.write(name)
    place.write("large", b"#" * (other_states.LARGEST + 1))
    place.write("notes", b"rubbish")
    place.write("best", encode_state(CheckpointState("m-1", ("m-1",))))
    states, operations = OtherStates(), [""]
    assert names(place, states, operations) == {"m-1"}
    assert sorted(operations) == ["get best", "get notes"]
    assert names(place, states, operations) == {"m-1"}
    assert operations == []
    place.write("best", encode_state(CheckpointState("m-2", ("m-2",))))
    assert names(place, states, operations) == {"m-2"}
    assert operations == ["get best"]


def test_of_many_files_the_youngest_are_read(place: Place) -> None:
    for number in range(other_states.MOST_LOOKED_AT + 5):
        place.write(f"notes-{number}", b"rubbish")
    place.write("best", encode_state(CheckpointState("m-1", ("m-1",))))
    operations = [""]
    assert names(place, OtherStates(), operations) == {"m-1"}
    assert len(operations) == other_states.MOST_LOOKED_AT


def test_one_that_is_gone_when_it_is_read_names_nothing(place: Place) -> None:
    place.write("best", encode_state(CheckpointState("m-1", ("m-1",))))
    with place.open() as directory:
        listing = list(directory.store.list(directory.child("").key))
        directory.store.delete([directory.child("best").key])
        assert OtherStates().names(directory, listing, "checkpoint") == frozenset()
