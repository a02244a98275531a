"""Finding two slices that share elements: against comparing all pairs, and where that would take too long."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.variables import overlap
from cloudckpt.variables.overlap import Budget, find_overlap
from cloudckpt.variables.tensor_slice import Region, intersect

regions_of_one_tensor = st.integers(0, 3).flatmap(
    lambda rank: st.lists(st.tuples(*[st.tuples(st.integers(0, 6), st.integers(0, 4))] * rank), max_size=12)
)


@given(regions_of_one_tensor)
def test_a_pair_is_found_where_there_is_one(regions: list[Region]) -> None:
    overlapping = {
        pair
        for pair in combinations(range(len(regions)), 2)
        if intersect(*(regions[each] for each in pair)) is not None
    }
    found = find_overlap(regions)
    assert found is None if not overlapping else tuple(sorted(found or ())) in overlapping


def grid(*sizes: int) -> list[Region]:
    return [tuple((at * 3, 3) for at in place) for place in product(*map(range, sizes))]


@pytest.mark.parametrize("sizes", [(20_000,), (150, 150), (20, 30, 40), (1,) * 200])
def test_a_grid_is_never_compared_pair_by_pair(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    regions = grid(*sizes)

    def forbidden(*args: object) -> None:
        pytest.fail(f"compared {len(regions)} regions pair by pair")

    monkeypatch.setattr(overlap, "_compare", forbidden)
    assert find_overlap(regions) is None


@pytest.mark.parametrize("sizes", [(20_000,), (150, 150), (20, 30, 40)])
def test_the_one_overlap_in_a_grid(sizes: tuple[int, ...]) -> None:
    regions = grid(*sizes)
    last = len(regions) - 1
    assert sorted(find_overlap([*regions, regions[last // 2]]) or ()) == [last // 2, last + 1]


def test_regions_as_large_as_dimensions_can_be() -> None:
    largest = 2**63 - 1
    assert find_overlap([((0, largest), (0, 1)), ((largest - 1, 1), (1, 1))]) is None
    assert find_overlap([((0, largest), (0, 1)), ((largest - 1, 1), (0, 1))]) == (0, 1)


def test_dimensions_count_as_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked at in every step, and a file may claim 254."""
    monkeypatch.setattr(overlap, "MOST_WORK", 20_000)
    steps = [((step, 100 - step), (step, 1)) for step in range(50)]
    steps += [((step, 1), (step + 1, 100 - step)) for step in range(50)]
    assert find_overlap(steps) is None
    with pytest.raises(ValueError, match="too long"):
        find_overlap([((0, 1),) * 100 + region for region in steps])


def test_a_budget_is_for_all_who_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be paid takes nothing of it, so that the next may still be."""
    monkeypatch.setattr(overlap, "MOST_WORK", 1000)
    budget = Budget()
    for _ in range(10):
        assert find_overlap(grid(50), budget) is None
    with pytest.raises(ValueError, match="501 slices, so cut that it would take too long"):
        find_overlap(grid(501), budget)
    for _ in range(10):
        assert find_overlap(grid(50), budget) is None
    with pytest.raises(ValueError, match="2 slices, so cut that it would take too long"):
        find_overlap(grid(2), budget)
    assert find_overlap(grid(50)) is None


def test_nested_regions_that_no_cut_separates_at_once() -> None:
    """Each cut takes off one region: as many steps as regions, and no recursion."""
    regions = [((step, 5000 - step), (step, 1)) for step in range(2500)]
    regions += [((step, 1), (step + 1, 5000 - step)) for step in range(2500)]
    assert find_overlap(regions) is None
