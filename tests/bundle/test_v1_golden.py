"""The V1 files that real TensorFlow wrote into tests/golden: read, and written again byte for byte."""

from __future__ import annotations

import gzip

import pytest

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.table_reader import TableReader
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.bundle.v1_header import decode_header, encode_header
from cloudckpt.bundle.v1_record import decode_record, encode_record
from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.tensor_slice import full_slice
from tests.bundle.tables import decode_table
from tests.golden.cases import FOLDER, V1_SAVED_BY_TENSORFLOW, v1_tensors

FILES = {
    "v1": gzip.decompress((FOLDER / "v1.gz").read_bytes()),
    **{path.name: path.read_bytes() for path in sorted(FOLDER.glob("v1_slices-*"))},
}


def test_every_dtype_that_tensorflow_saves_is_there() -> None:
    tensors = decode_header(decode_table(FILES["v1"], "v1")[0][1], "v1")
    assert {tensor.dtype for tensor in tensors.values()} == set(V1_SAVED_BY_TENSORFLOW)


def test_there_are_several_blocks() -> None:
    data = FILES["v1"]
    assert TableReader(lambda start, stop: data[start:stop], len(data), "v1").block_count > 1


@pytest.mark.parametrize("name", FILES)
def test_the_header_is_written_again_byte_for_byte(name: str) -> None:
    header = decode_table(FILES[name], name)[0][1]
    assert encode_header(decode_header(header, name)) == header


def test_every_tensor_is_read_and_written_again_byte_for_byte() -> None:
    records = dict(decode_table(FILES["v1"], "v1"))
    written = {b"": records.pop(b"")}
    for name, array in v1_tensors().items():
        where, dtype = full_slice(array.ndim), from_numpy(array.dtype)
        key = encode_slice_key(name, where)
        read = decode_record(records[key], path="v1", name=name, tensor_slice=where, dtype=dtype, count=array.size)
        if dtype == DataType.STRING:
            assert read.tolist() == array.reshape(-1).tolist()
        else:
            assert read.dtype == array.dtype
            assert read.tobytes() == array.tobytes()
        values = array.reshape(-1).tolist() if dtype == DataType.STRING else array
        written[key] = encode_record(name, where, dtype, values)
    assert encode_table(sorted(written.items())) == FILES["v1"]
