"""What a saver handles: one object, and the tensors that it is saved as.

Source: python/training/saving/saveable_object.py and saveable_object_util.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.holder import as_holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.holder import Holder

__all__ = ["SaveSpec", "SaveableObject", "VariableSaveable"]


class SaveSpec:
    """One tensor that is saved, whole or as a slice of a larger one.

    Args:
        tensor: an array, a variable of any framework, a tensor of a graph, or a callable without arguments that
            returns one of these when a save runs. If that is None, nothing is saved under this name.
        slice_spec: "" for a whole tensor; of a slice, the whole's shape and what of it this is, as in "4 4 0,2:-".
        name: in the checkpoint.
        dtype: needed where `tensor` does not say it; a restore refuses any other.
        device: by which a sharded saver sorts it; needed where `tensor` is a callable.

    Raises:
        AssertionError: `tensor` is a callable, and dtype or device are missing; as TensorFlow.
        TypeError: the tensor has no dtype of TensorFlow's.
    """

    def __init__(self, tensor: Any, slice_spec: str, name: str, dtype: Any = None, device: str | None = None) -> None:
        if callable(tensor) and (dtype is None or device is None):
            raise AssertionError(f"the tensor of the SaveSpec {name!r} is a callable: give its dtype and device, too")
        self._tensor = tensor
        self.slice_spec = slice_spec
        self.name = name
        holder = as_holder(tensor) if dtype is None or device is None else None
        if dtype is None:
            dtype = getattr(tensor, "dtype", None) if holder is None else holder.data_type
        self.dtype = dtype if isinstance(dtype, DType) else DType(data_type_argument(dtype, f"the dtype of {name!r}"))
        if device is None:
            device = getattr(tensor, "device", "") if holder is None else holder.device
        self.device = device

    @property
    def tensor(self) -> Any:
        """The tensor itself, what the callable returns where it is one."""
        return self._tensor() if callable(self._tensor) else self._tensor


class SaveableObject:
    """An object that is saved as one tensor or several, under names of its own. To be subclassed.

    Args:
        op: what it stands for; no two saveables of one saver may stand for the same object. None for nothing.
        specs: its tensors, all on one device.
        name: its own; where it is in the order of a saver's objects.
    """

    def __init__(self, op: Any, specs: Sequence[SaveSpec], name: str) -> None:
        self.op = op
        self.specs = specs
        self.name = name

    @property
    def device(self) -> str:
        """That of its tensors."""
        return self.specs[0].device

    def restore(
        self,
        restored_tensors: Sequence[NDArray[Any]],  # noqa: ARG002 - for those that override it
        restored_shapes: Sequence[Any] | None,  # noqa: ARG002 - likewise
    ) -> Any:
        """Take the tensors that were read, once everything else has been read, too.

        Args:
            restored_tensors: one for each of `specs`, as new arrays.
            restored_shapes: the shapes that the object's tensors have now, for savers with `reshape=True`; else None.

        Returns:
            None, or operations for the saver to run in the session that it restores to.

        Raises:
            ValueError: it can't be restored from these.
        """
        raise ValueError(f"{type(self).__name__} {self.name!r} can't be restored: it does not define restore()")


class VariableSaveable(SaveableObject):
    """A variable of any framework, or a slice of one.

    Args:
        var: the variable.
        slice_spec: "" for a whole variable; else what slice of which tensor it is.
        name: in the checkpoint.

    Raises:
        TypeError: `var` is nothing that values can be read from.
    """

    def __init__(self, var: Any, slice_spec: str, name: str) -> None:
        holder = as_holder(var)
        if holder is None:
            raise TypeError(f"{name!r} can't be saved: {type(var).__name__} is no variable")
        self.holder: Holder = holder
        super().__init__(holder.thing, [SaveSpec(var, slice_spec, name, holder.data_type, holder.device)], name)

    def restore(self, restored_tensors: Sequence[NDArray[Any]], restored_shapes: Sequence[Any] | None) -> Any:
        """Set the variable's own value."""
        (array,) = restored_tensors
        self.holder.assign(array if restored_shapes is None else array.reshape(restored_shapes[0]))
