"""P4, clause by clause, as a pure function of what a directory looks like."""

from __future__ import annotations

import pytest

from cloudckpt.checkpoint.prefix import PrefixFiles
from cloudckpt.state.directory import DirectoryView
from cloudckpt.state.recovery import first_choices, last_resorts, named_steps
from cloudckpt.state.state_file import CheckpointState
from tests.state.views import WRITTEN, state_of, view_of, with_unreadable_state, without_state

BEFORE, AFTER = WRITTEN - 1, WRITTEN + 1


def order(view: DirectoryView) -> list[int]:
    """All steps that recovery would try, in turn."""
    return [*first_choices(view, "ckpt"), *last_resorts(view, "ckpt")]


def test_p4_the_newest_that_the_state_names_comes_first() -> None:
    view = view_of(state_of("ckpt-1", "ckpt-2", "ckpt-3"), dict.fromkeys([1, 2, 3], BEFORE))
    assert order(view) == [3, 2, 1]


def test_p4_the_latest_comes_first_wherever_it_is_listed() -> None:
    state = CheckpointState("ckpt-2", ("ckpt-1", "ckpt-2", "ckpt-3"))
    assert named_steps(view_of(state, {}), "ckpt") == [2, 3, 1]


def test_p4_a_state_that_only_has_a_latest() -> None:
    assert order(view_of(CheckpointState("ckpt-2"), {2: BEFORE})) == [2]


def test_p4_named_ones_are_tried_in_the_order_they_were_saved_not_by_step() -> None:
    """TensorFlow's manager goes back to lower numbers without further ado."""
    view = view_of(state_of("ckpt-9", "ckpt-2", "ckpt-3"), dict.fromkeys([2, 3, 9], BEFORE))
    assert order(view) == [3, 2, 9]


def test_p4_unnamed_newer_step_is_taken_when_the_job_died_before_the_state() -> None:
    assert order(view_of(state_of("ckpt-1"), {1: BEFORE, 2: AFTER})) == [2, 1]


def test_p4_unnamed_newer_step_of_the_state_s_own_second_is_taken() -> None:
    """Buckets know whole seconds only."""
    assert order(view_of(state_of("ckpt-1"), {1: WRITTEN, 2: WRITTEN})) == [2, 1]


def test_p4_several_unnamed_newer_steps_the_highest_first() -> None:
    assert order(view_of(state_of("ckpt-1"), {1: BEFORE, 2: AFTER, 4: AFTER, 3: AFTER})) == [4, 3, 2, 1]


def test_p4_unnamed_step_that_was_committed_before_the_state_is_a_last_resort() -> None:
    view = view_of(state_of("ckpt-1"), {1: BEFORE, 2: BEFORE})
    assert first_choices(view, "ckpt") == [1]
    assert last_resorts(view, "ckpt") == [2]


def test_p4_unnamed_lower_step_is_a_last_resort() -> None:
    view = view_of(state_of("ckpt-5"), {5: BEFORE, 2: AFTER})
    assert first_choices(view, "ckpt") == [5]
    assert last_resorts(view, "ckpt") == [2]


@pytest.mark.parametrize("listed", ["retired", "left"])
def test_p4_newer_step_that_is_retired_or_left_does_not_come_first(listed: str) -> None:
    view = view_of(state_of("ckpt-1", **{listed: ("ckpt-2",)}), {1: BEFORE, 2: AFTER})
    assert first_choices(view, "ckpt") == [1]


def test_p4_a_named_one_younger_than_the_state_means_a_copy_whose_times_say_nothing() -> None:
    view = view_of(state_of("ckpt-1", "ckpt-2"), {1: AFTER, 2: BEFORE, 3: AFTER})
    assert first_choices(view, "ckpt") == [2, 1]


def test_p4_a_step_without_an_index_is_no_choice_and_no_resort() -> None:
    view = view_of(state_of("ckpt-1"), {1: BEFORE})
    half = DirectoryView(view.read, {**view.steps, 2: PrefixFiles()})
    assert order(half) == [1]


def test_p4_a_named_step_without_an_index_is_still_tried_so_that_somebody_hears_of_it() -> None:
    assert order(view_of(state_of("ckpt-1", "ckpt-2"), {1: BEFORE})) == [2, 1]


@pytest.mark.parametrize(
    "view", [without_state({1: 5.0, 10: 1.0, 9: 9.0}), with_unreadable_state({1: 5.0, 10: 1.0, 9: 9.0})]
)
def test_p4_without_a_readable_state_the_highest_step_comes_first(view: DirectoryView) -> None:
    assert first_choices(view, "ckpt") == []
    assert last_resorts(view, "ckpt") == [10, 9, 1]


def test_p4_empty_state_the_highest_step_that_is_not_left() -> None:
    view = view_of(CheckpointState(left=("ckpt-3", "ckpt-4")), dict.fromkeys([1, 2, 3, 4], BEFORE))
    assert order(view) == [2, 1]


def test_p4_last_resorts_are_all_others_but_those_left() -> None:
    state = state_of("ckpt-5", "ckpt-6", retired=("ckpt-4",), left=("ckpt-8",))
    view = view_of(state, dict.fromkeys([3, 4, 6, 7, 8], BEFORE))
    assert first_choices(view, "ckpt") == [6, 5]
    assert last_resorts(view, "ckpt") == [7, 4, 3]


def test_p4_only_the_own_base_name_counts() -> None:
    state = CheckpointState("model-9", ("ckpt-1", "model-9"), (1.0, 2.0))
    assert order(view_of(state, {1: BEFORE})) == [1]
    assert order(view_of(state_of("model-9"), {1: BEFORE})) == [1]
    assert first_choices(view_of(state_of("model-9"), {1: BEFORE}), "ckpt") == []


@pytest.mark.parametrize("folder", ["/another/machine/", "../outside/", "C:\\runs\\", "s3://bucket/run/", "below/"])
def test_p4_a_path_with_folders_is_tried_as_its_last_component(folder: str) -> None:
    assert order(view_of(state_of(f"{folder}ckpt-1"), {1: BEFORE})) == [1]


@pytest.mark.parametrize("path", ["ckpt-" + "9" * 5000, "ckpt-", "", "..", "\0", "ckpt-x", "checkpoint"])
def test_p4_hostile_paths_are_no_steps(path: str) -> None:
    assert order(view_of(CheckpointState(path, (path, "ckpt-1"), retired=(path,), left=(path,)), {1: BEFORE})) == [1]
