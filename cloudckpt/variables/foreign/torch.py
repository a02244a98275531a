"""PyTorch's tensors and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtypes import DataType, data_type_of, python_name, to_numpy
from cloudckpt.variables.foreign.foreign_holder import ForeignHolder
from cloudckpt.variables.foreign.imported import imported, is_instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TorchHolder", "torch_holder", "torch_like"]

_DATA_TYPES = {
    "torch.float16": DataType.HALF,
    "torch.float32": DataType.FLOAT,
    "torch.float64": DataType.DOUBLE,
    "torch.bfloat16": DataType.BFLOAT16,
    "torch.float8_e4m3fn": DataType.FLOAT8_E4M3FN,
    "torch.float8_e4m3fnuz": DataType.FLOAT8_E4M3FNUZ,
    "torch.float8_e5m2": DataType.FLOAT8_E5M2,
    "torch.float8_e5m2fnuz": DataType.FLOAT8_E5M2FNUZ,
    "torch.complex64": DataType.COMPLEX64,
    "torch.complex128": DataType.COMPLEX128,
    "torch.bool": DataType.BOOL,
    "torch.int8": DataType.INT8,
    "torch.int16": DataType.INT16,
    "torch.int32": DataType.INT32,
    "torch.int64": DataType.INT64,
    "torch.uint8": DataType.UINT8,
    "torch.uint16": DataType.UINT16,
    "torch.uint32": DataType.UINT32,
    "torch.uint64": DataType.UINT64,
}
_NAMES = {data_type: name.removeprefix("torch.") for name, data_type in _DATA_TYPES.items()}
_BITS = {1: "uint8", 2: "int16"}
"""The dtypes as which torch and NumPy hand each other the elements that only ml_dtypes adds to NumPy, by their size."""


class TorchHolder(ForeignHolder):
    """A tensor or parameter, on any device; tensors have no names, so a dict must name them.

    In the host's memory it is read without a copy, elsewhere copied to it. Assigning copies into the tensor's own
    memory, so that modules and optimizers that hold it see the new values; autograd does not see it.
    """

    __slots__ = ()

    @property
    def data_type(self) -> DataType:
        try:
            return _DATA_TYPES[str(self.thing.dtype)]
        except KeyError:
            raise TypeError(f"{self.thing.dtype} has no counterpart in TensorFlow") from None

    @property
    def device(self) -> str:
        device = self.thing.device
        if device.type == "cpu":
            return ""
        kind = "GPU" if device.type == "cuda" else device.type.upper()
        return f"/device:{kind}:{device.index or 0}"

    @property
    def frozen(self) -> bool:
        return bool(self.thing.device.type != "cpu")

    def read(self) -> NDArray[Any]:
        """Its elements in the host's memory: the tensor's own memory, where it is there."""
        dtype = to_numpy(self.data_type)
        tensor = self.thing.detach().cpu().resolve_conj().resolve_neg()
        array: NDArray[Any] = _as_bits(tensor, dtype).numpy()
        return array.view(dtype)

    def assign(self, array: NDArray[Any]) -> None:
        with imported("torch").no_grad():
            self.thing.copy_(_as_tensor(array))


def torch_holder(thing: Any) -> TorchHolder | None:
    """The holder of a tensor or parameter of torch; None for anything else.

    Raises:
        TypeError: it has no elements in one place: it is sparse, nested, distributed, on the meta device or
            uninitialized.
    """
    if not is_instance(thing, "torch", "Tensor"):
        return None
    if hasattr(thing, "full_tensor"):
        raise TypeError("a DTensor is spread over processes: save its to_local(), with a `_save_slice_info`, instead")
    if is_instance(thing, "torch.nn.parameter", "UninitializedTensorMixin"):
        raise TypeError("a parameter of a lazy module has no elements yet: run the module once before")
    if thing.is_meta or thing.is_nested or str(thing.layout) != "torch.strided":
        what = "on the meta device, without elements," if thing.is_meta else f"of layout {thing.layout}"
        what = "of nested ones" if thing.is_nested else what
        raise TypeError(f"a tensor {what} can't be saved or restored: make it a dense one first")
    return TorchHolder(thing)


def torch_like(existing: Any, array: NDArray[Any]) -> Any:
    """A new tensor, or parameter, of the array's elements on an existing one's device; None where that is none.

    It shares the array's memory where that is possible.

    Raises:
        TypeError: torch has not the array's dtype.
    """
    if not is_instance(existing, "torch", "Tensor"):
        return None
    tensor = _as_tensor(array).to(existing.device)
    has_gradient = existing.requires_grad and (tensor.is_floating_point() or tensor.is_complex())
    if is_instance(existing, "torch.nn", "Parameter"):
        return imported("torch").nn.Parameter(tensor, requires_grad=has_gradient)
    return tensor.requires_grad_(has_gradient)


def _as_tensor(array: NDArray[Any]) -> Any:
    """The array as a tensor over the same memory; over a copy where torch can't take it as it is."""
    data_type = data_type_of(array)
    if data_type not in _NAMES:
        raise TypeError(f"torch has no dtype for {python_name(data_type)}, so no tensor can take it")
    taken = np.require(array, requirements=["C", "W"])
    bits = taken.view(_BITS[taken.dtype.itemsize]) if taken.dtype.isbuiltin == 2 else taken
    torch = imported("torch")
    return torch.from_numpy(bits).view(getattr(torch, _NAMES[data_type]))


def _as_bits(tensor: Any, dtype: np.dtype) -> Any:
    """The tensor as one of a dtype that NumPy has by itself, of the same size."""
    return tensor.view(getattr(imported("torch"), _BITS[dtype.itemsize])) if dtype.isbuiltin == 2 else tensor
