"""An fsspec filesystem in a process that was forked: its connections, and the thread of its loop, stayed behind."""

from __future__ import annotations

import os
from typing import Any

from fsspec import AbstractFileSystem

from cloudckpt.storage.per_process import PerProcess

_WITHOUT_CONNECTIONS = {"file", "local", "memory"}


def of_each_process(filesystem: Any) -> PerProcess[Any]:
    """The filesystem itself in this process, and in a child one that is made again of the same arguments."""
    process = os.getpid()
    return PerProcess(lambda: filesystem if os.getpid() == process else made_again(filesystem))


def made_again(argument: Any) -> Any:
    """A filesystem like the one given, with those that it wraps; any other argument as it is."""
    if not isinstance(argument, AbstractFileSystem) or not _WITHOUT_CONNECTIONS.isdisjoint(protocols(argument)):
        return argument
    options = {name: made_again(value) for name, value in argument.storage_options.items()}
    return type(argument)(*map(made_again, argument.storage_args), **options)


def protocols(filesystem: Any) -> set[str]:
    """The protocols that a filesystem goes by."""
    protocol = filesystem.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)
