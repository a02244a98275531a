"""`Saver.save`: its arguments, what it returns, which files it writes, and in which order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import CheckpointPathError, InvalidArgumentError
from cloudckpt.graph.encoding.meta_graph_file import read_meta_graph
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.state.checkpoint_state import get_checkpoint_state
from cloudckpt.storage.open import open_location
from cloudckpt.variables.graphs.default_graph import default_graph
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from tests.saver.graphs import files, session_with, stored, variable

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_files_of_a_checkpoint(tmp_path: Path) -> None:
    with session_with(w=[1.0, 2.0]) as (session, _):
        assert Saver().save(session, tmp_path / "model") == str(tmp_path / "model")
    assert files(tmp_path) == ["checkpoint", "model.data-00000-of-00001", "model.index", "model.meta"]
    assert stored(tmp_path / "model") == {"w": [1.0, 2.0]}


def test_eager_saves_write_no_meta_graph(tmp_path: Path) -> None:
    saver = Saver([variable("w", 3.0)])
    assert saver.save(None, f"{tmp_path}/model") == f"{tmp_path}/model"
    assert files(tmp_path) == ["checkpoint", "model.data-00000-of-00001", "model.index"]


def test_the_session_has_the_values(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, variables):
        session.run(variables["w"].assign(7.0))
        Saver().save(session, tmp_path / "model")
    assert stored(tmp_path / "model") == {"w": 7.0}


def test_without_a_session_variables_have_their_own_values(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, variables):
        session.run(variables["w"].assign(7.0))
        Saver().save(None, tmp_path / "model")
    assert stored(tmp_path / "model") == {"w": 1.0}


def test_a_mapping_has_values_by_their_names_in_the_checkpoint(tmp_path: Path) -> None:
    with session_with(w=1.0) as (_, variables):
        Saver({"weight": variables["w"]}).save({"weight": np.float32(5)}, tmp_path / "model")
    assert stored(tmp_path / "model") == {"weight": 5.0}


def test_a_mapping_that_lacks_a_value_is_named(tmp_path: Path) -> None:
    with session_with(w=1.0), pytest.raises(InvalidArgumentError, match="has no 'w'"):
        Saver().save({"b": 1.0}, tmp_path / "model")
    assert files(tmp_path) == []


@pytest.mark.parametrize("value", [np.float64(5), np.zeros(2, np.float32), b"text"], ids=repr)
def test_a_mapping_whose_value_is_not_of_its_variable_is_refused(tmp_path: Path, value: Any) -> None:
    with session_with(w=1.0), pytest.raises((InvalidArgumentError, TypeError), match="float32"):
        Saver().save({"w": value}, tmp_path / "model")
    assert files(tmp_path) == []


def test_numbers_of_python_in_a_mapping_have_the_dtypes_of_their_variables(tmp_path: Path) -> None:
    step, rate = ckpt.Variable(0, name="step", dtype="int64"), ckpt.Variable(0.5, name="rate", dtype="float64")
    Saver([step, rate]).save({"step": 7, "rate": 2}, tmp_path / "model")
    assert {name: array.dtype for name, array in ckpt.load(tmp_path / "model").items()} == {
        "step": "int64",
        "rate": "float64",
    }


@pytest.mark.parametrize("sess", [3, "session", object(), [1]], ids=repr)
def test_what_is_no_session_is_a_type_error(tmp_path: Path, sess: Any) -> None:
    with session_with(w=1.0), pytest.raises(TypeError, match="sess must be a Session"):
        Saver().save(sess, tmp_path / "model")
    assert files(tmp_path) == []


def test_an_uninitialized_variable_is_named(tmp_path: Path) -> None:
    with Graph().as_default():
        variable("w")
        with pytest.raises(InvalidArgumentError, match="'w' is not initialized"):
            Saver().save(Session(), tmp_path / "model")
    assert files(tmp_path) == []


def step_variable() -> Variable:
    return Variable(np.int64(7), name="step")


STEPS: dict[str, Callable[[], Any]] = {
    "an int": lambda: 7,
    "NumPy's int": lambda: np.int32(7),
    "an array": lambda: np.array(7),
    "a variable": step_variable,
}


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize(("pad", "ending"), [(False, "-7"), (True, "-00000007")])
def test_global_step_is_appended_and_padded(tmp_path: Path, kind: str, pad: bool, ending: str) -> None:
    saver = Saver([variable("w")], pad_step_number=pad)
    assert saver.save(None, f"{tmp_path}/model", global_step=STEPS[kind]()) == f"{tmp_path}/model{ending}"


def test_pad_step_number_cuts_nothing(tmp_path: Path) -> None:
    saver = Saver([variable("w")], pad_step_number=True)
    assert saver.save(None, f"{tmp_path}/model", global_step=1234567890) == f"{tmp_path}/model-1234567890"


def test_global_step_of_a_session(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        step = step_variable()
        session.run(step.initializer)
        session.run(step.assign_add(1))
        saver, prefix = Saver(), f"{tmp_path}/model"
        for given in (step, step.value(), "step:0"):
            assert saver.save(session, prefix, global_step=given) == f"{prefix}-8"
        assert saver.save(None, prefix, global_step=step) == f"{prefix}-7"
        assert saver.save({"w": 1.0, "step": 9}, prefix, global_step=step) == f"{prefix}-9"


@pytest.mark.parametrize("step", [1.5, np.zeros(2), "step:0", [1], object()], ids=repr)
def test_global_step_that_is_none(tmp_path: Path, step: Any) -> None:
    with pytest.raises(TypeError, match="global_step"):
        Saver([variable("w")]).save(None, tmp_path / "model", global_step=step)


def test_latest_filename_is_the_state_file(tmp_path: Path) -> None:
    Saver([variable("w")]).save(None, tmp_path / "model", latest_filename="state")
    assert "checkpoint" not in files(tmp_path)
    assert "model" in (tmp_path / "state").read_text()


@pytest.mark.parametrize("name", ["a/b", "/a", "a/", ""])
def test_latest_filename_with_path_components(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="path components"):
        Saver([variable("w")]).save(None, tmp_path / "model", latest_filename=name)


def test_latest_filename_that_collides_with_save_path(tmp_path: Path) -> None:
    saver = Saver([variable("w")])
    with pytest.raises(ValueError, match="give one of them another name"):
        saver.save(None, tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="give one of them another name"):
        saver.save(None, tmp_path / "model", latest_filename="model")
    assert files(tmp_path) == []
    saver.save(None, tmp_path / "checkpoint", global_step=1)
    several = Saver([variable("w")], sharded=True, write_version=SaverDef.V1)
    several.save(None, tmp_path / "model", latest_filename="model")
    assert "model-00000-of-00001" in files(tmp_path)


def test_meta_graph_suffix(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        Saver().save(session, tmp_path / "model", global_step=3, meta_graph_suffix="graph")
    assert "model-3.graph" in files(tmp_path)


def test_write_meta_graph_false(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        Saver().save(session, tmp_path / "model", write_meta_graph=False)
    assert files(tmp_path) == ["checkpoint", "model.data-00000-of-00001", "model.index"]


def test_write_state_false(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver()
        saver.save(session, tmp_path / "model", write_state=False)
    assert "checkpoint" not in files(tmp_path)
    assert saver.last_checkpoints == []


def test_what_was_saved_again_without_the_state_is_still_deleted(tmp_path: Path) -> None:
    saver = Saver([variable("w")], max_to_keep=1)
    saver.save(None, f"{tmp_path}/model", global_step=1)
    saver.save(None, f"{tmp_path}/model", global_step=1, write_state=False)
    assert saver.last_checkpoints == [f"{tmp_path}/model-1"]
    saver.save(None, f"{tmp_path}/model", global_step=2)
    assert files(tmp_path) == ["checkpoint", "model-2.data-00000-of-00001", "model-2.index"]


def test_strip_default_attrs(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver()
        sizes = []
        for strip in (False, True, False):
            saver.save(session, tmp_path / "model", strip_default_attrs=strip)
            sizes.append((tmp_path / "model.meta").stat().st_size)
            meta = read_meta_graph(open_location(tmp_path / "model.meta"))
            assert meta.meta_info_def.stripped_default_attrs is strip
    assert sizes[1] < sizes[0] == sizes[2]


def test_save_debug_info(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver()
        saver.save(session, tmp_path / "plain")
        saver.save(session, tmp_path / "model", save_debug_info=True)
        saver.save(session, tmp_path / "none", save_debug_info=True, write_meta_graph=False)
    assert [name for name in files(tmp_path) if name.endswith("debug")] == ["model.debug"]


def test_the_meta_graph_is_that_of_the_graph_as_it_is(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver()
        kept = default_graph()
        assert kept is not None

        def collections() -> set[str]:
            saver.save(session, tmp_path / "model")
            return set(read_meta_graph(open_location(tmp_path / "model.meta")).collection_def)

        assert "mine" not in collections()
        kept.add_to_collection("mine", 3)
        assert "mine" in collections()
        kept.get_collection_ref("yours").append("text")
        assert "yours" in collections()
        kept.get_collection_ref("yours").clear()
        assert "yours" not in collections()


def test_the_meta_graph_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudckpt.saver import meta_graph_file

    calls: list[Graph] = []
    export = meta_graph_file.export_meta_graph_def

    def counted(graph: Graph, **arguments: Any) -> Any:
        calls.append(graph)
        return export(graph, **arguments)

    monkeypatch.setattr(meta_graph_file, "export_meta_graph_def", counted)
    with session_with(w=1.0) as (session, _):
        saver = Saver()
        for step in range(3):
            saver.save(session, tmp_path / "model", global_step=step)
        assert len(calls) == 1
        variable("another")
        saver.save(session, tmp_path / "model", global_step=3)
        assert len(calls) == 2


def test_the_missing_parent_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "folder" / "model"
    Saver([variable("w", 2.0)]).save(None, path)
    assert stored(path) == {"w": 2.0}


def test_paths_are_returned_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saver = Saver([variable("w")])
    assert saver.save(None, "model") == "model"
    assert saver.save(None, b"run/model") == "run/model"
    assert saver.save(None, Path("run") / "other") == os.path.join("run", "other")
    assert saver.last_checkpoints == ["model", "run/model", "run/other"]


@pytest.mark.parametrize("path", ["", "folder/", "model.index", "model.data-00000-of-00001"])
def test_paths_that_can_not_be_a_prefix(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointPathError):
        Saver([variable("w")]).save(None, path)


def test_a_path_of_another_type() -> None:
    with pytest.raises(TypeError):
        Saver([variable("w")]).save(None, 3)  # type: ignore[arg-type]  # refused


def test_saving_before_the_saver_is_built(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver(defer_build=True)
        with pytest.raises(RuntimeError, match=r"build\(\)"):
            saver.save(session, tmp_path / "model")
        with pytest.raises(RuntimeError, match=r"build\(\)"):
            saver.restore(session, tmp_path / "model")
        saver.build()
        assert saver.save(session, tmp_path / "model") is not None


def test_an_empty_saver_saves_nothing_and_returns_none(tmp_path: Path) -> None:
    with Graph().as_default():
        saver = Saver(allow_empty=True)
        assert saver.save(Session(), tmp_path / "model") is None
    assert files(tmp_path) == ["model.meta"]  # as TensorFlow
    assert saver.last_checkpoints == []
    eager = Saver([], allow_empty=True)
    assert eager.save(None, tmp_path / "eager") is None
    eager.restore(None, None)
    assert files(tmp_path) == ["model.meta"]


def test_all_saveable_objects_of_the_graph(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        graph = default_graph()
        assert graph is not None
        local = variable("local", 2.0, collections=[GraphKeys.LOCAL_VARIABLES])
        saveable = SaveableObject(None, [SaveSpec(np.arange(2), "", "mine/a"), SaveSpec(local, "", "mine/b")], "mine")
        graph.add_to_collection(GraphKeys.SAVEABLE_OBJECTS, saveable)
        session.run(local.initializer)
        Saver().save(session, tmp_path / "model")
    assert stored(tmp_path / "model") == {"w": 1.0, "mine/a": [0, 1], "mine/b": 2.0}


def test_a_tensor_of_a_saveable_object_that_is_none_is_left_out(tmp_path: Path) -> None:
    specs = [
        SaveSpec(lambda: None, "", "gone", np.int32, ""),
        SaveSpec(lambda: np.ones(2), "", "there", np.float64, ""),
    ]
    Saver([SaveableObject(None, specs, "both")]).save(None, tmp_path / "model")
    assert stored(tmp_path / "model") == {"there": [1.0, 1.0]}


def test_a_tensor_of_the_graph_is_run_in_the_session(tmp_path: Path) -> None:
    with session_with(w=3.0) as (session, variables):
        spec = SaveSpec(variables["w"].value(), "", "read", np.float32)
        saver = Saver([SaveableObject(None, [spec], "read")])
        saver.save(session, tmp_path / "model")
        with pytest.raises(InvalidArgumentError, match="pass a Session"):
            saver.save(None, tmp_path / "other")
    assert stored(tmp_path / "model") == {"read": 3.0}


def test_the_state_names_the_checkpoints(tmp_path: Path) -> None:
    saver = Saver([variable("w")], max_to_keep=2)
    for step in range(3):
        saver.save(None, f"{tmp_path}/model", global_step=step)
    state = get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == saver.last_checkpoints == [f"{tmp_path}/model-{n}" for n in (1, 2)]
    assert not any(name.startswith("model-0") for name in files(tmp_path))


def test_save_relative_paths(tmp_path: Path) -> None:
    Saver([variable("w")], save_relative_paths=True).save(None, f"{tmp_path}/model")
    assert 'model_checkpoint_path: "model"' in (tmp_path / "checkpoint").read_text()


def test_v1_is_one_file(tmp_path: Path) -> None:
    with session_with(w=[1.0, 2.0]) as (session, _):
        saver = Saver(write_version=SaverDef.V1)
        assert saver.save(session, tmp_path / "model", global_step=1) == f"{tmp_path}/model-1"
    assert files(tmp_path) == ["checkpoint", "model-1", "model-1.meta"]
    assert stored(tmp_path / "model-1") == {"w": [1.0, 2.0]}


@pytest.mark.parametrize("version", [0, 3, "V2"])
def test_write_version_that_is_none(version: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="write_version"):
        Saver([variable("w")], write_version=version)


def test_saving_again_replaces_the_checkpoint(tmp_path: Path) -> None:
    w = variable("w", 1.0)
    saver = Saver([w])
    for value in (1.0, 2.0, 3.0):
        w.assign(value)
        saver.save(None, tmp_path / "model")
    assert stored(tmp_path / "model") == {"w": 3.0}
    assert len(files(tmp_path)) == 3
    assert saver.last_checkpoints == [f"{tmp_path}/model"]
