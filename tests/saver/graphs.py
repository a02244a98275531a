"""Graphs, sessions and files that tests of savers begin with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["files", "session_with", "stored", "variable"]


def variable(name: str, value: Any = 0.0, **options: Any) -> Variable:
    """A float32 variable of one to four elements."""
    return Variable(np.asarray(value, np.float32), name=name, **options)


@contextmanager
def session_with(**values: Any) -> Iterator[tuple[Session, dict[str, Variable]]]:
    """A session over a new graph that is the default one, with initialized variables of these names and values."""
    with Graph().as_default() as graph, Session(graph=graph) as session:
        variables = {name: variable(name, value) for name, value in values.items()}
        session.run([each.initializer for each in variables.values()])
        yield session, variables


def stored(path: str | Path, **options: Any) -> dict[str, Any]:
    """What a checkpoint holds, as lists."""
    with open_prefix(path, options or None) as prefix:
        checkpoint = open_checkpoint(prefix)
        return {name: array.tolist() for name, array in checkpoint.read_named(checkpoint.tensors).items()}


def files(folder: Path) -> list[str]:
    """The names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())
