"""Our saver and real TensorFlow's: each restores what the other saves, and the files are the same to the byte."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.saver.import_meta_graph import import_meta_graph
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.partitions.partitioners import fixed_size_partitioner
from cloudckpt.variables.scopes.get_variable import get_variable
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from tests.golden.cases import FIXED_SIZE, V1_SAVED_BY_TENSORFLOW, tensors
from tests.saver.graphs import files

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {
    "b": np.arange(3, dtype=np.float32),
    "scope/w": np.arange(6, dtype=np.float64).reshape(2, 3),
    "step": np.array(7, np.int64),
    "text": np.array([b"one", b"", b"three"], object),
}
DEVICES = {"b": "", "scope/w": "/cpu:0", "step": "/job:localhost/task:0", "text": "/cpu:0"}
VERSIONS = [SaverDef.V1, SaverDef.V2]


def of_every_dtype(version: int) -> dict[str, np.ndarray]:
    """A vector of each dtype that real TensorFlow saves in this format, and strings."""
    data_types = (
        FIXED_SIZE if version == SaverDef.V2 else [each for each in V1_SAVED_BY_TENSORFLOW if each != DataType.STRING]
    )
    names = {f"{data_type.name.lower()}/vector": data_type.name.lower() for data_type in data_types}
    arrays = {short: array for name, array in tensors("dtypes").items() if (short := names.get(name))}
    return arrays | {"string": VALUES["text"]}


def tensorflow_graph(tf: Any, values: dict[str, Any], *, use_resource: bool = False, devices: bool = False) -> Any:
    """TensorFlow's graph of the same variables, and a session in which they have their values."""
    v1, graph = tf.compat.v1, tf.Graph()
    with graph.as_default():
        made = {}
        for name, value in values.items():
            with graph.device(DEVICES[name] if devices else ""):
                initial = tf.constant(value.tolist() if value.dtype == object else value)
                made[name] = v1.Variable(initial, name=name, use_resource=use_resource)
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    return graph, session, made


def our_graph(values: dict[str, Any], *, devices: bool = False) -> tuple[Graph, Session, dict[str, Variable]]:
    graph = Graph()
    with graph.as_default():
        made = {}
        for name, value in values.items():
            with graph.device(DEVICES[name] if devices else ""):
                made[name] = Variable(value, name=name)
        session = Session(graph=graph)
        session.run([each.initializer for each in made.values()])
    return graph, session, made


def assert_values(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        array = np.asarray(found[name])
        assert array.tobytes() == value.tobytes() if value.dtype != object else array.tolist() == value.tolist(), name
        assert array.shape == value.shape, name


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("use_resource", [False, True])
def test_tensorflow_restores_what_we_save(
    tf: Any, tmp_path: Path, version: int, sharded: bool, use_resource: bool
) -> None:
    graph, session, _ = our_graph(VALUES, devices=True)
    with graph.as_default():
        path = Saver(sharded=sharded, write_version=version).save(session, f"{tmp_path}/model", global_step=1)
    zeros = {name: np.zeros_like(value) if value.dtype != object else value[::-1] for name, value in VALUES.items()}
    graph, session, made = tensorflow_graph(tf, zeros, use_resource=use_resource)
    with graph.as_default(), session:
        assert tf.train.latest_checkpoint(str(tmp_path)) == path
        tf.compat.v1.train.Saver().restore(session, path)
        assert_values(session.run(made), VALUES)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_tensorflow_goes_on_from_our_meta_graph(tf: Any, tmp_path: Path, version: int, sharded: bool) -> None:
    graph, session, _ = our_graph(VALUES, devices=True)
    with graph.as_default():
        path = Saver(sharded=sharded, write_version=version).save(session, f"{tmp_path}/model")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.import_meta_graph(f"{tmp_path}/model.meta")
        saver.restore(session, path)
        assert_values({name: session.run(f"{name}:0") for name in VALUES}, VALUES)
        again = saver.save(session, f"{tmp_path}/again")
    filled: dict[str, Any] = {}
    Saver({name: Variable(value, name=name) for name, value in VALUES.items()}).restore(filled, again)
    assert_values(filled, VALUES)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("use_resource", [False, True])
def test_we_restore_what_tensorflow_saves(
    tf: Any, tmp_path: Path, version: int, sharded: bool, use_resource: bool
) -> None:
    graph, session, _ = tensorflow_graph(tf, VALUES, use_resource=use_resource, devices=True)
    with graph.as_default(), session:
        saver = tf.compat.v1.train.Saver(sharded=sharded, write_version=version)
        path = saver.save(session, f"{tmp_path}/model")
    graph, _, made = our_graph(VALUES)
    with graph.as_default():
        empty = Session()
        Saver(sharded=not sharded).restore(empty, path)
        assert_values(empty.run(made), VALUES)
    with Graph().as_default():
        imported = import_meta_graph(f"{tmp_path}/model.meta")
        assert imported is not None
        empty = Session()
        imported.restore(empty, path)
        again = imported.save(empty, f"{tmp_path}/again")
        assert (again or "").startswith(f"{tmp_path}/again")
    names = [name.replace("model", "again") for name in files(tmp_path) if name.startswith("model")]
    assert names == [name for name in files(tmp_path) if name.startswith("again")]
    for name in names:
        if not name.endswith("meta"):
            assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("again", "model")).read_bytes(), name


@pytest.mark.parametrize("version", VERSIONS)
def test_every_dtype_that_we_save_is_restored_by_tensorflow(tf: Any, tmp_path: Path, version: int) -> None:
    values = of_every_dtype(version)
    assert len(values) > 15
    variables = [Variable(value, name=name) for name, value in values.items()]
    path = Saver(variables, write_version=version).save(None, f"{tmp_path}/model")
    names, enums = [*values], [int(each.dtype.as_datatype_enum) for each in variables]
    found = tf.raw_ops.RestoreV2(
        prefix=path,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        dtypes=[tf.as_dtype(enum) for enum in enums],
    )
    for name, tensor, variable in zip(names, found, variables, strict=True):
        assert tensor.dtype.as_datatype_enum == variable.dtype.as_datatype_enum
        array = tensor.numpy()
        expected = values[name]
        assert array.tolist() == expected.tolist() if array.dtype == object else array.tobytes() == expected.tobytes()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_dtype_that_tensorflow_saves_is_restored_by_us(tf: Any, tmp_path: Path, version: int) -> None:
    values = of_every_dtype(version)
    variables = {name: Variable(value, name=name) for name, value in values.items()}
    dtypes = [tf.as_dtype(int(each.dtype.as_datatype_enum)) for each in variables.values()]
    arrays = [
        tf.constant(value.tolist() if value.dtype == object else value, dtype)
        for value, dtype in zip(values.values(), dtypes, strict=True)
    ]
    if version == SaverDef.V2:
        tf.raw_ops.SaveV2(
            prefix=f"{tmp_path}/model", tensor_names=[*values], shape_and_slices=[""] * len(values), tensors=arrays
        )
    else:
        tf.raw_ops.Save(filename=f"{tmp_path}/model", tensor_names=[*values], data=arrays)
    saver, filled = Saver(variables), {}
    saver.restore(None, f"{tmp_path}/model")
    saver.restore(filled, f"{tmp_path}/model")
    assert_values({name: variable.numpy() for name, variable in variables.items()}, values)
    assert_values(filled, values)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_files_are_tensorflows_to_the_byte(tf: Any, tmp_path: Path, version: int, sharded: bool) -> None:
    for folder in ("theirs", "ours"):
        (tmp_path / folder).mkdir()
    graph, session, _ = tensorflow_graph(tf, VALUES, devices=True)
    with graph.as_default(), session:
        saver = tf.compat.v1.train.Saver(sharded=sharded, write_version=version)
        saver.save(session, f"{tmp_path}/theirs/model", global_step=3, write_meta_graph=False)
    graph, ours, _ = our_graph(VALUES, devices=True)
    with graph.as_default():
        saver = Saver(sharded=sharded, write_version=version)
        saver.save(ours, f"{tmp_path}/ours/model", global_step=3, write_meta_graph=False)
    assert files(tmp_path / "ours") == files(tmp_path / "theirs")
    for name in files(tmp_path / "ours"):
        ours_, theirs = ((tmp_path / folder / name).read_bytes() for folder in ("ours", "theirs"))
        assert ours_.replace(b"/ours/", b"/theirs/") == theirs, name


PARTITIONED = np.arange(35, dtype=np.float32).reshape(7, 5)


def save_partitioned_with_tensorflow(tf: Any, path: str, version: int) -> str:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("w", [7, 5], partitioner=v1.fixed_size_partitioner(3), use_resource=False)
        row = 0
        for part in w:
            size = part.shape[0]
            session.run(part.assign(PARTITIONED[row : row + size]))
            row += size
        saved: str = v1.train.Saver(write_version=version).save(session, path, write_meta_graph=False)
        return saved


def our_partitioned() -> tuple[Graph, list[Variable]]:
    graph = Graph()
    with graph.as_default():
        return graph, [*get_variable("w", [7, 5], partitioner=fixed_size_partitioner(3))]


@pytest.mark.parametrize("version", VERSIONS)
def test_partitioned_variables_to_the_byte_and_back(tf: Any, tmp_path: Path, version: int) -> None:
    path = save_partitioned_with_tensorflow(tf, f"{tmp_path}/theirs", version)
    graph, parts = our_partitioned()
    with graph.as_default():
        saver, session = Saver(write_version=version), Session()
        saver.restore(session, path)
        np.testing.assert_array_equal(np.concatenate(session.run(parts)), PARTITIONED)
        saver.save(session, f"{tmp_path}/ours", write_meta_graph=False)
    names = [name for name in files(tmp_path) if name.startswith("ours")]
    assert names
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("ours", "theirs")).read_bytes(), name
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as theirs:
        cut = v1.get_variable("w", [7, 5], partitioner=v1.fixed_size_partitioner(2, axis=1), use_resource=False)
        v1.train.Saver().restore(theirs, f"{tmp_path}/ours")
        np.testing.assert_array_equal(np.concatenate(theirs.run([*cut]), axis=1), PARTITIONED)


def test_the_keys_of_a_table_are_held_by_the_session(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, -1.0, name="table")
        v1.Variable(3.0, name="w", use_resource=False)
        session.run([v1.global_variables_initializer(), table.insert(tf.constant([1, 2], tf.int64), [0.5, 0.25])])
        v1.train.Saver().save(session, f"{tmp_path}/model")
    with Graph().as_default():
        saver = import_meta_graph(f"{tmp_path}/model.meta")
        assert saver is not None
        session = Session()
        saver.restore(session, f"{tmp_path}/model")
        assert session.run("w:0") == 3.0
        saver.save(session, f"{tmp_path}/again")
    for name in ("data-00000-of-00001", "index"):
        assert (tmp_path / f"again.{name}").read_bytes() == (tmp_path / f"model.{name}").read_bytes()


METHODS = ["__init__", "save", "restore", "export_meta_graph", "to_proto", "from_proto", "as_saver_def", "build"]
METHODS += ["recover_last_checkpoints", "set_last_checkpoints", "set_last_checkpoints_with_time"]


@pytest.mark.parametrize("name", METHODS)
def test_the_arguments_are_tensorflows_in_their_order_with_their_defaults(tf: Any, name: str) -> None:
    def arguments(saver: Any) -> list[tuple[str, Any]]:
        parameters = inspect.signature(getattr(saver, name)).parameters.values()
        return [(each.name, each.default) for each in parameters if each.kind == each.POSITIONAL_OR_KEYWORD]

    assert arguments(Saver) == arguments(tf.compat.v1.train.Saver)


def test_a_saver_def_of_tensorflows_own_class(tf: Any, tmp_path: Path) -> None:
    graph, session, made = our_graph(VALUES)
    with graph.as_default():
        ours = Saver({"renamed": made["b"]}, max_to_keep=2).as_saver_def()
        theirs = tf.compat.v1.train.SaverDef.FromString(ours.SerializeToString())
        saver = Saver(saver_def=theirs)
        assert saver.as_saver_def() == ours
        saver.save(session, f"{tmp_path}/model")
    assert tf.train.list_variables(f"{tmp_path}/model") == [("renamed", [3])]


def test_checkpoints_by_object_are_restored_by_name(tf: Any, tmp_path: Path) -> None:
    kept = tf.Variable([1.0, 2.0], name="kept")
    path = tf.train.Checkpoint(model=tf.train.Checkpoint(kept=kept)).save(f"{tmp_path}/ckpt")
    variable = Variable(np.zeros(2, np.float32), name="kept")
    Saver([variable]).restore(None, path)
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_our_saver_takes_tensorflows_eager_variables(tf: Any, tmp_path: Path) -> None:
    theirs = tf.Variable([1.0, 2.0], name="theirs")
    saver = Saver([theirs])
    saver.save(None, f"{tmp_path}/model")
    theirs.assign([0.0, 0.0])
    saver.restore(None, f"{tmp_path}/model")
    assert theirs.numpy().tolist() == [1.0, 2.0]
    theirs.assign([0.0, 0.0])
    tf.compat.v1.train.Saver([theirs]).restore(None, f"{tmp_path}/model")
    assert theirs.numpy().tolist() == [1.0, 2.0]
