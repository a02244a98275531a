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
        # Some give the same time as a number in one answer and as a datetime in another.
        found = {name: info[name] for name in ("ino", *_TIMES) if info.get(name) is not None}
        identity = [f"{name}={value if (time := _seconds(value)) is None else time}" for name, value in found.items()]
    return ObjectInfo(key, size, ",".join([*identity, f"size={size}"]), _modified(info))


def _modified(info: Mapping[str, Any]) -> float:
    """The first time that the entry has, in seconds since the epoch."""
    return next((seconds for name in _TIMES if (seconds := _seconds(info.get(name))) is not None), 0.0)


def _seconds(time: object) -> float | None:
    """A time in seconds since the epoch; None if it is none."""
    if isinstance(time, str):
        try:
            return datetime.fromisoformat(time).timestamp()
        except ValueError:
            return None
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return float(time) if isinstance(time, int | float) else None
