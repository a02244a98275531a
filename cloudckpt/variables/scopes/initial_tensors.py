"""Tensors to begin variables with, by TensorFlow 1's names: zeros, ones, one value, random numbers.

In a graph they are constants: random numbers are drawn once, when the function is called, by NumPy's generator, and a
session that asks for them again gets the same. Outside of graphs they are arrays that can't be written to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.conversion import as_array
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.default_graph import default_graph, get_default_graph
from cloudckpt.variables.own_value import sealed
from cloudckpt.variables.scopes.random_initializers import (
    random_normal_initializer,
    random_uniform_initializer,
    truncated_normal_initializer,
)
from cloudckpt.variables.scopes.value_initializers import ones_initializer, zeros_initializer
from cloudckpt.variables.value_nodes import add_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.operation import Tensor

__all__ = ["fill", "ones", "random_normal", "random_uniform", "set_random_seed", "truncated_normal", "zeros"]


def zeros(shape: Sequence[int], dtype: Any = DataType.FLOAT, name: str | None = None) -> Tensor | NDArray[Any]:
    """Zeros; False, or empty texts, where the dtype is of such."""
    return _begun(zeros_initializer(dtype), shape, name or "zeros")


def ones(shape: Sequence[int], dtype: Any = DataType.FLOAT, name: str | None = None) -> Tensor | NDArray[Any]:
    """Ones."""
    return _begun(ones_initializer(dtype), shape, name or "ones")


def fill(dims: Sequence[int], value: Any, name: str | None = None) -> Tensor | NDArray[Any]:
    """The same value throughout, of the dtype that it has by itself."""
    array = as_array(value)
    return _begun(lambda shape: np.full(shape, array, array.dtype), dims, name or "Fill")


def random_normal(  # noqa: PLR0917 - TensorFlow's arguments
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = DataType.FLOAT,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor | NDArray[Any]:
    """Random numbers of a normal distribution; arguments as `random_normal_initializer` has them."""
    return _begun(random_normal_initializer(mean, stddev, seed, dtype), shape, name or "random_normal")


def truncated_normal(  # noqa: PLR0917 - TensorFlow's arguments
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = DataType.FLOAT,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor | NDArray[Any]:
    """The same without those further from the mean than two standard deviations."""
    return _begun(truncated_normal_initializer(mean, stddev, seed, dtype), shape, name or "truncated_normal")


def random_uniform(  # noqa: PLR0917 - TensorFlow's arguments
    shape: Sequence[int],
    minval: float = 0,
    maxval: float | None = None,
    dtype: Any = DataType.FLOAT,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor | NDArray[Any]:
    """Random numbers of equal probability; arguments as `random_uniform_initializer` has them."""
    return _begun(random_uniform_initializer(minval, maxval, seed, dtype), shape, name or "random_uniform")


def set_random_seed(seed: int) -> None:
    """Let the default graph's random numbers that are given no seed of their own be the same in every run.

    They are those of a `numpy.random.SeedSequence`, one after the other as they are drawn, and not TensorFlow's.
    """
    get_default_graph().seeds = np.random.SeedSequence(seed % 2**64)


def _begun(
    initializer: Callable[[Sequence[int]], NDArray[Any]], shape: Sequence[int], name: str
) -> Tensor | NDArray[Any]:
    array = sealed(np.asarray(initializer(shape)))
    graph = default_graph()
    return array if graph is None else add_value(graph, name, array)
