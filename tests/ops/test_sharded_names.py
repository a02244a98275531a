from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.raw_ops import ShardedFilename, ShardedFilespec


@pytest.mark.parametrize(
    "basename", ["run/ckpt", b"run/ckpt", np.str_("run/ckpt"), np.array("run/ckpt"), Path("run/ckpt")]
)
@pytest.mark.parametrize("number", [int, np.int32, np.int64, np.array])
def test_names(basename: Any, number: Any) -> None:
    assert ShardedFilename(basename=basename, shard=number(1), num_shards=number(3)) == "run/ckpt-00001-of-00003"
    assert ShardedFilespec(basename=basename, num_shards=number(3)) == "run/ckpt-?????-of-00003"


def test_more_than_five_digits() -> None:
    assert ShardedFilename(basename="c", shard=123456, num_shards=1234567) == "c-123456-of-1234567"


def test_bytes_that_are_no_text_stand_for_themselves() -> None:
    name = ShardedFilename(basename=b"\xff", shard=0, num_shards=1)
    assert name.encode("utf-8", "surrogateescape") == b"\xff-00000-of-00001"


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidArgumentError, {"shard": -1}),
        (InvalidArgumentError, {"shard": 3}),
        (InvalidArgumentError, {"shard": 0, "num_shards": 0}),
        (InvalidArgumentError, {"shard": 1 << 31, "num_shards": 1 << 32}),
        (InvalidArgumentError, {"shard": [0]}),
        (InvalidArgumentError, {"basename": ["c"]}),
        (InvalidArgumentError, {"basename": ["c", "d"]}),
        (TypeError, {"shard": 0.0}),
        (TypeError, {"shard": "0"}),
        (TypeError, {"basename": 3}),
    ],
)
def test_arguments_that_make_no_name(error: type[Exception], arguments: dict[str, Any]) -> None:
    with pytest.raises(error):
        ShardedFilename(**{"basename": "c", "shard": 0, "num_shards": 3, **arguments})


@pytest.mark.parametrize("num_shards", [-1, 1 << 31, [1]])
def test_numbers_that_make_no_pattern(num_shards: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        ShardedFilespec(basename="c", num_shards=num_shards)
