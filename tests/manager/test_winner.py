"""A conflict says who won; and one's own write, whose answer was lost, is no other writer's."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from cloudckpt.checkpoint.save_time import MAX_SAVE_TIME
from cloudckpt.errors import (
    CommitConflictError,
    CommitUnknownError,
    PermissionDeniedError,
    TransientStorageError,
)
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, same, tree
from tests.manager.test_two_managers import MeddledStore, started

if TYPE_CHECKING:
    from cloudckpt.manager.checkpoint_manager import CheckpointManager


def test_losing_the_state_says_the_winner_s_latest_step_and_when_it_was_written() -> None:
    run = started()
    with run.manager() as winner, run.manager() as loser:
        winner.restore_latest()
        loser.restore_latest()
        winner.save(20, tree(20, "winner"))
        with pytest.raises(CommitConflictError, match=r"step 20.*at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00") as lost:
            loser.save(30, tree(30, "loser"))
    found = lost.value.winner
    assert found is not None
    assert (found.path, found.step) == ("memory://run/checkpoint", 20)
    info = run.store.stat("run/checkpoint")
    assert (found.version, found.written, found.commit_id) == (info.version, info.modified, info.commit_id)


def test_losing_the_index_says_when_it_was_written_and_its_commit_id() -> None:
    run = MemoryRun()
    place = Location(run.store, "run/ckpt-1")
    store = MeddledStore(run.store, "put ckpt-1.index", lambda: save_tree(place, tree(1, "other")))
    with pytest.raises(CommitConflictError, match=r"commit id [0-9a-f]{32}") as lost:
        save_tree(Location(store, place.key), tree(1, "one"))
    found = lost.value.winner
    info = run.store.stat("run/ckpt-1.index")
    assert found is not None
    assert (found.path, found.step) == ("memory://run/ckpt-1.index", None)
    assert (found.version, found.written, found.commit_id) == (info.version, info.modified, info.commit_id)
    assert pickle.loads(pickle.dumps(lost.value)).winner == found


def test_a_writer_that_has_not_committed_is_no_winner_yet() -> None:
    """It has created the data file that both wanted, and nobody has an index."""
    run = MemoryRun()
    data = "ckpt-1.data-00000-of-00001"
    other = FaultyStore(run.store, 5, forever=True)

    def begin() -> None:
        with pytest.raises(TransientStorageError):
            save_tree(Location(other, "run/ckpt-1"), tree(1, "other"))
        assert run.files == [data]

    store = MeddledStore(run.store, f"complete {data}", begin)
    with pytest.raises(CommitConflictError, match="is being saved") as lost:
        save_tree(Location(store, "run/ckpt-1"), tree(1, "one"))
    assert lost.value.winner is None


def test_it_costs_one_request_and_only_then() -> None:
    run = started()
    store = FaultyStore(run.store, 0)
    with run.manager() as winner, run.manager(store) as loser:
        loser.restore_latest()
        winner.restore_latest()
        winner.save(20, tree(20, "winner"))
        with pytest.raises(CommitConflictError):
            loser.save(30, tree(30, "loser"))
        assert store.operations[-2:] == ["put checkpoint", "get checkpoint"]
        asked = len(store.operations)
        with pytest.raises(CommitConflictError, match="step 20") as again:
            loser.save(40, tree(40, "loser"))
        assert len(store.operations) == asked
        assert again.value.winner is not None


def test_a_winner_that_can_t_be_looked_at_is_a_conflict_all_the_same() -> None:
    run = started()
    store = FaultyStore(run.store, 0, forever=True, error=PermissionDeniedError("no"))
    with run.manager() as winner, run.manager(store) as loser:
        loser.restore_latest()
        winner.restore_latest()
        winner.save(20, tree(20, "winner"))
        store._fail_at = len(store.operations) + 7
        with pytest.raises(CommitConflictError) as lost:
            loser.save(30, tree(30, "loser"))
    assert store.operations[-2:] == ["put checkpoint", "get checkpoint"]
    assert lost.value.winner is None
    assert lost.value.committed == "memory://run/ckpt-30"


class Unanswered(FaultyStore):
    """From the write of one file on no answer arrives, until it is mended; whether that write arrives is said."""

    def __init__(self, run: MemoryRun, name: str, arrives: bool) -> None:
        super().__init__(run.store, 0, "after" if arrives else "before")
        self._name, self._broken = name, False

    def operation(self, name, key, half=lambda: None):
        if f"{name} {key.rpartition('/')[2]}" == self._name and not self._broken:
            self._broken, self._fail_at = True, len(self.operations) + 1
        elif self._broken:
            self._mode, self._forever = "before", True
        return super().operation(name, key, half)

    def mend(self) -> None:
        self._fail_at, self._forever, self._name = 0, False, ""


def impatient(store: FaultyStore) -> RetryingStore:
    ticks = iter(range(1000))
    return RetryingStore(store, max_retry_seconds=3, sleep=lambda _: None, clock=lambda: float(next(ticks)))


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("step", [30, 20, 15, 5], ids=["next", "again", "back", "back before all"])
@pytest.mark.parametrize("lost", ["checkpoint", "index"])
@pytest.mark.parametrize("then", ["the same step", "a later step"])
@pytest.mark.parametrize("max_save_time", [None, 2 * MAX_SAVE_TIME])
def test_p8_an_unproved_write_of_ones_own_is_no_other_writer_s(
    lost: str, step: int, arrives: bool, then: str, max_save_time: float | None
) -> None:
    """Whether it has arrived or not: the same manager saves on, and needs no restore."""
    run = started((10, 20), max_to_keep=2)
    with run.manager(max_to_keep=2, max_save_time=max_save_time) as manager:
        manager.save(20, tree(20))
    store = Unanswered(run, f"put {'checkpoint' if lost == 'checkpoint' else f'ckpt-{step}.index'}", arrives)
    with run.manager(impatient(store), max_to_keep=2, max_save_time=max_save_time) as manager:
        manager.restore_latest()
        with pytest.raises(CommitUnknownError):
            manager.save(step, tree(step, "second"))
        store.mend()
        after = step if then == "the same step" else 40
        manager.save(after, tree(after, "third"))
        manager.save(50, tree(50, "third"))
    check(run, after)


def check(run: MemoryRun, after: int) -> None:
    with run.manager() as reader:
        assert run.named == [after, 50] or after in run.state.left
        assert same(reader.restore(50), tree(50, "third"))
        assert same(reader.restore_latest()[0], tree(50, "third"))


@pytest.mark.parametrize("lost", ["checkpoint", "index"])
def test_p7_another_s_write_after_an_unproved_one_still_wins(lost: str) -> None:
    run = started((10,))
    store = Unanswered(run, "put checkpoint" if lost == "checkpoint" else "put ckpt-20.index", arrives=True)

    def save(manager: CheckpointManager, line: str) -> None:
        manager.save(20, tree(20, line))

    with run.manager(impatient(store)) as manager, run.manager() as other:
        manager.restore_latest()
        with pytest.raises(CommitUnknownError):
            save(manager, "one")
        other.restore_latest()
        save(other, "other")
        store.mend()
        for _ in range(2):
            with pytest.raises(CommitConflictError):
                save(manager, "again")
        assert same(other.restore(20), tree(20, "other"))
        save(other, "other")
