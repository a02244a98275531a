"""The files of a V1 checkpoint: one that has the checkpoint's own name, or those that match a pattern.

A sharded one is `name-00000-of-00003` and so on; TensorFlow's state files name it `name-?????-of-00003`.

Source: core/platform/file_system_helper.cc, GetMatchingPaths; core/util/tensor_slice_reader.cc.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["find_files", "is_one_of_several", "missing_shards", "own_files", "suggest_pattern"]

_MAGIC = re.compile(r"[*?\[\\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SHARD = re.compile(r".*-(?P<shard>[0-9]{5})-of-(?P<count>[0-9]{5})", re.DOTALL)
_ALL_SHARDS = re.compile(r".*-\?{5}-of-(?P<count>[0-9]{5})", re.DOTALL)


def find_files(pattern: Location) -> list[ObjectInfo]:
    """The file of that very name, or else those that the name matches as a pattern, in order; none is no error.

    As in TensorFlow, `*` and `?` stand for any characters and any one, `[a-z]` and `[!a-z]` for one of some, and a
    backslash takes the next character as it is; but only in the last component of the path. A request, or two.
    """
    try:
        return [pattern.store.stat(pattern.key)]
    except ObjectNotFoundError:
        pass
    folder, slash, name = pattern.key.rpartition("/")
    magic = _MAGIC.search(name)
    if magic is None:
        return []
    listed = pattern.store.list(f"{folder}{slash}{name[: magic.start()]}")
    glob = _ESCAPED.sub(_literal, name).replace("[^", "[!")
    return [info for info in listed if fnmatchcase(info.key.rpartition("/")[2], glob)]


def own_files(name: Location) -> list[ObjectInfo]:
    """The files of one V1 checkpoint, and no others: that of the very name, or all shards of "ckpt-?????-of-00003".

    Unlike for `find_files`, no other pattern means anything. None is no error. A request.
    """
    every = _ALL_SHARDS.fullmatch(name.key)
    if every is None:
        try:
            return [name.store.stat(name.key)]
        except ObjectNotFoundError:
            return []
    base = name.key.removesuffix(f"?????-of-{every['count']}")
    names = {f"{base}{shard:05d}-of-{every['count']}" for shard in range(int(every["count"]))}
    return [info for info in name.store.list(base) if info.key in names]


def _literal(escaped: re.Match[str]) -> str:
    """A character that was escaped, as `fnmatch` takes it for itself."""
    return f"[{escaped[1]}]" if escaped[1] in "*?[" else escaped[1]


def suggest_pattern(prefix: Location) -> str | None:
    """The path that was probably meant where there is only the shards of a checkpoint that is named so. One request."""
    for info in prefix.store.list(f"{prefix.key}-"):
        match = _SHARD.fullmatch(info.key)
        if match is not None and info.key == f"{prefix.key}-{match['shard']}-of-{match['count']}":
            return f"{prefix.url}-?????-of-{match['count']}"
    return None


def is_one_of_several(key: str) -> bool:
    """Whether this is the name of one file of a checkpoint that has more of them."""
    match = _SHARD.fullmatch(key)
    return match is not None and int(match["count"]) > 1


def missing_shards(pattern: str, found: Sequence[ObjectInfo]) -> str | None:
    """Which files lack, in words, if the pattern asks for all shards and says how many there are; None if none do."""
    if (every := _ALL_SHARDS.fullmatch(pattern)) is None:
        return None
    names = (_SHARD.fullmatch(info.key) for info in found)
    missing = set(range(int(every["count"]))) - {int(name["shard"]) for name in names if name is not None}
    if not missing:
        return None
    return f"it lacks {len(missing)} of its {int(every['count'])} files, the first being number {min(missing)}"
