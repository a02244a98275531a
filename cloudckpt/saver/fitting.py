"""Whether what a checkpoint has fits what is to take it: names, dtypes, slices and shapes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError
from cloudckpt.ops.requests import tensor_request
from cloudckpt.saver.listed_names import listed
from cloudckpt.saver.saveable_object import VariableSaveable
from cloudckpt.variables.dtypes import DataType, data_type_of, python_name
from cloudckpt.variables.shape import compatible, shape_of
from cloudckpt.variables.tensor_slice import region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.saver.memory import Memory
    from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec

__all__ = ["Fitting"]


class Fitting:
    """What a restore checks before it assigns anything.

    Args:
        url: the checkpoint's, for messages.
        memory: where the variables' values are.
        reshape: whether only the number of elements must be right.
    """

    def __init__(self, url: str, memory: Memory, *, reshape: bool) -> None:
        self._url, self._memory, self._reshape = url, memory, reshape

    def check_index(
        self, checkpoint: OpenCheckpoint, saveables: Sequence[SaveableObject], stored: Sequence[SaveableObject]
    ) -> None:
        """See from the index that everything is there and fits. No request.

        Args:
            checkpoint: the checkpoint.
            saveables: what is to take the tensors.
            stored: the same, under the names that they have in the checkpoint.

        Raises:
            TensorNotFoundError: tensors are missing; the message names them.
            InvalidArgumentError: a tensor has another dtype or shape.
        """
        names = [spec.name for saveable in stored for spec in saveable.specs]
        if missing := [name for name in names if name not in checkpoint.tensors]:
            raise self._missing(checkpoint, missing, len(names))
        for saveable, named in zip(saveables, stored, strict=True):
            for spec, as_stored in zip(saveable.specs, named.specs, strict=True):
                dtype = DataType(as_stored.dtype.as_datatype_enum)
                request = tensor_request(checkpoint, as_stored.name, as_stored.slice_spec, dtype)
                shape = checkpoint.tensors[as_stored.name].shape
                if request.tensor_slice is not None:
                    shape = region_shape(resolve(request.tensor_slice, shape))
                self._check_shape(saveable, spec, shape)

    def check_arrays(self, saveables: Sequence[SaveableObject], arrays: Sequence[NDArray[Any]]) -> None:
        """See that arrays are what variables take; users' own saveables look for themselves.

        Raises:
            InvalidArgumentError: one has another dtype or shape.
        """
        pairs = ((saveable, spec) for saveable in saveables for spec in saveable.specs)
        for (saveable, spec), array in zip(pairs, arrays, strict=True):
            if not isinstance(saveable, VariableSaveable):
                continue
            found, expected = data_type_of(array), spec.dtype.as_datatype_enum
            if found != expected:
                raise self._misfit(
                    f"was read as {python_name(found)}, and the variable is of {python_name(expected)}", spec
                )
            self._check_shape(saveable, spec, array.shape)

    def _check_shape(self, saveable: SaveableObject, spec: SaveSpec, shape: tuple[int, ...]) -> None:
        if not self._reshape and not isinstance(saveable, VariableSaveable):
            return
        expected = saveable.holder.shape if isinstance(saveable, VariableSaveable) else None
        if self._reshape and expected is None:
            expected = self._memory.shape(saveable, spec)
        if expected is None:
            self._check_declared_shape(saveable, spec, shape)
            return
        if shape == expected or (self._reshape and prod(shape) == prod(expected)):
            return
        advice = " Pass reshape=True to Saver if only the shape is another" if prod(shape) == prod(expected) else ""
        raise self._misfit(f"has shape {shape}, and the variable has {tuple(expected)}.{advice}", spec)

    def _check_declared_shape(self, saveable: SaveableObject, spec: SaveSpec, shape: tuple[int, ...]) -> None:
        """The same of a variable whose shape is declared in part, or not at all."""
        declared = shape_of(saveable.holder.thing) if isinstance(saveable, VariableSaveable) else None
        if not compatible(declared, shape):
            raise self._misfit(f"has shape {shape}, and the variable is declared with {declared}", spec)

    def _misfit(self, found: str, spec: SaveSpec) -> InvalidArgumentError:
        part = f" (slice {spec.slice_spec!r})" if spec.slice_spec else ""
        return InvalidArgumentError(
            f"variable {spec.name!r}{part} can't be restored from {self._url!r}: its tensor {found}",
            path=self._url,
            tensor=spec.name,
        )

    def _missing(self, checkpoint: OpenCheckpoint, missing: Sequence[str], wanted: int) -> TensorNotFoundError:
        return TensorNotFoundError(
            f"{self._url!r} lacks {len(missing)} of the {wanted} tensors to restore: {listed(missing)}; it has "
            f"{len(checkpoint.tensors)} tensors. Give Saver a var_list without them, or a dict with "
            "the names that they have there",
            path=self._url,
            tensor=missing[0],
        )
