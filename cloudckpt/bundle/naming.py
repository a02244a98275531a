"""The names of a checkpoint's files: `<prefix>.index`, `<prefix>.data-00000-of-00001` and so on.

Source: core/util/tensor_bundle/naming.cc.
"""

from __future__ import annotations

import re

__all__ = ["data_filename", "index_filename", "parse_data_filename"]

_DATA = re.compile(r"(?P<prefix>.*)\.data-(?P<shard_id>[0-9]{5,})-of-(?P<num_shards>[0-9]{5,})", re.DOTALL)


def index_filename(prefix: str) -> str:
    """The file that says what is in the checkpoint, and where."""
    return f"{prefix}.index"


def data_filename(prefix: str, shard_id: int, num_shards: int) -> str:
    """The file with the bytes of shard `shard_id`, counted from 0."""
    return f"{prefix}.data-{shard_id:05d}-of-{num_shards:05d}"


def parse_data_filename(name: str) -> tuple[str, int, int] | None:
    """The prefix, shard id and number of shards that `data_filename` made the name from, or None."""
    match = _DATA.fullmatch(name)
    if match is None:
        return None
    prefix, shard_id, num_shards = match["prefix"], int(match["shard_id"]), int(match["num_shards"])
    # A longer number with zeros in front, or a shard beyond the last, is no name that anyone gives.
    if shard_id >= num_shards or name != data_filename(prefix, shard_id, num_shards):
        return None
    return prefix, shard_id, num_shards
