"""Regions of a piece as blocks: every wanted element once, no more bytes than the limits allow."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.checkpoint.blocks import cut_blocks
from cloudckpt.variables.tensor_slice import region_shape, within
from tests.checkpoint.partitions import regions, shapes

MIB = 1 << 20


def blocks(shape: Any, region: Any, *, limit: int = 8 * MIB, gap: int = 64 << 10, item_size: int = 4) -> list[Any]:
    return list(cut_blocks(shape, region, item_size, limit=limit, gap=gap))


@given(st.data(), shapes, st.sampled_from([1, 2, 4]), st.integers(4, 200), st.integers(0, 50))
def test_blocks_bring_exactly_the_region(data: Any, shape: Any, item_size: int, limit: int, gap: int) -> None:
    region = data.draw(regions(shape))
    whole = np.arange(prod(shape), dtype=f"u{item_size}").reshape(shape)
    raw = whole.tobytes()
    found = np.zeros(region_shape(region), int) - 1
    last = 0
    for block in blocks(shape, region, limit=limit, gap=gap, item_size=item_size):
        assert last <= block.start < block.stop <= len(raw)
        assert block.stop - block.start <= limit
        last = block.stop
        view = np.ndarray(block.shape, whole.dtype, raw[block.start : block.stop], strides=block.strides)
        assert (found[block.index] == -1).all()
        found[block.index] = view
    assert np.array_equal(found, whole[within(region, tuple((0, size) for size in shape))])


def test_a_scalar_is_one_block() -> None:
    (block,) = blocks((), ())
    assert (block.start, block.stop) == (0, 4)


def test_an_empty_region_is_none() -> None:
    assert blocks((3, 4), ((0, 0), (0, 4))) == []


def sizes(*args: Any, **options: Any) -> list[int]:
    return [block.stop - block.start for block in blocks(*args, **options)]


def test_rows_are_one_block() -> None:
    assert sizes((1000, 1000), ((10, 20), (0, 1000))) == [20 * 4000]


def test_columns_of_short_rows_are_read_with_what_is_between() -> None:
    assert sizes((100, 1000), ((0, 100), (10, 20))) == [99 * 4000 + 80]


def test_columns_of_long_rows_are_read_one_by_one() -> None:
    assert sizes((100, 100_000), ((0, 100), (10, 20))) == [80] * 100


@pytest.mark.parametrize("shape", [(10 * MIB,), (10, MIB), (1, 10, MIB), (10 * MIB, 1), (1, 1, 10 * MIB)])
def test_long_runs_are_cut_evenly(shape: Any) -> None:
    found = sizes(shape, tuple((0, size) for size in shape))
    assert sum(found) == 40 * MIB
    assert set(found) == {8 * MIB}
    assert set(sizes(shape, tuple((0, size) for size in shape), limit=9 * MIB)) == {8 * MIB}


def test_a_row_that_is_too_long_is_cut() -> None:
    assert sizes((3, 3 * MIB), ((1, 2), (0, 3 * MIB))) == [6 * MIB] * 4
