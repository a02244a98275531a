"""Sessions, and variables without graphs, over real TensorFlow and over ours: the same values, and the same errors."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import cloudckpt.compat.v1 as ours
from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Pair(NamedTuple):
    """Two fetches."""

    first: Any
    second: Any


@pytest.fixture
def theirs(tf: Any) -> Iterator[Any]:
    """TensorFlow as its first version was: with reference variables in graphs."""
    tf.compat.v1.disable_resource_variables()
    yield tf.compat.v1
    tf.compat.v1.enable_resource_variables()


def outcome(program: Callable[[Any], object], tf: Any) -> object:
    """What a program gives, or the builtin class of error that stops it."""
    try:
        return plain(program(tf))
    except InvalidArgumentError:
        return "refused when it ran"
    except Exception as error:  # noqa: BLE001 - whichever it is, it is compared
        if any(kind.__name__ == "OpError" for kind in type(error).__mro__):
            return "refused when it ran"
        return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")


def plain(value: Any) -> object:
    """Arrays by dtype, shape and elements, in the structures that hold them."""
    if isinstance(value, dict):
        return type(value).__name__, [(key, plain(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return type(value).__name__, value.dtype.str, value.shape, value.tolist()
    return value


def session_with(value: Any, ask: Callable[[Any, Any, Any], object], **arguments: Any) -> Callable[[Any], object]:
    """A program that asks a session in which a variable is initialized."""

    def program(tf: Any) -> object:
        variable = tf.Variable(value, name="w", **arguments)
        session = tf.Session()
        session.run(variable.initializer)
        return ask(tf, variable, session)

    return program


def without_initializer(ask: Callable[[Any, Any, Any], object]) -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        variable = tf.Variable([1.0, 2.0], name="w")
        return ask(tf, variable, tf.Session())

    return program


def closed(ask: Callable[[Any, Any, Any], object]) -> Callable[[Any], object]:
    def program(tf: Any, variable: Any, session: Any) -> object:
        session.close()
        session.close()
        return ask(tf, variable, session)

    return session_with(1.0, program)


def as_default(tf: Any, variable: Any, session: Any) -> object:
    seen = [tf.get_default_session() is session]
    with session.as_default():
        seen += [tf.get_default_session() is session, variable.eval(), variable.value().eval()]
        variable.assign_add([1.0, 1.0]).op.run()
        variable.load([7.0, 8.0], session)
    seen += [tf.get_default_session() is None, session.run(variable)]
    with tf.Graph().as_default(), session as entered:
        seen += [entered is session, tf.get_default_graph() is variable.graph, variable.eval()]
    return [*seen, tf.get_default_session() is None]


def interactive(tf: Any) -> object:
    variable = tf.Variable([1.0], name="w")
    session = tf.InteractiveSession()
    try:
        variable.initializer.run()
        return [variable.eval(), tf.get_default_session() is session]
    finally:
        session.close()


def two_sessions(tf: Any) -> object:
    variable = tf.Variable(1, name="w")
    first, second = tf.Session(), tf.Session()
    first.run(variable.initializer)
    second.run(variable.initializer)
    first.run(variable.assign(5))
    return [first.run(variable), second.run(variable)]


def uninitialized(tf: Any) -> object:
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b", collections=[tf.GraphKeys.LOCAL_VARIABLES])
    session = tf.Session()
    report, answer = tf.report_uninitialized_variables(), tf.is_variable_initialized(a)
    seen = [session.run(report), session.run(answer)]
    session.run(a.initializer)
    seen += [session.run([report, {"a": answer}]), session.run(tf.report_uninitialized_variables([b, a]))]
    session.run(tf.local_variables_initializer())
    return [*seen, session.run(report).tolist()]


def in_order(tf: Any) -> object:
    variable = tf.Variable([1.0], name="w")
    with tf.control_dependencies([variable.assign([5.0])]):
        after = variable.assign_add([1.0])
    session = tf.Session()
    return [session.run(after), session.run(variable)]


def fed_placeholder(value: object) -> Callable[[Any], object]:
    def program(tf: Any) -> object:
        variable = tf.Variable([1.0, 2.0], name="w")
        fed = tf.placeholder(tf.float32, (2,), name="p")
        assign = variable.assign(fed)
        session = tf.Session()
        return [session.run(assign, {fed: value}), session.run(fed, {"p:0": value}), session.run(variable)]

    return program


RUNS = {
    "a variable": session_with([1.0, 2.0], lambda _, w, session: session.run(w)),
    "a scalar": session_with(3, lambda _, w, session: session.run(w)),
    "texts": session_with(["a\0", "\u00e9"], lambda _, w, session: session.run(w)),
    "a text": session_with("a", lambda _, w, session: session.run(w)),
    "a large value": session_with(np.zeros((100, 100)), lambda _, w, session: session.run(w)),
    "names": session_with(
        [1.0], lambda _, _w, session: session.run(["w:0", "w/read:0", "w/Assign", "w/initial_value:0"])
    ),
    "structures": session_with(
        1.0,
        lambda _, w, session: session.run(
            {"list": [w, (w, w.op)], "pair": Pair(w, [w]), "ordered": OrderedDict(b=w, a=w), "empty": []}
        ),
    ),
    "nothing": session_with(1.0, lambda _, _w, session: session.run([])),
    "what it reads is the caller's": session_with(
        [1.0], lambda _, w, session: (session.run(w).fill(3), session.run(w))
    ),
    "the initializers": session_with(1, lambda tf, _w, session: session.run(tf.global_variables_initializer())),
    "assigning": session_with([1.0], lambda _, w, session: [session.run(w.assign([2.0])), session.run(w)]),
    "adding": session_with([1, 2], lambda _, w, session: [session.run(w.assign_add([1, 1])), session.run(w)]),
    "subtracting": session_with([1, 2], lambda _, w, session: [session.run(w.assign_sub([1, 1])), session.run(w)]),
    "assigning to itself": session_with([1.0], lambda _, w, session: session.run(w.assign_add(w))),
    "assigning without a value": session_with(1, lambda _, w, s: [s.run(w.assign(2, read_value=False)), s.run(w)]),
    "small integers wrap": session_with(np.uint8(250), lambda _, w, session: session.run(w.assign_add(np.uint8(10)))),
    "adding another shape": session_with(
        [1.0], lambda _, w, session: session.run(w.assign_add([2.0, 3.0])), validate_shape=False
    ),
    "groups": session_with(
        1.0, lambda tf, w, session: [session.run(tf.group(w.assign(2.0), tf.no_op())), session.run(w)]
    ),
    "control dependencies": in_order,
    "feeding a variable": session_with(1.0, lambda _, w, session: [float(session.run(w, {w: 5.0})), session.run(w)]),
    "feeding by name": session_with(1.0, lambda _, w, session: float(session.run(w, {"w:0": 5.0}))),
    "feeding an initial value": session_with(
        1.0, lambda _, w, session: [session.run(w.initializer, {w.initial_value: 9.0}), session.run(w)]
    ),
    "feeding a large initial value": session_with(
        np.zeros(5000), lambda _, w, s: [s.run(w.initializer, {"w/initial_value:0": np.ones(5000)}), s.run(w).sum()]
    ),
    "feeding another shape": session_with(1.0, lambda _, w, s: s.run(w.initializer, {w.initial_value: [9.0]})),
    "feeding what is not there": session_with(1.0, lambda _, w, session: session.run(w, {"x:0": 5.0})),
    "feeding a placeholder": fed_placeholder([5, 6]),
    "feeding a placeholder another shape": fed_placeholder([5, 6, 7]),
    "not feeding a placeholder": lambda tf: tf.Session().run(tf.placeholder(tf.float32, name="p")),
    "a variable that is not initialized": without_initializer(lambda _, w, session: session.run(w)),
    "its copy": without_initializer(lambda _, _w, session: session.run("w/read:0")),
    "adding to it": without_initializer(lambda _, w, session: session.run(w.assign_add([1.0, 1.0]))),
    "what is not initialized": uninitialized,
    "a number": session_with(1.0, lambda _, _w, session: session.run(3)),
    "None": session_with(1.0, lambda _, _w, session: session.run([None])),
    "an unknown tensor": session_with(1.0, lambda _, _w, session: session.run("x:0")),
    "an unknown operation": session_with(1.0, lambda _, _w, session: session.run("x")),
    "an empty graph": lambda tf: tf.Session().run("x:0"),
    "a closed session": closed(lambda _, w, session: session.run(w)),
    "the default session": session_with([1.0, 2.0], as_default),
    "the default session with another graph": session_with(1.0, lambda tf, w, _: w.eval(tf.Session(graph=tf.Graph()))),
    "an interactive session": interactive,
    "loading another shape": session_with(1.0, lambda _, w, session: w.load([1.0], session)),
    "two sessions": two_sessions,
}


@pytest.mark.parametrize("name", RUNS)
def test_sessions_run_as_tensorflows(name: str, theirs: Any) -> None:
    with theirs.Graph().as_default():
        expected = outcome(RUNS[name], theirs)
    with ours.Graph().as_default():
        assert outcome(RUNS[name], ours) == expected


def eager(value: Any, *asks: Callable[[Any], object], **arguments: Any) -> Callable[[Any], object]:
    """A program that asks a variable that is in no graph."""

    def program(tf: Any) -> object:
        variable = tf.Variable(value, name="v", **arguments)
        return [outcome(lambda _, ask=ask: ask(variable), tf) for ask in asks] + [variable.numpy()]

    return program


def eager_scopes(tf: Any) -> object:
    with tf.name_scope("s"), tf.name_scope("t") as inner:
        named = [tf.Variable(1.0, name="w").name, tf.Variable(1.0, name="w").name, inner]
        with tf.name_scope("/"):
            pass
        with tf.name_scope("") as none:
            named += [tf.Variable(1.0).name, none]
    return [*named, tf.Variable(1.0).name]


def outside_of_graphs(tf: Any) -> object:
    return [
        tf.global_variables(),
        tf.trainable_variables(),
        tf.local_variables(),
        tf.global_variables_initializer(),
        tf.variables_initializer([tf.Variable(1.0)]),
        tf.group(),
        tf.no_op(),
        tf.executing_eagerly(),
    ]


EAGER = {
    "name, shape and dtype": eager([1.0], lambda v: (v.name, tuple(v.shape), v.dtype.name, v.trainable)),
    "names are not made unique": lambda tf: [tf.Variable(1.0, name="v").name for _ in range(2)],
    "scopes": eager_scopes,
    "assigning": eager([1.0, 2.0], lambda v: v.assign([3, 4]).numpy(), lambda v: v.assign(np.zeros(2)).numpy()),
    "assigning in turn": eager([1.0], lambda v: v.assign([2.0]).assign_add([1.0]).assign_sub([4.0]).numpy()),
    "assigning another shape": eager([1.0], lambda v: v.assign([1.0, 2.0]), lambda v: v.assign(1.0)),
    "assigning a text": eager([1.0], lambda v: v.assign("x")),
    "adding another shape": eager([1.0, 2.0], lambda v: v.assign_add([1.0, 2.0, 3.0])),
    "a shape that may change": eager(
        [1.0], lambda v: v.assign([1.0, 2.0]).numpy(), lambda v: v.assign([[1.0]]), shape=(None,)
    ),
    "arithmetic": eager(
        [1.0, 2.0],
        lambda v: np.asarray(v + 1),
        lambda v: np.asarray(2 * v),
        lambda v: np.asarray(v - v),
        lambda v: np.asarray(v < 1.5),
        lambda v: np.asarray(v == v),
        lambda v: np.asarray(-v),
        lambda v: np.asarray(v[1]),
        np.asarray,
        np.sqrt,
    ),
    "numbers of a scalar": eager(2, float, int, bool),
    "reading": eager([1.0], lambda v: np.asarray(v.value()), lambda v: np.asarray(v.read_value())),
    "numpy() is the caller's": eager([1.0], lambda v: v.numpy().fill(3.0)),
    "a callable": eager(lambda: [1.0, 2.0]),
    "texts": eager(["a", "b"]),
    "a placeholder": lambda tf: tf.placeholder(tf.float32),
    "a constant": lambda tf: np.asarray(tf.constant(1, shape=(2,), dtype=tf.float64)),
    "functions of graphs": outside_of_graphs,
    "a session": lambda tf: tf.Session().run("x:0"),
    "assign": lambda tf: tf.assign(tf.Variable([1.0]), [2.0]).numpy(),
}


@pytest.mark.parametrize("name", EAGER)
def test_without_a_graph_it_is_as_tensorflows(name: str, tf: Any) -> None:
    theirs = outcome(EAGER[name], tf.compat.v1)
    assert outcome(EAGER[name], ours) == theirs


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
COMPUTED = ["bool", *INTEGERS, "float16", "float32", "float64", "bfloat16", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", COMPUTED)
def test_every_dtype_is_computed_alike(dtype: str, theirs: Any) -> None:
    def program(tf: Any) -> object:
        values = (
            np.array([True, False]) if dtype == "bool" else np.array([3, 5]).astype(tf.as_dtype(dtype).as_numpy_dtype)
        )
        variable = tf.Variable(values, name="w")
        session = tf.Session()
        session.run(variable.initializer)
        added = [session.run(variable.assign_add(values))] if dtype != "bool" else []
        return [
            tf.as_dtype(dtype).name,
            variable.dtype.base_dtype == dtype,
            *added,
            session.run(variable.assign(values)),
        ]

    def both(tf: Any) -> object:
        with tf.Graph().as_default():
            return outcome(program, tf)

    assert both(ours) == both(theirs)
