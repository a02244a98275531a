"""A mapping of arrays as the place that a saver saves from and restores to."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.saver.memory import Memory
from cloudckpt.saver.saveable_object import VariableSaveable
from cloudckpt.variables.conversion import as_array, converted
from cloudckpt.variables.dtypes import data_type_of, python_name
from cloudckpt.variables.holder import as_holder, like
from cloudckpt.variables.tensor_slice import as_index, parse_shape_and_slice, region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
    from cloudckpt.variables.tensor_slice import Region

__all__ = ["MappingMemory"]


class MappingMemory(Memory):
    """Arrays by their names in the checkpoint; the slices of one tensor are those of one array."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping
        self._slices: dict[str, set[str]] = {}
        """the slices of each tensor that a restore brings, by its name"""
        self._begun: dict[str, tuple[NDArray[Any], set[str]]] = {}
        """arrays that slices are put together in, with those that are there"""

    def read(self, saveable: SaveableObject, spec: SaveSpec) -> NDArray[Any]:
        """See `Memory.read`."""
        if spec.name not in self._mapping:
            if not isinstance(saveable, VariableSaveable) and isinstance(tensor := spec.tensor, np.ndarray):
                return tensor  # it comes from no variable
            raise InvalidArgumentError(
                f"the mapping that is saved has no {spec.name!r}; it has {len(self._mapping)} others", tensor=spec.name
            )
        if not spec.slice_spec and isinstance(saveable, VariableSaveable):
            return self._fitting(saveable, spec.name)
        array = self._array(spec.name)
        if not spec.slice_spec:
            return array
        shape, region = _slice_of(spec)
        if array.shape != shape:
            raise InvalidArgumentError(
                f"{spec.name!r} of the mapping that is saved has shape {array.shape}, and is saved in slices of shape "
                f"{shape}",
                tensor=spec.name,
            )
        return array[as_index(region)]

    def check_assignable(self, saveables: Iterable[SaveableObject]) -> None:
        """See `Memory.check_assignable`.

        Raises:
            InvalidArgumentError: there will be only some slices of a tensor that the mapping does not have.
        """
        self._filled()
        left: dict[tuple[str, tuple[int, ...]], int] = {}
        for saveable in saveables:
            for spec in filter(lambda spec: spec.slice_spec, saveable.specs):
                shape, region = _slice_of(spec)
                self._slices.setdefault(spec.name, set()).add(spec.slice_spec)
                key = spec.name, shape
                left[key] = left.get(key, prod(shape)) - prod(region_shape(region))
        for (name, shape), elements in left.items():
            if elements > 0 and not self._has(name, shape):
                raise InvalidArgumentError(
                    f"the slices of {name!r} that are restored leave out {elements} elements: put an array of shape "
                    f"{shape} into the mapping first, or restore all slices",
                    tensor=name,
                )

    def restore(self, saveable: SaveableObject, arrays: list[NDArray[Any]], shapes: Sequence[Any] | None) -> None:
        """See `Memory.restore`."""
        for number, (spec, array) in enumerate(zip(saveable.specs, arrays, strict=True)):
            value = array if shapes is None else array.reshape(shapes[number])
            if spec.slice_spec:
                self._restore_slice(spec, value)
            else:
                self._set(spec.name, value)

    def _restore_slice(self, spec: SaveSpec, part: NDArray[Any]) -> None:
        """Put a slice in its place, and once all of its tensor are there, the tensor into the mapping."""
        shape, region = _slice_of(spec)
        if spec.name not in self._begun:
            self._begun[spec.name] = self._begin(spec.name, shape, part.dtype), set()
        whole, there = self._begun[spec.name]
        whole[as_index(region)] = part
        there.add(spec.slice_spec)
        if there == self._slices[spec.name]:
            del self._begun[spec.name]
            self._set(spec.name, whole)

    def _begin(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> NDArray[Any]:
        if self._has(name, shape):
            return self._array(name).astype(dtype)
        return np.empty(shape, dtype)  # `check_assignable` has seen that all of it will be filled

    def _has(self, name: str, shape: tuple[int, ...]) -> bool:
        return name in self._mapping and self._array(name).shape == shape

    def _fitting(self, saveable: VariableSaveable, name: str) -> NDArray[Any]:
        """The value that the mapping has for a variable: of its dtype and shape, as what is saved is restored to it."""
        holder, value = saveable.holder, self._mapping[name]
        # What Python's numbers become depends on what they are for.
        array = self._array(name) if hasattr(value, "__array__") else converted(value, holder.data_type)
        if (found := data_type_of(array)) != holder.data_type or holder.shape not in (None, array.shape):
            raise InvalidArgumentError(
                f"{name!r} of the mapping that is saved is of {python_name(found)} and shape {array.shape}, its "
                f"variable of {python_name(holder.data_type)} and shape {holder.shape}: make the saver of variables "
                "like the values",
                tensor=name,
            )
        return array

    def _array(self, name: str) -> NDArray[Any]:
        value = self._mapping[name]
        holder = as_holder(value)
        return as_array(value) if holder is None else holder.read()

    def _set(self, name: str, array: NDArray[Any]) -> None:
        self._filled()[name] = like(self._mapping.get(name), array)

    def _filled(self) -> MutableMapping[str, Any]:
        if not isinstance(self._mapping, MutableMapping):
            raise TypeError(f"a restore can't fill a {type(self._mapping).__name__}: pass a dict or a MutableMapping")
        return self._mapping


def _slice_of(spec: SaveSpec) -> tuple[tuple[int, ...], Region]:
    """The whole tensor's shape, and which part of it a spec stands for."""
    try:
        shape, tensor_slice = parse_shape_and_slice(spec.slice_spec)
    except ValueError as error:
        raise InvalidArgumentError(f"the slice spec of {spec.name!r} is wrong: {error}", tensor=spec.name) from error
    return shape, resolve(tensor_slice, shape)
