"""What two tiers ask of the bucket, counted there: these numbers are in the page of costs."""

from __future__ import annotations

from cloudckpt.testing.faults import FaultyStore
from tests.manager.machines import Machine
from tests.manager.runs import MemoryRun

LOOK = ["get checkpoint", "list ckpt-"]


class Bucket:
    """A bucket that counts what is asked of it, and machines before it."""

    def __init__(self) -> None:
        self.run = MemoryRun()
        self.store = FaultyStore(self.run.store, 0)
        self.machine = self.new_machine()

    def new_machine(self, disk: MemoryRun | None = None) -> Machine:
        return Machine(self.run, disk, bucket_store=self.store, upload_every=2)

    def asked(self) -> list[str]:
        """The operations since the last call."""
        asked = list(self.store.operations)
        self.store.operations.clear()
        return asked


def saved(step: int) -> list[str]:
    data = f"ckpt-{step}.data-00000-of-00001"
    operations = [f"list ckpt-{step}.", f"create {data}", f"write {data}", f"complete {data}", f"put ckpt-{step}.index"]
    return [*operations, "put checkpoint"]


def test_a_step_that_stays_on_disk_costs_the_bucket_nothing() -> None:
    bucket = Bucket()
    assert bucket.machine.newest() is None
    assert bucket.asked() == LOOK
    for step in (1, 2, 3, 4):
        bucket.machine.save(step)
        assert bucket.asked() == (saved(step) if step % 2 == 0 else [])


def test_a_restart_looks_at_the_bucket_and_reads_its_disk() -> None:
    bucket = Bucket()
    bucket.machine.newest()
    bucket.machine.save(1, 2)
    bucket.asked()
    assert bucket.new_machine(bucket.machine.disk).newest() == (2, "first")
    assert bucket.asked() == [*LOOK, "get ckpt-2.index"]


def test_a_new_machine_reads_the_bucket() -> None:
    bucket = Bucket()
    bucket.machine.newest()
    bucket.machine.save(1, 2)
    bucket.asked()
    assert bucket.new_machine().newest() == (2, "first")
    asked = bucket.asked()
    assert asked[:4] == [*LOOK, "get ckpt-2.index", "get ckpt-2.index"]
    assert [each.split()[0] for each in asked[4:]] == ["read", "read", "stat"]
