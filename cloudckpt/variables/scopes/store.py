"""The variables that `get_variable` has made in a graph, by name: got again, or made.

Source: python/ops/variable_scope.py, _VariableStore.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtypes import data_type_of, python_name
from cloudckpt.variables.graphs.default_graph import executing_eagerly
from cloudckpt.variables.graphs.operation import Operation
from cloudckpt.variables.partitions.partitioned import PartitionedVariable
from cloudckpt.variables.partitions.partitioning import partitions_of, slices_of
from cloudckpt.variables.scopes.request import initial_value, value_given
from cloudckpt.variables.shape import compatible
from cloudckpt.variables.tensor_slice import as_index
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
    from cloudckpt.variables.scopes.request import VariableRequest
    from cloudckpt.variables.shape import PartialShape

__all__ = ["VariableStore"]

_FRAMES: Final = 5
"""Of what made a variable, as many of the innermost are told."""
_Found = TypeVar("_Found", Variable, PartitionedVariable)


class VariableStore:
    """One graph's. What is made executing eagerly is not kept, so that each call makes a new variable."""

    def __init__(self) -> None:
        self._variables: dict[str, Variable] = {}
        self._partitioned: dict[str, PartitionedVariable] = {}

    @property
    def variables(self) -> Mapping[str, Variable]:
        """All that were made, by name; of those in parts the parts."""
        return self._variables

    def get_variable(self, request: VariableRequest) -> Variable | PartitionedVariable:
        """The variable, got or made; in parts where there is a partitioner and it is no scalar.

        Raises:
            ValueError: one of that name is there and is not to be got again, or is not there and is not to be made; or
                the one there has another shape, dtype or partition; or there is not enough to make it of.
        """
        if request.partitioner is not None and request.shape != ():
            return self.get_partitioned_variable(request)
        if request.reuse is True and (existing := self._partitioned.get(request.name)) is not None:
            return _checked(existing, request)
        if f"{request.name}/part_0" in self._variables:
            raise ValueError(f"variable {request.name!r} was made in parts: give a partitioner to get it again")
        return self._get_whole(request)

    def get_partitioned_variable(self, request: VariableRequest) -> PartitionedVariable:
        """The variable in parts, got or made.

        Raises: as `get_variable`.
        """
        name, partitioner = request.name, request.partitioner
        if name in self._variables:
            raise ValueError(f"variable {name!r} was made whole: give no partitioner to get it again")
        if partitioner is None:
            raise ValueError(f"variable {name!r} can't be made in parts without a partitioner")
        if request.initializer is not None and not callable(request.initializer):
            value = value_given(request.initializer, request.data_type)
            request = replace(request, shape=value.shape, initializer=value, data_type=data_type_of(value))
        partitions = partitions_of(name, request.shape, DType(request.data_type), partitioner)
        existing = self._partitioned.get(name)
        if existing is None:
            return self._make_partitioned(request, partitions)
        if request.reuse is False:
            raise _exists(name, next(iter(existing)))
        if existing.partitions != partitions:
            raise ValueError(f"variable {name!r} has {existing.partitions} parts, not {partitions}")
        return _checked(existing, request)

    def _make_partitioned(self, request: VariableRequest, partitions: list[int]) -> PartitionedVariable:
        if request.reuse is True:
            raise _missing(request.name)
        shape = tuple(size for size in request.shape or () if size is not None)
        parts = [
            self._get_part(request, number, slice_info)
            for number, slice_info in enumerate(slices_of(request.name, shape, partitions))
        ]
        whole = PartitionedVariable(request.name, shape, DType(request.data_type), parts, partitions)
        if not executing_eagerly():
            self._partitioned[request.name] = whole
        return whole

    def _get_part(self, request: VariableRequest, number: int, slice_info: SaveSliceInfo) -> Variable:
        initializer: Any = request.initializer
        shape: PartialShape = tuple(slice_info.var_shape)
        if isinstance(initializer, np.ndarray):
            initializer, shape = initializer[as_index(slice_info.region)], None
        part = self._get_whole(
            replace(
                request,
                name=f"{request.name}/part_{number}",
                shape=shape,
                initializer=initializer,
                slice_info=slice_info,
            )
        )
        part.save_slice_info = slice_info
        return part

    def _get_whole(self, request: VariableRequest) -> Variable:
        if request.shape is not None and request.initializer is not None and not callable(request.initializer):
            raise ValueError(f"variable {request.name!r} has its shape from its initial value: give no other")
        existing = self._variables.get(request.name)
        if existing is None:
            return self._make_whole(request)
        if request.reuse is False:
            raise _exists(request.name, existing)
        return _checked(existing, request)

    def _make_whole(self, request: VariableRequest) -> Variable:
        if request.reuse is True:
            raise _missing(request.name)
        value, data_type = initial_value(request)
        variable = Variable(value, name=request.name, dtype=data_type, shape=request.shape, **request.options)
        if not executing_eagerly():
            self._variables[request.name] = variable
        return variable


def _checked(existing: _Found, request: VariableRequest) -> _Found:
    """The variable that is there.

    Raises:
        ValueError: it has another shape or dtype than is asked for.
    """
    if not compatible(request.shape, existing.shape):
        raise ValueError(f"variable {request.name!r} is there with shape {existing.shape}, not {request.shape}")
    if existing.dtype != request.data_type:
        raise ValueError(
            f"variable {request.name!r} is there with dtype {existing.dtype.name}, not {python_name(request.data_type)}"
        )
    return existing


def _exists(name: str, existing: Variable) -> ValueError:
    made = ""
    if isinstance(existing.op, Operation) and existing.op.traceback:
        innermost = existing.op.traceback[-_FRAMES:]
        frames = [f"\n  {filename}:{line}, in {function}" for filename, line, function in innermost]
        made = "; it was made at" + "".join(frames)
    return ValueError(f"variable {name!r} exists: reuse=True or reuse=AUTO_REUSE of its scope gets it again{made}")


def _missing(name: str) -> ValueError:
    return ValueError(
        f"variable {name!r} does not exist, or was not made by get_variable: reuse=AUTO_REUSE of its scope makes it"
    )
