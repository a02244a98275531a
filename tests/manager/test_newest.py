"""Recovery while another process goes on saving, such as an evaluation beside its training job."""

from __future__ import annotations

import pytest

import cloudckpt as ckpt
from cloudckpt.manager.directory.newest import ATTEMPTS
from tests.manager.runs import MemoryRun, same, tree
from tests.manager.test_two_managers import MeddledStore


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.RecoveryWarning")
@pytest.mark.parametrize("before", ["list ckpt-", "get ckpt-1.index", "read ckpt-1.data-00000-of-00001"])
def test_what_retention_deletes_under_a_reader_is_looked_for_anew(before: str) -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=1) as writer:
        writer.save(1, tree(1))
        store = MeddledStore(run.store, before, lambda: [writer.save(step, tree(step)) for step in (2, 3)])
        with run.manager(store) as reader:
            state, step = reader.restore_latest()
    assert step == 3
    assert same(state, tree(3))


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.RecoveryWarning")
def test_a_writer_that_is_always_faster_ends_in_an_error() -> None:
    run = MemoryRun()
    looks = 0
    with run.manager(max_to_keep=1) as writer:
        writer.save(0, tree(0))

        class Racing(MeddledStore):
            def list(self, prefix):
                nonlocal looks
                looks += prefix.endswith("ckpt-")
                listed = [*super().list(prefix)]
                writer.save(looks, tree(looks))
                return iter(listed)

        with run.manager(Racing(run.store, 0, int)) as reader, pytest.raises(ckpt.CheckpointDamagedError):
            reader.restore_latest()
    assert looks == ATTEMPTS


def test_nothing_is_looked_at_again_when_nobody_saves() -> None:
    run = MemoryRun()
    with run.manager() as manager:
        manager.save(1, tree(1))
    run.store.delete(["run/ckpt-1.index"])
    store = MeddledStore(run.store, 0, int)
    with (
        run.manager(store) as manager,
        pytest.warns(ckpt.RecoveryWarning),
        pytest.raises(ckpt.CheckpointDamagedError),
    ):
        manager.latest_step()
    assert store.operations == ["get checkpoint", "list ckpt-"] * 2
