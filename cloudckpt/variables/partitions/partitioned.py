"""A variable in parts, each of which is a variable and a slice of the whole.

Source: python/ops/variables.py, PartitionedVariable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.partitions.concatenation import add_concatenation
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo, save_slice_info_of
from cloudckpt.variables.scopes.request import value_given
from cloudckpt.variables.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from cloudckpt.variables.variable import Variable

__all__ = ["PartitionedVariable"]


class PartitionedVariable:
    """Variables that together are one tensor, which a checkpoint holds under one name.

    Args:
        name: of the whole, and of its tensor in a checkpoint.
        shape: of the whole.
        dtype: of its elements.
        variable_list: the parts; each says by `save_slice_info` which slice of the whole it is, and they are ordered
            by where they start.
        partitions: the number of parts along each dimension.

    Raises:
        TypeError: `variable_list` or `partitions` is no list.
        ValueError: there are no parts, they don't say which slices they are, or not slices of a whole of this shape.
    """

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any,
        variable_list: Sequence[Variable],
        partitions: Sequence[int],
    ) -> None:
        for argument, value in (("variable_list", variable_list), ("partitions", partitions)):
            if not isinstance(value, list | tuple):
                raise TypeError(f"{argument} must be a list or tuple, got {value!r}")
        if not variable_list or len(partitions) != len(shape) or any(parts < 1 for parts in partitions):
            raise ValueError(
                f"a partitioned variable has parts, and 1 or more of them along each dimension: got "
                f"{len(variable_list)} parts, {list(partitions)} for the shape {tuple(shape)}"
            )
        infos = [_slice_info(variable, tuple(shape)) for variable in variable_list]
        order = sorted(range(len(infos)), key=lambda position: tuple(infos[position].var_offset))
        self._name = name
        self._shape = Shape(shape)
        self._dtype = dtype
        self._variables = [variable_list[position] for position in order]
        self._part_shapes = [infos[position].var_shape for position in order]
        self._partitions = list(partitions)

    @property
    def name(self) -> str:
        """Of the whole; a part's is "name/part_0:0"."""
        return self._name

    @property
    def shape(self) -> Shape:
        """Of the whole."""
        return self._shape

    def get_shape(self) -> Shape:
        """`shape`, by TensorFlow's older name."""
        return self._shape

    @property
    def dtype(self) -> Any:
        """Of the elements."""
        return self._dtype

    @property
    def partitions(self) -> list[int]:
        """The number of parts along each dimension."""
        return list(self._partitions)

    def __iter__(self) -> Iterator[Variable]:
        """The parts, by where they start."""
        return iter(self._variables)

    def __len__(self) -> int:
        """The number of parts. Where several axes are cut TensorFlow refuses to tell, and so to make a list."""
        return len(self._variables)

    def as_tensor(self) -> Tensor | NDArray[Any]:
        """The whole: the parts' own values put together, a copy; within a graph's block a tensor for a session to run.

        Raises:
            NotImplementedError: the whole is cut along several dimensions.
        """
        axis = self._axis()
        values = [variable.value() for variable in self._variables]
        if isinstance(values[0], Tensor):
            return add_concatenation(self._name, values, axis, self._variables[0].data_type)
        return np.concatenate(values, axis=axis)

    def numpy(self) -> NDArray[Any]:
        """The parts' own values put together, a copy.

        Raises:
            NotImplementedError: the whole is cut along several dimensions.
        """
        return np.concatenate([part.own_value for part in self._variables], axis=self._axis())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the parts of a partitioned variable can't become one array without a copy")
        return np.asarray(self.numpy(), dtype=dtype)

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """Assign to each part its slice of a value.

        Args:
            value: of the shape of the whole; a list with one value for each part; or another partitioned variable.
            use_locking: means nothing here.
            name: of the operations in a graph.
            read_value: as `Variable.assign`.

        Returns:
            A list of what assigning to each part gave.

        Raises:
            ValueError: it does not fit.
            NotImplementedError: the whole is cut along several dimensions.
        """
        return self._each(lambda part, slice_: part.assign(slice_, use_locking, name, read_value), value)

    def assign_add(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Add to each part its slice of a value; else as `assign`."""
        return self._each(lambda part, slice_: part.assign_add(slice_, use_locking, name, read_value), value)

    def assign_sub(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtract from each part its slice of a value; else as `assign`."""
        return self._each(lambda part, slice_: part.assign_sub(slice_, use_locking, name, read_value), value)

    def _each(self, act: Callable[[Variable, Any], Any], value: Any) -> list[Any]:
        slices = self._slices(value)
        if len(slices) != len(self._variables):
            raise ValueError(f"{self._name!r} has {len(self._variables)} parts, and there are {len(slices)} values")
        return [act(part, slice_) for part, slice_ in zip(self._variables, slices, strict=True)]

    def _slices(self, value: ArrayLike | PartitionedVariable) -> list[Any]:
        axis = self._axis()
        if isinstance(value, list | PartitionedVariable):
            return list(value)
        whole = value_given(value, self._variables[0].data_type)
        if whole.shape != self._shape:
            raise ValueError(f"a value of shape {whole.shape} can't be assigned to {self._name!r}, of {self._shape}")
        stops = np.cumsum([part_shape[axis] for part_shape in self._part_shapes])
        return np.split(whole, stops[:-1], axis=axis)

    def _axis(self) -> int:
        """The dimension that the whole is cut along.

        Raises:
            NotImplementedError: there are several.
        """
        axes = [axis for axis, parts in enumerate(self._partitions) if parts > 1]
        if len(axes) > 1:
            raise NotImplementedError(f"{self._name!r} is cut along {len(axes)} dimensions: {self._partitions}")
        return axes[0] if axes else 0

    def __repr__(self) -> str:
        return f"<PartitionedVariable {self._name!r}: {self._partitions} parts of {self._dtype} {list(self._shape)}>"


def _slice_info(variable: Variable, shape: tuple[int, ...]) -> SaveSliceInfo:
    info = save_slice_info_of(variable)
    if info is None or info.full_shape != shape:
        found = "does not say" if info is None else f"is of {info.full_shape}: {info.spec!r}"
        raise ValueError(f"each part must be a slice of a whole of shape {shape}: {variable.name!r} {found}")
    return info
