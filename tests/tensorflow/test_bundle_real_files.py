"""Every V2 index in the folder of real checkpoints, read as TensorFlow reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloudckpt.bundle.index import decode_index, encode_index
from cloudckpt.bundle.naming import data_filename
from cloudckpt.checksums import crc32c
from cloudckpt.variables.dtypes import DataType
from tests.bundle.whole_strings import decode_strings


def indexes(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.index"))
    assert len(found) >= 70
    return found


def is_compressed(data: bytes) -> bool:
    """A table that is not begins with the lengths of the header's key, 0 and 0; no snappy stream begins so."""
    return not data.startswith(b"\0\0")


def test_names_dtypes_and_shapes_are_tensorflows(tf: Any, real_checkpoints: Path) -> None:
    for path in indexes(real_checkpoints):
        reader = tf.train.load_checkpoint(str(path.with_suffix("")))
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
        dtypes = {name: dtype.as_datatype_enum for name, dtype in reader.get_variable_to_dtype_map().items()}
        entries = decode_index(path.read_bytes(), str(path)).entries
        assert {name: entry.shape for name, entry in entries.items()} == shapes
        assert {name: entry.dtype for name, entry in entries.items()} == dtypes


def test_indexes_that_are_not_compressed_are_written_again_byte_for_byte(real_checkpoints: Path) -> None:
    compressed = 0
    for path in indexes(real_checkpoints):
        data = path.read_bytes()
        index = decode_index(data, str(path))
        again = encode_index(index.header, index.entries, index.slice_entries)
        assert decode_index(again, str(path)) == index
        assert is_compressed(data) or again == data
        compressed += is_compressed(data)
    assert compressed > 10


def test_checksums_of_all_tensors_hold(real_checkpoints: Path) -> None:
    checked = 0
    for path in indexes(real_checkpoints):
        index = decode_index(path.read_bytes(), str(path))
        for name, entry in index.entries.items():
            file = Path(data_filename(str(path.with_suffix("")), entry.shard_id, index.header.num_shards))
            if not file.exists():
                continue  # some cases keep the index only
            data = memoryview(file.read_bytes())[entry.offset : entry.offset + entry.size]
            assert len(data) == entry.size
            if entry.dtype == DataType.STRING:
                assert entry.shape == ()
                assert decode_strings(data, 1, path=str(file), tensor=name)[1] == entry.crc32c
            else:
                assert crc32c(data) == entry.crc32c
            checked += 1
    assert checked > 300
