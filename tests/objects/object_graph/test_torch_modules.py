"""Modules of PyTorch as objects of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt import train
from cloudckpt.objects.checkpoint import Checkpoint
from tests.frameworks import require_torch

if TYPE_CHECKING:
    from pathlib import Path

torch = require_torch()


def network(seed: int) -> Any:
    torch.manual_seed(seed)
    made = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 3, bias=False))
    made.register_buffer("scratch", torch.full((2,), float(seed)), persistent=False)
    made.again = made[2]
    made.train()(torch.rand(8, 4))
    return made


def test_a_module_is_restored_in_place(tmp_path: Path) -> None:
    made, other = network(1), network(2)
    kept = dict(other.named_parameters())
    path = Checkpoint(net=made).save(tmp_path / "ckpt")
    Checkpoint(net=other).restore(path).assert_consumed()
    expected = made.state_dict()
    assert {name: value.tolist() for name, value in other.state_dict().items()} == {
        name: value.tolist() for name, value in expected.items()
    }
    assert all(parameter is kept[name] for name, parameter in other.named_parameters())
    assert other.scratch.tolist() == [2.0, 2.0]


def test_names_are_those_of_the_attributes(tmp_path: Path) -> None:
    path = Checkpoint(net=network(1)).write(tmp_path / "ckpt")
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    names = {name.removesuffix(value) for name, _ in train.list_variables(path) if name.endswith(value)}
    batch_norm = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    # What is there twice has its shortest name.
    assert names == {"net/0/weight", "net/0/bias", "net/2/weight", *(f"net/1/{name}" for name in batch_norm)}


def test_an_optimizer_is_refused() -> None:
    class Optimizer(torch.optim.Optimizer):  # type: ignore[name-defined,misc]
        """Its own `__init__` imports torch's compiler, which aborts where TensorFlow has been imported before."""

        def __init__(self) -> None:
            self.param_groups = []

    with pytest.raises(ValueError, match="optimizer"):
        Checkpoint(optimizer=Optimizer())
