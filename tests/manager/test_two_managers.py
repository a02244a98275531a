"""P7: two managers of one directory never mix."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import CommitConflictError
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, same, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.manager.checkpoint_manager import CheckpointManager


class MeddledStore(FaultyStore):
    """A store in which something else happens, once: before the N-th operation, or the first of that name."""

    def __init__(self, inner: Any, before: int | str, meddle: Callable[[], object]) -> None:
        super().__init__(inner, 0)
        self.before, self._meddle = before, meddle

    def operation(self, name: str, key: str, half: Callable[[], object] = lambda: None) -> Any:
        if self.before in {len(self.operations) + 1, f"{name} {key.rpartition('/')[2]}"}:
            meddle, self._meddle = self._meddle, lambda: None
            meddle()
        return super().operation(name, key, half)


def started(steps: tuple[int, ...] = (10,), **options: Any) -> MemoryRun:
    run = MemoryRun()
    with run.manager(**options) as manager:
        for step in steps:
            manager.save(step, tree(step))
    return run


def check_whole(run: MemoryRun, *lines: str) -> None:
    """All that the state names is there, and every tree is of one line."""
    assert set(run.named) <= set(run.indexed)
    with run.manager() as manager:
        for step in run.named:
            assert any(same(manager.restore(step), tree(step, line)) for line in ("first", *lines))


def test_p7_the_second_to_save_loses_and_raises_until_it_restores() -> None:
    run = started()
    with run.manager() as winner, run.manager() as loser:
        winner.restore_latest()
        loser.restore_latest()
        winner.save(20, tree(20, "winner"))
        with pytest.raises(CommitConflictError) as lost:
            loser.save(30, tree(30, "loser"))
        assert lost.value.committed == "memory://run/ckpt-30"
        assert 30 in run.indexed
        for _ in range(3):
            with pytest.raises(CommitConflictError, match="restore_latest") as again:
                loser.save(40, tree(40, "loser"))
            assert again.value.committed is None
        assert 40 not in run.indexed
        winner.save(25, tree(25, "winner"))  # the winner never notices
        assert run.named == [10, 20, 25]
        loser.restore_latest()
        loser.save(40, tree(40, "loser"))
        with pytest.raises(CommitConflictError):
            winner.save(50, tree(50, "winner"))
        assert run.named[-1] == 40


@pytest.mark.parametrize("how", ["restore_latest", "restore"])
def test_p7_the_version_is_the_one_of_the_restore_not_of_the_first_save(how: str) -> None:
    run = started()
    with run.manager() as one, run.manager() as other:
        if how == "restore":
            one.restore(10)
        else:
            one.restore_latest()
        other.save(20, tree(20, "other"))
        with pytest.raises(CommitConflictError):
            one.save(15, tree(15, "one"))
        assert run.named == [10, 20]
        assert run.state.left == ()


@pytest.mark.parametrize("how", ["restore_latest", "restore"])
def test_p7_either_restore_lets_the_loser_save_again(how: str) -> None:
    run = started()
    with run.manager() as winner, run.manager() as loser:
        loser.restore_latest()
        winner.save(20, tree(20, "winner"))
        with pytest.raises(CommitConflictError):
            loser.save(30, tree(30, "loser"))
        if how == "restore":
            loser.restore(20)
        else:
            loser.restore_latest()
        loser.save(40, tree(40, "loser"))
    assert run.named[-1] == 40


def test_p7_a_restore_that_finds_nothing_counts_too() -> None:
    run = MemoryRun()
    with run.manager() as one, run.manager() as other:
        assert one.restore_latest(default=None) is None
        other.save(1, tree(1, "other"))
        with pytest.raises(CommitConflictError):
            one.save(2, tree(2, "one"))
        assert run.named == [1]


def test_p7_looking_takes_no_hold() -> None:
    run = started()
    with run.manager() as one, run.manager() as other:
        one.restore_latest()
        other.save(20, tree(20, "other"))
        assert one.latest_step() == 20
        assert one.all_steps() == [10, 20]
        with pytest.raises(CommitConflictError):
            one.save(30, tree(30, "one"))


LOOK = 2
"""Operations of one look at the directory: the state, then the listing."""


@pytest.mark.parametrize("at", range(LOOK + 1, LOOK + 7))
def test_p7_two_that_save_the_same_step(at: int) -> None:
    """Whatever it loses, the loser's next save raises at once, and the winner's checkpoint is as it was announced."""
    run = MemoryRun()
    with run.manager() as other:
        store = MeddledStore(run.store, at, lambda: other.save(1, tree(1, "other")))
        with run.manager(store) as one:
            with pytest.raises(CommitConflictError):
                one.save(1, tree(1, "one"))
            asked = len(store.operations)
            with pytest.raises(CommitConflictError):
                one.save(2, tree(2, "one"))
            assert len(store.operations) == asked
        assert same(other.restore(1), tree(1, "other"))
        other.save(2, tree(2, "other"))


def test_p7_the_loser_does_not_replace_what_the_winner_saved() -> None:
    """Two copies of one job come to the same steps."""
    run = started()
    with run.manager() as winner, run.manager() as loser:
        winner.restore_latest()
        loser.restore_latest()
        winner.save(20, tree(20, "winner"))
        with pytest.raises(CommitConflictError) as lost:
            loser.save(20, tree(20, "loser"))
        assert lost.value.committed is None
        assert same(winner.restore(20), tree(20, "winner"))
        winner.save(20, tree(20, "once more"))
        winner.save(20, tree(20, "and again"))


@dataclass
class Race:
    """One manager saves a step, and another one's whole save comes before its N-th operation."""

    run: MemoryRun
    mine: int
    others: int
    at: int
    winners: list[str] = field(default_factory=list)

    def play(self) -> bool:
        """Whether the operation came."""
        with self.run.manager(max_to_keep=2) as other:
            other.restore_latest()
            store = MeddledStore(self.run.store, 0, lambda: self.save(other, self.others, "other"))
            with self.run.manager(store, max_to_keep=2) as one:
                one.restore_latest()
                store.before = len(store.operations) + self.at
                self.save(one, self.mine, "one")
                return len(store.operations) >= store.before

    def save(self, manager: CheckpointManager, step: int, line: str) -> None:
        try:
            manager.save(step, tree(step, line))
        except CommitConflictError:
            return
        self.winners.append(line)


@pytest.mark.parametrize("steps", [(20, 30), (30, 20), (20, 20), (5, 20), (20, 5), (5, 5), (11, 11), (12, 12)])
def test_p7_a_whole_save_between_any_two_operations_of_another(steps: tuple[int, int]) -> None:
    for at in range(1, 99):
        race = Race(started((10, 12), max_to_keep=2), *steps, at)
        if not race.play():
            assert at > 6
            return
        check_whole(race.run, "one", "other")
        # The other's save came in one piece, so it succeeds unless the first had swapped the state by then.
        assert len(race.winners) == 1, at
        step = {"one": race.mine, "other": race.others}[race.winners[0]]
        with race.run.manager() as reader:
            assert race.run.named[-1] == step, at
            assert same(reader.restore(step), tree(step, race.winners[0])), at


def test_p6_only_the_winner_deletes() -> None:
    run = started((1, 2), max_to_keep=2)
    with run.manager(max_to_keep=2) as winner, run.manager(max_to_keep=1) as loser:
        winner.restore_latest()
        loser.restore_latest()
        winner.save(3, tree(3, "winner"))
        assert run.indexed == [2, 3]
        with pytest.raises(CommitConflictError):
            loser.save(4, tree(4, "loser"))
        assert run.indexed == [2, 3, 4]


def test_p6_a_retired_step_that_another_saves_anew_is_not_deleted() -> None:
    """Between the swap that retires a step and its deletion, another manager goes back to it and saves it."""
    run = started((10,), max_to_keep=1)

    def go_back() -> None:
        with run.manager(max_to_keep=1) as other:
            other.restore(10)
            other.save(10, tree(10, "other"))

    store = MeddledStore(run.store, "delete_if_version ckpt-10.index", go_back)
    with run.manager(store, max_to_keep=1) as one:
        one.save(20, tree(20, "one"))
        with pytest.raises(CommitConflictError):
            one.save(30, tree(30, "one"))
    assert run.named == [10]
    with run.manager() as reader:
        assert same(reader.restore(10), tree(10, "other"))


def test_every_order_of_whole_calls() -> None:
    """Restores and saves of two managers, in every order that keeps each one's own."""
    for order in sorted(set(permutations("aabb"))):
        run = started()
        with run.manager() as a, run.manager() as b:
            managers = {"a": a, "b": b}
            restored_at: dict[str, int] = {}
            saves = 0
            for name in order:
                manager, step = managers[name], 20 + 10 * saves
                if name not in restored_at:
                    manager.restore_latest()
                    restored_at[name] = saves
                elif restored_at[name] == saves:
                    manager.save(step, tree(step, name))
                    saves += 1
                else:
                    with pytest.raises(CommitConflictError):
                        manager.save(step, tree(step, name))
        assert saves in {1, 2}
        check_whole(run, "a", "b")


def test_p6_a_retired_step_that_somebody_replaces_is_not_deleted_later_either() -> None:
    """By a plain save, which knows of no state file."""
    run = started((10,), max_to_keep=1)

    def replace() -> None:
        save_tree(Location(run.store, "run/ckpt-10"), tree(10, "other"))

    store = MeddledStore(run.store, "delete_if_version ckpt-10.index", replace)
    with run.manager(store, max_to_keep=1) as manager:
        for step in (20, 30, 40):
            manager.save(step, tree(step))
        assert same(manager.restore(10), tree(10, "other"))
    assert run.indexed == [10, 40]
