"""Bundles of the installed TensorFlow and ours, byte for byte, both ways."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import BundleIndex, decode_index, encode_index
from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.checksums import combine, crc32c, mask
from cloudckpt.errors import CheckpointVersionError
from cloudckpt.variables.dtypes import DataType, from_numpy, to_numpy
from tests.bundle.whole_strings import decode_strings, encode_lengths
from tests.golden.cases import CASES, FIXED_SIZE, read, tensors

HEADER = BundleHeader(num_shards=1)


def save(tf: Any, prefix: str, arrays: dict[str, np.ndarray]) -> None:
    """Save with TensorFlow, in the order of the dict."""
    values = [tf.constant(a, dtype=tf.as_dtype(int(from_numpy(a.dtype))), shape=a.shape) for a in arrays.values()]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), tensors=values)


def read_files(prefix: str) -> tuple[bytes, bytes]:
    return Path(index_filename(prefix)).read_bytes(), Path(data_filename(prefix, 0, 1)).read_bytes()


def encode(arrays: dict[str, np.ndarray], header: BundleHeader = HEADER) -> tuple[bytes, bytes]:
    """The same files by our code."""
    entries, data = {}, b""
    for name, array in arrays.items():
        data_type = from_numpy(array.dtype)
        start, body = b"", b"".join(array.flat) if data_type is DataType.STRING else array.tobytes()
        crc = 0
        if data_type is DataType.STRING:
            start, crc = encode_lengths([len(string) for string in array.flat])
        crc = combine(crc, crc32c(body), len(body))
        entries[name] = BundleEntry(data_type, array.shape, 0, len(data), len(start) + len(body), crc)
        data += start + body
    return encode_index(header, entries), data


def write_files(prefix: str, files: tuple[bytes, bytes]) -> None:
    Path(index_filename(prefix)).write_bytes(files[0])
    Path(data_filename(prefix, 0, 1)).write_bytes(files[1])


def read_index(prefix: str) -> BundleIndex:
    return decode_index(read_files(prefix)[0], index_filename(prefix))


def random_names(count: int, seed: int) -> list[str]:
    """Distinct names out of few letters, so that many share their beginnings, up to lengths that fill blocks."""
    generator = random.Random(seed)
    sizes = (3, 30, 3000)
    return sorted({"".join(generator.choices("ab/é\x7f", k=generator.choice(sizes) + 1)) for _ in range(count)})


@pytest.mark.parametrize("case", CASES)
def test_the_golden_files_are_still_what_tensorflow_writes(tf: Any, tmp_path: Path, case: str) -> None:
    save(tf, str(tmp_path / case), tensors(case))
    assert read_files(str(tmp_path / case)) == read(case)


@pytest.mark.parametrize("case", CASES)
def test_the_same_tensors_make_the_same_files(tf: Any, tmp_path: Path, case: str) -> None:
    save(tf, str(tmp_path / case), tensors(case))
    assert encode(tensors(case)) == read_files(str(tmp_path / case))


@pytest.mark.parametrize("seed", range(5))
def test_names_of_any_length_make_the_same_index(tf: Any, tmp_path: Path, seed: int) -> None:
    arrays = {name: np.float32(position).reshape(()) for position, name in enumerate(random_names(1500, seed))}
    save(tf, str(tmp_path / "names"), arrays)
    ours, theirs = encode(arrays), read_files(str(tmp_path / "names"))
    assert len(theirs[0]) > 3 * 256 * 1024
    assert ours == theirs


def test_names_in_any_order_make_the_same_index(tf: Any, tmp_path: Path) -> None:
    names = random_names(200, seed=9)
    random.Random(9).shuffle(names)
    arrays = {name: np.int64(position).reshape(()) for position, name in enumerate(names)}
    save(tf, str(tmp_path / "shuffled"), arrays)
    assert encode(arrays) == read_files(str(tmp_path / "shuffled"))


def test_random_strings_make_the_same_files(tf: Any, tmp_path: Path) -> None:
    generator = random.Random(1)
    lengths = [generator.choice([0, 1, 127, 128, 16383, 16384, 2**21]) for _ in range(40)]
    array = np.array([generator.randbytes(length) for length in lengths], object).reshape(4, 10)
    save(tf, str(tmp_path / "strings"), {"strings": array})
    index, data = read_files(str(tmp_path / "strings"))
    assert encode({"strings": array}) == (index, data)
    entry = decode_index(index, "strings.index").entries["strings"]
    strings, crc = decode_strings(memoryview(data), 40, path="strings", tensor="strings")
    assert strings == array.reshape(-1).tolist()
    assert crc == entry.crc32c


def test_tensorflow_reads_ours(tf: Any, tmp_path: Path) -> None:
    for case in CASES:
        prefix = str(tmp_path / case)
        arrays = tensors(case)
        write_files(prefix, encode(arrays))
        reader = tf.train.load_checkpoint(prefix)
        assert reader.get_variable_to_shape_map() == {name: list(a.shape) for name, a in arrays.items()}
        dtypes = {name: tf.as_dtype(int(from_numpy(a.dtype))) for name, a in arrays.items()}
        assert reader.get_variable_to_dtype_map() == dtypes


@pytest.mark.parametrize("data_type", FIXED_SIZE)
def test_tensorflow_restores_the_same_bytes(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    arrays = {name: a for name, a in tensors("dtypes").items() if name.startswith(data_type.name.lower() + "/")}
    write_files(str(tmp_path / "ours"), encode(arrays))
    restored = tf.raw_ops.RestoreV2(
        prefix=str(tmp_path / "ours"),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        dtypes=[tf.as_dtype(int(data_type))] * len(arrays),
    )
    assert len(restored) == 4
    for array, tensor in zip(arrays.values(), restored, strict=True):
        assert tuple(tensor.shape) == array.shape
        assert tensor.numpy().tobytes() == array.tobytes()


def test_tensorflow_reads_big_endian_bundles_as_we_do(tf: Any, tmp_path: Path) -> None:
    values = np.array([1, -2, 3.5])
    prefix = str(tmp_path / "big")
    swapped = {"double": values.byteswap(), "half": values.astype(np.float16).byteswap()}
    write_files(prefix, encode(swapped, BundleHeader(1, big_endian=True)))
    reader = tf.train.load_checkpoint(prefix)
    assert read_index(prefix).header.big_endian
    for name in swapped:
        assert reader.get_tensor(name).tolist() == values.tolist()


def test_big_endian_strings_are_tensorflows(tf: Any, tmp_path: Path) -> None:
    # No machine here writes them, but its reader knows them: it takes what `decode_strings` takes.
    header, _ = encode_lengths([1, 2])
    crc = crc32c(np.array([1, 2], ">u4"))
    checksum = mask(crc).to_bytes(4, "big")
    data = header[:2] + checksum + b"abb"
    strings, entry_crc = decode_strings(memoryview(data), 2, path="p", tensor="t", big_endian=True)
    entry = BundleEntry(DataType.STRING, (2,), 0, 0, len(data), entry_crc)
    prefix = str(tmp_path / "big")
    write_files(prefix, (encode_index(BundleHeader(1, big_endian=True), {"t": entry}), data))
    assert tf.train.load_checkpoint(prefix).get_tensor("t").tolist() == strings == [b"a", b"bb"]


def test_slices_are_tensorflows(tf: Any, tmp_path: Path) -> None:
    prefix = str(tmp_path / "sliced")
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["m", "m"],
        shape_and_slices=["4 3 0,4:0,1", "4 3 0,4:1,2"],
        tensors=[matrix[:, :1], matrix[:, 1:]],
    )
    index = read_index(prefix)
    assert index.entries["m"].slices == (((0, 4), (0, 1)), ((0, 4), (1, 2)))
    assert [entry.shape for entry in index.slice_entries.values()] == [(4, 1), (4, 2)]
    assert encode_index(index.header, index.entries, index.slice_entries) == read_files(prefix)[0]


def test_versions_are_refused_as_tensorflow_refuses_them(tf: Any, tmp_path: Path) -> None:
    for number, header in enumerate([BundleHeader(1, min_consumer=2), BundleHeader(1, bad_consumers=(1,))]):
        prefix = str(tmp_path / f"version{number}")
        write_files(prefix, encode({"a": np.zeros(3)}, header))
        with pytest.raises(CheckpointVersionError):
            read_index(prefix)
        with pytest.raises(Exception, match=r"[Cc]heckpoint"):
            tf.train.load_checkpoint(prefix)


@pytest.mark.parametrize("data_type", FIXED_SIZE)
def test_dtypes_are_those_of_tensorflows_python(tf: Any, data_type: DataType) -> None:
    assert np.dtype(tf.as_dtype(int(data_type)).as_numpy_dtype) == to_numpy(data_type)
