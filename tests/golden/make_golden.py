"""Makes the golden files with real TensorFlow: `python -m tests.golden.make_golden`, from the repository's root.

They were made by TensorFlow 2.21.0. Make them anew only to add cases: files that TensorFlow wrote must stay readable.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from cloudckpt.bundle.naming import index_filename
from cloudckpt.variables.dtypes import from_numpy
from tests.golden.cases import CASES, FOLDER, V1_SPECS, tensors, v1_slices, v1_tensors

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    for case in CASES:
        save(str(FOLDER / case), tensors(case))
    save_slices(str(FOLDER / "slices"))
    blocks = FOLDER / index_filename("blocks")
    blocks.with_suffix(".index.gz").write_bytes(gzip.compress(blocks.read_bytes(), mtime=0))
    blocks.unlink()
    save_v1(FOLDER)


def save(prefix: str, arrays: dict[str, np.ndarray]) -> None:
    """Save as TensorFlow saves, in the order of the dict."""
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[as_tensor(array) for array in arrays.values()],
    )


def save_slices(prefix: str) -> None:
    """A matrix of 4 x 3 in two slices of two rows, beside a tensor that is whole."""
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["matrix", "matrix", "whole"],
        shape_and_slices=["4 3 0,2:-", "4 3 2,2:-", ""],
        tensors=[matrix[:2], matrix[2:], np.float32(7)],
    )


def save_v1(folder: Path) -> None:
    """A V1 file, and another V1 checkpoint in two files."""
    arrays = v1_tensors()
    whole = folder / "v1"
    tf.raw_ops.Save(
        filename=str(whole), tensor_names=list(arrays), data=[as_tensor(array) for array in arrays.values()]
    )
    whole.with_suffix(".gz").write_bytes(gzip.compress(whole.read_bytes(), mtime=0))
    whole.unlink()
    for shard, (slices, specs) in enumerate(zip(v1_slices(), V1_SPECS, strict=True)):
        tf.raw_ops.SaveSlices(
            filename=str(folder / f"v1_slices-{shard:05d}-of-00002"),
            tensor_names=list(slices),
            shapes_and_slices=list(specs.values()),
            data=[as_tensor(array) for array in slices.values()],
        )


def as_tensor(array: np.ndarray) -> Any:
    return tf.constant(array, dtype=tf.as_dtype(int(from_numpy(array.dtype))), shape=array.shape)


if __name__ == "__main__":
    main()
