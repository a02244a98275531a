"""A saver of named variables, beside TensorFlow's own with the same variables."""

from __future__ import annotations

import os
from functools import partial
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
        programs = savers(plan)
        for meta_graph in (False, True):
            entered = [program.contender(write_meta_graph=meta_graph) for program in programs]
            outcomes = compete(entered, plan, folder)
            title = "Savers, with the meta graph" if meta_graph else "Savers"
            missing = () if is_installed("tensorflow") else ("TensorFlow",)
            report.tables.append(results_table(title, outcomes, plan, missing))
            report.goals += goals(outcomes, plan, meta_graph=meta_graph)
    return report


def savers(plan: Plan) -> list[Using]:
    """Ours as it is, ours without waiting for the disk, and TensorFlow's, which does not wait either."""
    programs = [
        Using(ours, plan, OURS),
        Using(ours, plan, f"{OURS}, fsync=False", {"storage_options": {"fsync": False}}, durable=False),
    ]
    if is_installed("tensorflow"):
        os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
        import tensorflow.compat.v1 as theirs

        theirs.logging.set_verbosity(theirs.logging.ERROR)
        theirs.disable_resource_variables()
        programs.append(Using(theirs, plan, THEIRS, durable=False))
    return programs


class Using:
    """One graph with a plan's variables, a session that holds their values, and a saver.

    It is written once, as a program for TensorFlow 1 would be, and run over either module.
    """

    def __init__(
        self, tf: Any, plan: Plan, name: str, options: Mapping[str, Any] | None = None, *, durable: bool = True
    ) -> None:
        self._name, self._durable = name, durable
        with tf.Graph().as_default() as graph:
            self._variables = {key: make_variable(tf, key, array) for key, array in plan.arrays.items()}
            self._saver = tf.train.Saver(max_to_keep=None, **options or {})
            self._session = tf.Session(graph=graph)
            # The values are fed: a graph should not hold them.
            values = {self._variables[key].initial_value: array for key, array in plan.arrays.items()}
            self._session.run([variable.initializer for variable in self._variables.values()], values)

    def contender(self, *, write_meta_graph: bool) -> Contender:
        """Its turn in a comparison."""
        save = partial(self._save, write_meta_graph=write_meta_graph)
        return Contender(self._name, save, self._restore, self._values, durable=self._durable)

    def _save(self, folder: Path, *, write_meta_graph: bool) -> None:
        with self._session.graph.as_default():
            self._saver.save(self._session, str(folder / "model"), write_meta_graph=write_meta_graph)

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
