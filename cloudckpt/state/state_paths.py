"""How paths stand in a state file: relative to its directory, or absolute, as TensorFlow would write and read them.

For TensorFlow only a path that begins with "/" is absolute. So it writes a URL below the directory's URL relative to
it, which is what it needs to be found again, and reads any other URL as a path inside the directory; there ours is
absolute too.
Source: python/checkpoint/checkpoint_management.py, generate_checkpoint_state_proto and get_checkpoint_state.
"""

from __future__ import annotations

import os

from cloudckpt.state.places import is_url
from cloudckpt.storage.urls import redacted

__all__ = ["is_absolute", "joined", "written_path"]


def is_absolute(path: str) -> bool:
    """Whether a path of a state file says by itself where it leads."""
    return path.startswith("/") or is_url(path)


def joined(directory: str, path: str) -> str:
    """Where a path of a state file leads that was read in a directory."""
    return path if is_absolute(path) else os.path.join(directory, path)


def written_path(directory: str, path: str, *, relative: bool = False) -> str:
    """What a state file in a directory says for a checkpoint.

    Args:
        directory: as the user wrote it; "" for the working directory.
        path: the checkpoint's, as the user wrote it: absolute, relative to the working directory; or, where the
            directory is absolute, relative to that.
        relative: whether an absolute path is made relative, too.
    """
    if is_url(directory) or is_url(path):
        return _below(directory, path)
    if os.path.isabs(path):
        return os.path.relpath(path, directory) if relative else path
    return path if os.path.isabs(directory) else os.path.relpath(path, directory)


def _below(directory: str, path: str) -> str:
    """The rest of a URL below a directory's, if it leads back there when joined to it; else the path."""
    if not (is_url(directory) and is_url(path)):
        return _without_password(path)
    rest = os.path.relpath(path, directory)
    return rest if os.path.join(directory, rest) == path else _without_password(path)


def _without_password(path: str) -> str:
    # What stands alone before an "@" may be a container of Azure.
    host = path.partition("://")[2].partition("/")[0]
    return redacted(path) if ":" in host.rpartition("@")[0] else path
