"""Variables as leaves: their values are saved, and they are assigned to where they are in a template."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.variables.variable import Variable
from tests.objects.trees.equality import assert_same


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


class Held:
    """As a framework's variable that nobody knows."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def numpy(self) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value


@pytest.mark.parametrize("make", [Variable, Held])
def test_a_variable_is_assigned_and_stays_itself(make: Any) -> None:
    prefix = saved({"v": make(np.arange(3.0)), "step": 1})
    assert_same(ckpt.load(prefix), {"v": np.arange(3.0), "step": 1})
    variable = make(np.zeros(3))
    restored = ckpt.load(prefix, like={"v": variable, "step": 0})
    assert restored["v"] is variable
    assert variable.numpy().tolist() == [0, 1, 2]


@pytest.mark.parametrize("make", [Variable, Held])
def test_a_variable_is_not_assigned_where_anything_is_wrong(make: Any) -> None:
    prefix = saved({"v": make(np.arange(3.0)), "name": b"\xff"})
    variable = make(np.zeros(3))
    with pytest.raises(ckpt.StructureError, match=r"'name' .* does not fit \['name'\]"):
        ckpt.load(prefix, like={"v": variable, "name": ""})
    with pytest.raises(ckpt.StructureError, match=r"\['v'\] has shape \(2,\), tensor 'v' \(3,\)"):
        ckpt.load(prefix, like={"v": make(np.zeros(2)), "name": b""})
    assert variable.numpy().tolist() == [0, 0, 0]
    ckpt.load(prefix, like={"v": variable, "name": b""}, only="name")
    assert variable.numpy().tolist() == [0, 0, 0]


def test_casts_of_variables() -> None:
    variable = Variable(np.zeros(3, np.float32))
    ckpt.load(saved({"v": np.arange(3.0)}), like={"v": variable}, cast=True)
    assert variable.numpy().dtype == np.float32
    assert variable.numpy().tolist() == [0, 1, 2]
