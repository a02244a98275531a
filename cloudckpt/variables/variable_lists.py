"""The variables of the default graph, what initializes them, and which are not initialized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.graphs.default_graph import default_graph
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.graphs.nodes import group, no_op
from cloudckpt.variables.sessions.fetches import Question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.variables.graphs.operation import Operation
    from cloudckpt.variables.sessions.state import SessionState

__all__ = [
    "global_variables",
    "global_variables_initializer",
    "is_variable_initialized",
    "local_variables",
    "local_variables_initializer",
    "model_variables",
    "moving_average_variables",
    "report_uninitialized_variables",
    "tables_initializer",
    "trainable_variables",
    "variables_initializer",
]


def global_variables(scope: str | None = None) -> list[Any]:
    """The variables of the default graph that a saver saves if it is told nothing; none outside of graphs.

    Args:
        scope: a regular expression that the beginning of a name must match.
    """
    return _collected(GraphKeys.GLOBAL_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Any]:
    """The variables of the default graph that belong to this process; as `global_variables`."""
    return _collected(GraphKeys.LOCAL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """The variables of the default graph that are to be trained; as `global_variables`."""
    return _collected(GraphKeys.TRAINABLE_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Any]:
    """The variables of the default graph that programs have put into the collection of a model's; as before."""
    return _collected(GraphKeys.MODEL_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Any]:
    """The variables of the default graph that have moving averages; as `global_variables`."""
    return _collected(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)


def _collected(key: str, scope: str | None) -> list[Any]:
    graph = default_graph()
    return [] if graph is None else graph.get_collection(key, scope)


def variables_initializer(var_list: Iterable[Any], name: str = "init") -> Operation | None:
    """An operation that sets variables to their initial values; None outside of graphs, where they have them.

    Raises:
        RuntimeError: an imported one has no initializer.
    """
    if default_graph() is None:
        return None
    initializers = [variable.initializer for variable in var_list]
    return group(*initializers, name=name) if initializers else no_op(name)


def global_variables_initializer() -> Operation | None:
    """As `variables_initializer`, of the global variables that there are now."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation | None:
    """As `variables_initializer`, of the local variables that there are now."""
    return variables_initializer(local_variables())


def tables_initializer(name: str = "init_all_tables") -> Operation | None:
    """An operation that initializes the tables of an imported graph, for TensorFlow; nothing where there are none."""
    initializers = _collected(GraphKeys.TABLE_INITIALIZERS, None)
    return group(*initializers, name=name) if initializers else no_op(name)


def is_variable_initialized(variable: Any) -> Question:
    """What to run in a session to learn whether it has a value of a variable."""
    name = variable.op.name
    return Question(f"is {name} initialized", lambda state: np.asarray(state.is_initialized(name)))


def report_uninitialized_variables(var_list: Iterable[Any] | None = None) -> Question:
    """What to run in a session to learn which variables it has no value of: an array of their names, as bytes.

    Args:
        var_list: which to ask for; the global and the local ones if None.
    """
    variables = global_variables() + local_variables() if var_list is None else var_list
    names = [variable.op.name for variable in variables]

    def uninitialized(state: SessionState) -> Any:
        return np.array([name.encode() for name in names if not state.is_initialized(name)], object)

    return Question("uninitialized variables", uninitialized)
