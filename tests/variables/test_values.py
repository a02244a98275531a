"""Where values live during a save or restore."""

from __future__ import annotations

import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.values import OwnValues, SessionValues, Values
from cloudckpt.variables.variable import Variable
from cloudckpt.variables.variable_holder import VariableHolder


@pytest.fixture
def variable() -> Variable:
    with Graph().as_default():
        return Variable([1.0, 2.0], name="w")


def values_of(kind: str, variable: Variable) -> Values:
    """Each kind of values, with those of the variable."""
    if kind == "own":
        return OwnValues()
    session = Session(variable.graph)  # type: ignore[arg-type]
    session.run(variable.initializer)
    return SessionValues(session)


@pytest.mark.parametrize("kind", ["own", "session"])
def test_values_are_read_and_assigned_without_a_copy(kind: str, variable: Variable) -> None:
    values, holder = values_of(kind, variable), VariableHolder(variable)
    assert values.read(holder).tolist() == [1.0, 2.0]
    new = np.array([3.0, 4.0], np.float32)
    values.assign(holder, new)
    assert values.read(holder) is new
    assert variable.numpy().tolist() == ([3.0, 4.0] if kind == "own" else [1.0, 2.0])


def test_a_session_says_what_is_not_initialized(variable: Variable) -> None:
    with pytest.raises(InvalidArgumentError, match="'w' is not initialized in this session"):
        SessionValues(Session(variable.graph)).read(VariableHolder(variable))  # type: ignore[arg-type]
