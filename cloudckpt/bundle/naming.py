"""The names of a checkpoint's files: `<prefix>.index`, `<prefix>.data-00000-of-00001`, `<prefix>.meta` and so on.

Sources: core/util/tensor_bundle/naming.cc; python/checkpoint/checkpoint_management.py, meta_graph_filename.
"""

from __future__ import annotations

import re

__all__ = ["data_filename", "index_filename", "meta_graph_filename", "parse_data_filename"]

_DATA = re.compile(r"(?P<prefix>.*)\.data-(?P<shard_id>[0-9]{5,})-of-(?P<num_shards>[0-9]{5,})", re.DOTALL)
_V1_SHARDS = re.compile(r"-[\d?]+-of-\d+$")


def index_filename(prefix: str) -> str:
    """The file that says what is in the checkpoint, and where."""
    return f"{prefix}.index"


def data_filename(prefix: str, shard_id: int, num_shards: int) -> str:
    """The file with the bytes of shard `shard_id`, counted from 0."""
    return f"{prefix}.data-{shard_id:05d}-of-{num_shards:05d}"


def meta_graph_filename(prefix: str, suffix: str = "meta") -> str:
    """The file with the meta graph; one for all the files "ckpt-00000-of-00002" of a V1 checkpoint."""
    return f"{_V1_SHARDS.sub('', prefix)}.{suffix}"


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
