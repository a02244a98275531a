"""PyTorch's tensors and state dicts in trees."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.objects.trees.save import flatten_for_save
from tests.frameworks import has_gpu, require_torch
from tests.objects.trees.torch_equality import assert_same_torch

torch = require_torch()


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_training_goes_on_where_it_was(tmp_path: Path, dtype: str) -> None:
    # Apart, since importing what optimizers need beside TensorFlow crashes some versions of torch.
    program = Path(__file__).parent / "torch_training.py"
    environment = {**os.environ, "PYTHONPATH": str(program.parents[3])}
    command = [sys.executable, str(program), str(tmp_path / "ckpt"), dtype]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("goes on where it was\n", 0), run.stderr


DTYPES = [
    *("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64", "complex128"),
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (2, 3), (0, 3)])
def test_tensors_of_every_dtype(name: str, shape: tuple[int, ...]) -> None:
    dtype = getattr(torch, name)
    tensor = torch.randint(0, 2, shape).to(dtype)
    prefix = saved({"a": tensor, "t": tensor.t() if len(shape) == 2 else tensor})
    restored = ckpt.load(prefix, like={"a": torch.zeros(shape).to(dtype), "t": torch.zeros(shape[::-1]).to(dtype)})
    assert restored["a"].dtype == dtype
    assert restored["a"].to(torch.complex128).tolist() == tensor.to(torch.complex128).tolist()
    assert ckpt.load(prefix)["a"].dtype == np.dtype(getattr(ml_dtypes, name, name))


def test_parameters_stay_parameters() -> None:
    parameter = torch.nn.Parameter(torch.arange(3.0))
    frozen = torch.nn.Parameter(torch.arange(3), requires_grad=False)
    template = {
        "p": torch.nn.Parameter(torch.zeros(3)),
        "f": torch.nn.Parameter(torch.zeros(3, dtype=torch.int64), requires_grad=False),
    }
    restored = ckpt.load(saved({"p": parameter, "f": frozen}), like=template)
    assert_same_torch(restored, {"p": parameter, "f": frozen})
    assert template["p"].tolist() == [0, 0, 0]


def test_casts_and_shapes_of_tensors() -> None:
    prefix = saved({"a": torch.arange(3.0, dtype=torch.float64)})
    assert ckpt.load(prefix, like={"a": torch.zeros(3, dtype=torch.bfloat16)}, cast=True)["a"].dtype == torch.bfloat16
    with pytest.raises(ckpt.StructureError, match=r"\['a'\] is bfloat16, tensor 'a' float64 \(cast=True"):
        ckpt.load(prefix, like={"a": torch.zeros(3, dtype=torch.bfloat16)})
    with pytest.raises(ckpt.StructureError, match=r"\['a'\] has shape \(4,\), tensor 'a' \(3,\)"):
        ckpt.load(prefix, like={"a": torch.zeros(4, dtype=torch.float64)})


def test_what_is_not_selected_is_the_very_tensor() -> None:
    template = {"a": torch.zeros(2), "b": 0}
    assert ckpt.load(saved({"b": 1}), like=template, strict=False)["a"] is template["a"]


@pytest.mark.parametrize(
    "make", [lambda: torch.eye(2).to_sparse(), lambda: torch.zeros(2, device="meta")], ids=["sparse", "meta"]
)
def test_what_has_no_elements_in_one_place_is_refused_by_its_path(make: Any) -> None:
    with pytest.raises(TypeError, match=r"\['m'\]\[0\] can't be saved: a tensor"):
        saved({"m": [make()]})


def test_a_dtype_that_tensorflow_lacks_is_refused_by_its_path() -> None:
    scales = {"m": [torch.zeros(2, dtype=torch.uint8).view(torch.float8_e8m0fnu)]}
    message = r"\['m'\]\[0\] can't be saved: torch\.float8_e8m0fnu has no counterpart"
    with pytest.raises(TypeError, match=message):
        saved(scales)
    prefix = saved({"m": [torch.zeros(2)]})
    with pytest.raises(TypeError, match=message):
        ckpt.load(prefix, like=scales)


def test_a_module_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\['m'\] can't be saved: it is torch\.nn\.modules\.linear\.Linear"):
        saved({"m": torch.nn.Linear(1, 1)})


def test_the_hosts_memory_is_not_frozen() -> None:
    tensor = torch.zeros(3)
    flat = flatten_for_save({"a": tensor})
    assert "a" not in flat.frozen
    tensor[0] = 1
    assert flat.arrays["a"].tolist() == [1, 0, 0]


@pytest.mark.skipif(not has_gpu(torch), reason="there is no GPU")
def test_tensors_of_a_gpu_are_copied_and_come_back_to_it() -> None:
    tensor = torch.arange(3.0, device="cuda")
    assert "a" in flatten_for_save({"a": tensor}).frozen
    assert_same_torch(ckpt.load(saved({"a": tensor}), like={"a": torch.zeros_like(tensor)})["a"], tensor)
