"""The names of a checkpoint's files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.naming import data_filename, index_filename, parse_data_filename


def test_names_are_tensorflows() -> None:
    assert index_filename("run/ckpt-1") == "run/ckpt-1.index"
    assert data_filename("run/ckpt-1", 2, 10) == "run/ckpt-1.data-00002-of-00010"
    assert data_filename("p", 0, 123456) == "p.data-00000-of-123456"


@given(st.text(), st.integers(0, 10**6), st.integers(1, 10**6))
def test_parsing_undoes_naming(prefix: str, shard_id: int, more: int) -> None:
    assert parse_data_filename(data_filename(prefix, shard_id, shard_id + more)) == (prefix, shard_id, shard_id + more)


@pytest.mark.parametrize(
    "name",
    [
        "p.data-00000-of-00000",
        "p.data-00001-of-00001",
        "p.data-0000-of-00001",
        "p.data-000000-of-000001",
        "p.data-00000-of-00001.tempstate123",
        "p.data-00000-of-00001\n",
        "p.data-?????-of-00001",
        "p.data-\u0660\u0660\u0660\u0660\u0660-of-00001",
        "p.index",
        "",
    ],
)
def test_other_names_are_not_parsed(name: str) -> None:
    assert parse_data_filename(name) is None
