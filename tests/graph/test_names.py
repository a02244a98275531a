"""Names that move into scopes and out of them."""

from __future__ import annotations

import pytest

from cloudckpt.graph.names import in_scope, prepend_scope, strip_scope


@pytest.mark.parametrize(
    ("name", "scope", "stripped"),
    [
        ("s/w", "s", "w"),
        ("s/w:0", "s/", "w:0"),
        ("^s/w", "s", "^w"),
        ("loc:@s/w", "s", "loc:@w"),
        ("s//w", "s", "w"),
        ("s2/w", "s", "s2/w"),
        ("t/s/w", "s", "t/s/w"),
        ("s.x/w", "s.x", "w"),
        ("sax/w", "s.x", "sax/w"),
        ("s/w", None, "s/w"),
        ("s/w", "", "s/w"),
    ],
)
def test_a_scope_is_stripped(name: str, scope: str | None, stripped: str) -> None:
    assert strip_scope(name, scope) == stripped


@pytest.mark.parametrize(
    ("name", "scope", "within"),
    [
        ("w", "s", "s/w"),
        ("w:1", "s/", "s/w:1"),
        ("^w", "s/t", "^s/t/w"),
        ("loc:@w", "s", "loc:@s/w"),
        ("w", None, "w"),
        ("w", "", "w"),
    ],
)
def test_a_scope_is_prepended(name: str, scope: str | None, within: str) -> None:
    assert prepend_scope(name, scope) == within
    if scope:
        assert strip_scope(within, scope) == name


def test_a_name_is_in_a_scope_that_it_begins_with() -> None:
    assert in_scope("s/w", "s")
    assert in_scope("s2/w", "s")
    assert in_scope("w", None)
    assert not in_scope("w", "s")
