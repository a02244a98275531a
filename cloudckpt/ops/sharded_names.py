"""`ShardedFilename` and `ShardedFilespec`: the names of the files of a sharded V1 checkpoint.

Source: core/kernels/save_op.cc.
"""

from __future__ import annotations

from typing import Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.ops.integer_arguments import integer_argument
from cloudckpt.ops.string_arguments import scalar_path

__all__ = ["ShardedFilename", "ShardedFilespec"]


def ShardedFilename(*, basename: Any, shard: Any, num_shards: Any, name: str | None = None) -> str:
    """The name of one shard's file: "ckpt-00001-of-00003" is the second of three.

    Args:
        basename: what the names begin with.
        shard: which, counted from 0.
        num_shards: of how many.
        name: ignored, as TensorFlow does outside of graphs.

    Raises:
        InvalidArgumentError: an argument is no scalar, or the shard is not one of as many.
        TypeError: an argument is of the wrong type.
    """
    start = scalar_path(basename, "basename")
    number, count = integer_argument(shard, "shard"), integer_argument(num_shards, "num_shards")
    if number >= count:
        raise InvalidArgumentError(f"shard {number} is not one of {count}: they are counted from 0")
    return f"{start}-{number:05d}-of-{count:05d}"


def ShardedFilespec(*, basename: Any, num_shards: Any, name: str | None = None) -> str:
    """The pattern that all shards' files match: "ckpt-?????-of-00003" for three.

    Args:
        basename: what the names begin with.
        num_shards: how many shards there are.
        name: ignored, as TensorFlow does outside of graphs.

    Raises:
        InvalidArgumentError: an argument is no scalar, or negative.
        TypeError: an argument is of the wrong type.
    """
    start, count = scalar_path(basename, "basename"), integer_argument(num_shards, "num_shards")
    return f"{start}-?????-of-{count:05d}"
