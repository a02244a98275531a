"""Tensors' names as text, and as the bytes that they are in files, whether or not those are valid UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["decode_name", "decode_names", "encode_name"]


def encode_name(name: str) -> bytes:
    """The bytes of a name: `decode_name` gives it back.

    Raises:
        UnicodeEncodeError: it has surrogates that stand for no byte.
    """
    return name.encode("utf-8", "surrogateescape")


def decode_name(raw: bytes) -> str:
    """The name that these bytes are: those that are no UTF-8 stand in it as surrogate escapes."""
    return raw.decode("utf-8", "surrogateescape")


def decode_names(raw: Iterable[bytes]) -> list[str]:
    """`decode_name` of each of many, without a call for each: an index may have a million."""
    return [name.decode("utf-8", "surrogateescape") for name in raw]
