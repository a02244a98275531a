"""A job before a disk and a bucket that dies at any operation on either: nothing announced is lost."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import StorageError
from cloudckpt.manager.reporting.reports import SaveReport
from cloudckpt.testing.faults import Crash, FaultyStore, Mode
from tests.manager.machines import Machine
from tests.manager.runs import MemoryRun

if TYPE_CHECKING:
    from collections.abc import Iterator

MODES: list[Mode] = ["before", "after", "during"]
TIERS = ["disk", "bucket"]
KEPT = {"local_keep": 2, "bucket_keep": 2, "upload_every": 2}


@dataclass(frozen=True)
class Case:
    """What was saved before, and what a process does until it dies."""

    saves: list[int]
    """after 1, 2 and 3 of the first line, of which 2 is in the bucket"""
    restored: int | None = None
    """the step to go back to; None for the newest"""
    on_another_machine: bool = False


CASES = {
    "goes on": Case([4, 5, 6]),
    "goes on elsewhere": Case([3, 4, 5], on_another_machine=True),
    "goes back": Case([2, 3, 4], restored=2),
    "the newest again": Case([3, 4]),
}


@dataclass
class World:
    """The bucket, the disk of the first machine, and that of the one that dies."""

    bucket: MemoryRun
    first: MemoryRun
    disk: MemoryRun


def prepared(case: Case) -> World:
    machine = Machine(MemoryRun(), **KEPT).save(1, 2, 3)
    return World(machine.bucket, machine.disk, MemoryRun() if case.on_another_machine else machine.disk)


def work(world: World, case: Case, stores: dict[str, Any], announced: list[int], uploaded: list[int]) -> None:
    """What the process does, and what it was told of by then: what is saved, and what is in the bucket."""
    machine = Machine(world.bucket, world.disk, local_store=stores["disk"], bucket_store=stores["bucket"], **KEPT)
    machine.newest() if case.restored is None else machine.restore(case.restored)
    try:
        for step in case.saves:
            machine.save(step, line="second")
            announced.append(step)
    finally:
        uploaded.extend(each.step for each in machine.told if isinstance(each, SaveReport) and each.error is None)


def stores_of(world: World, tier: str, number: int, mode: Mode, error: BaseException | None) -> dict[str, FaultyStore]:
    faulty = {"fail_at": number, "mode": mode, "forever": isinstance(error, Crash), "error": error}
    disk = FaultyStore(world.disk.store, **(faulty if tier == "disk" else {"fail_at": 0}))
    bucket = FaultyStore(world.bucket.store, **(faulty if tier == "bucket" else {"fail_at": 0}))
    return {"disk": disk, "bucket": bucket}


def operations_of(case: Case, tier: str) -> int:
    world = prepared(case)
    stores = stores_of(world, tier, 0, "before", None)
    work(world, case, stores, [], [])
    return len(stores[tier].operations)


def each_operation() -> Iterator[Any]:
    for name, case in CASES.items():
        for tier in TIERS:
            for mode in MODES:
                for number in range(1, operations_of(case, tier) + 1):
                    yield pytest.param(case, tier, mode, number, id=f"{name}-{tier}-{mode}-{number}")


def may_go_on_from(case: Case, announced: list[int]) -> list[tuple[int, str]]:
    """What the machine's next process may go on from: what was announced last, or what was begun after it."""
    begun = [(step, "second") for step in case.saves[len(announced) :][:1]]
    if announced:
        return [(announced[-1], "second"), *begun]
    before = [(2 if case.on_another_machine else 3, "first")]
    # Whoever goes back leaves what came after, before the first step of the new line is there.
    return [*before, *([] if case.restored is None else [(case.restored, "first")]), *begun]


@pytest.mark.parametrize(("case", "tier", "mode", "number"), [*each_operation()])
def test_a_process_that_dies(case: Case, tier: str, mode: Mode, number: int) -> None:
    world, announced, uploaded = prepared(case), [], []
    with pytest.raises(Crash):
        work(world, case, stores_of(world, tier, number, mode, Crash()), announced, uploaded)
    begun = case.saves[len(announced) :][:1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what counts is where it goes on
        same_machine = Machine(world.bucket, world.disk, **KEPT).newest()
        new_machine = Machine(world.bucket, **KEPT).newest()
        first_machine = Machine(world.bucket, world.first, **KEPT).newest()
    assert same_machine in may_go_on_from(case, announced)
    # What is nowhere but on a disk that is lost is lost with it; nothing else is.
    assert new_machine is not None
    in_bucket = [(2, "first"), *((step, "second") for step in uploaded)]
    may_be = {*in_bucket[-1:], *((step, "second") for step in [*announced, *begun] if step not in uploaded)}
    assert new_machine in may_be
    if uploaded:
        assert first_machine is not None
        assert first_machine[1] == "second"


@pytest.mark.parametrize(
    ("case", "tier", "mode", "number"),
    [each for each in each_operation() if each.values[1:3] in [("disk", "before"), ("bucket", "before")]],
)
def test_an_operation_that_fails(case: Case, tier: str, mode: Mode, number: int) -> None:
    """The process goes on after the error, which is raised, or warned of where the bucket makes up for it."""
    world, announced, uploaded = prepared(case), [], []
    stores = stores_of(world, tier, number, mode, StorageError("an injected fault"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(StorageError):
            work(world, case, stores, announced, uploaded)
        same_machine = Machine(world.bucket, world.disk, **KEPT).newest()
    assert same_machine in may_go_on_from(case, announced)
