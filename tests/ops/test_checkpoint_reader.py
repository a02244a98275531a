"""The door `cloudckpt.train` by itself, on a disk and in memory; tests/tensorflow compares it with the real one."""

from __future__ import annotations

import gc
import os
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.checksums import crc32c
from cloudckpt.errors import ObjectChangedError
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always

HALVES = SlicedTensor((4, 2), {((0, 2), (0, None)): np.zeros((2, 2)), ((2, 2), (0, None)): np.ones((2, 2))})
ARRAYS: dict[str, Any] = {
    "a": np.array(1.5, np.float32),
    "b": np.arange(3, dtype=np.int32),
    "q": np.array([(-1,), (5,)], [("qint8", np.int8)]),
    "s": np.array([b"x", b"\xff"], object),
    "t": np.array(b"text", object),
    "w": HALVES,
    "é": np.zeros((2, 0)),
}
SHAPES = {"a": [], "b": [3], "q": [2], "s": [2], "t": [], "w": [4, 2], "é": [2, 0]}
NAMES = ["float32", "int32", "qint8", "string", "string", "float64", "float64"]


@pytest.fixture(params=["{tmp_path}/run", "memory://{unique}/run"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory with the checkpoint `ckpt-1`, and no state file."""
    folder: str = request.param.format(tmp_path=tmp_path, unique=uuid.uuid4().hex)
    save_tensors(open_location(f"{folder}/ckpt-1"), ARRAYS)
    return folder


def write_state(run: str, latest: str) -> None:
    data = f'model_checkpoint_path: "{latest}"\n'.encode()
    with open_location(f"{run}/checkpoint") as place:
        place.store.put(place.key, data, Always(), crc32c=crc32c(data))


def test_what_a_checkpoint_holds(run: str) -> None:
    reader = train.load_checkpoint(f"{run}/ckpt-1")
    assert isinstance(reader, train.CheckpointReader)
    assert reader.get_variable_to_shape_map() == SHAPES
    assert [dtype.name for dtype in reader.get_variable_to_dtype_map().values()] == NAMES
    assert reader.get_variable_to_dtype_map()["b"].as_numpy_dtype is np.int32
    assert all(reader.has_tensor(name) and reader.has_tensor(name.encode()) for name in ARRAYS)
    assert not reader.has_tensor("nothing")
    assert not reader.has_tensor("")


def test_tensors_come_as_tensorflow_gives_them(run: str) -> None:
    reader = train.CheckpointReader(f"{run}/ckpt-1")
    assert type(reader.get_tensor("a")) is np.float32
    assert reader.get_tensor("a") == 1.5
    assert reader.get_tensor(b"b").tolist() == [0, 1, 2]
    assert reader.get_tensor("q").dtype == np.int8
    assert reader.get_tensor("q").tolist() == [-1, 5]
    assert reader.get_tensor("s").tolist() == [b"x", b"\xff"]
    assert reader.get_tensor("t") == b"text"
    assert reader.get_tensor("w").tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]
    assert reader.get_tensor("é").shape == (2, 0)


def test_the_debug_string_has_a_line_for_whatever_is_stored(run: str) -> None:
    lines = train.load_checkpoint(f"{run}/ckpt-1").debug_string().split(b"\n")
    assert [line for line in lines if line.startswith(b"\0")] == [
        b"\x00w\x00\x01\x01\x02\x80\x82\x80\x7f (DT_DOUBLE) [2,2]",
        b"\x00w\x00\x01\x01\x02\x82\x82\x80\x7f (DT_DOUBLE) [2,2]",
    ]
    assert b"q (DT_QINT8) [2]" in lines
    assert b"a (DT_FLOAT) []" in lines
    assert "é (DT_DOUBLE) [2,0]".encode() in lines
    assert lines[-1] == b""
    assert len(lines) == len(ARRAYS) + 2


def test_the_debug_string_of_version_1(tmp_path: Path) -> None:
    save_v1(open_location(tmp_path / "model"), {"b": ARRAYS["b"], "w": HALVES})
    assert train.load_checkpoint(tmp_path / "model").debug_string() == (
        b"b (DT_INT32) [3]\nw (DT_DOUBLE) [4,2], 2 slices\n"
    )


def test_a_tensor_that_is_not_there(run: str) -> None:
    with pytest.raises(ckpt.TensorNotFoundError, match="no tensor 'nothing'"):
        train.load_checkpoint(f"{run}/ckpt-1").get_tensor("nothing")


@pytest.mark.parametrize("name", [3, None, ["a"]])
def test_a_name_that_is_no_text(run: str, name: Any) -> None:
    reader = train.load_checkpoint(f"{run}/ckpt-1")
    for method in (reader.has_tensor, reader.get_tensor):
        with pytest.raises(TypeError, match="must be str or bytes"):
            method(name)


def test_a_directory_is_the_checkpoint_that_its_state_names(run: str) -> None:
    write_state(run, "ckpt-1")
    for directory in (run, f"{run}/"):
        assert dict(train.list_variables(directory)) == SHAPES
        assert train.load_variable(directory, "b:0").tolist() == [0, 1, 2]


def test_a_directory_is_taken_before_a_checkpoint_of_the_same_name(run: str) -> None:
    save_tensors(open_location(run), {"other": np.ones(2)})
    write_state(run, "ckpt-1")
    assert dict(train.list_variables(run)) == SHAPES


def test_a_path_object(tmp_path: Path) -> None:
    save_tensors(open_location(tmp_path / "ckpt-1"), ARRAYS)
    write_state(str(tmp_path), "ckpt-1")
    assert train.list_variables(tmp_path) == train.list_variables(tmp_path / "ckpt-1")


@pytest.mark.parametrize("latest", [None, "ckpt-2"])
def test_a_directory_without_a_checkpoint(run: str, latest: str | None) -> None:
    if latest is not None:
        write_state(run, latest)
    for directory in (run, f"{run}/"):
        with pytest.raises(ValueError, match=rf"{re.escape(run)}/? is a directory without a latest checkpoint"):
            train.load_checkpoint(directory)


def test_an_empty_folder_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ckpt.CheckpointPathError, match="without a latest checkpoint"):
        train.list_variables(tmp_path)


def test_an_unreadable_state_is_no_empty_directory(run: str) -> None:
    with open_location(f"{run}/checkpoint") as place:
        place.store.put(place.key, b"\0rubbish", Always(), crc32c=crc32c(b"\0rubbish"))
    with pytest.raises(ckpt.StateFileError):
        train.load_checkpoint(run)


def test_no_such_checkpoint(run: str) -> None:
    with pytest.raises(ckpt.CheckpointNotFoundError):
        train.load_checkpoint(f"{run}/ckpt-2")
    with pytest.raises(ckpt.CheckpointPathError):
        train.load_checkpoint(f"{run}/ckpt-1.index")


def test_variables_are_listed_sorted(run: str) -> None:
    assert train.list_variables(f"{run}/ckpt-1") == sorted(SHAPES.items())


def test_whether_a_checkpoint_exists(run: str) -> None:
    assert train.checkpoint_exists(f"{run}/ckpt-1")
    assert not train.checkpoint_exists(f"{run}/ckpt-2")
    assert not train.checkpoint_exists(run)
    save_v1(open_location(f"{run}/model"), {"x": np.ones(2)})
    save_v1(open_location(f"{run}/shards-00000-of-00001"), {"x": np.ones(2)})
    assert train.checkpoint_exists(f"{run}/model")
    assert train.checkpoint_exists(f"{run}/shards-?????-of-00001")
    assert not train.checkpoint_exists(f"{run}/shards-?????-of-00002")
    with pytest.raises(ckpt.CheckpointPathError):
        train.checkpoint_exists(f"{run}/ckpt-1.index")


def test_version_1_by_its_file_its_pattern_and_its_directory(run: str) -> None:
    shards = {"model-00000-of-00002": {"x": np.ones(2)}, "model-00001-of-00002": {"y": np.zeros((1, 3))}}
    for name, tensors in shards.items():
        save_v1(open_location(f"{run}/{name}"), tensors)
    write_state(run, "model-?????-of-00002")
    expected = [("x", [2]), ("y", [1, 3])]
    assert train.list_variables(run) == train.list_variables(f"{run}/model-?????-of-00002") == expected
    assert train.list_variables(f"{run}/model-00001-of-00002") == expected[1:]
    assert train.load_variable(run, "x").tolist() == [1, 1]
    assert train.latest_checkpoint(run) == f"{run}/model-?????-of-00002"


def test_a_closed_reader_says_so(run: str) -> None:
    with train.load_checkpoint(f"{run}/ckpt-1") as reader:
        array = reader.get_tensor("b")
    assert array.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="closed"):
        reader.get_tensor("b")


def test_a_checkpoint_that_is_replaced_is_not_mixed(run: str) -> None:
    reader = train.load_checkpoint(f"{run}/ckpt-1")
    save_tensors(open_location(f"{run}/ckpt-1"), {"b": np.zeros(3, np.int32)})
    assert reader.get_variable_to_shape_map() == SHAPES
    with pytest.raises(ObjectChangedError):
        reader.get_tensor("b")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux lists them")
def test_readers_that_nobody_closes_leave_nothing_open(tmp_path: Path) -> None:
    save_tensors(open_location(tmp_path / "ckpt-1"), ARRAYS)
    write_state(str(tmp_path), "ckpt-1")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        train.load_checkpoint(tmp_path).get_tensor("b")
        train.load_variable(tmp_path, "b")
        with pytest.raises(ckpt.CheckpointNotFoundError):
            train.load_checkpoint(tmp_path / "ckpt-2")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_tensorflow_1s_name() -> None:
    assert train.NewCheckpointReader is train.CheckpointReader


def test_the_door_is_sorted_and_whole() -> None:
    assert train.__all__ == sorted(train.__all__)
    assert all(getattr(train, name).__doc__ for name in train.__all__)


def test_a_repr_shows_the_path(run: str) -> None:
    reader = train.load_checkpoint(f"{run}/ckpt-1")
    assert repr(reader) == f"<CheckpointReader '{run}/ckpt-1': 7 tensors>"
