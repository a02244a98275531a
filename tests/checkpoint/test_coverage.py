"""Which slices make up a region, and what is said where they don't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.checkpoint.coverage import cover
from cloudckpt.errors import CheckpointDamagedError, TensorNotFoundError
from cloudckpt.variables import overlap
from cloudckpt.variables.tensor_slice import Region, resolve, within
from tests.checkpoint.partitions import partitions, regions, shapes

SHAPE = (4, 4)
TOP, LEFT, LOWER, WHOLE = ((0, 2), (0, 4)), ((0, 4), (0, 2)), ((2, 2), (0, 4)), ((0, 4), (0, 4))


def covered(region: Region, stored: list[Region], shape: Any = SHAPE) -> list[tuple[int, Region]]:
    return cover(region, stored, shape=shape, path="bucket/ckpt", tensor="w")


@given(st.data(), shapes)
def test_a_partition_covers_any_region_once(data: Any, shape: tuple[int, ...]) -> None:
    stored = [resolve(each, shape) for each in data.draw(partitions(shape))]
    region = data.draw(regions(shape))
    times = np.zeros(shape, int)
    for position, shared in covered(region, stored or [resolve(((0, None),) * len(shape), shape)], shape):
        times[tuple(slice(start, start + length) for start, length in shared)] += 1
        if stored:
            assert times[within(stored[position], tuple((0, size) for size in shape))].any()
    expected = np.zeros(shape, int)
    expected[tuple(slice(start, start + length) for start, length in region)] = 1
    assert np.array_equal(times, expected)


def test_a_missing_slice() -> None:
    with pytest.raises(
        TensorNotFoundError, match=r"8 of the 16 elements of '4 4 0,4:0,4' of tensor 'w', in 1 slices"
    ) as e:
        covered(WHOLE, [TOP])
    assert (e.value.path, e.value.tensor) == ("bucket/ckpt", "w")
    assert covered(((0, 1), (1, 2)), [TOP]) == [(0, ((0, 1), (1, 2)))]
    with pytest.raises(TensorNotFoundError):
        covered(((1, 2), (0, 1)), [TOP])


def test_slices_that_overlap() -> None:
    with pytest.raises(
        CheckpointDamagedError, match=r"tensor 'w' .*'4 4 0,2:0,4' and '4 4 0,4:0,2', which overlap"
    ) as e:
        covered(WHOLE, [TOP, LEFT])
    assert (e.value.path, e.value.tensor) == ("bucket/ckpt", "w")


def test_as_many_elements_as_there_are_is_not_enough() -> None:
    """Two of the slices overlap as much as the others leave out."""
    with pytest.raises(CheckpointDamagedError, match="overlap"):
        covered(WHOLE, [TOP, (*LOWER[:1], (0, 2)), ((0, 2), (2, 2))])


def test_what_no_slice_has_is_empty() -> None:
    assert covered(((1, 0), (0, 4)), [TOP]) == []


def test_slices_that_would_take_too_long_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four slices around a fifth: no straight cut goes between them."""
    pinwheel = [((0, 1), (0, 3)), ((0, 3), (3, 1)), ((3, 1), (1, 3)), ((1, 3), (0, 1)), ((1, 2), (1, 2))]
    assert len(covered(WHOLE, pinwheel)) == 5
    monkeypatch.setattr(overlap, "MOST_WORK", 5)
    with pytest.raises(
        CheckpointDamagedError, match="of tensor 'w' it holds 5 slices, so cut that it would take too long"
    ):
        covered(WHOLE, pinwheel)
