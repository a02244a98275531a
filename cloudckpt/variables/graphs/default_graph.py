"""Which graph operations are made in, if any: each thread's own, as TensorFlow's (framework/ops.py).

Without one, everything executes eagerly: an assignment acts when it is called.
"""

from __future__ import annotations

from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.stack import STACK

__all__ = [
    "default_graph",
    "disable_eager_execution",
    "disable_resource_variables",
    "enable_eager_execution",
    "enable_resource_variables",
    "executing_eagerly",
    "get_default_graph",
    "reset_default_graph",
]


class _Mode:
    """Of the whole process: what threads do outside of `with graph.as_default():`."""

    eager = True


def executing_eagerly() -> bool:
    """Whether no graph is the default of this thread, so that operations act at once."""
    return _Mode.eager and not STACK.graphs


def default_graph() -> Graph | None:
    """The graph that operations are made in here; None where they execute eagerly."""
    return None if executing_eagerly() else get_default_graph()


def get_default_graph() -> Graph:
    """The graph of the innermost `with graph.as_default():` of this thread; outside of them the thread's own."""
    if STACK.graphs:
        return STACK.graphs[-1]
    if STACK.outermost is None:
        STACK.outermost = Graph()
    return STACK.outermost


def reset_default_graph() -> None:
    """Give this thread a new default graph.

    Raises:
        AssertionError: within `with graph.as_default():`; leave the block instead.
    """
    if STACK.graphs:
        raise AssertionError("reset_default_graph can't replace the graph of a `with` block: leave the block instead")
    STACK.outermost = Graph()


def disable_eager_execution() -> None:
    """Make operations outside of `with graph.as_default():` in a default graph, each thread in its own."""
    _Mode.eager = False


def enable_eager_execution() -> None:
    """Let operations outside of `with graph.as_default():` act at once, as they do from the start."""
    _Mode.eager = True


def disable_resource_variables() -> None:
    """Do nothing: variables are reference variables in graphs, and never anything else."""


def enable_resource_variables() -> None:
    """Do nothing: a program that has asked for resource variables finds reference variables in its graphs."""
