"""The session that `eval` and `run` take where none is given: the innermost of this thread's `with` blocks."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["default_session", "get_default_session", "session_for"]


class _Stack(threading.local):
    def __init__(self) -> None:
        self.sessions: list[Any] = []


_STACK = _Stack()


def get_default_session() -> Any:
    """The `Session` of the innermost `with session:` or `with session.as_default():` of this thread, or None."""
    return _STACK.sessions[-1] if _STACK.sessions else None


@contextmanager
def default_session(session: Any) -> Iterator[Any]:
    """A `with` block within which `session` is this thread's default."""
    _STACK.sessions.append(session)
    try:
        yield session
    finally:
        if _STACK.sessions.pop() is not session:
            raise RuntimeError("sessions were not left in the reverse of the order in which they were entered")


def session_for(graph: Any, session: Any, purpose: str) -> Any:
    """The session to run something of `graph` in.

    Args:
        graph: whose element is to be run.
        session: as the caller gave it; None for the default one.
        purpose: what it is for, for the message.

    Raises:
        ValueError: there is no default session, or the session is one of another graph.
    """
    taken = get_default_session() if session is None else session
    if taken is None:
        raise ValueError(f"cannot {purpose}: there is no default session. Use `with session:`, or pass session=")
    if taken.graph is not graph:
        raise ValueError(f"cannot {purpose}: the session is one of another graph")
    return taken
