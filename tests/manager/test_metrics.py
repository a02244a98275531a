"""Metrics that are saved with steps, and the policies that look at them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.keep import Best, EveryHours, EverySteps, Latest, Pinned
from cloudckpt.manager.directory.metrics_tensor import METRICS_TENSOR, MOST_BYTES
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, same, tree

LOSSES = {1: 0.9, 2: 0.3, 3: 0.5, 4: math.nan, 5: math.inf}


@pytest.fixture
def run() -> MemoryRun:
    """A directory with a few steps and their losses, and one without."""
    run = MemoryRun()
    with run.manager(max_to_keep=None) as manager:
        for step, loss in LOSSES.items():
            manager.save(step, tree(step), {"loss": loss, "accuracy": 1 - step / 10})
        manager.save(6, tree(6))
    return run


def without_state(run: MemoryRun) -> MemoryRun:
    run.store.delete(["run/checkpoint"])
    return run


def rewritten(run: MemoryRun) -> MemoryRun:
    """As TensorFlow's manager leaves the state: without our line."""
    file = run.filesystem.store["/run/checkpoint"]
    text = file.getvalue().partition(b"\n")[2]
    run.filesystem.pipe_file("/run/checkpoint", text)
    return run


def is_number(found: float, expected: float) -> bool:
    return found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize("change", [lambda run: run, without_state, rewritten])
def test_they_come_back_also_without_the_state(run: MemoryRun, change: Any) -> None:
    with change(run).manager() as manager:
        for step, loss in LOSSES.items():
            found = manager.metrics(step)
            assert found.keys() == {"loss", "accuracy"}
            assert is_number(found["loss"], loss)
        assert manager.metrics(6) == {}
        assert manager.best_step("loss") == 2
        assert manager.best_step("loss", "max") == 5
        assert manager.best_step("accuracy", "max") == 1
        assert manager.best_step("recall") is None


def test_the_tree_is_the_same_with_them(run: MemoryRun) -> None:
    with run.manager() as manager:
        assert same(manager.restore(2), tree(2))
        assert manager.restore(2).keys() == tree(2).keys()
        assert manager.restore(2, like=tree(0)).keys() == tree(2).keys()


def test_the_defaults_of_best_step(run: MemoryRun) -> None:
    with run.manager() as manager, pytest.raises(ValueError, match="by which metric"):
        manager.best_step()
    with run.manager(best_metric="loss") as manager:
        assert manager.best_step() == 2
        assert manager.best_step(mode="max") == 5
        assert manager.best_step("accuracy") == 5
    with run.manager(best_metric="accuracy", best_mode="max") as manager:
        assert manager.best_step() == 1
        assert manager.best_step("loss", "min") == 2
        with pytest.raises(ValueError, match="mode"):
            manager.best_step("loss", "best")  # type: ignore[arg-type]  # what is refused


def test_what_the_state_says_is_strict_json_in_its_comment(run: MemoryRun) -> None:
    line = run.filesystem.store["/run/checkpoint"].getvalue().decode().partition("\n")[0]
    assert line.startswith("# cloudckpt: ")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    remarks = json.loads(line.removeprefix("# cloudckpt: "), parse_constant=refuse)
    assert remarks["metrics"]["ckpt-2"] == {"loss": 0.3, "accuracy": 0.8}
    assert remarks["metrics"]["ckpt-4"]["loss"] == "nan"
    assert "ckpt-6" not in remarks["metrics"]


def test_without_metrics_nothing_is_added() -> None:
    run = MemoryRun()
    with run.manager() as manager:
        manager.save(1, tree(1), {})
    assert b"#" not in run.filesystem.store["/run/checkpoint"].getvalue()
    prefix = Location(run.store, "run/ckpt-1")
    assert METRICS_TENSOR not in open_checkpoint(prefix).tensors


def test_requests(run: MemoryRun) -> None:
    store = FaultyStore(run.store, 0)
    with run.manager(store) as manager:
        manager.metrics(2)
        assert store.operations == ["get checkpoint", "list ckpt-"]
        store.operations.clear()
        manager.best_step("loss")
        assert store.operations[:3] == ["get checkpoint", "list ckpt-", "get ckpt-6.index"]
        assert {each.partition(" ckpt-")[2][0] for each in store.operations[2:]} == {"6"}


def test_a_step_that_is_not_there(run: MemoryRun) -> None:
    with run.manager() as manager, pytest.raises(ckpt.CheckpointNotFoundError) as missing:
        manager.metrics(7)
    assert missing.value.step == 7


def test_saved_again_a_step_has_the_new_ones(run: MemoryRun) -> None:
    with run.manager() as manager:
        manager.restore_latest()
        manager.save(6, tree(6), {"loss": 0.1})
        assert manager.metrics(6) == {"loss": 0.1}
        assert manager.best_step("loss") == 6
        manager.save(6, tree(6))
        assert manager.metrics(6) == {}
        assert manager.best_step("loss") == 2


def test_those_of_a_line_that_was_left_count_no_more(run: MemoryRun) -> None:
    with run.manager(best_metric="loss") as manager:
        manager.restore(1)
        manager.save(2, tree(2, "second"), {"loss": 0.6})
        assert manager.best_step() == 2
        assert manager.metrics(2) == {"loss": 0.6}
        manager.save(3, tree(3, "second"), {"loss": 0.8})
        assert manager.best_step() == 2
    with without_state(run).manager() as manager:
        assert manager.metrics(2) == {"loss": 0.6}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"loss": "low"}', b'{"loss": ' + b"[" * 100_000, b"x" * (MOST_BYTES + 100), b"\xff"]
)
def test_p10_rubbish_in_their_place(run: MemoryRun, text: bytes) -> None:
    save_tensors(Location(run.store, "run/ckpt-9"), {"w": np.ones(2), METRICS_TENSOR: np.array(text, object)})
    with run.manager() as manager:
        with pytest.raises(ckpt.CheckpointDamagedError, match="no metrics"):
            manager.metrics(9)
        assert manager.best_step("loss") == 2


@pytest.mark.parametrize("array", [np.ones(()), np.ones(3), np.array([b"{}", b"{}"], object)])
def test_p10_tensors_of_another_kind_in_their_place(run: MemoryRun, array: Any) -> None:
    save_tensors(Location(run.store, "run/ckpt-9"), {"w": np.ones(2), METRICS_TENSOR: array})
    with run.manager() as manager, pytest.raises(ckpt.CheckpointDamagedError, match="no metrics"):
        manager.metrics(9)


def test_too_many_are_refused_before_anything_is_sent() -> None:
    run = MemoryRun()
    with run.manager() as manager, pytest.raises(ValueError, match="into the tree"):
        manager.save(1, tree(1), {"x" * MOST_BYTES: 1.0})
    assert run.files == []


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("loses_state", [False, True])
def test_p6_the_best_stays(restarts: bool, loses_state: bool) -> None:
    """Also over restarts, and when another program has written the state without our line."""
    run = MemoryRun()
    options: dict[str, Any] = {"max_to_keep": 1, "best_metric": "loss"}
    manager = run.manager(**options)
    for step, loss in LOSSES.items():
        if restarts:
            manager.close()
            if loses_state and step > 1:
                rewritten(run)
            manager = run.manager(**options)
        manager.save(step, tree(step), {"loss": loss})
    assert manager.all_steps() == run.named == run.indexed == [2, 5]
    manager.close()


def test_p6_metrics_that_can_t_be_looked_up_now_delete_nothing(run: MemoryRun) -> None:
    rewritten(run)
    kept = set[tuple[int, ...]]()
    for fail_at in range(1, 99):
        here = run.copy()
        store = FaultyStore(here.store, 0, error=ckpt.StorageError("no answer"))
        with here.manager(store, max_to_keep=1, best_metric="loss") as manager:
            manager.restore_latest()
            store._fail_at = len(store.operations) + 5 + fail_at
            try:
                manager.save(7, tree(7), {"loss": 0.4})
            except ckpt.StorageError:
                assert store.operations[store._fail_at - 1] == "put checkpoint"
                break
            kept.add(tuple(here.indexed))
            manager.save(8, tree(8), {"loss": 0.6})
        assert here.indexed == [2, 8]
    # The one that could not be asked stayed besides the best.
    assert kept == {(1, 2, 7), (2, 7), (2, 3, 7), (2, 4, 7), (2, 5, 7), (2, 6, 7)}


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        ({"keep": Latest(2)}, [4, 5]),
        ({"keep": Best("loss")}, [2, 5]),
        ({"keep": Best("loss", count=2) | Latest(2)}, [2, 3, 4, 5]),
        ({"keep": EverySteps(2)}, [2, 4, 5]),
        ({"keep": Pinned([1])}, [1, 5]),
        ({"keep": EveryHours(1e-12) | Pinned([9])}, [1, 2, 3, 4, 5]),
        ({"keep": EveryHours(1000) | EverySteps(3)}, [1, 3, 5]),
        ({"keep": EveryHours(1000) | Best("loss")}, [1, 2, 5]),
        ({"keep": Latest(1), "best_metric": "loss"}, [2, 5]),
        ({"max_to_keep": 2, "best_metric": "loss", "best_mode": "max"}, [4, 5]),
        ({"max_to_keep": 1, "keep_every_n_hours": 1000, "best_metric": "loss"}, [1, 2, 5]),
    ],
)
@pytest.mark.parametrize("restarts", [False, True])
def test_p6_policies(options: dict[str, Any], stays: list[int], restarts: bool) -> None:
    run = MemoryRun()
    manager = run.manager(**options)
    for step, loss in LOSSES.items():
        if restarts:
            manager.close()
            manager = run.manager(**options)
        manager.save(step, tree(step), {"loss": loss})
    assert manager.all_steps() == run.named == run.indexed == stays
    manager.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"keep": 5}, TypeError),
        ({"keep": Latest(1), "max_to_keep": 1}, ValueError),
        ({"keep": Latest(1), "keep_every_n_hours": 1}, ValueError),
        ({"best_metric": "loss", "best_mode": "best"}, ValueError),
        ({"best_mode": "best"}, ValueError),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        MemoryRun().manager(**options)
