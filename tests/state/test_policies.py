"""Policies: what each keeps, how they compose, and retention by them."""

from __future__ import annotations

import math
import pickle
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.keep import Best, EveryHours, EverySteps, Latest, Pinned, Policy
from cloudckpt.state.retention import Kept, retain

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0
START = 1_700_000_000.0

LOSSES = {10: 0.9, 20: 0.5, 30: 0.7, 40: math.nan, 50: 0.2, 60: 0.4, 70: 0.2, 80: 0.6}
"""What is saved with each step of the tables, an hour apart."""


def saved_one_by_one(policies: Sequence[Policy], losses: dict[int, float] = LOSSES, *, hours: float = 1.0) -> list[int]:
    """The steps that stay when each is saved under the policy at its place, the last one holding from there on."""
    kept: list[Kept] = []
    last_preserved = 0.0
    for number, (step, loss) in enumerate(losses.items()):
        new = Kept(f"ckpt-{step}", START + number * hours * HOUR, {"loss": loss})
        policy = policies[min(number, len(policies) - 1)]
        answer = retain([*kept, new], policy, last_preserved=last_preserved)
        kept, last_preserved = answer.kept, answer.last_preserved
    return [each.step or 0 for each in kept]


@pytest.mark.parametrize(
    ("policy", "stays"),
    [
        (Latest(None), [10, 20, 30, 40, 50, 60, 70, 80]),
        (Latest(1), [80]),
        (Latest(3), [60, 70, 80]),
        (Latest(3) | Latest(1), [60, 70, 80]),
        (EverySteps(20), [20, 40, 60, 80]),
        (EverySteps(30), [30, 60, 80]),
        (EverySteps(1000), [80]),
        (EverySteps(30) | EverySteps(20), [20, 30, 40, 60, 80]),
        (Pinned([20, 30]), [20, 30, 80]),
        (Pinned([20, 21]) | Latest(2), [20, 70, 80]),
        (Best("loss"), [70, 80]),
        (Best("loss", count=2), [50, 70, 80]),
        (Best("loss", count=3), [50, 60, 70, 80]),
        (Best("loss", "max"), [10, 80]),
        (Best("loss", "max", count=2), [10, 30, 80]),
        (Best("accuracy"), [80]),
        (Best("loss") | Best("loss", "max"), [10, 70, 80]),
        (EveryHours(3), [10, 40, 70, 80]),
        (EveryHours(3) | Latest(3), [10, 40, 60, 70, 80]),
        (EveryHours(1000), [10, 80]),
        (
            Latest(2) | EveryHours(4) | EverySteps(30) | Best("loss", count=2) | Pinned([20]),
            [10, 20, 30, 50, 60, 70, 80],
        ),
    ],
    ids=str,
)
def test_golden(policy: Policy, stays: list[int]) -> None:
    assert saved_one_by_one([policy]) == stays


@pytest.mark.parametrize(
    ("policies", "stays"),
    [
        # What hours have kept stays under every later policy, what others have kept goes with them.
        ([*[EveryHours(3)] * 5, Latest(1)], [10, 40, 80]),
        ([*[EverySteps(20)] * 5, Latest(1)], [80]),
        ([*[Best("loss", "max") | EveryHours(1000)] * 5, Latest(1)], [10, 80]),
        # Hours that begin late count from the oldest that is there.
        ([*[Latest(None)] * 7, Latest(1) | EveryHours(3)], [10, 40, 70, 80]),
        ([*[Latest(2)] * 7, Latest(1) | EveryHours(3)], [60, 80]),
    ],
)
def test_golden_with_other_policies_after_a_restart(policies: list[Policy], stays: list[int]) -> None:
    assert saved_one_by_one(policies) == stays


def test_what_was_the_best_for_a_while_is_not_taken_for_preserved() -> None:
    """Each is the best when it is saved; the hours pass them all by, but for every third."""
    improving = {step: 1.0 / step for step in range(1, 10)}
    assert saved_one_by_one([Best("loss") | EveryHours(3)], improving) == [1, 4, 7, 9]
    assert saved_one_by_one([Best("loss", count=2) | EveryHours(3)], improving) == [1, 4, 7, 8, 9]


def test_the_newest_stays_whatever_the_policy() -> None:
    checkpoints = [Kept("ckpt-1", 1.0, {"loss": 0.1}), Kept("ckpt-2", 2.0, {"loss": 0.2})]
    for policy in (Pinned(()), Pinned([1]), EverySteps(7), Best("loss"), Best("loss", "max"), EveryHours(1)):
        assert retain(checkpoints, policy, last_preserved=0.0).kept[-1] == checkpoints[-1]


def test_metrics_that_nobody_has_looked_up_keep_a_checkpoint() -> None:
    unknown, worse, newest = Kept("ckpt-1", 1.0), Kept("ckpt-2", 2.0, {"loss": 0.2}), Kept("ckpt-3", 3.0, {"loss": 0.1})
    answer = retain([unknown, worse, newest], Best("loss"), last_preserved=0.0)
    assert (answer.kept, answer.retired) == ([unknown, newest], [worse])
    assert retain([unknown, newest], Latest(1), last_preserved=0.0).retired == [unknown]


def test_infinity_is_a_value_and_nan_is_none() -> None:
    losses = {1: math.inf, 2: math.nan, 3: math.nan}
    assert saved_one_by_one([Best("loss")], losses) == [1, 3]
    assert saved_one_by_one([Best("loss", "max")], losses) == [1, 3]
    assert saved_one_by_one([Best("loss")], {1: 0.0, 2: -math.inf, 3: 1.0}) == [2, 3]


def test_the_paths_may_be_of_any_base_name_and_folder() -> None:
    checkpoints = [Kept("/elsewhere/model.ckpt-20", 1.0), Kept("model.ckpt-30", 2.0), Kept("model.ckpt-31", 3.0)]
    assert [each.step for each in checkpoints] == [20, 30, 31]
    assert retain(checkpoints, EverySteps(20), last_preserved=0.0).retired == [checkpoints[1]]
    assert Kept("final", 1.0).step is None
    assert retain([Kept("final", 1.0), checkpoints[2]], EverySteps(1) | Pinned([3]), last_preserved=0.0).retired


@pytest.mark.parametrize(
    "make",
    [
        lambda: Latest(0),
        lambda: Latest(-1),
        lambda: EveryHours(0),
        lambda: EveryHours(-1),
        lambda: EveryHours(math.nan),
        lambda: EverySteps(0),
        lambda: Best("loss", "best"),  # type: ignore[arg-type]  # what is refused
        lambda: Best("loss", count=0),
        lambda: EveryHours(1) | EveryHours(2),
        lambda: (EveryHours(1) | Latest(1)) | EveryHours(1),
    ],
)
def test_what_is_no_policy(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    "make", [lambda: Latest(1.5), lambda: EverySteps("1"), lambda: Pinned([1.5]), lambda: Latest(1) | 3]
)
def test_what_is_of_the_wrong_type(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


def test_policies_are_values() -> None:
    policy = Latest(3) | Best("loss") | Pinned([1, 2])
    assert policy == Latest(3) | (Best("loss") | Pinned((2, 1)))
    assert hash(policy) == hash(Latest(3) | Best("loss") | Pinned({1, 2}))
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert repr(Latest(3)) == "Latest(count=3)"
    with pytest.raises(AttributeError):
        Latest(3).count = 4  # type: ignore[misc]  # what is refused


members = st.one_of(
    st.builds(Latest, st.none() | st.integers(1, 4)),
    st.builds(EverySteps, st.integers(1, 5)),
    st.builds(Best, st.just("loss"), st.sampled_from(["min", "max"]), st.integers(1, 3)),
    st.builds(Pinned, st.frozensets(st.integers(0, 30), max_size=4)),
)
hourly = st.lists(st.builds(EveryHours, st.floats(0.1, 10)), max_size=1)
metrics = st.none() | st.fixed_dictionaries({}, optional={"loss": st.floats(width=16)})
checkpoints = st.lists(st.tuples(st.floats(0, 50, width=32), metrics, st.booleans()), min_size=1, max_size=15).map(
    lambda drawn: [
        Kept(f"ckpt-{step}", START + hour * HOUR, found, passed) for step, (hour, found, passed) in enumerate(drawn)
    ]
)


@given(checkpoints, st.lists(members, min_size=1, max_size=4), hourly, st.floats(0, 50))
def test_p6_nothing_that_a_member_keeps_is_dropped_by_the_union(
    named: list[Kept], several: list[Policy], hours: list[Policy], last_preserved: float
) -> None:
    policies = [*several, *hours]
    last = START + last_preserved * HOUR
    kept = {each.path for each in retain(named, reduce(or_, policies), last_preserved=last).kept}
    for policy in policies:
        assert kept >= {each.path for each in retain(named, policy, last_preserved=last).kept}


@given(checkpoints, st.lists(members, min_size=1, max_size=4), hourly)
def test_p6_a_union_keeps_the_same_in_any_order(named: list[Kept], several: list[Policy], hours: list[Policy]) -> None:
    policies = [*several, *hours]
    one = retain(named, reduce(or_, policies), last_preserved=0.0)
    other = retain(named, reduce(or_, policies[::-1]), last_preserved=0.0)
    assert one == other


@given(checkpoints, st.lists(members, max_size=3), hourly)
def test_p6_asked_again_nothing_more_goes(named: list[Kept], several: list[Policy], hours: list[Policy]) -> None:
    policy = reduce(or_, [*several, *hours, Latest(1)])
    once = retain(named, policy, last_preserved=0.0)
    again = retain(once.kept, policy, last_preserved=once.last_preserved)
    assert (again.kept, again.retired) == (once.kept, [])
    assert once.kept[-1].path == named[-1].path
    assert sorted([*once.kept, *once.retired], key=lambda each: each.step or 0) == [
        each._replace(timestamp=min(each.timestamp, named[-1].timestamp), passed=mark)
        for each, mark in zip(named, _marks(named, once.kept), strict=True)
    ]


def _marks(named: list[Kept], kept: list[Kept]) -> list[bool]:
    """Whether the hours were counted past each, as the answer says; of those that go it doesn't matter."""
    now = {each.path: each.passed for each in kept}
    return [now.get(each.path, each.passed) for each in named]


@given(checkpoints, st.integers(1, 5), st.integers(1, 5), hourly)
def test_p6_a_larger_number_keeps_no_less(named: list[Kept], less: int, more: int, hours: list[Policy]) -> None:
    less, more = sorted((less, more))
    for make in (Latest, lambda count: Best("loss", "min", count), lambda count: Best("loss", "max", count)):
        few = retain(named, reduce(or_, [make(less), *hours]), last_preserved=0.0).kept
        many = retain(named, reduce(or_, [make(more), *hours]), last_preserved=0.0).kept
        assert {each.path for each in few} <= {each.path for each in many}


@given(checkpoints, st.integers(1, 6), st.integers(2, 4))
def test_p6_more_steps_between_them_keep_no_more(named: list[Kept], steps: int, times: int) -> None:
    often = retain(named, EverySteps(steps), last_preserved=0.0).kept
    seldom = retain(named, EverySteps(steps * times), last_preserved=0.0).kept
    assert {each.path for each in seldom} <= {each.path for each in often}
