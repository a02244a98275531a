"""Whether a loaded tree is the one that was saved, to the last bit and type."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_same(found: Any, expected: Any, path: str = "tree") -> None:
    """Fail unless both have the same types, structure, key order, dtypes, shapes and bytes."""
    assert type(found) is type(expected), f"{path}: {type(found)} is not {type(expected)}"
    if isinstance(expected, dict):
        assert [*map(typed, found)] == [*map(typed, expected)], path
        for key, value in expected.items():
            assert_same(found[key], value, f"{path}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for index, value in enumerate(expected):
            assert_same(found[index], value, f"{path}[{index}]")
    elif isinstance(expected, np.ndarray):
        assert_same_array(found, expected, path)
    else:
        assert bits(found) == bits(expected), path


def typed(key: object) -> tuple[type, object]:
    return type(key), key


def assert_same_array(found: np.ndarray, expected: np.ndarray, path: str) -> None:
    assert found.dtype == expected.dtype, f"{path}: {found.dtype} is not {expected.dtype}"
    assert found.shape == expected.shape, f"{path}: {found.shape} is not {expected.shape}"
    assert found.flags.c_contiguous, path
    assert found.flags.writeable, path
    if expected.dtype == object:
        assert [*map(typed, found.flat)] == [*map(typed, expected.flat)], path
    else:
        assert found.tobytes() == expected.tobytes(), path


def bits(value: Any) -> object:
    """The value such that NaNs with other payloads, and zeros with other signs, differ."""
    if isinstance(value, np.str_ | np.bytes_):
        return value
    if isinstance(value, float | complex | np.generic):
        return np.asarray(value).dtype, np.asarray(value).tobytes()
    return value
