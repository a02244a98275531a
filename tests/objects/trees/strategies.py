"""Trees of every kind of node and leaf, as Hypothesis strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudckpt.variables.dtypes import DataType, to_numpy

FIXED_SIZE = [
    data_type for data_type in DataType if data_type not in (DataType.STRING, DataType.RESOURCE, DataType.VARIANT)
]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.one_of(texts, st.integers(-(10**20), 10**20), st.sampled_from("ab"))


@st.composite
def fixed_arrays(draw: st.DrawFn) -> np.ndarray:
    """An array of any fixed-size dtype, filled with any bits that the dtype has, laid out in any way."""
    dtype = to_numpy(draw(st.sampled_from(FIXED_SIZE)))
    return laid_out(draw, filled(draw, draw(SHAPES), dtype))


def filled(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    count = int(np.prod(shape, dtype=int))
    if dtype.name in {"bool", "int4", "uint4", "int2", "uint2", "float4_e2m1fn"}:
        values = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
        return np.array(values, np.int8).astype(dtype).reshape(shape)
    size = count * dtype.itemsize
    return np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)


def laid_out(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """The same kind of array with another layout in memory."""
    how = draw(st.sampled_from(["as it is", "Fortran", "transposed", "reversed", "every second", "broadcast"]))
    if how == "Fortran":
        return np.asfortranarray(array)
    if how == "transposed":
        return array.T
    if not array.ndim or how == "as it is":
        return array
    if how == "broadcast":
        return np.broadcast_to(array[:1], (3, *array.shape[1:])) if len(array) else array
    return array[::-1] if how == "reversed" else array[..., ::2]


@st.composite
def string_arrays(draw: st.DrawFn) -> np.ndarray:
    """An array of dtype U, S or object."""
    kind = draw(st.sampled_from(["U", "S", "str", "bytes"]))
    shape = draw(SHAPES)
    count = int(np.prod(shape, dtype=int))
    elements = draw(st.lists(texts if kind in {"U", "str"} else st.binary(max_size=8), min_size=count, max_size=count))
    if kind in {"U", "S"}:
        width = draw(st.integers(8, 12))
        return laid_out(draw, np.array(elements, f"{kind}{width}").reshape(shape))
    array = np.empty(count, object)
    array[:] = elements
    return laid_out(draw, array.reshape(shape))


scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.complex_numbers(),
    texts,
    st.binary(max_size=8),
    texts.map(np.str_),
    st.binary(max_size=8).map(np.bytes_),
    fixed_arrays().filter(lambda array: array.size).map(lambda array: array[(0,) * array.ndim]),
)

leaves = scalars | fixed_arrays() | string_arrays()
nodes = st.recursive(
    leaves,
    lambda children: st.one_of(
        st.dictionaries(keys, children, max_size=4),
        st.lists(children, max_size=4),
        st.lists(children, max_size=4).map(tuple),
    ),
    max_leaves=8,
)
trees = st.dictionaries(keys, nodes, max_size=4) | st.lists(nodes, max_size=4) | st.lists(nodes, max_size=4).map(tuple)
