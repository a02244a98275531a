"""Whole tables, where a test has no use for their blocks."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from cloudckpt.bundle.table_reader import decode_blocks

if TYPE_CHECKING:
    from typing_extensions import Buffer


def decode_table(data: Buffer, path: str) -> list[tuple[bytes, bytes]]:
    """All keys and values, in order."""
    return list(chain.from_iterable(decode_blocks(data, path)))
