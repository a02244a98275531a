"""Two processes, one storage operation at a time: all orders of their operations where they can be counted, and samples
beyond. At the end of each, one of them has won, nothing is mixed, and a collection leaves exactly what is committed."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.errors import CommitConflictError
from cloudckpt.garbage.collect import collect_in
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location, open_location
from tests.faults.model import PLAIN, MemoryLikeS3, Process, World, number_of, tree
from tests.faults.scheduled import Choose, ScheduledStore, Task, every_schedule, interleave, some_schedules
from tests.manager.runs import manager_at

if TYPE_CHECKING:
    from tests.servers import ObjectServer

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.RecoveryWarning")

SAMPLE = 100


def plain_save(world: World) -> tuple[Process, Task]:
    process = world.process()
    save = world.begin(process, None)
    return process, Task(process.store, partial(save_tree, Location(process.store, PLAIN), tree(save.number)))


def check(world: World) -> None:
    """All is whole, and a collection leaves exactly what is committed."""
    world.changed = True
    world.check()
    collect_in(Location(world.raw, "run"), no_writers=True, min_age=0.0)
    world.changed = True
    world.check()
    assert set(world.files()) == world.committed_files()


def two_plain_saves(choose: Choose, over: int, store: Any) -> None:
    """Beside each other, over so many earlier ones."""
    world = World(store)
    for _ in range(over):
        plain_save(world)[1].finish()
    (_, one), (_, other) = plain_save(world), plain_save(world)
    interleave([one, other], choose)
    winners = [task for task in (one, other) if task.error is None]
    assert all(isinstance(task.error, CommitConflictError | None) for task in (one, other))
    # Both may lose where both wanted the same names of a fresh prefix; who replaces, wins or has lost to the other.
    assert len(winners) >= min(over, 1)
    assert len(world.history) == over + len(winners)
    check(world)


def test_p7_two_saves_to_a_fresh_prefix_in_every_order() -> None:
    outcomes = 0
    for choose in every_schedule():
        two_plain_saves(choose, 0, MemoryLikeS3)
        outcomes += 1
    assert outcomes > 200


def test_p7_two_saves_over_a_checkpoint_in_many_orders() -> None:
    for choose in some_schedules(SAMPLE):
        two_plain_saves(choose, 1, MemoryLikeS3)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_p7_two_saves_over_a_checkpoint_in_every_order() -> None:
    outcomes = 0
    for choose in every_schedule():
        two_plain_saves(choose, 1, MemoryLikeS3)
        outcomes += 1
    assert outcomes > 2000


@pytest.mark.parametrize("server", ["minio", "fake_gcs"])
@pytest.mark.parametrize("over", [0, 1])
def test_p7_a_save_within_another_on_every_server(server: str, over: int, request: pytest.FixtureRequest) -> None:
    """One save does so many operations, then another all of its own, then the first goes on."""
    bucket: ObjectServer = request.getfixturevalue(server)
    for after in itertools.count():
        with open_location(f"{bucket.fresh_url()}/ckpt", bucket.storage_options) as place:
            for _ in range(over):
                save_tree(place, tree(1))
            stores = [ScheduledStore(place.store) for _ in range(2)]
            slow, quick = (
                Task(store, partial(save_tree, Location(store, place.key), tree(number)))
                for number, store in enumerate(stores, 2)
            )
            for _ in range(after):
                if not slow.done:
                    slow.step()
            ended = slow.done
            overtaken = after > 0 and not ended and not slow.pending.startswith("delete")
            quick.finish()
            slow.finish()
            assert quick.error is None
            assert isinstance(slow.error, CommitConflictError) if overtaken else slow.error is None
            assert number_of(load_tree(place)) == (3 if after else 2)
            index = decode_index(place.store.get(f"{place.key}.index")[0], place.url)
            committed = {f"{place.key}.index", *needed_data_files(place.key, index)}
            assert {info.key for info in place.store.list(place.key)} == committed
        if ended:
            break
    assert after > 4


# Two managers of one directory.


def directory(world: World, *steps: int) -> None:
    """A line of steps, saved by a job that has ended."""
    process = world.process()
    with manager_at(Location(process.store, "run"), max_to_keep=2) as manager:
        manager.restore_latest(default=None)
        for step in steps:
            manager.save(step, tree(world.begin(process, step).number))


class Job:
    """A process that has restored what is there, and saves a step."""

    def __init__(self, world: World, step: int, restored: int | None = None) -> None:
        self.world, self.step = world, step
        self.process = world.process()
        self.manager = manager_at(Location(self.process.store, "run"), max_to_keep=2)
        if restored is None:
            self.manager.restore_latest(default=None)
        else:
            self.manager.restore(restored)

    def save(self) -> Task:
        save = self.world.begin(self.process, self.step)
        self.task = Task(self.process.store, partial(self.manager.save, self.step, tree(save.number)))
        return self.task


CASES = {
    "both first": ((), 1, 1),
    "the first of each": ((), 1, 2),
    "the same next": ((10, 20), 30, 30),
    "one further": ((10, 20), 30, 40),
    "one goes back": ((10, 20), 30, 15),
    "both go back": ((10, 20), 15, 12),
    "one replaces": ((10, 20), 20, 30),
    "one before all": ((10, 20), 5, 30),
}


def two_jobs(choose: Choose, steps: tuple[int, ...], one: int, other: int, store: Any) -> None:
    world = World(store)
    directory(world, *steps)
    jobs = [Job(world, one), Job(world, other)]
    interleave([job.save() for job in jobs], choose)
    errors = [job.task.error for job in jobs]
    assert all(isinstance(error, CommitConflictError | None) for error in errors), errors
    winners = [job for job in jobs if job.task.error is None]
    assert len(winners) <= 1
    world.check()
    for job in jobs:
        if job in winners:
            assert world.line[-1] == job.step
            assert world.commits[f"run/ckpt-{job.step}.index"].number == job.process.save.number
        else:
            assert_says_who_won(world, job.task.error)
            with pytest.raises(CommitConflictError):
                job.manager.save(job.step + 1, tree(0))
    check(world)


def assert_says_who_won(world: World, error: Any) -> None:
    winner = error.winner
    if winner is not None:
        assert world.raw.url("run/") in winner.path
        assert winner.written == world.now
        assert winner.step is None or winner.step in {*world.line, *world.steps()}


@pytest.mark.parametrize("case", CASES)
def test_p7_p6_two_jobs_in_many_orders(case: str) -> None:
    for choose in some_schedules(SAMPLE // 2):
        two_jobs(choose, *CASES[case], MemoryLikeS3)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", CASES)
def test_p7_p6_two_jobs_in_all_orders(case: str) -> None:
    """All of them where there are few steps: tens of thousands of the others, of which some must do."""
    few = not CASES[case][0]
    for choose in every_schedule() if few else some_schedules(3_000):
        two_jobs(choose, *CASES[case], MemoryLikeS3)
