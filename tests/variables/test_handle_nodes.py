"""Variables by handle: of the dtypes that TensorFlow assigns in no other way, and imported ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.handle_nodes import HANDLES_ONLY
from cloudckpt.variables.variable import Variable


def values(data_type: DataType, *numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32).astype(to_numpy(data_type))


@pytest.fixture(params=sorted(HANDLES_ONLY), ids=lambda data_type: data_type.name.lower())
def data_type(request: pytest.FixtureRequest) -> DataType:
    found: DataType = request.param
    return found


def test_the_nodes_of_a_variable(data_type: DataType) -> None:
    with tf.Graph().as_default() as graph, graph.name_scope("scope"):
        variable = Variable(values(data_type, 0, 1), name="w")
    assert [(operation.name, operation.type, operation.inputs) for operation in graph.get_operations()] == [
        ("scope/w/initial_value", "Const", ()),
        ("scope/w", "VarHandleOp", ()),
        ("scope/w/IsInitialized/VarIsInitializedOp", "VarIsInitializedOp", ("scope/w",)),
        ("scope/w/Assign", "AssignVariableOp", ("scope/w", "scope/w/initial_value")),
        ("scope/w/Read/ReadVariableOp", "ReadVariableOp", ("scope/w",)),
    ]
    assert variable.op.attrs["shared_name"] == b"scope/w"
    assert variable.initializer.name == "scope/w/Assign"
    assert variable.snapshot.name == "scope/w/Read/ReadVariableOp:0"


def test_a_session_holds_its_value(data_type: DataType) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        variable = Variable(values(data_type, 0, 1), name="w")
        session.run(tf.global_variables_initializer())
        fetched = {"itself": variable, "name": "w:0", "value": variable.value(), "read": variable.read_value()}
        for found in session.run(fetched).values():
            assert found.dtype == to_numpy(data_type)
            assert (found == values(data_type, 0, 1)).all()


@pytest.mark.parametrize("read_value", [True, False])
def test_it_is_assigned(data_type: DataType, read_value: bool) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        variable = Variable(values(data_type, 0, 1), name="w")
        session.run(variable.initializer)
        found: Any = session.run(variable.assign(values(data_type, 1, 0), read_value=read_value))
        assert (found is None) is not read_value
        assert found is None or (found == values(data_type, 1, 0)).all()
        assert (session.run(variable) == values(data_type, 1, 0)).all()


def test_any_other_dtype_has_a_reference_variable() -> None:
    assert set(DataType) > HANDLES_ONLY
    with tf.Graph().as_default():
        for other in set(DataType) - HANDLES_ONLY - {DataType.RESOURCE, DataType.VARIANT, DataType.STRING}:
            assert Variable(np.zeros(2, to_numpy(other))).op.type == "VariableV2"
        assert Variable(["text"]).op.type == "VariableV2"
