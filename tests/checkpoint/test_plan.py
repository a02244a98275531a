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
    from cloudckpt.checkpoint.sources import TensorSource

sizes = st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.integers(0, 300))


def sources(sizes: dict[str, int]) -> dict[str, TensorSource]:
    return {name: numeric_source(np.zeros(size, np.uint8)) for name, size in sizes.items()}


def layout(plans: list[ShardPlan]) -> list[list[tuple[str, int]]]:
    return [[(tensor.name, tensor.offset) for tensor in plan.tensors] for plan in plans]


def test_tensors_stand_in_order_of_their_names_bytes() -> None:
    names = ["b", "a", "ä", "a/b", "a.b", "Z", "\U0001f600", "\uffff"]
    (tensors,) = layout(plan_shards(sources(dict.fromkeys(names, 1))))
    assert [name for name, _ in tensors] == sorted(names, key=str.encode)


def test_large_tensors_are_aligned_and_small_ones_are_not() -> None:
    plans = plan_shards(sources({"a": 3, "b": 63, "c": 64, "d": 1, "e": 100, "f": 0}), alignment=64)
    assert layout(plans) == [[("a", 0), ("b", 3), ("c", 128), ("d", 192), ("e", 256), ("f", 356)]]
    assert plans[0].size == 356


def test_no_tensors_are_no_file() -> None:
    assert plan_shards({}) == []


def test_empty_tensors_have_a_file() -> None:
    assert [plan.size for plan in plan_shards(sources({"a": 0, "b": 0}))] == [0]


@pytest.mark.parametrize("shards", [2, 3, 4])
def test_several_files_are_of_about_equal_size(shards: int) -> None:
    plans = plan_shards(sources({f"{number:03d}": 100 for number in range(120)}), shards=shards)
    assert len(plans) == shards
    assert all(abs(plan.size - 12_000 / shards) <= 100 for plan in plans)


def test_a_tensor_is_never_cut() -> None:
    assert [plan.size for plan in plan_shards(sources({"a": 1000, "b": 1}), shards=4)] == [1000, 1]


@given(sizes, st.sampled_from([1, 8, 64]), st.integers(1, 4))
def test_every_tensor_has_its_own_bytes(sizes: dict[str, int], alignment: int, shards: int) -> None:
    plans = plan_shards(sources(sizes), alignment=alignment, shards=shards)
    assert len(plans) <= shards
    placed = [tensor for plan in plans for tensor in plan.tensors]
    assert [tensor.name for tensor in placed] == sorted(sizes, key=str.encode)
    for plan in plans:
        end = 0
        for tensor in plan.tensors:
            assert end <= tensor.offset < end + alignment
            assert tensor.source.size < alignment or tensor.offset % alignment == 0
            end = tensor.end
        assert plan.size == end
