"""Which checkpoints stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.manager.arguments import keep_policy
from cloudckpt.state.retention import Kept, Retention
from cloudckpt.state.retention import retain as retain_by_policy

HOUR = 3600.0
START = 1_700_000_000.0


def retain(
    checkpoints: list[Kept], *, max_to_keep: int | None, keep_every_n_hours: float | None, last_preserved: float
) -> Retention:
    """What stays by the policy that a manager makes of its two limits."""
    policy = keep_policy(max_to_keep, keep_every_n_hours, None, None, "min")
    return retain_by_policy(checkpoints, policy, last_preserved=last_preserved)


def at(hour: float) -> float:
    return START + hour * HOUR


def saved_one_by_one(
    hours: list[float], *, max_to_keep: int | None, keep_every_n_hours: float | None
) -> tuple[list[float], list[float]]:
    """Save at these hours, asking each time as a manager does: the hours of what stayed, and of what went."""
    kept: list[Kept] = []
    gone: list[Kept] = []
    last_preserved = 0.0
    for hour in hours:
        answer = retain(
            [*kept, Kept(f"at {hour:g}", at(hour))],
            max_to_keep=max_to_keep,
            keep_every_n_hours=keep_every_n_hours,
            last_preserved=last_preserved,
        )
        kept, last_preserved = answer.kept, answer.last_preserved
        gone += answer.retired
    return [float(each.path[3:]) for each in kept], [float(each.path[3:]) for each in gone]


@pytest.mark.parametrize(
    ("max_to_keep", "keep_every_n_hours", "stays"),
    [
        (None, None, [1, 2, 3, 4, 5, 6, 7]),
        (0, None, [1, 2, 3, 4, 5, 6, 7]),
        (None, 2, [1, 2, 3, 4, 5, 6, 7]),
        (1, None, [7]),
        (3, None, [5, 6, 7]),
        (7, None, [1, 2, 3, 4, 5, 6, 7]),
        (9, 1, [1, 2, 3, 4, 5, 6, 7]),
        (1, 1, [1, 2, 3, 4, 5, 6, 7]),
        (1, 2, [1, 3, 5, 7]),
        (1, 2.5, [1, 4, 7]),
        (3, 2, [1, 3, 5, 6, 7]),
        (3, 100, [1, 5, 6, 7]),
    ],
)
def test_golden(max_to_keep: int | None, keep_every_n_hours: float | None, stays: list[float]) -> None:
    kept, gone = saved_one_by_one([1, 2, 3, 4, 5, 6, 7], max_to_keep=max_to_keep, keep_every_n_hours=keep_every_n_hours)
    assert kept == stays
    assert sorted(kept + gone) == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_saved_nothing_retired() -> None:
    assert retain([], max_to_keep=1, keep_every_n_hours=1, last_preserved=0.0) == ([], [], 0.0)


@pytest.mark.parametrize("keep_every_n_hours", [None, 1, 1000])
def test_what_was_preserved_stays_whatever_a_restart_asks_for(keep_every_n_hours: float | None) -> None:
    day = [Kept(f"ckpt-{hour}", at(hour)) for hour in range(1, 25)]
    before = retain(day, max_to_keep=2, keep_every_n_hours=6, last_preserved=0.0)
    preserved = before.kept[:-2]
    after = retain(
        [*before.kept, Kept("ckpt-25", at(25))],
        max_to_keep=2,
        keep_every_n_hours=keep_every_n_hours,
        last_preserved=before.last_preserved,
    )
    assert [each.path for each in preserved] == ["ckpt-1", "ckpt-7", "ckpt-13", "ckpt-19"]
    assert after.kept[: len(preserved)] == preserved


def test_all_are_kept_for_a_while_and_the_hours_go_on_from_there() -> None:
    first = retain([Kept("a", at(1)), Kept("b", at(2))], max_to_keep=1, keep_every_n_hours=3, last_preserved=0.0)
    everything = retain([*first.kept, Kept("c", at(3))], max_to_keep=0, keep_every_n_hours=3, last_preserved=at(1))
    assert everything.last_preserved == first.last_preserved == at(1)


def test_a_clock_that_went_back_deletes_nothing_that_was_preserved_and_blocks_nothing() -> None:
    # Saved by a clock two years ahead; then it is set right.
    ahead = retain(
        [Kept("ahead-1", at(20000)), Kept("ahead-2", at(20001))],
        max_to_keep=1,
        keep_every_n_hours=1,
        last_preserved=0.0,
    )
    kept, last_preserved = ahead.kept, ahead.last_preserved
    for hour in range(1, 11):
        answer = retain(
            [*kept, Kept(f"ckpt-{hour}", at(hour))], max_to_keep=1, keep_every_n_hours=3, last_preserved=last_preserved
        )
        kept, last_preserved = answer.kept, answer.last_preserved
    assert [each.path for each in kept] == ["ahead-1", "ahead-2", "ckpt-1", "ckpt-4", "ckpt-7", "ckpt-10"]
    assert last_preserved == at(7)


def test_times_that_nobody_knows_preserve_nothing() -> None:
    answer = retain([Kept("a", 0.0), Kept("b", 0.0)], max_to_keep=1, keep_every_n_hours=1, last_preserved=0.0)
    assert answer.retired == [Kept("a", 0.0)]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0])
def test_odd_times_of_others_raise_nothing(odd: float) -> None:
    answer = retain(
        [Kept("odd", odd), Kept("a", at(1)), Kept("b", at(9))], max_to_keep=1, keep_every_n_hours=2, last_preserved=odd
    )
    assert answer.kept[-1] == Kept("b", at(9))


limits = st.none() | st.integers(0, 5)
every = st.none() | st.floats(0.1, 10)
hours = st.lists(st.floats(0, 1000, width=32), max_size=25)


@given(hours, limits, every)
def test_properties(times: list[float], max_to_keep: int | None, keep_every_n_hours: float | None) -> None:
    kept: list[Kept] = []
    last_preserved = 0.0
    ever_preserved: set[str] = set()
    for number, hour in enumerate(times):
        asked = [*kept, Kept(str(number), at(hour))]
        answer = retain(
            asked, max_to_keep=max_to_keep, keep_every_n_hours=keep_every_n_hours, last_preserved=last_preserved
        )
        kept, last_preserved = answer.kept, answer.last_preserved
        names = [each.path for each in kept]
        # Nothing is invented, lost or put in another order.
        assert sorted([*names, *(each.path for each in answer.retired)], key=int) == [each.path for each in asked]
        assert names == sorted(names, key=int)
        # The newest stay, all if there is no limit.
        assert names[-1] == str(number)
        newest = [each.path for each in asked][-max_to_keep:] if max_to_keep else [each.path for each in asked]
        assert names[-len(newest) :] == newest
        # What was preserved once stays.
        assert ever_preserved <= set(names)
        ever_preserved |= set(names[: -len(newest)])
        # Asked again, whatever the interval, the answer is the same.
        for again in (keep_every_n_hours, None, 1e6):
            assert retain(kept, max_to_keep=max_to_keep, keep_every_n_hours=again, last_preserved=last_preserved) == (
                kept,
                [],
                last_preserved,
            )
