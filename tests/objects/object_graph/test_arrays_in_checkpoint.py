"""Arrays that are handed to a `Checkpoint`, alone and in containers, which TensorFlow would refuse or pass over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.errors import StructureError
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.variables.trackable.module import Module
from tests.frameworks import require_torch
from tests.tensorflow.conftest import require_tensorflow

if TYPE_CHECKING:
    from pathlib import Path


def test_arrays_are_saved_and_restored_in_place(tmp_path: Path) -> None:
    params: dict[str, Any] = {"w": np.arange(3.0), "layers": [np.ones(2), (np.full(1, 7), "text")]}
    alone = np.array([5, 6])
    saved = Checkpoint(params=params, alone=alone)
    path = saved.save(tmp_path / "ckpt")
    arrays = params["w"], params["layers"][0], params["layers"][1][0], alone
    for array in arrays:
        array[...] = 0
    saved.restore(path).assert_consumed()
    assert [array.tolist() for array in arrays] == [[0, 1, 2], [1, 1], [7], [5, 6]]


def test_an_array_that_takes_the_place_of_another_is_saved(tmp_path: Path) -> None:
    checkpoint = Checkpoint(params={"w": np.zeros(2)})
    checkpoint.params["w"] = checkpoint.params["w"] + 3
    path = checkpoint.save(tmp_path / "ckpt")
    other = Checkpoint(params={"w": np.zeros(2)})
    other.restore(path).assert_consumed()
    assert other.params["w"].tolist() == [3, 3]


def test_a_replacement_that_would_be_lost_is_refused(tmp_path: Path) -> None:
    params = {"w": np.zeros(2)}
    checkpoint = Checkpoint(params=params)
    params["w"] = params["w"] + 3
    with pytest.raises(StructureError, match="changed by another name"):
        checkpoint.save(tmp_path / "ckpt")


def test_arrays_that_nothing_can_be_assigned_to_are_refused() -> None:
    jax = pytest.importorskip("jax", reason="the test extra has it")
    with pytest.raises(StructureError, match=r"can't be assigned to: save what holds it as a tree"):
        Checkpoint(params={"w": jax.numpy.zeros(2)})


def test_tensors_of_torch(tmp_path: Path) -> None:
    torch = require_torch()
    checkpoint = Checkpoint(params=[torch.ones(2), torch.full((1,), 7)])
    path = checkpoint.save(tmp_path / "ckpt")
    for tensor in checkpoint.params:
        tensor.zero_()
    checkpoint.restore(path).assert_consumed()
    assert [tensor.tolist() for tensor in checkpoint.params] == [[1, 1], [7]]


def test_tensorflow_restores_them_into_variables(tmp_path: Path) -> None:
    tf = require_tensorflow()
    path = Checkpoint(params={"w": np.arange(3.0)}).save(tmp_path / "ckpt")
    theirs = tf.train.Checkpoint(params={"w": tf.Variable(np.zeros(3))})
    theirs.restore(path).assert_consumed()
    assert theirs.params["w"].numpy().tolist() == [0, 1, 2]


def test_those_in_modules_are_not_saved(tmp_path: Path) -> None:
    module = Module()
    module.constants = [np.zeros(2)]
    path = Checkpoint(module=module).save(tmp_path / "ckpt")
    module.constants[0][...] = 9
    Checkpoint(module=module).restore(path)
    assert module.constants[0].tolist() == [9, 9]
