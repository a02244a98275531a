"""The global step: the variable that counts a program's training steps, found by its collection or its name.

Source: python/training/training_util.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtypes import DataType, python_name, to_numpy
from cloudckpt.variables.graphs.default_graph import executing_eagerly, get_default_graph
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.scopes.get_variable import get_variable
from cloudckpt.variables.scopes.value_initializers import zeros_initializer
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.sessions.session import Session

__all__ = ["create_global_step", "get_global_step", "get_or_create_global_step", "global_step"]

_LOGGER = logging.getLogger(__name__)


def get_global_step(graph: Graph | None = None) -> Variable | Tensor | None:
    """The global step of a graph: what its collection `GraphKeys.GLOBAL_STEP` holds, or else "global_step:0".

    Args:
        graph: None for the default graph, which executing eagerly has one as well.

    Returns:
        The variable; None if there is none, or, with an error logged, if the collection holds several.

    Raises:
        TypeError: it is no variable or tensor, not of integers, or no scalar.
    """
    graph = get_default_graph() if graph is None else graph
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(found) > 1:
        _LOGGER.error("the collection %r holds %d values: none is taken", GraphKeys.GLOBAL_STEP, len(found))
        return None
    if found:
        return _checked(found[0])
    try:
        return _checked(graph.get_tensor_by_name(f"{GraphKeys.GLOBAL_STEP}:0"))
    except KeyError:
        return None


def create_global_step(graph: Graph | None = None) -> Variable:
    """Make the global step of a graph: a scalar of int64, at first 0, in its collection, outside of name scopes.

    Args:
        graph: None for the default graph. Executing eagerly the variable is in no graph, though a collection of the
            default one holds it.

    Raises:
        ValueError: there is one already.
        TypeError: as `get_global_step`.
    """
    graph = get_default_graph() if graph is None else graph
    if get_global_step(graph) is not None:
        raise ValueError(f"the graph has a {GraphKeys.GLOBAL_STEP!r} already: get_or_create_global_step takes that one")
    if executing_eagerly():
        step = _make()
        graph.add_to_collection(GraphKeys.GLOBAL_STEP, step)
        return step
    with graph.as_default(), graph.name_scope(None):
        return _make()


def get_or_create_global_step(graph: Graph | None = None) -> Variable | Tensor:
    """The global step of a graph, made if there is none.

    Args:
        graph: as `create_global_step` takes it.

    Raises: as `get_global_step`, and `create_global_step` where the collection holds several.
    """
    step = get_global_step(graph)
    return create_global_step(graph) if step is None else step


def global_step(sess: Session | None, global_step_tensor: Any) -> int:
    """The number of the current step.

    Args:
        sess: the session whose value counts; None for the variable's own.
        global_step_tensor: the variable; for a session also a tensor, or the name of one.

    Raises:
        InvalidArgumentError: the variable is not initialized in the session.
    """
    return int(global_step_tensor if sess is None else sess.run(global_step_tensor))


def _make() -> Variable:
    step: Variable = get_variable(
        GraphKeys.GLOBAL_STEP,
        shape=[],
        dtype=DataType.INT64,
        initializer=zeros_initializer(),
        trainable=False,
        collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
    )
    return step


def _checked(step: Any) -> Variable | Tensor:
    """The global step that was found; of a tensor what is known of it is checked."""
    data_type, shape = _described(step)
    if data_type is not None and to_numpy(data_type).kind not in "iu":
        raise TypeError(f"the global step {step.name!r} is not of integers, but of {python_name(data_type)}")
    if shape is not None and shape != () and None not in shape:
        raise TypeError(f"the global step {step.name!r} is no scalar, but of shape {shape}")
    found: Variable | Tensor = step
    return found


def _described(step: Any) -> tuple[Any, Any]:
    if isinstance(step, Variable):
        return step.data_type, step.shape
    if isinstance(step, Tensor):
        shape = step.op.attrs.get("shape")
        return step.op.attrs.get("dtype"), shape if isinstance(shape, tuple) else None
    raise TypeError(f"the global step must be a variable or a tensor, got {step!r}")
