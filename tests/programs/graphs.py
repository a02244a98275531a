"""Small graphs with a session, for programs that are about something else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def session_with(tf: Any, **initial: Any) -> Iterator[tuple[Any, list[Any]]]:
    """A session over a graph of its own with these variables, initialised."""
    with tf.Graph().as_default():
        variables = [tf.Variable(value, name=name) for name, value in initial.items()]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            yield session, variables


def on_two_devices(tf: Any) -> Any:
    """A session over the default graph that has `/cpu:0` and `/cpu:1`: TensorFlow's has to be told, ours has any."""
    config = tf.ConfigProto(device_count={"CPU": 2})
    return tf.Session(config=config)


def save_once(tf: Any, prefix: Any, *, saver: dict[str, Any] | None = None, **initial: Any) -> Any:
    """Save variables of these values to a prefix, without a meta graph or a state file."""
    with session_with(tf, **initial) as (session, _):
        return tf.train.Saver(**saver or {}).save(session, str(prefix), write_meta_graph=False, write_state=False)


def restored(tf: Any, prefix: Any, *, saver: dict[str, Any] | None = None, **initial: Any) -> list[Any]:
    """The values of variables, made with these initial values, after a restore from a prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.Variable(value, name=name) for name, value in initial.items()]
        tf.train.Saver(**saver or {}).restore(session, str(prefix))
        return [session.run(variable).tolist() for variable in variables]
