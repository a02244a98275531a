"""Specs of slices as TensorFlow takes and refuses them, and regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.variables.tensor_slice import (
    Region,
    format_shape_and_slice,
    full_slice,
    intersect,
    is_full,
    parse_shape_and_slice,
    region_shape,
    resolve,
    within,
)
from tests.variables.slice_specs import TAKEN, refused

ROWS = ((0, 2), (0, None))


def test_a_spec() -> None:
    assert parse_shape_and_slice("4 4 0,2:-") == ((4, 4), ROWS)
    assert format_shape_and_slice((4, 4), ROWS) == "4 4 0,2:-"


@pytest.mark.parametrize("spec", TAKEN, ids=repr)
def test_a_spec_that_tensorflow_takes(spec: str) -> None:
    assert parse_shape_and_slice(spec) == ((4, 4), ROWS)


@pytest.mark.parametrize("spec", refused(), ids=lambda spec: repr(spec)[:40])
def test_a_spec_that_tensorflow_refuses(spec: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_shape_and_slice(spec)
    assert repr(spec[:20])[:-1] in str(caught.value)


@st.composite
def slices(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    """A shape, and a slice of it."""
    shape = tuple(draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)))
    extents: list[tuple[int, int | None]] = []
    for size in shape:
        start = draw(st.integers(0, max(size - 1, 0)))
        extents.append((start, draw(st.integers(1, size - start))) if size and draw(st.booleans()) else (0, None))
    return shape, tuple(extents)


@given(slices())
def test_parsing_undoes_formatting(case: tuple[tuple[int, ...], Any]) -> None:
    assert parse_shape_and_slice(format_shape_and_slice(*case)) == case


@given(slices())
def test_a_region_is_what_the_slice_selects(case: tuple[tuple[int, ...], Any]) -> None:
    shape, tensor_slice = case
    selected = np.zeros(shape)[tuple(slice(s, None if n is None else s + n) for s, n in tensor_slice)]
    assert region_shape(resolve(tensor_slice, shape)) == selected.shape


def test_full_is_said_by_dashes_only() -> None:
    assert full_slice(2) == ((0, None), (0, None))
    assert is_full(full_slice(2))
    assert is_full(())
    assert not is_full(((0, 4), (0, None)))


@pytest.mark.parametrize("tensor_slice", [((0, 2),), ((3, 2), (0, None)), ((-1, 2), (0, None)), ((5, None), (0, 1))])
def test_what_is_no_region(tensor_slice: Any) -> None:
    with pytest.raises(ValueError, match="slice"):
        resolve(tensor_slice, (4, 4))


regions = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=2).map(tuple)


@given(regions, regions)
def test_an_intersection_has_the_elements_of_both(a: Region, b: Region) -> None:
    def mask(region: Region) -> np.ndarray:
        array = np.zeros((12, 12), bool)
        array[tuple(slice(start, start + length) for start, length in region)] = True
        return array

    both = mask(a) & mask(b)
    shared = intersect(a, b)
    if shared is None:
        assert not both.any()
    else:
        assert np.array_equal(mask(shared), both)
        assert both.any()


def test_a_region_is_found_within_one_that_contains_it() -> None:
    array = np.arange(80).reshape(8, 10)
    outer, region = ((2, 5), (1, 8)), ((3, 2), (4, 3))
    assert within(region, outer) == np.s_[1:3, 3:6, ...]
    assert np.array_equal(array[2:7, 1:9][within(region, outer)], array[3:5, 4:7])
    assert within((), ()) == (...,)
