"""`export_meta_graph` and `import_meta_graph`: every argument, and every error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, InvalidArgumentError
from cloudckpt.train import Saver, SaverDef, export_meta_graph, import_meta_graph
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from tests.saver.graphs import stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MetaGraphDef = message_class("tensorflow.MetaGraphDef")


@pytest.fixture
def graph() -> Iterator[Graph]:
    """The default graph: a variable on a device and a saver that is in the collection of savers."""
    with Graph().as_default() as graph:
        with graph.device("/cpu:1"):
            Variable(np.array([1.0, 2.0], np.float32), name="w")
        graph.add_to_collection("savers", Saver())
        yield graph


def names(meta: Any) -> list[str]:
    return [node.name for node in meta.graph_def.node]


def test_it_is_returned_and_written(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.meta"
    meta = export_meta_graph(path)
    assert MetaGraphDef.FromString(path.read_bytes()) == meta
    assert names(meta)[:4] == ["w/initial_value", "w", "w/Assign", "w/read"]
    assert sorted(meta.collection_def) == ["savers", "trainable_variables", "variables"]
    assert not meta.HasField("saver_def")


def test_as_text(graph: Graph, tmp_path: Path) -> None:
    export_meta_graph(str(tmp_path / "model.meta"), as_text=True)
    assert 'name: "w/initial_value"' in (tmp_path / "model.meta").read_text()
    with Graph().as_default():
        import_meta_graph(str(tmp_path / "model.meta"))


def test_save_debug_info(graph: Graph, tmp_path: Path) -> None:
    export_meta_graph(tmp_path / "model.meta", save_debug_info=True)
    info = message_class("tensorflow.GraphDebugInfo").FromString((tmp_path / "model.debug").read_bytes())
    assert "w@" in info.name_to_trace_id


def test_save_debug_info_of_a_scope(tmp_path: Path) -> None:
    with Graph().as_default() as graph, graph.name_scope("s"):
        Variable(1.0, name="w")
        export_meta_graph(tmp_path / "model.meta", export_scope="s", save_debug_info=True)
    info = message_class("tensorflow.GraphDebugInfo").FromString((tmp_path / "model.debug").read_bytes())
    assert "s/w@" in info.name_to_trace_id


def test_debug_info_of_nodes_that_are_in_a_scope_by_their_first_letters_or_in_another_graph(tmp_path: Path) -> None:
    with Graph().as_default() as graph:
        Variable(1.0, name="s2")
        export_meta_graph(tmp_path / "scope.meta", export_scope="s", save_debug_info=True)
        own = message_class("tensorflow.GraphDef")()
        own.node.add(name="elsewhere", op="NoOp")
        export_meta_graph(tmp_path / "own.meta", graph_def=own, graph=graph, save_debug_info=True)
    info = message_class("tensorflow.GraphDebugInfo")
    assert "s2@" in info.FromString((tmp_path / "scope.debug").read_bytes()).name_to_trace_id
    assert not info.FromString((tmp_path / "own.debug").read_bytes()).name_to_trace_id


def test_saver_def_and_meta_info_def(graph: Graph) -> None:
    info = MetaGraphDef.MetaInfoDef(tags=["serve"])
    meta = export_meta_graph(saver_def=SaverDef(save_tensor_name="x"), meta_info_def=info)
    assert meta.saver_def.save_tensor_name == "x"
    assert list(meta.meta_info_def.tags) == ["serve"]


def test_graph_def_and_graph(graph: Graph) -> None:
    own = message_class("tensorflow.GraphDef")()
    own.node.add(name="own", op="NoOp")
    assert names(export_meta_graph(graph_def=own)) == ["own"]
    assert names(export_meta_graph(graph=Graph())) == []


def test_collection_list(graph: Graph) -> None:
    assert list(export_meta_graph(collection_list=["variables", "nothing"]).collection_def) == ["variables"]
    assert list(export_meta_graph(collection_list=[]).collection_def) == []


def test_clear_devices(graph: Graph) -> None:
    assert {node.device for node in export_meta_graph(clear_devices=True).graph_def.node} == {""}


def test_clear_extraneous_savers(graph: Graph) -> None:
    saver = Saver()
    meta = export_meta_graph(clear_extraneous_savers=True, saver_def=saver.saver_def)
    assert {name.partition("/")[0] for name in names(meta)} == {"w", "save_1"}


def test_strip_default_attrs(graph: Graph) -> None:
    meta = export_meta_graph(strip_default_attrs=True)
    assert meta.meta_info_def.stripped_default_attrs
    assert "shared_name" not in next(node for node in meta.graph_def.node if node.name == "w").attr


@pytest.mark.parametrize("argument", ["meta_info_def", "graph_def", "saver_def", "graph"])
def test_an_argument_of_another_type_is_refused(graph: Graph, argument: str) -> None:
    with pytest.raises(TypeError, match=argument):
        export_meta_graph(**{argument: 3})


def test_there_is_no_graph_while_executing_eagerly(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="executing eagerly"):
        export_meta_graph()
    with pytest.raises(RuntimeError, match="executing eagerly"):
        import_meta_graph(tmp_path / "any.meta")


def test_a_graph_may_be_given_while_executing_eagerly() -> None:
    with Graph().as_default() as graph:
        Variable(1.0, name="w")
    other = Graph()
    saver = import_meta_graph(export_meta_graph(graph=graph), graph=other)
    assert saver is not None
    assert other.get_operation_by_name("w").type == "VariableV2"


def test_a_saver_of_the_saver_def_restores_and_saves(graph: Graph, tmp_path: Path) -> None:
    saver = graph.get_collection("savers")[0]
    path = saver.save(None, str(tmp_path / "model"))

    with Graph().as_default() as other, Session() as session:
        again = import_meta_graph(f"{path}.meta")
        assert again is not None
        assert again.as_saver_def() == saver.as_saver_def()
        again.restore(session, path)
        assert session.run("w:0").tolist() == [1.0, 2.0]
        assert other.get_collection("savers")[0].as_saver_def() == saver.as_saver_def()
        assert again.save(session, str(tmp_path / "again")) == str(tmp_path / "again")


def test_all_is_saved_that_several_nodes_save_though_the_saver_def_does_not_say_sharded(tmp_path: Path) -> None:
    """TensorFlow 2.0 to 2.2 have the object graph in a shard of its own, and a SaverDef that says nothing of it."""
    with Graph().as_default() as graph:
        for number in range(2):
            with graph.device(f"/cpu:{number}"):
                Variable(np.float32(number), name=f"w{number}")
        meta = Saver(sharded=True).export_meta_graph()
    meta.saver_def.sharded = False

    with Graph().as_default(), Session() as session:
        saver = import_meta_graph(meta)
        assert saver is not None
        for number in range(2):
            session.run(f"w{number}/Assign")
        path = saver.save(session, str(tmp_path / "model"))
    assert stored(str(path)) == {"w0": 0.0, "w1": 1.0}


def test_import_scope(graph: Graph, tmp_path: Path) -> None:
    saver = graph.get_collection("savers")[0]
    path = saver.save(None, str(tmp_path / "model"))
    with Graph().as_default() as other, Session() as session:
        for scope in ("imp", "imp_1"):
            again = import_meta_graph(f"{path}.meta", import_scope="imp")
            assert again is not None
            assert again.saver_def.save_tensor_name == f"{scope}/save/control_dependency:0"
            again.restore(session, path)
            assert session.run(f"{scope}/w:0").tolist() == [1.0, 2.0]
        savers = [each.saver_def.restore_op_name for each in other.get_collection("savers")]
        assert savers == ["imp/save/restore_all", "imp_1/save/restore_all"]


def test_clear_devices_of_what_is_imported(graph: Graph) -> None:
    with Graph().as_default() as other:
        saver_def = graph.get_collection("savers")[0].saver_def
        import_meta_graph(export_meta_graph(graph=graph, saver_def=saver_def), clear_devices=True)
    assert {operation.device for operation in other.get_operations()} == {""}


def test_input_map_return_elements_and_collections(graph: Graph) -> None:
    meta = export_meta_graph(graph=graph)
    with Graph().as_default() as other:
        start = other.add_operation("Const", "start")
        import_meta_graph(
            meta,
            input_map={"w/initial_value": start.outputs[0]},
            return_elements=["w/Assign"],
            restore_collections_predicate=lambda key: key == "variables",
        )
        with pytest.raises(InvalidArgumentError, match="return_elements"):
            import_meta_graph(meta, return_elements=["gone"])
    assert other.get_operation_by_name("w/Assign").inputs == ("w", "start")
    assert other.get_collection("trainable_variables") == []


def test_without_a_saver_def_there_is_a_saver_of_all_variables(graph: Graph) -> None:
    with Graph().as_default():
        saver = import_meta_graph(export_meta_graph(graph=graph))
        assert saver is not None
        # The scope "save" is not in use by any node of that name, but its nodes' names are.
        assert saver.saver_def.save_tensor_name == "save/control_dependency_1:0"


def test_without_variables_there_is_none() -> None:
    with Graph().as_default():
        assert import_meta_graph(MetaGraphDef()) is None


def test_a_message_of_another_class_is_taken_and_left_alone(graph: Graph) -> None:
    meta = export_meta_graph(graph=graph)
    before = meta.SerializeToString(deterministic=True)
    with Graph().as_default():
        import_meta_graph(meta, import_scope="imp", clear_devices=True)
    assert meta.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("source", [None, 3, SaverDef(), ["a.meta"]], ids=str)
def test_what_is_no_path_and_no_meta_graph_is_refused(graph: Graph, source: Any) -> None:
    with pytest.raises(TypeError, match="MetaGraphDef"):
        import_meta_graph(source)


def test_a_graph_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="graph must be a Graph, got a int"):
        import_meta_graph(MetaGraphDef(), graph=3)  # type: ignore[arg-type]


def test_a_file_that_is_not_there(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"gone\.meta does not exist"):
        import_meta_graph(tmp_path / "gone.meta")


def test_a_file_that_is_none(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "bad.meta").write_bytes(b"\xff\xff\xff")
    with pytest.raises(CheckpointDamagedError, match=r"bad\.meta is no MetaGraphDef"):
        import_meta_graph(tmp_path / "bad.meta")


def test_unknown_arguments_are_refused(graph: Graph) -> None:
    with pytest.raises(TypeError, match="unknown"):
        import_meta_graph(MetaGraphDef(), unknown=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown"):
        export_meta_graph(unknown=1)  # type: ignore[call-arg]


def test_storage_options_and_urls(graph: Graph) -> None:
    export_meta_graph("memory://meta_graph/model.meta", storage_options={"max_concurrency": 1})
    with Graph().as_default() as other:
        import_meta_graph("memory://meta_graph/model.meta", storage_options={"max_concurrency": 1})
    assert other.get_operation_by_name("w")
