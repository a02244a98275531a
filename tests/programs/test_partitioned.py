"""Partitioned variables: their parts, what is stored of them, and restores into other partitionings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.programs.comparison import over_both
from tests.programs.graphs import on_two_devices
from tests.programs.observations import files, outcome, stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TABLE = np.arange(28, dtype=np.float32).reshape(7, 4)
PARTITIONERS: dict[str, Callable[[Any], Any]] = {
    "whole": lambda _: None,
    "one": lambda tf: tf.fixed_size_partitioner(1),
    "two rows": lambda tf: tf.fixed_size_partitioner(2),
    "three rows": lambda tf: tf.fixed_size_partitioner(num_shards=3, axis=0),
    "columns": lambda tf: tf.fixed_size_partitioner(4, axis=1),
    "by size": lambda tf: tf.variable_axis_size_partitioner(48),
    "by size along columns": lambda tf: tf.variable_axis_size_partitioner(max_shard_bytes=28, axis=1),
    "by size, at most two": lambda tf: tf.variable_axis_size_partitioner(16, max_shards=2),
    "at least 30 bytes": lambda tf: tf.min_max_variable_partitioner(max_partitions=5, min_slice_size=30),
}


def table(tf: Any, partitioning: str) -> Any:
    """A variable of a graph, in parts or whole."""
    with tf.variable_scope("model", partitioner=PARTITIONERS[partitioning](tf)):
        return tf.get_variable("table", shape=TABLE.shape, initializer=tf.zeros_initializer())


def fill(session: Any, parts: list[Any]) -> None:
    """Give the parts their values."""
    axis = 0 if tuple(parts[0].shape)[1] == TABLE.shape[1] else 1
    ends = np.cumsum([int(part.shape[axis]) for part in parts])
    for part, value in zip(parts, np.split(TABLE, ends[:-1], axis), strict=True):
        part.load(value, session)


def save(tf: Any, directory: Path, partitioning: str, **options: Any) -> str:
    """A checkpoint of the table."""
    with tf.Graph().as_default(), tf.Session() as session:
        table(tf, partitioning)
        fill(session, tf.global_variables())
        return tf.train.Saver(**options).save(session, str(directory / "model"))


@pytest.mark.parametrize("partitioning", PARTITIONERS)
@over_both()
def test_the_parts_of_a_partitioned_variable(tf: Any, directory: Path, clock: Any, partitioning: str) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        variable = table(tf, partitioning)
        fill(session, tf.global_variables())
        parts = [[part.name, session.run(part).tolist()] for part in tf.global_variables()]
    return {"parts": parts, "name": variable.name, "shape": list(variable.shape)}


@over_both()
def test_a_partitioned_variable_as_one_tensor(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        variable = table(tf, "three rows")
        whole = variable.as_tensor()
        fill(session, tf.global_variables())
        return {"whole": np.asarray(session.run(whole))}


@pytest.mark.parametrize("partitioning", PARTITIONERS)
@over_both()
def test_what_is_stored_of_a_partitioned_variable(
    tf: Any, later: Any, directory: Path, clock: Any, partitioning: str
) -> Any:
    prefix = save(tf, directory, partitioning)
    return {"stored": stored(later, prefix), "files": files(directory)}


@pytest.mark.parametrize("after", PARTITIONERS)
@pytest.mark.parametrize("before", ["whole", "three rows", "columns"])
@over_both()
def test_restores_into_another_partitioning(
    tf: Any, later: Any, directory: Path, clock: Any, before: str, after: str
) -> Any:
    prefix = save(tf, directory, before)
    with later.Graph().as_default(), later.Session() as session:
        table(later, after)
        later.train.Saver().restore(session, prefix)
        return {"parts": [[part.name, session.run(part).tolist()] for part in later.global_variables()]}


@over_both()
def test_v1_partitions(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save(tf, directory, "two rows", write_version=tf.train.SaverDef.V1)
    with later.Graph().as_default(), later.Session() as session:
        table(later, "columns")
        later.train.Saver().restore(session, prefix)
        return {"parts": [session.run(part).tolist() for part in later.global_variables()], "files": files(directory)}


@over_both()
def test_partitions_in_a_dict(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        variable = table(tf, "three rows")
        fill(session, tf.global_variables())
        savers = [tf.train.Saver({"renamed": given}) for given in (variable, list(variable))]
        saved = [stored(tf, saver.save(session, str(directory / f"model{i}"))) for i, saver in enumerate(savers)]
        part = outcome(lambda: tf.train.Saver({"a": next(iter(variable))}).save(session, str(directory / "part")))
        mixed = outcome(lambda: tf.train.Saver([variable, next(iter(variable))]))
    return {"saved": saved, "a part alone": part, "mixed": mixed, "of it": stored(tf, str(directory / "part"))}


@over_both()
def test_partitions_sharded_over_devices(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default():
        parts = []
        for number in range(4):
            with tf.device(f"/cpu:{number % 2}"), tf.variable_scope(f"tower{number}"):
                parts.append(list(table(tf, "two rows")))
        with on_two_devices(tf) as session:
            for tower in parts:
                fill(session, tower)
            prefix = tf.train.Saver(sharded=True).save(session, str(directory / "model"))
    return {"stored": stored(later, prefix), "files": files(directory)}


@over_both()
def test_create_partitioned_variables(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        parts = tf.create_partitioned_variables([7, 4], [3, 1], tf.zeros_initializer(), name="own")
        fill(session, parts)
        values = [session.run(part).tolist() for part in parts]
        prefix = tf.train.Saver().save(session, str(directory / "model"))
    return {"names": [part.name for part in parts], "values": values, "stored": stored(tf, prefix)}
