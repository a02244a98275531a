"""The writer: what it lays down where (tests/golden and tests/tensorflow compare whole files)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.table import MAGIC
from cloudckpt.bundle.table_writer import _short_successor, _shortest_separator, encode_table
from tests.bundle.tables import decode_table


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=50)))
def test_reading_undoes_writing(entries: dict[bytes, bytes]) -> None:
    ordered = sorted(entries.items())
    assert decode_table(encode_table(ordered), "p.index") == ordered


def test_reading_undoes_writing_over_many_blocks() -> None:
    entries = [(b"%08d" % number, bytes([number % 251]) * (number % 977)) for number in range(3000)]
    table = encode_table(entries)
    assert len(table) > 4 * 256 * 1024
    assert decode_table(table, "p.index") == entries


def test_an_empty_table_is_two_empty_blocks_and_a_footer() -> None:
    table = encode_table([])
    assert len(table) == 2 * (8 + 5) + 48
    assert table.endswith(MAGIC)
    assert table[26:30] == bytes([0, 8, 13, 8])


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_a_separator_separates(a: bytes, b: bytes) -> None:
    key, following = sorted([a, b])
    separator = _shortest_separator(key, following)
    assert key <= separator
    assert len(separator) <= len(key)
    assert separator < following or key == following


@given(st.binary(max_size=6))
def test_a_successor_is_not_below(key: bytes) -> None:
    assert _short_successor(key) >= key
    assert len(_short_successor(key)) <= len(key)
    assert _short_successor(b"\xff\xffab") == b"\xff\xffb"
