"""Where values live during a save or restore."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.values import MappingValues, OwnValues, SessionValues, Values
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
    if kind == "mapping":
        return MappingValues({"w": np.array([1.0, 2.0], np.float32)})
    session = Session(variable.graph)  # type: ignore[arg-type]
    session.run(variable.initializer)
    return SessionValues(session)


@pytest.mark.parametrize("kind", ["own", "session", "mapping"])
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


def test_a_mapping_says_what_it_does_not_have(variable: Variable) -> None:
    mapping = dict.fromkeys("abcdefg", 1.0)
    with pytest.raises(InvalidArgumentError, match=r"no array named 'w': it has \['a', .*'e'\] and 2 more") as caught:
        MappingValues(mapping).read(VariableHolder(variable))
    assert caught.value.tensor == "w"


def test_a_mapping_gets_a_new_array(variable: Variable) -> None:
    before = np.array([1.0, 2.0], np.float32)
    mapping: dict[str, Any] = {"w": before}
    new = np.array([3.0, 4.0], np.float32)
    MappingValues(mapping).assign(VariableHolder(variable), new)
    assert mapping["w"] is new
    assert new.flags.writeable
    assert before.tolist() == [1.0, 2.0]
    MappingValues(mapping).assign(VariableHolder(Variable(1.0, name="added")), new)
    assert list(mapping) == ["w", "added"]


def test_a_mapping_that_can_not_be_changed_is_saved_alone(variable: Variable) -> None:
    values = MappingValues(MappingProxyType({"w": [3.0, 4.0]}))
    assert values.read(VariableHolder(variable)).dtype == np.float32
    with pytest.raises(TypeError, match="a mappingproxy can't be restored into"):
        values.assign(VariableHolder(variable), np.zeros(2))
