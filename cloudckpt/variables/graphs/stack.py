"""The graphs of the `with` blocks that a thread is in."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["STACK", "entered"]


class _Stack(threading.local):
    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.outermost: Graph | None = None
        """the thread's default outside all blocks, once one was needed"""


STACK = _Stack()


@contextmanager
def entered(graph: Graph) -> Iterator[Graph]:
    """A `with` block within which `graph` is the thread's default.

    Raises:
        RuntimeError: blocks are not left in the reverse of the order in which they were entered.
    """
    STACK.graphs.append(graph)
    try:
        yield graph
    finally:
        if STACK.graphs.pop() is not graph:
            raise RuntimeError("graphs were not left in the reverse of the order in which they were entered")
