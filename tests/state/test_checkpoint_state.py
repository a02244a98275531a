"""The functions that read and write the state file; tests/tensorflow compares them with the real ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.errors import InvalidArgumentError, ObjectNotFoundError, PermissionDeniedError
from cloudckpt.state.state_file import CheckpointState, decode_state, encode_state
from tests.state.places import Place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import ObjectServer

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")


def read(place: Place, name: str = "checkpoint") -> CheckpointState:
    return decode_state(place.read(name), name)


def get(place: Place, *arguments: Any) -> Any:
    return train.get_checkpoint_state(place.url, *arguments, storage_options=place.options)


def update(place: Place, *arguments: Any, **options: Any) -> None:
    train.update_checkpoint_state(place.url, *arguments, **options, storage_options=place.options)


def test_what_was_written_is_read_on_every_store(place: Place) -> None:
    assert get(place) is None
    update(place, place / "m-2", [place / "m-1", place / "m-2"])
    update(place, place / "m-3", [place / "m-2", place / "m-3"])
    state = get(place)
    assert state.model_checkpoint_path == place / "m-3"
    assert list(state.all_model_checkpoint_paths) == [place / "m-2", place / "m-3"]
    assert list(state.all_model_checkpoint_timestamps) == []
    assert state.last_preserved_timestamp == 0.0


def test_a_url_below_the_directory_is_written_relative_to_it(place: Place) -> None:
    update(place, place / "m-1")
    expected = place / "m-1" if place.url.startswith("/") else "m-1"
    assert read(place) == CheckpointState(expected, (expected,))


def test_times_and_the_last_preserved_one(memory: Place) -> None:
    update(
        memory,
        memory / "m-2",
        [memory / "m-1", memory / "m-2"],
        all_model_checkpoint_timestamps=[1.5, 2.5],
        last_preserved_timestamp=0.5,
    )
    state = get(memory)
    assert list(state.all_model_checkpoint_timestamps) == [1.5, 2.5]
    assert state.last_preserved_timestamp == 0.5


def test_latest_filename_names_the_file(memory: Place) -> None:
    update(memory, memory / "m-1", latest_filename="best")
    assert memory.files == ["best"]
    assert get(memory) is None
    assert get(memory, "best").model_checkpoint_path == memory / "m-1"


def test_latest_filename_may_lead_elsewhere(tmp_path: Path) -> None:
    train.update_checkpoint_state(tmp_path, tmp_path / "m-1", latest_filename="below/best")
    assert (tmp_path / "below" / "best").is_file()
    for name in ("below/best", str(tmp_path / "below" / "best")):
        assert train.get_checkpoint_state(tmp_path, name).model_checkpoint_path == f"{tmp_path}/m-1"


def test_path_objects_are_taken(tmp_path: Path) -> None:
    train.update_checkpoint_state(tmp_path, tmp_path / "m-2", [tmp_path / "m-1"])
    state = train.get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == [f"{tmp_path}/m-1", f"{tmp_path}/m-2"]


def test_the_working_directory_is_the_empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train.update_checkpoint_state("", "m-1")
    assert read(Place(str(tmp_path))).latest == "m-1"
    assert train.get_checkpoint_state("").model_checkpoint_path == "m-1"


def test_the_list_that_was_given_is_not_changed() -> None:
    given = ["run/m-1"]
    train.generate_checkpoint_state_proto("run", "run/m-2", given)
    assert given == ["run/m-1"]


@pytest.mark.parametrize("times", [[1.0], [1.0, 2.0, 3.0]])
def test_generate_raises_where_times_do_not_fit(times: list[float]) -> None:
    with pytest.raises(ValueError, match="timestamps don't fit 2 checkpoint paths") as failure:
        train.generate_checkpoint_state_proto("run", "run/m-2", ["run/m-1", "run/m-2"], times)
    assert isinstance(failure.value, InvalidArgumentError)


def test_update_raises_where_the_checkpoint_is_the_state_file(tmp_path: Path) -> None:
    for latest_filename, path in ((None, tmp_path / "checkpoint"), ("best", tmp_path / "best")):
        with pytest.raises(RuntimeError, match="conflicts with its own state file"):
            train.update_checkpoint_state(tmp_path, path, latest_filename=latest_filename)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"rubbish", b'model_checkpoint_path: "\xff"', b"\x00", b'a: "', b"# cloudckpt: {\n"]
)
def test_an_unreadable_file_raises(memory: Place, content: bytes) -> None:
    memory.write("checkpoint", content)
    with pytest.raises(ckpt.StateFileError, match="checkpoint"):
        get(memory)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b'all_model_checkpoint_paths: "m-1"\n'])
def test_a_file_without_a_latest_checkpoint_is_a_value_error(memory: Place, content: bytes) -> None:
    memory.write("checkpoint", content)
    with pytest.raises(ValueError, match="names no latest checkpoint") as failure:
        get(memory)
    assert isinstance(failure.value, ckpt.StateFileError)


def test_no_directory_is_none(tmp_path: Path) -> None:
    assert train.get_checkpoint_state(tmp_path / "nothing") is None
    assert train.get_checkpoint_state(tmp_path) is None


def test_no_bucket_raises(object_server: ObjectServer) -> None:
    with pytest.raises(ObjectNotFoundError):
        train.get_checkpoint_state(
            f"{object_server.scheme}://no-such-bucket-here/run", storage_options=object_server.storage_options
        )


def test_no_permission_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object, key: str) -> None:
        raise PermissionDeniedError(f"{key}: not for you", path=key)

    monkeypatch.setattr("cloudckpt.storage.local.store.LocalStore.get", denied)
    with pytest.raises(PermissionError):
        train.get_checkpoint_state(tmp_path)
    with pytest.raises(PermissionError):
        train.update_checkpoint_state(tmp_path, tmp_path / "m-1")


def test_what_a_manager_notes_is_kept_but_of_what_is_named_now(memory: Place) -> None:
    before = CheckpointState(
        "m-9", ("m-9",), (5.0,), 4.0, retired=("m-1", "m-2"), left=("m-3", "m-4"), max_save_time=86400.0
    )
    memory.write("checkpoint", encode_state(before))
    update(memory, memory / "m-3", [memory / "m-2", memory / "m-3"])
    assert read(memory) == CheckpointState(
        "m-3", ("m-2", "m-3"), retired=("m-1",), left=("m-4",), max_save_time=86400.0
    )


def test_an_unreadable_file_is_replaced_and_that_is_said(memory: Place, caplog: pytest.LogCaptureFixture) -> None:
    memory.write("checkpoint", b"rubbish")
    with caplog.at_level(logging.WARNING, "cloudckpt"):
        update(memory, memory / "m-1")
    assert read(memory).latest == "m-1"
    assert "is replaced" in caplog.text
    assert memory / "checkpoint" in caplog.text
