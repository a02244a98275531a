"""The system calls by which the local store reads, writes and flushes: to be recorded, failed, or the last ones.

Each call on a file below a folder is handed to a function, which performs it, or does something else.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITING = ("posix_fallocate", "pwritev", "copy_file_range", "utime", "fsync")
NAMING = ("open", "link", "rename", "unlink", "mkdir")
CHANGING = WRITING + NAMING
"""Those that may change what is on the disk."""
ALL = (*CHANGING, "stat", "scandir", "preadv")


@dataclass(frozen=True)
class Call:
    """One call that is about to be made."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    perform: Callable[[], Any]


@contextmanager
def handed_to(handle: Callable[[Call], Any], folder: str, names: tuple[str, ...] = ALL) -> Iterator[None]:
    """Within the block, whoever calls one of these functions gets what `handle` returns.

    Args:
        handle: may `perform` the call; from whatever thread makes it.
        folder: calls with paths elsewhere are left alone; those with descriptors are not.
        names: functions of `os`; those that this system lacks are passed over.
    """
    with ExitStack() as patches:
        for name in names:
            if hasattr(os, name):
                patches.enter_context(patch.object(os, name, _handing(name, getattr(os, name), handle, folder)))
        patches.enter_context(patch.object(fcntl, "flock", _handing("flock", fcntl.flock, handle, folder)))
        yield


def _handing(name: str, function: Callable[..., Any], handle: Callable[[Call], Any], folder: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if isinstance(args[0], int) or any("dir_fd" in key for key in kwargs) or str(args[0]).startswith(folder):
            return handle(Call(name, args, kwargs, lambda: function(*args, **kwargs)))
        return function(*args, **kwargs)

    return call
