"""Random initial values of variables, by TensorFlow 1's names for them.

They are drawn by NumPy's generator: with a seed, their own or the graph's (`set_random_seed`), they are the same in
every run, but not those that TensorFlow draws.

Source: python/ops/init_ops.py.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtypes import DataType, python_name, to_numpy
from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.scopes.value_initializers import InitializerOfDType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

__all__ = [
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "truncated_normal_initializer",
]

_TRUNCATED_DEVIATION = 0.87962566103423978
"""The standard deviation of a normal distribution of deviation 1 that is cut off at -2 and 2."""


class _Random(InitializerOfDType):
    """An initializer of random numbers, the same for a seed, a shape and a part's place."""

    def __init__(self, seed: int | None, dtype: Any) -> None:
        super().__init__(dtype)
        self._seed = seed

    def _generator(self, partition_info: SaveSliceInfo | None) -> np.random.Generator:
        if self._seed is None:
            seeds = get_default_graph().seeds
            return np.random.default_rng(None if seeds is None else seeds.spawn(1)[0])
        offset = () if partition_info is None else partition_info.var_offset
        return np.random.default_rng([self._seed % 2**64, *offset])

    def _drawn(self, dtype: Any) -> type[np.float32 | np.float64]:
        """The dtype to draw in.

        Raises:
            ValueError: the variable's is none of fractions.
        """
        data_type = self._data_type(dtype)
        if data_type not in (DataType.HALF, DataType.BFLOAT16, DataType.FLOAT, DataType.DOUBLE):
            raise ValueError(f"random numbers with a fraction can't be of {python_name(data_type)}")
        return np.float64 if data_type is DataType.DOUBLE else np.float32

    def _cast(self, drawn: NDArray[Any], dtype: Any) -> NDArray[Any]:
        return drawn.astype(to_numpy(self._data_type(dtype)), copy=False)


class random_uniform_initializer(_Random):  # noqa: N801 - TensorFlow's name
    """Random numbers of equal probability.

    Args:
        minval: the least.
        maxval: what all are below; 1 if it is None, which integers do not allow.
        seed: of NumPy's generator; None for other numbers each time, or the graph's seed.
        dtype: for when it is called without one.
    """

    def __init__(
        self, minval: float = 0.0, maxval: float | None = None, seed: int | None = None, dtype: Any = DataType.FLOAT
    ) -> None:
        super().__init__(seed, dtype)
        self._minval = minval
        self._maxval = maxval

    def __call__(
        self, shape: Sequence[int], dtype: Any = None, partition_info: SaveSliceInfo | None = None
    ) -> NDArray[Any]:
        """An array of them.

        Raises:
            ValueError: the dtype is neither of integers nor of fractions, or one of integers without `maxval`.
        """
        generator = self._generator(partition_info)
        numpy_dtype = to_numpy(self._data_type(dtype))
        if np.issubdtype(numpy_dtype, np.integer):
            if self._maxval is None:
                raise ValueError(f"random integers, of {numpy_dtype}, need a maxval")
            return generator.integers(int(self._minval), int(self._maxval), tuple(shape), numpy_dtype)
        drawn = generator.random(tuple(shape), self._drawn(dtype))
        drawn *= (1.0 if self._maxval is None else self._maxval) - self._minval
        drawn += self._minval
        return self._cast(drawn, dtype)


class random_normal_initializer(_Random):  # noqa: N801 - TensorFlow's name
    """Random numbers of a normal distribution.

    Args:
        mean: of the distribution.
        stddev: its standard deviation.
        seed: of NumPy's generator; None for other numbers each time, or the graph's seed.
        dtype: for when it is called without one: one of fractions.
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = DataType.FLOAT
    ) -> None:
        super().__init__(seed, dtype)
        self._mean = mean
        self._stddev = stddev

    def __call__(
        self, shape: Sequence[int], dtype: Any = None, partition_info: SaveSliceInfo | None = None
    ) -> NDArray[Any]:
        """An array of them.

        Raises:
            ValueError: the dtype is none of fractions.
        """
        drawn = self._standard(self._generator(partition_info), tuple(shape), self._drawn(dtype))
        drawn *= self._stddev
        drawn += self._mean
        return self._cast(drawn, dtype)

    def _standard(
        self, generator: np.random.Generator, shape: tuple[int, ...], dtype: type[np.float32 | np.float64]
    ) -> NDArray[Any]:
        return generator.standard_normal(shape, dtype)


class truncated_normal_initializer(random_normal_initializer):  # noqa: N801 - TensorFlow's name
    """Random numbers of a normal distribution, none further from its mean than two standard deviations.

    Args:
        mean: of the distribution.
        stddev: its standard deviation, before the cut.
        seed: of NumPy's generator; None for other numbers each time, or the graph's seed.
        dtype: for when it is called without one: one of fractions.
    """

    def _standard(
        self, generator: np.random.Generator, shape: tuple[int, ...], dtype: type[np.float32 | np.float64]
    ) -> NDArray[Any]:
        drawn = np.atleast_1d(generator.standard_normal(shape, dtype))
        while len(beyond := np.nonzero(np.abs(drawn) > 2)[0]):
            drawn[np.abs(drawn) > 2] = generator.standard_normal(len(beyond), dtype)
        return drawn.reshape(shape)


class glorot_uniform_initializer(_Random):  # noqa: N801 - TensorFlow's name
    """Random numbers of equal probability, within a limit that falls as the connections of a layer's units grow.

    Args:
        seed: of NumPy's generator; None for other numbers each time, or the graph's seed.
        dtype: for when it is called without one: one of fractions.
    """

    def __init__(self, seed: int | None = None, dtype: Any = DataType.FLOAT) -> None:
        super().__init__(seed, dtype)

    def __call__(
        self, shape: Sequence[int], dtype: Any = None, partition_info: SaveSliceInfo | None = None
    ) -> NDArray[Any]:
        """An array of them; for a part of a variable, the limit is that of the whole.

        Raises:
            ValueError: the dtype is none of fractions.
        """
        self._drawn(dtype)
        limit = sqrt(3.0) * _glorot_deviation(shape, partition_info)
        return random_uniform_initializer(-limit, limit, self._seed, self._default)(shape, dtype, partition_info)


class glorot_normal_initializer(_Random):  # noqa: N801 - TensorFlow's name
    """Random numbers of a truncated normal distribution, narrower as the connections of a layer's units grow.

    Args:
        seed: of NumPy's generator; None for other numbers each time, or the graph's seed.
        dtype: for when it is called without one: one of fractions.
    """

    def __init__(self, seed: int | None = None, dtype: Any = DataType.FLOAT) -> None:
        super().__init__(seed, dtype)

    def __call__(
        self, shape: Sequence[int], dtype: Any = None, partition_info: SaveSliceInfo | None = None
    ) -> NDArray[Any]:
        """An array of them; for a part of a variable, the deviation is that of the whole.

        Raises:
            ValueError: the dtype is none of fractions.
        """
        deviation = _glorot_deviation(shape, partition_info) / _TRUNCATED_DEVIATION
        return truncated_normal_initializer(0.0, deviation, self._seed, self._default)(shape, dtype, partition_info)


def _glorot_deviation(shape: Sequence[int], partition_info: SaveSliceInfo | None) -> float:
    """The square root of 2 over the units that a weight of this shape connects, those before and those behind."""
    sizes = tuple(shape if partition_info is None else partition_info.full_shape)
    before, behind = {0: (1, 1), 1: sizes * 2}.get(len(sizes), sizes[-2:])
    return sqrt(1.0 / max(1.0, prod(sizes[:-2]) * (before + behind) / 2))
