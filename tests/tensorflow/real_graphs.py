"""Graphs in files that real programs wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import text_format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read", "real_files"]


def real_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file, and the name of the message that it is."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".meta":
            yield path, "MetaGraphDef"
        elif path.stem == "saved_model" and path.suffix in {".pb", ".pbtxt"}:
            yield path, "SavedModel"


def read(path: Path, message: Any) -> Any:
    """The file as that message, ours or TensorFlow's."""
    data = path.read_bytes()
    if path.suffix == ".pbtxt":
        return text_format.Parse(data.decode(), message, descriptor_pool=message.DESCRIPTOR.file.pool)
    message.ParseFromString(data)
    return message
