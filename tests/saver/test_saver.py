"""`Saver` itself: when it is built, what it is as a SaverDef, and savers of graphs that have one already."""

from __future__ import annotations

import pickle
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import train
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.meta_graph_file import read_meta_graph
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.storage.open import open_location
from cloudckpt.variables.graphs.default_graph import default_graph
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from tests.saver.graphs import files, session_with, stored, variable

if TYPE_CHECKING:
    from pathlib import Path


def nodes() -> list[str]:
    graph = default_graph()
    assert graph is not None
    return [operation.name for operation in graph.get_operations()]


def test_a_saver_needs_variables_outside_a_graph() -> None:
    with pytest.raises(RuntimeError, match="var_list"):
        Saver()


def test_a_saver_of_a_graph_takes_all_of_it_when_it_is_built(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        now, later = Saver(), Saver(defer_build=True)
        more = variable("more", 2.0)
        session.run(more.initializer)
        later.build()
        now.save(session, tmp_path / "now")
        later.save(session, tmp_path / "later")
    assert stored(tmp_path / "now") == {"w": 1.0}
    assert stored(tmp_path / "later") == {"w": 1.0, "more": 2.0}


def test_a_list_and_defer_build_are_refused() -> None:
    with session_with(w=1.0) as (_, variables), pytest.raises(InvalidArgumentError, match="can't be built later"):
        Saver([variables["w"]], defer_build=True)


def test_defer_build_adds_no_nodes_before_build() -> None:
    with session_with(w=1.0):
        before = nodes()
        saver = Saver(defer_build=True)
        assert nodes() == before
        assert saver.as_saver_def() is None
        saver.build()
        built = nodes()
        assert set(built) - set(before) >= {"save/Const", "save/SaveV2", "save/restore_all"}
        saver.build()
        assert nodes() == built


def test_build_is_not_for_eager_savers() -> None:
    with pytest.raises(RuntimeError, match=r"build\(\) is for savers of a graph"):
        Saver([variable("w")]).build()


def test_a_finalized_graph_takes_no_saver(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver, deferred = Saver(), Saver(defer_build=True)
        session.graph.finalize()
        with pytest.raises(RuntimeError, match="finalized"):
            deferred.build()
        saver.save(session, tmp_path / "model")
        saver.restore(session, tmp_path / "model")


@pytest.mark.parametrize("var_list", [None, [], {}])
def test_no_variables_are_a_value_error(var_list: Any) -> None:
    with Graph().as_default(), pytest.raises(ValueError, match="no variables to save"):
        Saver(var_list)


def test_no_variables_outside_a_graph_are_found_out_by_the_save(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no variables to save"):
        Saver([]).save(None, tmp_path / "model")


def test_allow_empty() -> None:
    with Graph().as_default():
        saver = Saver(allow_empty=True)
        assert saver.as_saver_def() is None
        saver.restore(Session(), None)
        assert nodes() == []


def test_name_is_the_scope_of_the_nodes() -> None:
    with session_with(w=1.0):
        assert Saver(name="backup").as_saver_def().restore_op_name == "backup/restore_all"
        assert Saver(name="backup").as_saver_def().restore_op_name == "backup_1/restore_all"
        assert Saver().as_saver_def().restore_op_name == "save/restore_all"


def test_as_saver_def_has_the_arguments() -> None:
    with session_with(w=1.0):
        saver = Saver(sharded=True, max_to_keep=None, keep_checkpoint_every_n_hours=2.5, write_version=SaverDef.V1)
        found = saver.as_saver_def()
    assert isinstance(found, train.SaverDef)
    assert (found.sharded, found.max_to_keep, found.keep_checkpoint_every_n_hours) == (True, 0, 2.5)
    assert (found.version, found.filename_tensor_name) == (SaverDef.V1, "save/Const:0")
    assert found is saver.saver_def


def test_filename_is_what_the_nodes_take_where_none_is_fed() -> None:
    with session_with(w=1.0) as (session, _):
        Saver(filename="elsewhere")
        graph = session.graph
        assert graph.get_operation_by_name("save/filename/input").attrs["value"] == np.array(b"elsewhere", object)


def test_an_eager_save_leaves_its_path_in_the_saver_def(tmp_path: Path) -> None:
    saver = Saver([variable("w")], max_to_keep=3)
    assert saver.as_saver_def() is None
    path = saver.save(None, tmp_path / "model")
    assert saver.as_saver_def().save_tensor_name == path
    assert saver.as_saver_def().max_to_keep == 3


def test_to_proto_and_from_proto_with_scopes() -> None:
    with session_with(w=1.0):
        saver = Saver(name="outer/save")
        assert saver.to_proto() is saver.saver_def
        assert saver.to_proto("elsewhere") is None
        inner = saver.to_proto("outer")
        assert inner.save_tensor_name == "save/control_dependency:0"
        assert Saver.from_proto(inner, "outer").as_saver_def() == saver.as_saver_def()
        assert inner.save_tensor_name == "save/control_dependency:0"  # it is the caller's
        assert Saver(defer_build=True).to_proto("outer") is None


INVALID_DEFS = {
    "no message": "save",
    "another message": message_class("tensorflow.CheckpointState")(),
    "an empty one": SaverDef(),
    "one without a restore": SaverDef(save_tensor_name="save/Identity:0"),
}


@pytest.mark.parametrize("case", INVALID_DEFS)
def test_saver_def_that_is_none(case: str) -> None:
    with session_with(w=1.0), pytest.raises(ValueError, match="saver_def must"):
        Saver(saver_def=INVALID_DEFS[case])


def test_saver_def_of_nodes_that_are_not_there(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, _):
        saver_def = SaverDef(filename_tensor_name="a:0", save_tensor_name="b:0", restore_op_name="c")
        with pytest.raises(InvalidArgumentError, match="'b'"):
            Saver(saver_def=saver_def).save(session, tmp_path / "model")


def test_saver_def_says_what_is_saved_how_and_how_long(tmp_path: Path) -> None:
    with session_with(w=1.0, b=2.0) as (session, variables):
        one = Saver({"weight": variables["w"]}, max_to_keep=1, write_version=SaverDef.V1)
        same = Saver(saver_def=one.as_saver_def())
        for step in (1, 2):
            same.save(session, f"{tmp_path}/model", global_step=step, write_meta_graph=False)
        assert stored(tmp_path / "model-2") == {"weight": 1.0}
        assert files(tmp_path) == ["checkpoint", "model-2"]
        session.run([variables["w"].assign(5.0), variables["b"].assign(6.0)])
        same.restore(session, tmp_path / "model-2")
        assert session.run([variables["w"], variables["b"]]) == [1.0, 6.0]


def test_saver_def_with_a_list_takes_the_list(tmp_path: Path) -> None:
    with session_with(w=1.0, b=2.0) as (session, variables):
        saver_def = Saver([variables["w"]]).as_saver_def()
        Saver([variables["b"]], saver_def=saver_def).save(session, tmp_path / "model")
    assert stored(tmp_path / "model") == {"b": 2.0}


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("version", [SaverDef.V1, SaverDef.V2])
@pytest.mark.parametrize("scope", [None, "scope"])
def test_a_saver_of_an_imported_graph(tmp_path: Path, sharded: bool, version: int, scope: str | None) -> None:
    with Graph().as_default() as graph:
        with graph.device("/cpu:0"):
            variable("w", 1.0)
        with graph.device("/cpu:1"):
            variable("b", [2.0, 3.0])
        saver = Saver(sharded=sharded, write_version=version)
        path = saver.save(None, tmp_path / "model")
        meta = export_meta_graph_def(graph, saver_def=saver.as_saver_def())
    with Graph().as_default() as graph:
        import_meta_graph_def(graph, meta, import_scope=scope)
        imported = Saver(saver_def=meta.saver_def, name=scope)
        session, prefix = Session(), "" if scope is None else f"{scope}/"
        imported.restore(session, path)
        assert session.run(f"{prefix}b:0").tolist() == [2.0, 3.0]
        again = imported.save(session, tmp_path / "again")
        filled: dict[str, Any] = {}
        imported.restore(filled, again)
        imported.restore(None, again)
        assert imported.save(None, tmp_path / "own") == str(path).replace("model", "own")
    assert {name: value.tolist() for name, value in filled.items()} == {"w": 1.0, "b": [2.0, 3.0]}
    assert again is not None
    assert stored(again) == stored(str(again).replace("again", "own")) == {"w": 1.0, "b": [2.0, 3.0]}
    names = [name.replace("model", "again") for name in files(tmp_path) if name.startswith("model")]
    assert names == [name for name in files(tmp_path) if name.startswith("again")]


def test_a_saver_finds_its_nodes_in_the_graph_of_another_session(tmp_path: Path) -> None:
    with Graph().as_default() as graph:
        variable("w", 1.0)
        saver = Saver()
        saver.save(None, tmp_path / "model")
        meta = export_meta_graph_def(graph, saver_def=saver.as_saver_def())
    with Graph().as_default() as other:
        import_meta_graph_def(other, meta)
        session = Session()
        saver.restore(session, tmp_path / "model")
        assert session.run("w:0") == 1.0
        saver.save(session, tmp_path / "again")
    with Graph().as_default():
        variable("x")
        with pytest.raises(InvalidArgumentError):
            saver.save(Session(), tmp_path / "none")


def test_the_tensors_of_other_objects_are_held_by_the_session(tmp_path: Path) -> None:
    with open_location(tmp_path / "model") as location:
        save_tensors(location, {"w": np.array(3, np.float32)})
    with Graph().as_default() as graph:
        w = variable("w")
        saver = Saver()
        session = Session(graph=graph)
        saver.restore(session, tmp_path / "model")
        assert session.is_initialized("w")
        assert session.read(w.op.name) == 3


def test_export_meta_graph(tmp_path: Path) -> None:
    with session_with(w=1.0):
        saver = Saver()
        path = tmp_path / "graph.meta"
        returned = saver.export_meta_graph(path, collection_list=["variables"], clear_devices=True)
        assert read_meta_graph(open_location(path)) == returned
        assert returned.saver_def == saver.as_saver_def()
        assert [*returned.collection_def] == ["variables"]
        text = saver.export_meta_graph(tmp_path / "graph.pbtxt", as_text=True, save_debug_info=True)
        assert read_meta_graph(open_location(tmp_path / "graph.pbtxt")) == text
        assert saver.export_meta_graph(strip_default_attrs=True).meta_info_def.stripped_default_attrs
        Saver(name="other")
        without = saver.export_meta_graph(clear_extraneous_savers=True)
        assert not any(node.name.startswith("other/") for node in without.graph_def.node)
    assert files(tmp_path) == ["graph.debug", "graph.meta", "graph.pbtxt"]


def test_export_meta_graph_of_a_scope() -> None:
    with Graph().as_default() as graph:
        with graph.name_scope("inner"):
            variable("w")
            saver = Saver()
        variable("b")
        meta = saver.export_meta_graph(export_scope="inner")
    assert {node.name for node in meta.graph_def.node if node.op == "VariableV2"} == {"w"}


def test_export_meta_graph_without_a_graph() -> None:
    with pytest.raises(RuntimeError, match="graph"):
        Saver([variable("w")]).export_meta_graph()


def test_no_saver_can_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Saver([variable("w")]))


def test_last_checkpoints_is_a_fresh_list(tmp_path: Path) -> None:
    saver = Saver([variable("w")])
    path = saver.save(None, tmp_path / "model")
    saver.last_checkpoints.clear()
    assert saver.last_checkpoints == [path]


def test_set_last_checkpoints(tmp_path: Path) -> None:
    saver = Saver([variable("w")], max_to_keep=2)
    saver.set_last_checkpoints(["a", "b"])
    assert saver.last_checkpoints == ["a", "b"]
    saver.set_last_checkpoints_with_time([("c", 1.0)])
    assert saver.last_checkpoints == ["c"]
    for setter in (saver.set_last_checkpoints, saver.set_last_checkpoints_with_time):
        with pytest.raises(AssertionError):
            setter(("a",))  # type: ignore[operator]  # refused


def test_recover_last_checkpoints(tmp_path: Path) -> None:
    w = variable("w")
    paths = [Saver([w]).save(None, f"{tmp_path}/model", global_step=step) for step in (1, 2, 3)]
    saver = Saver([w], max_to_keep=2)
    saver.recover_last_checkpoints([f"{tmp_path}/gone", *paths[1:]])
    assert saver.last_checkpoints == paths[1:]
    saver.save(None, f"{tmp_path}/model", global_step=4)
    assert not any(name.startswith("model-2.") for name in files(tmp_path))


def test_the_hours_of_a_deferred_saver_begin_when_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    with session_with(w=1.0) as (session, _):
        saver = Saver(defer_build=True, max_to_keep=1, keep_checkpoint_every_n_hours=1)
        now[0] += 2 * 3600
        saver.build()
        for step in (1, 2):
            saver.save(session, f"{tmp_path}/model", global_step=step, write_meta_graph=False)
    assert not any(name.startswith("model-1.") for name in files(tmp_path))


def in_thread(call: Any) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()
    thread.join()
    return result[0]


def test_a_saver_is_used_from_another_thread(tmp_path: Path) -> None:
    with session_with(w=1.0) as (session, variables):
        saver = Saver()
        path = in_thread(lambda: saver.save(session, tmp_path / "model"))
        session.run(variables["w"].assign(0.0))
        in_thread(lambda: saver.restore(session, path))
        assert session.run(variables["w"]) == 1.0
        meta = in_thread(saver.export_meta_graph)
    assert any(node.name == "w" for node in meta.graph_def.node)


def test_one_saver_in_many_threads_keeps_its_list_whole(tmp_path: Path) -> None:
    w = variable("w", 1.0)
    saver = Saver([w], max_to_keep=3)
    threads = [
        threading.Thread(target=saver.save, args=(None, f"{tmp_path}/model"), kwargs={"global_step": step})
        for step in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(saver.last_checkpoints) == 3
    found = {name.split(".")[0] for name in files(tmp_path) if name.startswith("model")}
    assert found == {path.rpartition("/")[2] for path in saver.last_checkpoints}


def test_two_savers_in_two_threads_and_one_directory(tmp_path: Path) -> None:
    savers = {name: Saver([variable(name, 1.0)], max_to_keep=2) for name in ("left", "right")}

    def run(name: str) -> None:
        for step in range(5):
            savers[name].save(None, f"{tmp_path}/{name}", global_step=step, latest_filename=f"{name}.state")

    threads = [threading.Thread(target=run, args=(name,)) for name in savers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in savers:
        assert stored(tmp_path / f"{name}-4") == {name: 1.0}
        assert {each for each in files(tmp_path) if each.startswith(name) and each.endswith("index")} == {
            f"{name}-3.index",
            f"{name}-4.index",
        }


def test_arrays_of_variables_are_not_copied(tmp_path: Path) -> None:
    import tracemalloc

    size = 16 << 20
    saver = Saver([Variable(np.ones(size // 4, np.float32), name="w")])
    tracemalloc.start()
    saver.save(None, tmp_path / "model")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size // 2
