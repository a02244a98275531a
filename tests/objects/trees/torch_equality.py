"""Whether two trees of torch's tensors are the same, to the last type and device."""

from __future__ import annotations

from typing import Any


def assert_same_torch(found: Any, expected: Any) -> None:
    """Fail unless both have the same types, structure, key order, and elements."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert [*found] == [*expected]
        for key in expected:
            assert_same_torch(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same_torch(one, other)
    elif hasattr(expected, "requires_grad"):
        assert (found.dtype, found.device) == (expected.dtype, expected.device)
        assert found.requires_grad == expected.requires_grad
        assert found.equal(expected)
    else:
        assert found == expected
