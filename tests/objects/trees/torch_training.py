"""A program that the tests run apart: a module, its optimizer and scheduler, saved and restored as state dicts."""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from typing import Any

import ml_dtypes
import numpy as np
import torch

import cloudckpt as ckpt
from tests.objects.trees.torch_equality import assert_same_torch


def trained(seed: int, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    """A module, optimizer and scheduler after two steps."""
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).to(dtype)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(2):
        module(torch.randn(5, 3, dtype=dtype)).sum().backward()
        optimizer.step()
        scheduler.step()
    return module, optimizer, scheduler


def state(module: Any, optimizer: Any, scheduler: Any) -> dict[str, Any]:
    return {
        "model": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
    }


def check(prefix: str, dtype: torch.dtype) -> None:
    first, second = trained(1, dtype), trained(2, dtype)
    expected = copy.deepcopy(state(*first))
    ckpt.save(prefix, state(*first))
    restored = ckpt.load(prefix, like=state(*second))
    assert_same_torch(restored, expected)
    assert type(restored["model"]) is OrderedDict
    assert restored["model"]._metadata == first[0].state_dict()._metadata
    for part, name in zip(second, ("model", "optimizer", "scheduler"), strict=True):
        part.load_state_dict(restored[name])
    assert_same_torch(second[0].state_dict(), expected["model"])
    assert_same_torch(second[1].state_dict(), expected["optimizer"])
    assert_same_torch(second[2].state_dict(), expected["scheduler"])


def check_without_a_template(prefix: str, dtype: torch.dtype) -> None:
    plain = ckpt.load(prefix)
    assert type(plain["model"]) is dict
    assert plain["model"]["0.weight"].dtype == (ml_dtypes.bfloat16 if dtype == torch.bfloat16 else np.float32)
    assert [*plain["optimizer"]["state"]] == [0, 1, 2, 3, 4, 5]
    group = plain["optimizer"]["param_groups"][0]
    assert (group["betas"], group["params"], group["foreach"]) == ((0.9, 0.999), [0, 1, 2, 3, 4, 5], None)


if __name__ == "__main__":
    element_type = getattr(torch, sys.argv[2])
    check(sys.argv[1], element_type)
    check_without_a_template(sys.argv[1], element_type)
    sys.stdout.write("goes on where it was\n")
