"""The layout of data files: order, alignment, and how tensors are spread over several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.checkpoint.plan import plan_shards
from cloudckpt.checkpoint.sources import numeric_source

if TYPE_CHECKING:
    from cloudckpt.checkpoint.plan import ShardPlan
    from cloudckpt.checkpoint.sources import Source

sizes = st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.integers(0, 300))


def sources(sizes: dict[str, int]) -> tuple[list[bytes], list[Source]]:
    """Keys and sources of tensors of these sizes."""
    return [name.encode() for name in sizes], [numeric_source(np.zeros(size, np.uint8)) for size in sizes.values()]


def layout(plans: list[ShardPlan]) -> list[list[tuple[str, int]]]:
    return [[(key.decode(), offset) for key, offset in zip(plan.keys, plan.offsets, strict=True)] for plan in plans]


def test_tensors_stand_in_the_order_they_come() -> None:
    names = ["b", "a", "ä", "a/b", "a.b", "Z", "\U0001f600", "\uffff"]
    (tensors,) = layout(plan_shards(*sources(dict.fromkeys(names, 1))))
    assert tensors == [(name, offset) for offset, name in enumerate(names)]


def test_large_tensors_are_aligned_and_small_ones_are_not() -> None:
    plans = plan_shards(*sources({"a": 3, "b": 63, "c": 64, "d": 1, "e": 100, "f": 0}), alignment=64)
    assert layout(plans) == [[("a", 0), ("b", 3), ("c", 128), ("d", 192), ("e", 256), ("f", 356)]]
    assert plans[0].size == 356


def test_no_tensors_are_no_file() -> None:
    assert plan_shards([], []) == []


def test_empty_tensors_have_a_file() -> None:
    assert [plan.size for plan in plan_shards(*sources({"a": 0, "b": 0}))] == [0]


@pytest.mark.parametrize("shards", [2, 3, 4])
def test_several_files_are_of_about_equal_size(shards: int) -> None:
    plans = plan_shards(*sources({f"{number:03d}": 100 for number in range(120)}), shards=shards)
    assert len(plans) == shards
    assert all(abs(plan.size - 12_000 / shards) <= 100 for plan in plans)


def test_a_tensor_is_never_cut() -> None:
    assert [plan.size for plan in plan_shards(*sources({"a": 1000, "b": 1}), shards=4)] == [1000, 1]
    assert [plan.size for plan in plan_shards(*sources({"a": 1, "b": 1000, "c": 1}), shards=4)] == [1, 1000, 1]


@given(sizes, st.sampled_from([1, 8, 64]), st.integers(1, 4))
def test_every_tensor_has_its_own_bytes(sizes: dict[str, int], alignment: int, shards: int) -> None:
    plans = plan_shards(*sources(sizes), alignment=alignment, shards=shards)
    assert len(plans) <= shards
    assert [key.decode() for plan in plans for key in plan.keys] == [*sizes]
    for plan in plans:
        end = 0
        for source, offset in zip(plan.sources, plan.offsets, strict=True):
            assert end <= offset < end + alignment
            assert source.nbytes < alignment or offset % alignment == 0
            end = offset + source.nbytes
        assert plan.size == end
