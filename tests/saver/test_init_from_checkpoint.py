"""Variables that begin with a checkpoint's values: what a map may say, what is refused, and that it is all or none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
import cloudckpt.compat.v1 as tf
from cloudckpt import train
from cloudckpt.errors import CheckpointNotFoundError, CheckpointPathError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A = np.array([1, 2], np.float32)
B = np.arange(12, dtype=np.float64).reshape(4, 3)
TEXT = np.array([b"x", b"yz"], object)


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    path = str(tmp_path / "run" / "ckpt")
    return train.Saver({"s/a": A, "s/b": B, "root": np.float32(7), "text": TEXT}).save(None, path, global_step=1)


@pytest.fixture
def graph() -> Iterator[Any]:
    with ckpt.Graph().as_default() as made:
        yield made


def zeros(name: str, shape: Any, dtype: Any = np.float32, **options: Any) -> Any:
    return tf.get_variable(name, shape=shape, dtype=dtype, initializer=tf.zeros_initializer(), **options)


def initialized(*variables: Any) -> list[Any]:
    """What a session has after the initializer."""
    with ckpt.Session() as session:
        session.run(tf.global_variables_initializer())
        return [np.asarray(session.run(variable)).tolist() for variable in variables]


def test_a_variable_has_the_value_once_it_is_initialized(graph: Any, prefix: str) -> None:
    a, other = zeros("a", [2]), zeros("other", [2])
    train.init_from_checkpoint(prefix, {"s/a": a})
    assert initialized(a, other) == [A.tolist(), [0, 0]]
    with ckpt.Session() as session:
        session.run(a.initializer)
        assert session.run(a.initial_value).tolist() == A.tolist()
        with pytest.raises(InvalidArgumentError, match="other"):
            session.run(other)


def test_its_own_value_is_the_checkpoints_too(graph: Any, prefix: str) -> None:
    """As its initial value always is: a saver without a session saves it."""
    a = zeros("a", [2])
    train.init_from_checkpoint(prefix, {"s/a": a})
    assert a.numpy().tolist() == A.tolist()


def test_an_initializer_from_before_stays_as_it_was(graph: Any, prefix: str) -> None:
    a = zeros("a", [2])
    before = tf.global_variables_initializer()
    train.init_from_checkpoint(prefix, {"s/a": a})
    with ckpt.Session() as session:
        session.run(before)
        assert session.run(a).tolist() == [0, 0]
        session.run(tf.global_variables_initializer())
        assert session.run(a).tolist() == A.tolist()


def test_the_checkpoint_need_not_stay(graph: Any, prefix: str) -> None:
    a = zeros("a", [2])
    train.init_from_checkpoint(prefix, {"s/a": a})
    train.remove_checkpoint(prefix)
    assert initialized(a) == [A.tolist()]


def test_a_name_or_a_scope_means_what_get_variable_made(graph: Any, prefix: str) -> None:
    with tf.variable_scope("t"):
        a, b = zeros("a", [2]), zeros("b", [4, 3], np.float64)
    train.init_from_checkpoint(prefix, {"s/a": "t/a"})
    assert initialized(a, b) == [A.tolist(), np.zeros((4, 3)).tolist()]
    train.init_from_checkpoint(prefix, {"s/": "t/"})
    assert initialized(a, b) == [A.tolist(), B.tolist()]


@pytest.mark.parametrize("name", ["plain", "plain/"])
def test_what_get_variable_did_not_make_is_no_name(graph: Any, prefix: str, name: str) -> None:
    ckpt.Variable(A, name="plain")
    with pytest.raises(InvalidArgumentError, match="plain"):
        train.init_from_checkpoint(prefix, {"s/a": name})


def test_roots(graph: Any, prefix: str) -> None:
    root = zeros("root", [])
    train.init_from_checkpoint(prefix, {"/": "/"})
    assert initialized(root) == [7]


def test_a_scope_into_the_root(graph: Any, prefix: str) -> None:
    a, b = zeros("a", [2]), zeros("b", [4, 3], np.float64)
    train.init_from_checkpoint(prefix, {"s/": "/"})
    assert initialized(a, b) == [A.tolist(), B.tolist()]


def test_the_root_into_a_scope(graph: Any, prefix: str) -> None:
    with tf.variable_scope("t"):
        root = zeros("root", [])
    train.init_from_checkpoint(prefix, {"/": "t/"})
    assert initialized(root) == [7]


def test_pairs_give_one_tensor_to_several(graph: Any, prefix: str) -> None:
    a, b = zeros("a", [2]), zeros("b", [2])
    train.init_from_checkpoint(prefix, [("s/a", a), ("s/a", b)])
    assert initialized(a, b) == [A.tolist(), A.tolist()]


def test_text(graph: Any, prefix: str) -> None:
    text = ckpt.Variable(["", ""], name="text")
    train.init_from_checkpoint(prefix, {"text": text})
    assert initialized(text) == [TEXT.tolist()]


@pytest.mark.parametrize("form", ["list", "tuple", "partitioned variable", "name", "scope"])
def test_a_partitioned_variable(graph: Any, prefix: str, form: str) -> None:
    with tf.variable_scope("t"):
        b = zeros("b", [4, 3], np.float64, partitioner=tf.fixed_size_partitioner(3))
    forms: dict[str, dict[str, Any]] = {
        "list": {"s/b": [*b]},
        "tuple": {"s/b": (*b,)},
        "partitioned variable": {"s/b": b},
        "name": {"s/b": "t/b"},
        "scope": {"s/": "t/"},
    }
    train.init_from_checkpoint(prefix, forms[form])
    assert np.concatenate(initialized(*b)).tolist() == B.tolist()


def test_without_a_graph_the_values_are_there_at_once(prefix: str) -> None:
    a, array = ckpt.Variable(np.zeros_like(A), name="a"), np.zeros_like(B)
    assert train.init_from_checkpoint(prefix, {"s/a": a, "s/b": array}) is None
    assert a.numpy().tolist() == A.tolist()
    assert array.tolist() == B.tolist()


def test_a_directory_means_its_latest(prefix: str, tmp_path: Path) -> None:
    a = ckpt.Variable(np.zeros_like(A), name="a")
    train.init_from_checkpoint(tmp_path / "run", {"s/a": a})
    assert a.numpy().tolist() == A.tolist()


def test_nothing_to_do(prefix: str) -> None:
    train.init_from_checkpoint(prefix, {})
    train.init_from_checkpoint(prefix, {"s/a": []})


def test_a_scope_without_variables_is_logged(graph: Any, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "cloudckpt"):
        train.init_from_checkpoint(prefix, {"s/": "nothing/"})
    assert "'nothing/'" in caplog.text


def parts_of_two(a: Any) -> list[Any]:
    partitioner = tf.fixed_size_partitioner(2)
    one, other = (list(zeros(name, [4, 3], np.float64, partitioner=partitioner)) for name in ("one", "other"))
    return [one[0], other[1]]


def itself(a: Any) -> Any:
    return a


def integers(a: Any) -> Any:
    return ckpt.Variable(np.zeros(2, np.int32), name="integers")


WRONG: dict[str, tuple[str, Any]] = {
    "a tensor that is not there": ("none", itself),
    "a shape": ("s/b", itself),
    "a dtype": ("s/a", integers),
    "no variable of that name": ("s/a", "t/none"),
    "a tensor for a scope": ("s/a", "t/"),
    "a scope for a name": ("s/", "none"),
    "a scope for a variable": ("s/", "t/a"),
    "a scope with a tensor that is not there": ("none/", "t/"),
    "a list of what is no part": ("s/a", lambda a: [a]),
    "parts of two": ("s/b", parts_of_two),
    "parts of another shape": ("s/a", lambda a: parts_of_two(a)[:1]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_a_value_error_and_nothing_changes(graph: Any, prefix: str, wrong: str) -> None:
    with tf.variable_scope("t"):
        a = zeros("a", [2])
    root = zeros("root", [])
    key, target = WRONG[wrong]
    assignment_map = {"root": root, key: target(a) if callable(target) else target}
    count = len(graph.get_operations())
    with pytest.raises(ValueError, match="assignment_map") as raised:
        train.init_from_checkpoint(prefix, assignment_map)
    assert isinstance(raised.value, InvalidArgumentError)
    assert len(graph.get_operations()) == count
    assert initialized(a, root) == [[0, 0], 0]


def test_the_shape_of_a_variable_in_a_scope_is_looked_at(graph: Any, prefix: str) -> None:
    """TensorFlow looks at it only where a variable is named, and here would change it."""
    with tf.variable_scope("t"):
        zeros("a", [3])
    with pytest.raises(InvalidArgumentError, match=r"'s/a' .* shape \(2,\)"):
        train.init_from_checkpoint(prefix, {"s/": "t/"})


def test_a_shape_that_is_not_known_takes_any(graph: Any, prefix: str) -> None:
    any_shape = tf.Variable(np.float64(0), name="any", validate_shape=False)
    train.init_from_checkpoint(prefix, {"s/b": any_shape})
    assert initialized(any_shape) == [B.tolist()]


def test_a_shape_that_is_known_in_part_must_fit(graph: Any, prefix: str) -> None:
    rows = tf.Variable(np.zeros((1, 3)), name="rows", shape=(None, 3))
    columns = tf.Variable(np.zeros((4, 1)), name="columns", shape=(4, None))
    wrong = tf.Variable(np.zeros((1, 2)), name="wrong", shape=(None, 2))
    with pytest.raises(InvalidArgumentError, match=r"\(4, 3\), the variable 'wrong:0' has \(None, 2\)"):
        train.init_from_checkpoint(prefix, {"s/b": wrong})
    train.init_from_checkpoint(prefix, [("s/b", rows), ("s/b", columns)])
    assert initialized(rows, columns) == [B.tolist(), B.tolist()]


@pytest.mark.parametrize("target", [1, None, object(), np.float32(3), [1]], ids=repr)
def test_what_can_not_be_assigned_to_is_a_type_error(prefix: str, target: Any) -> None:
    with pytest.raises(TypeError, match="assignment_map"):
        train.init_from_checkpoint(prefix, {"s/a": target})


def test_keys_are_names(prefix: str) -> None:
    with pytest.raises(TypeError, match="keys"):
        train.init_from_checkpoint(prefix, {1: np.zeros_like(A)})  # type: ignore[dict-item] - what is tested


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        train.init_from_checkpoint(tmp_path / "none", {})
    with pytest.raises(CheckpointPathError, match="state file"):
        train.init_from_checkpoint(tmp_path, {})
    with pytest.raises(TypeError):
        train.init_from_checkpoint(None, {})  # type: ignore[arg-type] - what is tested


def test_storage_options(bucket_url: str, object_server: Any) -> None:
    options = object_server.storage_options
    train.Saver({"a": A}, storage_options=options).save(None, f"{bucket_url}/ckpt")
    a = np.zeros_like(A)
    train.init_from_checkpoint(bucket_url, {"a": a}, storage_options=options)
    assert a.tolist() == A.tolist()
