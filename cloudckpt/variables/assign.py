"""Assignments as functions, by TensorFlow's names."""

from __future__ import annotations

from typing import Any

__all__ = ["assign", "assign_add", "assign_sub"]


def assign(
    ref: Any, value: Any, validate_shape: bool | None = None, use_locking: bool | None = None, name: str | None = None
) -> Any:
    """`ref.assign(value)`; both switches are on if None, as TensorFlow's are."""
    return ref.assign(
        value,
        use_locking=use_locking is not False,
        name=name,
        validate_shape=validate_shape is not False,
    )


def assign_add(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Any:
    """`ref.assign_add(value)`."""
    return ref.assign_add(value, use_locking=bool(use_locking), name=name)


def assign_sub(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Any:
    """`ref.assign_sub(value)`."""
    return ref.assign_sub(value, use_locking=bool(use_locking), name=name)
