"""A checkpoint's prefix, and the files that stand under it."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import index_filename, parse_data_filename
from cloudckpt.errors import CheckpointPathError
from cloudckpt.storage.open import Location, open_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.storage.store import ObjectInfo

__all__ = ["PrefixFiles", "check_prefix", "list_prefix", "open_prefix", "sort_by_prefix"]

INDEX_SUFFIX = index_filename("")


@dataclass(slots=True)
class PrefixFiles:
    """What a store lists under one prefix."""

    index: ObjectInfo | None = None
    data: dict[str, ObjectInfo] = field(default_factory=dict)
    """data files by their whole keys"""


def open_prefix(path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None) -> Location:
    """Open the store of a checkpoint's prefix; as a context manager it is closed again.

    Raises:
        CheckpointPathError: the path names a folder or one file of a checkpoint, or its protocol is unknown.
        StorageError: the package for its protocol is not installed, or the filesystem can't be set up.
    """
    prefix = open_location(path, storage_options)
    if _names_folder(os.fspath(path)):
        raise _is_folder(prefix)
    check_prefix(prefix)
    return prefix


def check_prefix(prefix: Location) -> None:
    """Refuse what can't be a checkpoint's prefix, and say what was probably meant.

    Raises:
        CheckpointPathError: it names a folder, or one file of a checkpoint.
    """
    key, url = prefix.key, prefix.url
    if not key or key.endswith("/"):
        raise _is_folder(prefix)
    if (parsed := parse_data_filename(key)) is not None:
        meant = url[: len(url) - len(key) + len(parsed[0])]
    elif key.endswith(INDEX_SUFFIX):
        meant = url.removesuffix(INDEX_SUFFIX)
    else:
        return
    raise CheckpointPathError(
        f"{url!r} is one file of a checkpoint: pass its prefix, {meant!r}, which stands for all its files", path=url
    )


def _names_folder(path: str) -> bool:
    """Whether a path is a folder's by the way it is written; made absolute it would look like a file's beside it."""
    return os.path.basename(path) in ("", ".", "..") or ("/" not in path and os.path.expanduser(path) != path)


def _is_folder(prefix: Location) -> CheckpointPathError:
    return CheckpointPathError(
        f"{prefix.url!r} is a folder: add the checkpoint's name to it, as in 'run/ckpt-100'", path=prefix.url
    )


def list_prefix(prefix: Location) -> PrefixFiles:
    """The index and the data files under one prefix. One request a thousand files."""
    return sort_by_prefix(prefix.store.list(f"{prefix.key}.")).get(prefix.key, PrefixFiles())


def sort_by_prefix(listing: Iterable[ObjectInfo]) -> dict[str, PrefixFiles]:
    """The checkpoints' files of one listed folder, by the prefix key that they belong to."""
    found: defaultdict[str, PrefixFiles] = defaultdict(PrefixFiles)
    for info in listing:
        if (parsed := parse_data_filename(info.key)) is not None:
            found[parsed[0]].data[info.key] = info
        elif info.key.endswith(INDEX_SUFFIX):
            found[info.key.removesuffix(INDEX_SUFFIX)].index = info
    return dict(found)
