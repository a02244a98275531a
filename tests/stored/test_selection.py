"""What an index selects: what NumPy would return for it, from a region that is no larger than it must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cloudckpt.stored.selection import select
from cloudckpt.variables.tensor_slice import region_shape

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


@st.composite
def shapes_and_indices(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    shape = draw(SHAPES)
    return shape, draw(npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))


def array_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def cut(array: np.ndarray, region: Any) -> np.ndarray:
    return array[(*(slice(start, start + length) for start, length in region), ...)]


@given(shapes_and_indices())
def test_it_is_what_numpy_returns(case: tuple[tuple[int, ...], Any]) -> None:
    shape, index = case
    array = array_of(shape)
    selection = select(index, shape)
    taken, expected = selection.take(cut(array, selection.region)), array[index]
    assert type(taken) is type(expected)
    assert taken.shape == expected.shape
    assert np.array_equal(taken, expected)


@given(shapes_and_indices())
def test_the_region_begins_and_ends_with_what_is_selected(case: tuple[tuple[int, ...], Any]) -> None:
    shape, index = case
    array = array_of(shape)
    region = select(index, shape).region
    selected = set(np.asarray(array[index]).reshape(-1).tolist())
    covering = cut(array, region)
    assert len(region) == len(shape)
    assert selected <= set(covering.reshape(-1).tolist())
    if selected:
        for axis in range(len(shape)):
            for end in (0, -1):
                assert selected & set(covering.take(end, axis).reshape(-1).tolist())


@pytest.mark.parametrize("index", [np.s_[::2], np.s_[::-3], np.s_[1, ::5]])
def test_a_part_with_steps_does_not_hold_the_memory_of_the_whole(index: Any) -> None:
    array = array_of((20, 30))
    selection = select(index, array.shape)
    assert selection.take(cut(array, selection.region)).base is None


def test_an_empty_selection_is_known_before_anything_is_read() -> None:
    assert region_shape(select(np.s_[5:5], (10, 3)).region) == (0, 3)


def test_any_integer_is_an_index() -> None:
    assert select(np.int8(-1), (7,)).region == ((6, 1),)


@pytest.mark.parametrize("index", [5, -6, (0, 2), (0, 0, 0), np.s_[..., ...], (0, ..., 0, 0)])
def test_what_numpy_refuses_is_refused(index: Any) -> None:
    array = array_of((5, 2))
    with pytest.raises(IndexError):
        array[index]
    with pytest.raises(IndexError):
        select(index, array.shape)


@pytest.mark.parametrize("index", [[0, 1], np.array([0, 1]), np.array(1), True, np.True_, "w", 1.0, (0, [1])])
def test_what_is_no_basic_index_is_refused(index: Any) -> None:
    with pytest.raises(IndexError, match="read it whole"):
        select(index, (5, 2))


def test_a_step_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="zero"):
        select(np.s_[::0], (5,))
