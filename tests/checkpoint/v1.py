"""V1 files for tests: written by `save_v1`, or forged record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.bundle.v1_header import V1Tensor, encode_header
from cloudckpt.bundle.v1_record import encode_record
from cloudckpt.checkpoint.v1_reader import V1Checkpoint, open_v1
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.storage.open import open_location
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import full_slice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

__all__ = ["forge", "opened", "record", "saved"]


def saved(path: Path, tensors: Mapping[str, Any], **options: Any) -> str:
    """Save at a path; the path of the file that was written."""
    with open_location(path, None) as location:
        return location.store.url(save_v1(location, tensors, **options).key)


def opened(path: Path) -> V1Checkpoint:
    """Open a file or a pattern that is there."""
    checkpoint = open_v1(open_location(path, None))
    assert checkpoint is not None
    return checkpoint


def record(name: str, array: np.ndarray, dtype: DataType = DataType.FLOAT) -> tuple[bytes, bytes]:
    """Key and value of a tensor that is stored whole."""
    where = full_slice(array.ndim)
    return encode_slice_key(name, where), encode_record(name, where, dtype, array)


def forge(path: Path, tensors: dict[str, V1Tensor], records: list[tuple[bytes, bytes]], **options: Any) -> None:
    """Write a file whose header says one thing, and whose records may be another."""
    path.write_bytes(encode_table([(b"", encode_header(tensors)), *sorted(records)], **options))
