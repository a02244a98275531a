"""Variable scopes beside real TensorFlow's: programs run over both make variables of the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.compat import v1 as ours

if TYPE_CHECKING:
    from collections.abc import Callable

Names = list[Any]


def nested(tf: Any) -> Names:
    with tf.variable_scope("a") as a, tf.variable_scope("b/c") as inner:
        made = [tf.get_variable("w", [1]), tf.Variable(1.0, name="v")]
    return [*(each.name for each in made), a.name, a.original_name_scope, inner.name, inner.original_name_scope]


def twice(tf: Any) -> Names:
    names = []
    for number in range(3):
        with tf.variable_scope("a") as scope:
            names += [tf.get_variable(f"w{number}", [1]).name, tf.Variable(1.0, name="v").name]
            names += [scope.name, scope.original_name_scope]
    return names


def default_names(tf: Any) -> Names:
    names = []
    for _ in range(2):
        with tf.variable_scope("outer"):
            for _ in range(3):
                with tf.variable_scope(None, default_name="layer") as scope:
                    names += [scope.name, scope.original_name_scope, tf.Variable(1.0, name="v").name]
                    with tf.variable_scope(None, "sub") as sub:
                        names += [sub.name, sub.original_name_scope]
    with tf.variable_scope("outer/layer_1"), tf.variable_scope(None, "sub") as sub:
        names.append(sub.name)
    with tf.variable_scope("layer_1"):
        pass
    for _ in range(3):
        with tf.variable_scope(None, "layer") as scope:
            names.append(scope.name)
    return names


def default_names_and_the_empty_one(tf: Any) -> Names:
    names = []
    for outer in ("", "a", ""):
        with tf.variable_scope(outer), tf.variable_scope(None, "layer") as scope:
            names.append(scope.name)
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE), tf.variable_scope(None, "layer") as scope:
            names.append(scope.name)
        with tf.variable_scope(None, "layer") as scope:
            names.append(scope.name)
    return names


def entered_again(tf: Any) -> Names:
    with tf.variable_scope("a") as a, tf.variable_scope(None, "d"):
        pass
    names = []
    with tf.variable_scope("other"):
        for number in range(2):
            with tf.variable_scope(a) as again:
                names += [tf.get_variable(f"w{number}", [1]).name, tf.Variable(1.0, name="v").name]
                names += [again.name, again.original_name_scope]
                with tf.variable_scope(None, "d") as inner:
                    names.append(inner.name)
            with tf.variable_scope(a, auxiliary_name_scope=False) as again, tf.name_scope(again.original_name_scope):
                names += [tf.get_variable(f"x{number}", [1]).name, tf.Variable(1.0, name="v").name]
    with tf.variable_scope(a), tf.variable_scope(None, "d") as inner:
        names.append(inner.name)
    return names


def name_scopes(tf: Any) -> Names:
    with tf.name_scope("n"), tf.variable_scope("v") as scope, tf.name_scope("m"):
        names = [tf.get_variable("w", [1]).name, tf.Variable(1.0, name="w").name, scope.original_name_scope]
    with tf.variable_scope("") as root:
        names += [root.name, root.original_name_scope, tf.get_variable("w", [1]).name]
    with tf.variable_scope("no", auxiliary_name_scope=False):
        names += [tf.get_variable("w", [1]).name, tf.Variable(1.0, name="w").name]
    with tf.variable_scope("outer"), tf.variable_scope("") as empty:
        names += [empty.name, empty.original_name_scope]
    return names


def taken_names(tf: Any) -> Names:
    made = [
        tf.Variable(1.0, name="w"),
        tf.get_variable("w", [1]),
        tf.Variable(1.0, name="w"),
        tf.get_variable("W", [1]),
    ]
    return [each.name for each in made]


def partitioned(tf: Any) -> Names:
    names = []
    for _ in range(2):
        names += [each.name for each in tf.create_partitioned_variables([4], [2], tf.zeros_initializer())]
    with tf.variable_scope("s"):
        names += [each.name for each in tf.create_partitioned_variables([4], [2], tf.zeros_initializer(), name="own")]
        whole = tf.get_variable("w", [4, 2], partitioner=tf.fixed_size_partitioner(2))
    return [*names, whole.name, *(part.name for part in whole)]


def local_variables(tf: Any) -> Names:
    with tf.variable_scope("s") as scope:
        tf.get_variable("trained", [1])
        tf.get_variable("fixed", [1], trainable=False)
        tf.get_local_variable("local", [1])
        tf.get_variable("own", [1], collections=["mine"])
        found = [scope.global_variables(), scope.trainable_variables(), scope.local_variables()]
    found += [scope.get_collection("mine"), tf.get_collection("mine")]
    return [[each.name for each in each_list] for each_list in found]


def reused(tf: Any) -> Names:
    with tf.variable_scope("s") as scope:
        first = tf.get_variable("w", [2])
        scope.reuse_variables()
        again = tf.get_variable("w", [2])
    with tf.variable_scope("s", reuse=True) as reusing, tf.variable_scope("t") as inner:
        flags = [scope.reuse, reusing.reuse, inner.reuse]
    with tf.variable_scope(scope) as entered:
        flags.append(entered.reuse)
    with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
        automatic = [tf.get_variable("w", [2]), tf.get_variable("x", [2]), tf.get_variable("x", [2])]
    same = [again is first, automatic[0] is first, automatic[1] is automatic[2]]
    return [*same, *flags, automatic[1].name, [each.name for each in tf.global_variables()]]


def inherited(tf: Any) -> Names:
    with tf.variable_scope("s", dtype=tf.int32, initializer=tf.ones_initializer(), reuse=False) as outer:
        whole = tf.get_variable("w", [2])
        with tf.variable_scope("t", dtype=tf.float64) as inner:
            deep = tf.get_variable("w", [2])
    with tf.variable_scope("u") as other:
        other.set_dtype(tf.int64)
        other.set_initializer(tf.zeros_initializer())
        other.set_partitioner(tf.fixed_size_partitioner(2))
        parts = [part.name for part in tf.get_variable("p", [4])]
    dtypes = [each.dtype.base_dtype.name for each in (whole, deep)]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = [session.run(each).tolist() for each in (whole, deep)]
    return [*dtypes, *values, tf.as_dtype(outer.dtype).name, tf.as_dtype(inner.dtype).name, parts]


def refused(tf: Any) -> Names:
    """The classes of what each of these raises."""
    tf.get_variable("w", [2])
    tf.get_variable("p", [4, 2], partitioner=tf.fixed_size_partitioner(2))

    def in_scope(reuse: Any, *arguments: Any, **options: Any) -> Any:
        with tf.variable_scope("", reuse=reuse):
            return tf.get_variable(*arguments, **options)

    attempts: list[Callable[[], Any]] = [
        lambda: tf.get_variable("w", [2]),
        lambda: in_scope(True, "missing", [2]),
        lambda: in_scope(True, "w", [3]),
        lambda: in_scope(tf.AUTO_REUSE, "w", [2, 1]),
        lambda: in_scope(True, "w", [2], tf.int32),
        lambda: tf.get_variable("x"),
        lambda: tf.get_variable("x", [None, 2]),
        lambda: tf.get_variable("x", [2], initializer=[1.0, 2.0]),
        lambda: tf.get_variable("x", dtype=tf.float32, initializer=[1, 2]),
        lambda: tf.get_variable("x", [2], tf.complex64),
        lambda: tf.get_variable("w", [2], partitioner=tf.fixed_size_partitioner(2)),
        lambda: tf.get_variable("p", [4, 2]),
        lambda: tf.get_variable("p", [4, 2], partitioner=tf.fixed_size_partitioner(2)),
        lambda: in_scope(True, "p", [4, 2], partitioner=tf.fixed_size_partitioner(4)),
        lambda: in_scope(True, "p", [4, 3]),
        lambda: in_scope(True, "q", [4, 2], partitioner=tf.fixed_size_partitioner(4)),
        lambda: tf.get_variable("x", [4, 2], partitioner=5),
        lambda: tf.variable_scope(None),
        lambda: tf.variable_scope(5).__enter__(),
        lambda: tf.variable_scope("a", reuse=5),
        lambda: tf.variable_scope(None, "a", reuse=True).__enter__(),
        lambda: tf.create_partitioned_variables([4], [2, 1], tf.zeros_initializer()),
        lambda: tf.create_partitioned_variables([], [], tf.zeros_initializer()),
    ]
    raised = []
    for attempt in attempts:
        with pytest.raises((ValueError, TypeError)) as caught:
            attempt()
        raised.append(caught.type.__name__)
    return raised


def got_without_a_partitioner(tf: Any) -> Names:
    whole = tf.get_variable("p", [4, 2], partitioner=tf.fixed_size_partitioner(2))
    scalar = tf.get_variable("s", [], partitioner=tf.fixed_size_partitioner(2))
    with tf.variable_scope("", reuse=True):
        return [tf.get_variable("p", [4, 2]) is whole, tf.get_variable("p/part_1") is list(whole)[1], scalar.name]


def step(tf: Any) -> Names:
    none = tf.train.get_global_step()
    with tf.name_scope("n"), tf.variable_scope("v"):
        made = tf.train.create_global_step()
    with pytest.raises(ValueError, match="global_step"):
        tf.train.create_global_step()
    same = [tf.train.get_global_step() is made, tf.train.get_or_create_global_step() is made]
    with tf.Session() as session:
        session.run(made.initializer)
        value = tf.train.global_step(session, made)
    return [none, made.name, made.dtype.base_dtype.name, made.trainable, *same, value, tf.trainable_variables()]


@pytest.mark.parametrize(
    "program",
    [
        *(nested, twice, default_names, default_names_and_the_empty_one, entered_again, name_scopes, taken_names),
        *(partitioned, local_variables),
        *(reused, inherited, refused, got_without_a_partitioner, step),
    ],
    ids=lambda program: program.__name__,
)
def test_programs_make_tensorflows_variables_in_a_graph(tf: Any, program: Callable[[Any], Names]) -> None:
    observed = {}
    for module in (ours, tf.compat.v1):
        with module.Graph().as_default():
            observed[module] = program(module)
    assert observed[ours] == observed[tf.compat.v1]


def eager_scopes(tf: Any) -> Names:
    names = []
    for _ in range(2):
        with tf.variable_scope("a") as scope:
            names += [tf.get_variable("w", [1]).name, tf.Variable(1.0, name="v").name]
            names += [scope.name, scope.original_name_scope, scope.reuse is tf.AUTO_REUSE]
            for _ in range(2):
                with tf.variable_scope(None, "d") as inner:
                    names += [inner.name, inner.original_name_scope, tf.Variable(1.0, name="v").name]
    with tf.variable_scope("b", reuse=True), tf.name_scope("n"):
        names.append(tf.get_variable("missing", [1]).name)
    return names


def eager_variables(tf: Any) -> Names:
    one, other = tf.get_variable("w", [1]), tf.get_variable("w", [1])
    whole = tf.get_variable("p", [4, 2], partitioner=tf.fixed_size_partitioner(2))
    parts = tf.create_partitioned_variables([4], [2], tf.zeros_initializer())
    return [one is other, one.name, other.name, [part.name for part in whole], whole.name, len(parts)]


@pytest.mark.parametrize("program", [eager_scopes, eager_variables], ids=lambda program: program.__name__)
def test_programs_make_tensorflows_variables_eagerly(tf: Any, program: Callable[[Any], Names]) -> None:
    assert program(ours) == program(tf.compat.v1)


def test_an_eager_global_step_is_found_again_in_no_collection_of_variables(tf: Any) -> None:
    for module in (ours, tf.compat.v1):
        module.reset_default_graph()
        try:
            made = module.train.get_or_create_global_step()
            assert module.train.get_global_step() is made
            assert made.name == "global_step:0"
            assert module.global_variables() == []
            assert module.train.global_step(None, made) == 0
        finally:
            module.reset_default_graph()
