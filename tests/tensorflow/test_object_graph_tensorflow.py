"""Graphs of our objects, compared with those of TensorFlow's objects that were built alike, and restored by it."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.errors import StructureError
from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.objects.object_graph.save import tensors_of_objects
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH
from cloudckpt.variables.graphs.default_scopes import name_scope
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.python_state import PythonState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - as programs have them


@dataclass(frozen=True)
class Kit:
    """What both sides make the same objects of."""

    Module: Any
    Variable: Any
    PythonState: Any
    name_scope: Any


OURS = Kit(Module, ckpt.Variable, PythonState, name_scope)


def theirs(tf: Any) -> Kit:
    return Kit(tf.Module, tf.Variable, tf.train.experimental.PythonState, tf.name_scope)


def our_graph(root: Any) -> bytes | None:
    """The graph's bytes; None where it can't be saved."""
    node = as_node(root)
    assert node is not None
    try:
        return tensors_of_objects(node)[OBJECT_GRAPH].item()
    except StructureError:
        return None


def their_graph(root: Any) -> bytes | None:
    from tensorflow.python.checkpoint.graph_view import ObjectGraphView

    try:
        return ObjectGraphView(root).serialize_object_graph()[1].SerializeToString()
    except (ValueError, NotImplementedError):
        return None


def described(graph: bytes | None) -> Any:
    """A graph as real TensorFlow parses it: of each object its children, attributes and slots."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    return None if graph is None else [str(node) for node in TrackableObjectGraph.FromString(graph).nodes]


def plain(kit: Kit, root: Any) -> None:
    root.z, root.a = kit.Variable([1.0, 2.0], name="weights"), kit.Variable(3, trainable=False)
    root.number, root.text, root.array, root.none = 1, "a", np.zeros(2), None
    root.inner = kit.Module()
    root.inner.again = root.z
    root.inner.up = root
    with kit.name_scope("outer/"):
        root.inner.named = kit.Variable("text", name="scope/named")


def replaced(kit: Kit, root: Any) -> None:
    root.a, root.b, root.c = kit.Variable(1.0), kit.Variable(2.0), kit.Variable(3.0)
    root.a = None
    root.b = kit.Variable(4.0, name="second")
    del root.c
    root.d = kit.Module()
    root.c = kit.Variable(5.0, name="back")


def lists(kit: Kit, root: Any) -> None:
    root.layers = [kit.Variable(1.0), 2, [kit.Module(), [3]], ()]
    root.layers.append(kit.Variable(4.0))
    root.layers += [5, {"a": kit.Variable(6.0)}]
    root.layers[1] = kit.Variable(7.0)
    root.numbers, root.empty = [3, 1, 2], []
    root.numbers.sort()
    root.numbers.pop()
    root.numbers *= 2
    root.numbers[-1] = kit.Variable(8.0)


def dicts(kit: Kit, root: Any) -> None:
    root.items = {"z": kit.Variable(1.0), "n": 1, "a": {"b": [kit.Variable(2.0)]}, 3: 4, (1, 2): "text"}
    root.items["later"] = kit.Variable(3.0)
    root.items["z"] = kit.Variable(4.0, name="second")
    root.items["a"] = 5
    root.items.update(c=kit.Module(), d=[])
    root.ordered, root.empty = OrderedDict(b=kit.Variable(1.0), a=kit.Variable(2.0)), {}


def tuples(kit: Kit, root: Any) -> None:
    variable = kit.Variable(1.0)
    root.plain, root.mixed, root.nested = (1, 2), (variable, 1, [2]), ((1,), ((variable,), 2))
    root.pair, root.untracked = Pair(variable, {"a": kit.Variable(2.0)}), Pair(1, 2)


def odd_names(kit: Kit, root: Any) -> None:
    for name in ("a/b", "a.b", "..", "OPTIMIZER_SLOT", "ü", "名", " ", "a\n", "VARIABLE_VALUE"):
        setattr(root, name, kit.Module())
        getattr(root, name).v = kit.Variable(1.0)
    root.items = {"": kit.Variable(1.0), "/": kit.Variable(2.0), ".": {"x/.y": kit.Variable(3.0)}}


def reserved_name(kit: Kit, root: Any) -> None:
    """Saved, but not even TensorFlow restores it."""
    setattr(root, ".ATTRIBUTES", kit.Module())
    getattr(root, ".ATTRIBUTES").v = kit.Variable(1.0)


def python_state(kit: Kit, root: Any) -> None:
    class State(kit.PythonState):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.unseen = [kit.Variable(1.0)]

        def serialize(self) -> str:
            return "state"

        def deserialize(self, string_value: bytes) -> None:
            raise NotImplementedError

    class Both(kit.Module, State):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            kit.Module.__init__(self)

    root.state, root.both = State(), Both()
    root.both.v = kit.Variable(1.0)
    root.states = [root.state]


class Momentum:
    """An optimizer, but for its base: it has slots as those of TensorFlow."""

    slots: Any

    def get_slot_names(self) -> list[str]:
        return ["m", "a/b.c"]

    def get_slot(self, variable: Any, name: str) -> Any:
        return next((slot for other, key, slot in self.slots if other is variable and key == name), None)


def slots(kit: Kit, root: Any) -> None:
    class Optimizer(kit.Module, Momentum):  # type: ignore[name-defined,misc]
        slots: Any = ()

    root.optimizers, root.a, root.b = [Optimizer(), Optimizer()], kit.Variable([1.0], name="a"), kit.Variable(1.0)
    gone = kit.Variable(1.0)
    root.nest = {"c": kit.Variable(2.0)}
    for number, optimizer in enumerate(root.optimizers):
        optimizer.lr = kit.Variable(0.1)
        found = tuple(
            (variable, name, kit.Variable(5.0, name=f"slot_{number}_{name[0]}"))
            for variable in (root.b, root.a, gone, root.nest["c"])
            for name in ("a/b.c", "m")
            if not (variable is root.a and name == "m")
        )
        object.__setattr__(optimizer, "slots", found)


def nothing_to_save(kit: Kit, root: Any) -> None:
    root.inner, root.items = kit.Module(), {"a": []}


def as_list_element(kit: Kit, root: Any) -> None:
    root.items = {1: [2]}


def moved(kit: Kit, root: Any) -> None:
    root.items = [kit.Variable(1.0), 2]
    root.items.reverse()


def removed(kit: Kit, root: Any) -> None:
    root.items = [1, kit.Variable(1.0)]
    del root.items[0]


def changed_elsewhere(kit: Kit, root: Any) -> None:
    given = {"a": kit.Variable(1.0)}
    root.items = given
    given["b"] = 1


def appended_elsewhere(kit: Kit, root: Any) -> None:
    given = [1]
    root.items = given
    given.append(2)


PROGRAMS: list[Callable[[Kit, Any], None]] = [
    plain,
    replaced,
    lists,
    dicts,
    tuples,
    odd_names,
    reserved_name,
    python_state,
    slots,
    nothing_to_save,
]
REFUSED: list[Callable[[Kit, Any], None]] = [as_list_element, moved, removed, changed_elsewhere, appended_elsewhere]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_graph_is_the_same_byte_for_byte(tf: Any, program: Callable[[Kit, Any], None]) -> None:
    their_root, our_root = tf.Module(), Module()
    program(theirs(tf), their_root)
    program(OURS, our_root)
    expected = their_graph(their_root)
    assert expected is not None
    assert described(our_graph(our_root)) == described(expected)
    assert our_graph(our_root) == expected


@pytest.mark.parametrize("program", REFUSED)
def test_what_tensorflow_refuses_to_save(tf: Any, program: Callable[[Kit, Any], None]) -> None:
    their_root, our_root = tf.Module(), Module()
    program(theirs(tf), their_root)
    program(OURS, our_root)
    assert their_graph(their_root) is None
    assert our_graph(our_root) is None


def test_slot_variables_that_are_elsewhere_too_are_refused(tf: Any) -> None:
    for kit, graph in ((theirs(tf), their_graph), (OURS, our_graph)):
        root = kit.Module()
        slots(kit, root)
        root.also = root.optimizers[0].slots[0][2]
        assert graph(root) is None


# Programs at random: modules and variables by number, so that they are shared and form cycles.
_NAMES = st.text("ab/._üA0", min_size=1, max_size=3).map(lambda name: f"x{name}")
_VALUES = st.recursive(
    st.one_of(
        st.tuples(st.just("variable"), st.integers(0, 3)),
        st.tuples(st.just("module"), st.integers(0, 3)),
        st.tuples(st.just("plain"), st.sampled_from([1, "text", None, 2.5])),
    ),
    lambda values: st.one_of(
        st.tuples(st.just("list"), st.lists(values, max_size=3)),
        st.tuples(st.just("tuple"), st.lists(values, max_size=3)),
        st.tuples(st.just("pair"), st.lists(values, min_size=2, max_size=2)),
        st.tuples(st.just("dict"), st.dictionaries(st.text("a/.", max_size=2), values, max_size=3)),
    ),
    max_leaves=6,
)
_STEPS = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 3), _NAMES, _VALUES),
    st.tuples(st.just("delete"), st.integers(0, 3), _NAMES, st.none()),
    st.tuples(st.just("append"), st.integers(0, 3), _NAMES, _VALUES),
    st.tuples(st.just("put"), st.integers(0, 3), _NAMES, _VALUES),
)


class Run:
    """One side's run of a program."""

    def __init__(self, kit: Kit) -> None:
        self.modules = [kit.Module(f"m{number}") for number in range(4)]
        self.variables = [kit.Variable(float(number), name=f"v{number}", trainable=number > 1) for number in range(4)]

    def value(self, described_value: tuple[str, Any]) -> Any:
        kind, what = described_value
        if kind in {"variable", "module"}:
            return {"variable": self.variables, "module": self.modules}[kind][what]
        if kind == "plain":
            return what
        if kind == "dict":
            return {key: self.value(each) for key, each in what.items()}
        values = [self.value(each) for each in what]
        return values if kind == "list" else tuple(values) if kind == "tuple" else Pair(*values)

    def step(self, kind: str, number: int, name: str, what: Any) -> None:
        module = self.modules[number]
        if kind == "set":
            setattr(module, name, self.value(what))
        elif kind == "delete" and name in vars(module):
            delattr(module, name)
        elif kind == "append" and isinstance(vars(module).get(name), list):
            getattr(module, name).append(self.value(what))
        elif kind == "put" and isinstance(vars(module).get(name), dict):
            getattr(module, name)["put"] = self.value(what)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEPS, max_size=12))
def test_random_programs_make_the_same_graphs(tf: Any, steps: list[tuple[str, int, str, Any]]) -> None:
    their_run, our_run = Run(theirs(tf)), Run(OURS)
    for step in steps:
        their_run.step(*step)
        our_run.step(*step)
    for their_root, our_root in zip(their_run.modules, our_run.modules, strict=True):
        expected = their_graph(their_root)
        assert expected is not None
        assert our_graph(our_root) == expected
        for found in ("variables", "trainable_variables", "non_trainable_variables", "submodules"):
            assert names_of(getattr(our_root, found)) == names_of(getattr(their_root, found))


def names_of(things: Any) -> list[str]:
    return [thing.name for thing in things]


@pytest.mark.parametrize("kind", ["Dense", "MyHTTPLayer2D", "RNN", "Ab_Cd", "_Own", "a", "Ä", "LSTMCellV2", "X1Y"])
def test_modules_are_named_alike(tf: Any, kind: str) -> None:
    assert type(kind, (Module,), {})().name == type(kind, (tf.Module,), {})().name


@pytest.mark.parametrize("name", ["a", "_a1", "", "a b", "1a", "ä", "a/b"])
def test_the_same_names_are_refused(tf: Any, name: str) -> None:
    outcomes = []
    for kind in (tf.Module, Module):
        try:
            outcomes.append(kind(name).name)
        except ValueError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


def test_name_scopes_are_the_same(tf: Any) -> None:
    seen = []
    for kit in (theirs(tf), OURS):
        with kit.name_scope("outer"):
            module = kit.Module("inner")
        with kit.name_scope("elsewhere"), module.name_scope as scope, module.name_scope:
            seen.append((module.name, module.name_scope.name, scope, kit.Variable(1.0, name="v").name))
    assert seen[0] == seen[1]


def save(root: Any, prefix: Path) -> str:
    node = as_node(root)
    assert node is not None
    with open_prefix(str(prefix), None) as location:
        save_tensors(location, tensors_of_objects(node))
    return str(prefix)


def read(tf: Any, path: str) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(path)
    keys = [key for key in reader.get_variable_to_shape_map() if key != OBJECT_GRAPH]
    return {key: np.asarray(reader.get_tensor(key)).tolist() for key in keys}


@pytest.mark.parametrize("program", [plain, replaced, lists, dicts, tuples, odd_names])
def test_tensorflow_restores_all_of_it(tf: Any, tmp_path: Path, program: Callable[[Kit, Any], None]) -> None:
    our_root, their_root = Module(), tf.Module()
    program(OURS, our_root)
    program(theirs(tf), their_root)
    for number, variable in enumerate(our_root.variables):
        if variable.dtype != "string":
            variable.assign(np.full(variable.shape, number + 10, variable.dtype.as_numpy_dtype))
    path = save(our_root, tmp_path / "ours")
    before = read(tf, tf.train.Checkpoint(their_root).write(str(tmp_path / "before")))
    tf.train.Checkpoint(their_root).read(path).assert_consumed().assert_existing_objects_matched()
    after = read(tf, tf.train.Checkpoint(their_root).write(str(tmp_path / "after")))
    assert read(tf, path) == after != before


def test_tensorflow_restores_what_is_made_later(tf: Any, tmp_path: Path) -> None:
    root = Module()
    root.layers = [{"w": ckpt.Variable([1.0, 2.0])}]
    path = save(root, tmp_path / "ckpt")
    their_root = tf.Module()
    status = tf.train.Checkpoint(their_root).read(path)
    their_root.layers = []
    their_root.layers.append({"w": tf.Variable([0.0, 0.0])})
    status.assert_consumed()
    assert their_root.layers[0]["w"].numpy().tolist() == [1, 2]


@pytest.mark.parametrize("text", ["text", b"\xff\x00", "", "żółw"])
def test_python_state_is_handed_over(tf: Any, tmp_path: Path, text: str | bytes) -> None:
    class Ours(PythonState):
        def serialize(self) -> str | bytes:
            return text

        def deserialize(self, string_value: bytes) -> None:
            raise NotImplementedError

    class Theirs(tf.train.experimental.PythonState):
        got: bytes | None = None

        def serialize(self) -> str:
            return ""

        def deserialize(self, string_value: bytes) -> None:
            self.got = string_value

    root, their_root = Module(), tf.Module()
    root.state, their_root.state = Ours(), Theirs()
    tf.train.Checkpoint(their_root).read(save(root, tmp_path / "ckpt")).assert_consumed()
    assert their_root.state.got == (text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    "dtype",
    [
        *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32"),
        *("float64", "complex64", "complex128", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4),
    ],
)
def test_every_dtype(tf: Any, tmp_path: Path, dtype: Any) -> None:
    value = np.array([[1, 0, 2], [0, 1, 1]]).astype(dtype)
    root, their_root = Module(), tf.Module()
    root.v, their_root.v = ckpt.Variable(value), tf.Variable(np.zeros_like(value))
    tf.train.Checkpoint(their_root).read(save(root, tmp_path / "ckpt")).assert_consumed()
    assert their_root.v.numpy().tolist() == value.tolist()


def test_the_data_file_is_the_same(tf: Any, tmp_path: Path) -> None:
    """A `tf.train.Checkpoint` adds itself to a root; without one, it is the root."""
    theirs_written, ours_written = tmp_path / "theirs", tmp_path / "ours"
    parts = {"a": [1.0, 2.0], "b": 3, "z": True}
    tf.train.Checkpoint(**{name: tf.Variable(value) for name, value in parts.items()}).write(str(theirs_written))
    root = Module()
    for name, value in parts.items():
        setattr(root, name, ckpt.Variable(value))
    node = as_node(root)
    assert node is not None
    tensors = tensors_of_objects(node)
    with open_prefix(str(ours_written), None) as location:
        save_tensors(location, tensors, alignment=1)
    data = [path.with_name(f"{path.name}.data-00000-of-00001").read_bytes() for path in (theirs_written, ours_written)]
    assert data[0] == data[1]
