"""Fail the N-th operation of a save, for N from 1 until it passes: what is named is whole, and the next saves work."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.errors import CloudckptError, StorageError, StorageTimeoutError
from cloudckpt.saver.saver import Saver
from cloudckpt.state.checkpoint_state import get_checkpoint_state
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.storage.deadline import pause, require_time
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import Crash, FaultyStore
from cloudckpt.variables.graphs.graph import Graph
from tests.saver.faults import Faults, through
from tests.saver.graphs import variable

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("a", "b", "c")


def a_saver(version: int, sharded: bool, **options: Any) -> Saver:
    """A saver of a graph with three variables on two devices."""
    with Graph().as_default():
        for number, name in enumerate(NAMES):
            variable(name, device=f"/device:CPU:{number % 2}")
        return Saver(max_to_keep=2, write_version=version, sharded=sharded, **options)


def state(step: int) -> dict[str, Any]:
    return dict.fromkeys(NAMES, np.float32(step))


def check_named(saver: Saver, run: str) -> None:
    """Each checkpoint that the state file names is whole, and that of its step."""
    for path in get_checkpoint_state(run).all_model_checkpoint_paths:
        found: dict[str, Any] = {}
        saver.restore(found, path)
        (value,) = set(map(float, found.values()))
        assert f"/m-{value:.0f}" in path


def steps(run: str) -> set[str]:
    """What the names of the files begin with, but the state file's."""
    with open_location(run) as folder:
        names = [info.key.rpartition("/")[2] for info in folder.store.list(folder.child("").key)]
    return {name.partition(".")[0][:3] for name in names if name != "checkpoint"}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param({"mode": "before"}, id="once"),
        pytest.param({"mode": "during", "forever": True}, id="from one on"),
        pytest.param({"mode": "after"}, id="the answer is lost"),
        pytest.param({"mode": "before", "error": KeyboardInterrupt()}, id="Ctrl-C"),
        pytest.param({"mode": "after", "error": Crash(), "forever": True}, id="killed"),
    ],
)
@pytest.mark.parametrize("sharded", [False, True], ids=["plain", "sharded"])
@pytest.mark.parametrize("version", [1, 2])
def test_what_is_named_is_whole_and_the_next_saves_work(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: int,
    sharded: bool,
    kind: dict[str, Any],
) -> None:
    caplog.set_level(logging.ERROR)
    faults, dies = Faults(monkeypatch), isinstance(kind.get("error"), Crash)
    leaving = set()
    for failure in faults.each(**kind):
        run, saver = f"memory://{uuid.uuid4().hex}/run", a_saver(version, sharded)
        kept = [saver.save(state(step), f"{run}/m", global_step=step) for step in (1, 2)]
        with faults.failing(failure):
            try:
                kept = [kept[1], saver.save(state(3), f"{run}/m", global_step=3)]
                assert saver.last_checkpoints == kept
            except (CloudckptError, KeyboardInterrupt, Crash):
                assert {*kept} & {*saver.last_checkpoints}
        check_named(saver, run)
        if dies:
            saver = a_saver(version, sharded)
            saver.recover_last_checkpoints(get_checkpoint_state(run).all_model_checkpoint_paths)
        for step in (4, 5, 6):
            saved = saver.save(state(step), f"{run}/m", global_step=step)
            assert latest_checkpoint(run) == saved
            check_named(saver, run)
        if steps(run) != {"m-5", "m-6"}:
            leaving.add(faults.operations[failure["fail_at"] - 1])
    # What was perhaps written, no saver knows of: that is the data and the index, and nothing else.
    assert dies or all(" m-3" in each and not each.endswith(".meta") for each in leaving)


@pytest.mark.parametrize("write_state", [True, False])
def test_a_checkpoint_whose_meta_graph_failed_is_known_to_retention(
    monkeypatch: pytest.MonkeyPatch, write_state: bool
) -> None:
    run = f"memory://{uuid.uuid4().hex}/run"
    saver = a_saver(2, sharded=False)
    saved = saver.save(state(1), f"{run}/m", global_step=1)
    step = 2 if write_state else 1
    with monkeypatch.context() as patch:
        through(patch, WithoutMetaGraphs)
        with pytest.raises(StorageError):
            saver.save(state(step), f"{run}/m", global_step=step, write_state=write_state)
    assert saver.last_checkpoints == ([saved, f"{run}/m-2"] if write_state else [saved])
    for later in (3, 4):
        saver.save(state(later), f"{run}/m", global_step=later)
    assert steps(run) == {"m-3", "m-4"}


class WithoutMetaGraphs(FaultyStore):
    """A store that refuses meta graphs."""

    def put(self, key: str, *args: Any, **options: Any) -> Any:
        if key.endswith(".meta"):
            raise StorageError("an injected fault")
        return super().put(key, *args, **options)


class Hanging(FaultyStore):
    """A store whose first operation takes for ever."""

    @contextmanager
    def operation(self, name: str, key: str, half: object = None) -> Iterator[None]:
        pause(3600)
        require_time(key)
        yield


# Time.


@pytest.mark.parametrize("version", [1, 2])
def test_a_timeout_ends_a_save_and_a_restore(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    path = f"memory://{uuid.uuid4().hex}/m"
    w = variable("w", 1.0)
    saver = Saver([w], write_version=version, timeout=0.05)
    with monkeypatch.context() as patch:
        through(patch, Hanging)
        with pytest.raises(StorageTimeoutError):
            saver.save(None, path)
    assert saver.last_checkpoints == []
    patient = Saver([w], write_version=version)
    patient.save(None, path)
    w.assign(2.0)
    with monkeypatch.context() as patch:
        through(patch, Hanging)
        with pytest.raises(StorageTimeoutError):
            saver.restore(None, path)
    assert w.numpy() == 2.0
    patient.restore(None, path)
    assert w.numpy() == 1.0


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_is_above_0(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Saver([variable("w")], timeout=timeout)
