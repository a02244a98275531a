"""A saver of named variables, beside TensorFlow's own with the same variables."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudckpt.compat.v1 as ours
from benchmarks.measure import Contender, Plan, compete, make_arrays, results_table
from benchmarks.peers import is_installed
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.measure import Arrays, Outcome
    from benchmarks.options import Options

__all__ = ["measure"]

SMALL_COUNT, SMALL = 10_000, 4096
OURS, THEIRS = "cloudckpt's Saver", "TensorFlow's Saver"


def measure(options: Options, folder: Path) -> Report:
    """A few large variables, and very many small ones; with and without the graph beside them."""
    report = Report()
    count = min(SMALL_COUNT, *options.counts)
    small = Plan(make_arrays(count * SMALL, count), options.rounds)
    for plan in (options.few_large_tensors(), small):
        for meta_graph in (False, True):
            outcomes = compete(contenders(plan, meta_graph=meta_graph), plan, folder)
            title = "Savers, with the meta graph" if meta_graph else "Savers"
            missing = () if is_installed("tensorflow") else ("TensorFlow",)
            report.tables.append(results_table(title, outcomes, plan, missing))
            report.goals += goals(outcomes, plan, meta_graph=meta_graph)
    return report


def contenders(plan: Plan, *, meta_graph: bool) -> list[Contender]:
    """Ours as it is, ours without waiting for the disk, and TensorFlow's, which does not wait either."""
    durable = Using(ours, plan, write_meta_graph=meta_graph).contender(OURS)
    unsynced = Using(ours, plan, {"storage_options": {"fsync": False}}, write_meta_graph=meta_graph)
    entered = [durable, replace(unsynced.contender(f"{OURS}, fsync=False"), durable=False)]
    if is_installed("tensorflow"):
        os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
        import tensorflow.compat.v1 as theirs

        theirs.disable_resource_variables()
        entered.append(replace(Using(theirs, plan, write_meta_graph=meta_graph).contender(THEIRS), durable=False))
    return entered


class Using:
    """One graph with a plan's variables, a session that holds their values, and a saver.

    It is written once, as a program for TensorFlow 1 would be, and run over either module.
    """

    def __init__(
        self, tf: Any, plan: Plan, options: Mapping[str, Any] | None = None, *, write_meta_graph: bool
    ) -> None:
        self._write_meta_graph = write_meta_graph
        with tf.Graph().as_default() as graph:
            # Values come by load: a graph should not hold them.
            self._variables = {name: make_variable(tf, name, array) for name, array in plan.arrays.items()}
            self._saver = tf.train.Saver(max_to_keep=None, **options or {})
            self._session = tf.Session(graph=graph)
            for name, array in plan.arrays.items():
                self._variables[name].load(array, self._session)

    def contender(self, name: str) -> Contender:
        """Its turn in a comparison."""
        return Contender(name, self._save, self._restore, self._values)

    def _save(self, folder: Path) -> None:
        with self._session.graph.as_default():
            self._saver.save(self._session, str(folder / "model"), write_meta_graph=self._write_meta_graph)

    def _restore(self, folder: Path) -> None:
        with self._session.graph.as_default():
            self._saver.restore(self._session, str(folder / "model"))

    def _values(self, _: Any) -> Arrays:
        values = self._session.run(list(self._variables.values()))
        return dict(zip(self._variables, values, strict=True))


def make_variable(tf: Any, name: str, array: NDArray[Any]) -> Any:
    """A variable of an array's shape and dtype; its initial value is never used."""
    return tf.get_variable(name, shape=array.shape, dtype=array.dtype.type, initializer=tf.zeros_initializer())


def goals(outcomes: Mapping[str, Outcome], plan: Plan, *, meta_graph: bool) -> list[Goal]:
    """Theirs by ours, in time."""
    if (theirs := outcomes.get(THEIRS)) is None:
        return []
    unsynced = outcomes[f"{OURS}, fsync=False"]
    save, restore = theirs.save.best / unsynced.save.best, theirs.restore.best / unsynced.restore.best
    what = f"{len(plan.arrays):,} variables, {plan.gibibytes:.2f} GiB"
    if meta_graph:  # which a restore does not read
        return [Goal(f"save by a saver, with the meta graph: {what}", "1", "2", f"{save:.2f}")]
    return [
        Goal(f"save by a saver: {what}", "1", "2", f"{save:.2f}"),
        Goal(f"restore by a saver: {what}", "1", "2", f"{restore:.2f}"),
    ]
