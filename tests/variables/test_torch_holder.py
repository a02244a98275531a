"""Tensors and parameters of torch: read where they are, and restored in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.saver.saver import Saver
from cloudckpt.variables.dtypes import from_numpy
from cloudckpt.variables.holder import Holder, as_holder, like
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.variable import Variable
from tests.frameworks import has_gpu, require_torch

if TYPE_CHECKING:
    from pathlib import Path

torch = require_torch()

DTYPES = [
    *(
        "float16",
        "float32",
        "float64",
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
    ),
    *("complex64", "complex128", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]
VALUE = np.array([[0, 1, 1], [1, 0, 1]])


def held(thing: Any) -> Holder:
    holder = as_holder(thing)
    assert holder is not None
    assert holder.thing is thing
    return holder


def numpy_dtype(name: str) -> Any:
    return np.dtype(getattr(ml_dtypes, name, name))


@pytest.mark.parametrize("name", DTYPES)
def test_a_tensor_is_read_in_its_own_memory_and_restored_in_place(name: str) -> None:
    dtype = numpy_dtype(name)
    tensor = torch.tensor(VALUE).to(getattr(torch, name))
    holder = held(tensor)
    assert (holder.name, holder.shape, holder.device) == ("", (2, 3), "")
    assert (holder.data_type, holder.save_slice_info, holder.assignable) == (from_numpy(dtype), None, True)
    before = holder.read()
    assert before.dtype == dtype
    np.testing.assert_array_equal(before, VALUE.astype(dtype))
    holder.assign((1 - VALUE).astype(dtype))
    np.testing.assert_array_equal(holder.read(), (1 - VALUE).astype(dtype))
    assert np.shares_memory(before, holder.read())


@pytest.mark.parametrize("name", DTYPES)
def test_a_restored_tensor_is_like_the_existing_one(name: str) -> None:
    existing = torch.zeros(2, 3).to(getattr(torch, name))
    restored = like(existing, VALUE.astype(numpy_dtype(name)))
    assert (restored.dtype, restored.device) == (existing.dtype, existing.device)
    np.testing.assert_array_equal(held(restored).read(), VALUE.astype(numpy_dtype(name)))


def test_a_restored_tensor_has_the_dtype_of_what_was_stored() -> None:
    existing = torch.zeros(2, dtype=torch.bfloat16, requires_grad=True)
    restored = like(existing, np.array([1.5, 2.5], np.float32))
    assert (restored.dtype, restored.tolist(), restored.requires_grad) == (torch.float32, [1.5, 2.5], True)
    steps = like(existing, np.array([1, 2]))
    assert (steps.dtype, steps.tolist(), steps.requires_grad) == (torch.int64, [1, 2], False)
    with pytest.raises(TypeError, match="torch has no dtype for string"):
        like(existing, np.array([b"a"], object))


def test_a_variable_is_made_of_a_parameter_and_assigned_one() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.bfloat16))
    variable = Variable(parameter)
    assert variable.dtype == ml_dtypes.bfloat16
    held(parameter).assign(np.array([3, 4], ml_dtypes.bfloat16))
    assert variable.numpy().tolist() == [1, 2]
    assert variable.assign(parameter).numpy().tolist() == [3, 4]


def test_a_parameter_keeps_its_gradient_and_its_place() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.sum().backward()
    view = parameter.detach()
    held(parameter).assign(np.ones(3, np.float32))
    assert view.tolist() == [1, 1, 1]
    assert parameter.grad.tolist() == [1, 1, 1]
    assert parameter.is_leaf
    assert like(parameter, np.ones(3, np.float32)).requires_grad


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_is_not_contiguous_is_read_and_restored(name: str) -> None:
    dtype = numpy_dtype(name)
    tensor = torch.zeros(3, 2).to(getattr(torch, name)).t()
    held(tensor).assign(VALUE.astype(dtype))
    np.testing.assert_array_equal(held(tensor).read(), VALUE.astype(dtype))
    assert not tensor.is_contiguous()


def test_scalars_and_empty_tensors() -> None:
    scalar, empty = torch.tensor(3), torch.zeros(0, 3)
    held(scalar).assign(np.array(7))
    held(empty).assign(np.zeros((0, 3), np.float32))
    assert scalar.item() == 7
    assert (held(scalar).read().shape, held(empty).read().shape) == ((), (0, 3))


def test_a_read_only_array_is_restored_without_a_warning() -> None:
    tensor = torch.zeros(2)
    array = np.ones(2, np.float32)
    array.flags.writeable = False
    held(tensor).assign(array)
    assert tensor.tolist() == [1, 1]


def test_conjugated_and_negated_views_are_read() -> None:
    tensor = torch.tensor([1 + 2j])
    assert held(tensor.conj()).read().tolist() == [1 - 2j]
    assert held(tensor.conj().imag).read().tolist() == [-2]


def test_a_slice_says_of_what() -> None:
    tensor = torch.zeros(2)
    tensor._save_slice_info = SaveSliceInfo("whole", (4,), (0,), (2,))
    assert held(tensor).save_slice_info is tensor._save_slice_info


def test_dtypes_that_tensorflow_has_not_are_refused() -> None:
    with pytest.raises(TypeError, match="bits8 has no counterpart"):
        _ = held(torch.zeros(2, dtype=torch.uint8).view(torch.bits8)).data_type


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: torch.zeros(2, device="meta"), "meta device"),
        (lambda: torch.eye(2).to_sparse(), "sparse"),
        (lambda: torch.nested.nested_tensor([torch.ones(2)]), "nested"),
        (torch.nn.UninitializedParameter, "lazy module"),
    ],
    ids=["meta", "sparse", "nested", "lazy"],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_tensor_without_elements_in_one_place_is_refused(make: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        as_holder(make())


def test_a_module_is_saved_and_restored_in_place(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2, dtype=torch.bfloat16)
    saver = Saver(dict(module.named_parameters()))
    path = saver.save(None, str(tmp_path / "model"))
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    saver.restore(None, path)
    assert all(torch.equal(parameter, before[name]) for name, parameter in module.named_parameters())


@pytest.mark.skipif(not has_gpu(torch), reason="there is no GPU")
def test_a_tensor_of_a_gpu_is_copied_from_and_to_it() -> None:
    tensor = torch.zeros(2, 3, device="cuda", dtype=torch.bfloat16)
    holder = held(tensor)
    assert holder.device == "/device:GPU:0"
    holder.assign(VALUE.astype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(holder.read(), VALUE)
    assert like(tensor, VALUE.astype(ml_dtypes.bfloat16)).device == tensor.device
