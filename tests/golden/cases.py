"""What the golden files hold: made by make_golden.py with real TensorFlow, read by tests without it."""

from __future__ import annotations

import gzip
from pathlib import Path

import ml_dtypes
import numpy as np

from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.bundle.v1_values import VALUE_LISTS
from cloudckpt.variables.dtypes import DataType, to_numpy

FOLDER = Path(__file__).parent
CASES = ("dtypes", "strings", "names", "blocks")

# TensorFlow saves RESOURCE nowhere, and of VARIANT only what C++ has registered.
FIXED_SIZE = [
    data_type for data_type in DataType if data_type not in (DataType.STRING, DataType.RESOURCE, DataType.VARIANT)
]

# What the V1 format has; of these uint32 and uint64 are read by TensorFlow's Restore, and refused by its Save.
V1_TYPES = [data_type for data_type in DataType if data_type in VALUE_LISTS]
V1_SAVED_BY_TENSORFLOW = [data_type for data_type in V1_TYPES if data_type not in (DataType.UINT32, DataType.UINT64)]


def tensors(case: str) -> dict[str, np.ndarray]:
    """The tensors of a case, in the order that they were saved in."""
    return {"dtypes": _dtypes, "strings": _strings, "names": _names, "blocks": _blocks}[case]()


def read(case: str) -> tuple[bytes, bytes]:
    """The bytes of a case's index and data files."""
    index, data = (FOLDER / name for name in (index_filename(case), data_filename(case, 0, 1)))
    if not index.exists():
        # Names that fill several blocks compress well.
        return gzip.decompress(index.with_suffix(".index.gz").read_bytes()), data.read_bytes()
    return index.read_bytes(), data.read_bytes()


def _dtypes() -> dict[str, np.ndarray]:
    arrays = {}
    for data_type in FIXED_SIZE:
        dtype = to_numpy(data_type)
        name = data_type.name.lower()
        vector = _values(dtype)
        arrays[f"{name}/vector"] = vector
        arrays[f"{name}/scalar"] = vector[1:2].reshape(())
        arrays[f"{name}/matrix"] = vector.reshape(2, 1, 3)
        arrays[f"{name}/empty"] = np.empty((2, 0, 3), dtype)
    return arrays


def _values(dtype: np.dtype) -> np.ndarray:
    """Six values, negative ones and the largest among them where there are such."""
    if dtype == np.bool_:
        return np.array([False, True, True, False, True, False])
    if dtype.names:
        return _values(dtype[0]).view(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array([0, 1, 2, limits.min, limits.max, 1], dtype)
    if dtype in (ml_dtypes.int2, ml_dtypes.int4, ml_dtypes.uint2, ml_dtypes.uint4):
        limits = ml_dtypes.iinfo(dtype)
        return np.array([0, 1, limits.min, limits.max, 0, 1]).astype(dtype)
    if dtype.kind == "c":
        return np.array([0, 1, -1.5j, 2 - 3j, np.inf, 0.25], dtype)
    return np.array([0, 1, -1.5, 2, 3, 0.5], np.float32).astype(dtype)


def _strings() -> dict[str, np.ndarray]:
    return {
        "scalar": np.array(b"one", object),
        "no_bytes": np.array(b"", object),
        "empty": np.empty((0, 3), object),
        "matrix": np.array([[b"a", b"\0\xff", b""], ["żółw".encode(), b"x" * 127, b"y" * 128]], object),
        "long": np.array([b"z" * 300, b"tail"], object),
    }


def _names() -> dict[str, np.ndarray]:
    """More names than one restart takes, with long and short parts in common, and some that are no ASCII."""
    names = [f"model/layer_{number}/kernel/.ATTRIBUTES/VARIABLE_VALUE" for number in range(40)]
    names += ["m", "model", "model/", "model/layer_1", "z", "ä/ö", "日本", "\x7f", "\x01", " ", "a\0b"]
    return {name: np.array(position, np.int32) for position, name in enumerate(names)}


def _blocks() -> dict[str, np.ndarray]:
    """Names that fill blocks of 256 KiB, with one that is larger than two of these."""
    names = ["a" * 150_000, "b" * 150_000, "ba", "bb" * 300_000, "c", "c" * 262_000, "cc", "d" * 300_000]
    return {name: np.array(position, np.int64) for position, name in enumerate(names)}


def v1_tensors() -> dict[str, np.ndarray]:
    """Tensors of every dtype that TensorFlow saves in V1 files, strings among them, and enough for three blocks."""
    names = tuple(f"{data_type.name.lower()}/" for data_type in V1_SAVED_BY_TENSORFLOW)
    arrays = {name: array for name, array in _dtypes().items() if name.startswith(names)}
    arrays |= {f"strings/{name}": array for name, array in _strings().items()}
    return arrays | {"large": np.zeros((300, 1000), np.int16), "": np.array(7.5), "ż\0": np.array([1, -1], np.int64)}


def v1_slices() -> list[dict[str, np.ndarray]]:
    """Two rows each of a matrix of 4 x 3 and of strings, as two files have them; the second has a whole tensor too."""
    matrix, words = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([b"a", b"bc", b"", b"\0"], object)
    return [{"matrix": matrix[:2], "words": words[:2]}, {"matrix": matrix[2:], "words": words[2:], "whole": matrix[0]}]


V1_SPECS = [
    {"matrix": "4 3 0,2:-", "words": "4 0,2"},
    {"matrix": "4 3 2,2:-", "words": "4 2,2", "whole": ""},
]
