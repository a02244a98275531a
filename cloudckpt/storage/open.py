"""From what a user calls a path to the store that holds it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import CheckpointPathError
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.location import Location
from cloudckpt.storage.options import OwnOptions
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Location", "open_location"]

_COLLAPSED_URL = re.compile(r"^([a-z][a-z0-9+.-]+):/(?!/)")
"""What `pathlib.Path("s3://bucket")` makes of a URL."""


def open_location(path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Location:
    """Open the store that a path or URL is in. Talks to no server, except where an fsspec filesystem logs in at once.

    Local paths become absolute, and "~" is expanded. A trailing "/" makes no difference.

    Args:
        path: a local path, `file://`, `memory://`, `s3://` (`s3a://`), `gs://` (`gcs://`), or any URL that fsspec
            knows, chained ones such as `simplecache::s3://bucket/key` included, or that an installed distribution
            brings a store for (`cloudckpt.storage.plugins`).
        storage_options: what fsspec takes for that filesystem, and of our own: `fsync` (local: False trades safety in
            a power cut for speed; the default is True, or False where CLOUDCKPT_FSYNC is 0), `max_retry_seconds`
            (remote: how long failed requests are tried again, 120 by default), `part_size` (remote: bytes of a large
            object that are sent at once), `max_concurrency` (requests in flight of one save or load).

    Raises:
        CheckpointPathError: the path names no place, or its protocol is unknown.
        InvalidArgumentError: an option is mistyped, or one of our own can't have that value.
        StorageError: the package for its protocol is not installed, or the filesystem can't be set up.
    """
    text = _checked(os.fspath(path))
    options = dict(storage_options or {})
    if "://" in text:
        # fsspec takes a third of this package's import time: not before a URL needs it.
        from cloudckpt.storage.open_url import open_url  # noqa: PLC0415

        return open_url(text, options)
    own = OwnOptions.taken_from(options)
    if options:
        from cloudckpt.storage.option_names import require_known_options  # noqa: PLC0415 - as above

        require_known_options(text, "file", options)
    store = LocalStore(fsync=own.fsync)
    own.tune(store)
    return Location(store, os.path.abspath(os.path.expanduser(text)))


def _checked(path: str) -> str:
    """The path, once it can name something."""
    if not isinstance(path, str):
        raise CheckpointPathError(f"a path must be str or os.PathLike[str], got {path!r}")
    if not path or "\0" in path:
        raise CheckpointPathError(f"a path must not be empty or hold a null character, got {path!r}")
    if collapsed := _COLLAPSED_URL.match(path):
        from cloudckpt.storage.open_url import is_protocol  # noqa: PLC0415 - as above

        if is_protocol(collapsed[1]):
            raise CheckpointPathError(
                f"{redacted(path)!r} is a URL that pathlib has shortened to one slash: pass it as a str, "
                f"{collapsed[1]}://…",
                path=redacted(path),
            )
    return path
