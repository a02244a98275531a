"""What fsspec filesystems say of an object, each in its own words, as one record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

_IDENTITIES = ("generation", "ETag", "etag", "e_tag", "version_id", "VersionId", "uid", "ukey", "sha", "sha256", "md5")
_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "modification_time", "time", "created")


def described(key: str, info: Mapping[str, Any]) -> ObjectInfo:
    """An entry of `info` or `ls` as an object.

    The version is all that such an entry says that changes with a write: identities where there are any, else times
    and inode, always the size. The time is 0.0 where the filesystem knows none.
    """
    size = int(info.get("size") or 0)
    identity = [f"{name}={info[name]}" for name in _IDENTITIES if info.get(name)]
    if not identity:
        identity = [f"{name}={info[name]}" for name in ("ino", *_TIMES) if info.get(name) is not None]
    return ObjectInfo(key, size, ",".join([*identity, f"size={size}"]), _modified(info))


def _modified(info: Mapping[str, Any]) -> float:
    """The first time that the entry has, in seconds since the epoch."""
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value).timestamp()
            except ValueError:
                continue
    return 0.0
