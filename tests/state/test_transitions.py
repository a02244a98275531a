"""How one state follows from another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.state.policies import Best, Latest
from cloudckpt.state.retention import Kept
from cloudckpt.state.state_file import CheckpointState
from cloudckpt.state.transitions import (
    adopted,
    before_save,
    deleted,
    gone,
    named,
    own,
    put_aside,
    rated,
    saved,
    settled,
)
from tests.state.views import indexed, state_of

STATE = state_of("ckpt-1", "ckpt-2", "ckpt-3", retired=("ckpt-0",), left=("ckpt-9",))


def save(state: CheckpointState, step: int, *, max_to_keep: int | None = None) -> CheckpointState:
    """The two states of one save, the last of them."""
    before = before_save(state, step, "ckpt")
    return saved(
        before,
        Kept(f"ckpt-{step}", float(100 + step)),
        keep=Latest(max_to_keep),
        deletable=bool,
    )


def test_a_saved_step_is_the_latest_and_the_last() -> None:
    state = save(STATE, 4)
    assert state.latest == "ckpt-4"
    assert state.paths == ("ckpt-1", "ckpt-2", "ckpt-3", "ckpt-4")
    assert state.timestamps == (1.0, 2.0, 3.0, 104.0)


def test_p6_what_is_dropped_is_listed_as_retired_beside_what_still_is() -> None:
    state = save(STATE, 4, max_to_keep=2)
    assert state.paths == ("ckpt-3", "ckpt-4")
    assert state.retired == ("ckpt-0", "ckpt-1", "ckpt-2")
    assert state.left == ("ckpt-9",)


def test_p6_what_may_not_be_deleted_is_only_no_longer_named() -> None:
    state = saved(STATE, Kept("ckpt-4", 4.0), keep=Latest(1), deletable=lambda path: path == "ckpt-2")
    assert state.paths == ("ckpt-4",)
    assert state.retired == ("ckpt-0", "ckpt-2")


def test_p6_a_step_that_is_saved_again_leaves_the_line_first() -> None:
    assert before_save(state_of("ckpt-5", retired=("ckpt-9", "ckpt-1")), 9, "ckpt").retired == ("ckpt-1",)
    assert before_save(STATE, 0, "ckpt").retired == ()


def test_p6_nothing_that_is_named_is_ever_listed_as_retired() -> None:
    confused = replace(STATE, retired=("ckpt-3", "ckpt-0"))
    assert save(confused, 4).retired == ("ckpt-0",)


def test_a_step_saved_over_is_no_longer_left() -> None:
    assert save(STATE, 9).left == ()


def test_saving_on_needs_no_other_state_first() -> None:
    assert before_save(STATE, 4, "ckpt") == STATE
    assert before_save(STATE, 3, "ckpt") == STATE
    assert before_save(CheckpointState(), 0, "ckpt") == CheckpointState()


def test_the_latest_saved_again_is_named_once() -> None:
    state = save(STATE, 3)
    assert state.paths == ("ckpt-1", "ckpt-2", "ckpt-3")
    assert state.timestamps == (1.0, 2.0, 103.0)


def test_p4_a_lower_step_leaves_itself_and_what_follows() -> None:
    state = before_save(STATE, 2, "ckpt")
    assert state.latest == "ckpt-1"
    assert state.paths == ("ckpt-1",)
    assert state.timestamps == (1.0,)
    assert state.left == ("ckpt-9", "ckpt-2", "ckpt-3")
    assert save(STATE, 2).left == ("ckpt-9", "ckpt-3")


def test_p4_a_step_below_all_leaves_all_once_it_is_there() -> None:
    before = replace(STATE, retired=())
    state = before_save(STATE, 0, "ckpt")
    assert state == replace(before, successor="ckpt-0")
    assert before_save(state, 0, "ckpt") == state
    assert before_save(STATE, 0, "ckpt", "v1") == replace(state, instead_of="v1")
    assert before_save(state, 4, "ckpt") == before
    assert settled(state, lambda _: False) == before
    there = settled(state, lambda name: name == "ckpt-0")
    assert (there.latest, there.paths, there.successor) == ("ckpt-0", ("ckpt-0",), "")
    assert there.left == ("ckpt-9", "ckpt-1", "ckpt-2", "ckpt-3")
    after = save(STATE, 0)
    assert (after.paths, after.left, after.successor) == (("ckpt-0",), there.left, "")


def test_p4_the_first_that_is_named_can_be_its_own_successor() -> None:
    state = before_save(state_of("ckpt-1", "ckpt-2"), 1, "ckpt")
    there = settled(state, lambda _: True)
    assert (there.paths, there.left) == (("ckpt-1",), ("ckpt-2",))


def test_p4_paths_outside_are_left_by_their_names() -> None:
    state = before_save(state_of("/elsewhere/ckpt-1", "/elsewhere/ckpt-2", "ckpt-3"), 2, "ckpt")
    assert state.paths == ("/elsewhere/ckpt-1",)
    assert state.left == ("ckpt-2", "ckpt-3")


def test_p4_what_recovery_took_is_named_at_its_place() -> None:
    assert adopted(STATE, Kept("ckpt-4", 4.0), "ckpt").latest == "ckpt-4"
    below = adopted(state_of("ckpt-5"), Kept("ckpt-4", 4.0), "ckpt")
    assert (below.latest, below.paths) == ("ckpt-5", ("ckpt-4", "ckpt-5"))
    assert adopted(STATE, Kept("ckpt-2", 99.0), "ckpt") == STATE
    assert adopted(CheckpointState(), Kept("ckpt-2", 2.0), "ckpt").paths == ("ckpt-2",)


def test_p4_what_recovery_took_is_no_longer_retired() -> None:
    assert adopted(STATE, Kept("ckpt-0", 1.0), "ckpt").retired == ()


def test_named_by_another_path_is_named() -> None:
    state = state_of("/elsewhere/ckpt-2")
    assert adopted(state, Kept("ckpt-2", 2.0), "ckpt") == state


def test_own_forgets_other_base_names() -> None:
    mixed = state_of("ckpt-1", "model-7", "ckpt-2", "model-8")
    assert own(mixed, "ckpt", {}).paths == ("ckpt-1", "ckpt-2")
    assert own(mixed, "ckpt", {}).latest == "ckpt-2"


@pytest.mark.parametrize(
    "name",
    [
        "../ckpt-1",
        "/etc/ckpt-1",
        "below/ckpt-1",
        "C:\\ckpt-1",
        "s3://bucket/ckpt-1",
        "model-1",
        "ckpt-01",
        "..",
        "",
        "checkpoint",
    ],
)
def test_p10_a_hostile_comment_line_deletes_and_leaves_nothing_else(name: str) -> None:
    state = own(state_of("ckpt-5", retired=(name, "ckpt-1"), left=(name, "ckpt-9")), "ckpt", {})
    assert state.retired == ("ckpt-1",)
    assert state.left == ("ckpt-9",)


@pytest.mark.parametrize(
    "state",
    [
        CheckpointState("ckpt-2", ("ckpt-1", "ckpt-2")),
        CheckpointState("ckpt-2", ("ckpt-1", "ckpt-2"), (9.0,)),
        CheckpointState("ckpt-2", ("ckpt-1",)),
    ],
    ids=["no times", "too few times", "latest not listed"],
)
def test_the_files_own_times_stand_in_for_missing_ones(state: CheckpointState) -> None:
    assert own(state, "ckpt", {1: indexed(11.0), 2: indexed(12.0)}).timestamps == (11.0, 12.0)


def test_times_that_are_there_stay() -> None:
    assert own(STATE, "ckpt", {1: indexed(11.0)}).timestamps == (1.0, 2.0, 3.0)


def test_named_has_the_latest_last() -> None:
    assert named(CheckpointState("a", ("a", "b"), (1.0, 2.0))) == [Kept("b", 2.0), Kept("a", 1.0)]
    assert named(CheckpointState("c", ("a",), (1.0,))) == [Kept("a", 1.0), Kept("c", 0.0)]


RATED = replace(STATE, metrics={"ckpt-1": {"loss": 0.5}, "ckpt-3": {"loss": 0.7}}, passed=("ckpt-2",))


def test_metrics_go_with_their_checkpoints() -> None:
    after = saved(RATED, Kept("ckpt-4", 104.0, {"loss": 0.6}), keep=Best("loss") | Latest(2), deletable=bool)
    assert after.paths == ("ckpt-1", "ckpt-2", "ckpt-3", "ckpt-4")  # nobody knows how good ckpt-2 is
    assert after.metrics == {"ckpt-1": {"loss": 0.5}, "ckpt-3": {"loss": 0.7}, "ckpt-4": {"loss": 0.6}}
    assert after.passed == ("ckpt-2",)
    known = rated(after, {"ckpt-2": {}})
    assert known.metrics["ckpt-2"] == {}
    last = saved(known, Kept("ckpt-5", 105.0, {"loss": 0.4}), keep=Best("loss"), deletable=bool)
    assert (last.paths, last.metrics, last.passed) == (("ckpt-5",), {"ckpt-5": {"loss": 0.4}}, ())


def test_metrics_of_a_line_that_is_left_go_and_so_do_those_of_a_step_saved_again() -> None:
    assert before_save(RATED, 2, "ckpt").metrics == {"ckpt-1": {"loss": 0.5}}
    assert save(RATED, 3).metrics == {"ckpt-1": {"loss": 0.5}}
    assert save(RATED, 0).metrics == {}


def test_what_recovery_took_brings_no_metrics_that_the_state_has_of_an_older_one() -> None:
    assert adopted(replace(RATED, paths=("ckpt-3",), timestamps=(3.0,)), Kept("ckpt-1", 1.0), "ckpt").metrics == {
        "ckpt-3": {"loss": 0.7}
    }
    assert own(RATED, "ckpt", {}).metrics == RATED.metrics


@pytest.mark.parametrize(
    ("name", "paths"), [("ckpt-1", ("ckpt-2", "ckpt-3")), ("ckpt-3", ("ckpt-1", "ckpt-2")), ("ckpt-9", STATE.paths)]
)
def test_p6_what_is_deleted_by_hand_is_retired_first_then_forgotten(name: str, paths: tuple[str, ...]) -> None:
    retired = deleted(RATED, name)
    assert (retired.paths, retired.latest) == (paths, paths[-1])
    assert retired.retired == ("ckpt-0", name)
    assert name not in {*retired.left, *retired.metrics}
    forgotten = gone(retired, name, "ckpt")
    assert forgotten.retired == ("ckpt-0",)
    assert (name in forgotten.left) == (name != "ckpt-1")


def test_what_is_put_aside_is_left() -> None:
    state = put_aside(RATED, "ckpt-3")
    assert (state.latest, state.paths, state.left) == ("ckpt-2", ("ckpt-1", "ckpt-2"), ("ckpt-9", "ckpt-3"))
    assert put_aside(state, "ckpt-3") == state


@given(st.lists(st.integers(0, 12), max_size=20), st.none() | st.integers(1, 3))
def test_any_row_of_saves_keeps_the_line(steps: list[int], max_to_keep: int | None) -> None:
    """Saves forwards and backwards: what is named ascends and ends in the step just saved; no name is listed twice."""
    state = CheckpointState()
    for step in steps:
        state = save(state, step, max_to_keep=max_to_keep)
        numbers = [int(path.removeprefix("ckpt-")) for path in state.paths]
        assert numbers == sorted(set(numbers))
        assert state.latest == state.paths[-1] == f"ckpt-{step}"
        assert len(numbers) <= (max_to_keep or 99)
        listed = [*state.paths, *state.retired, *state.left]
        assert len(set(listed)) == len(listed)
