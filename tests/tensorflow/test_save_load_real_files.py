"""Every V2 checkpoint in the folder of real ones, loaded as TensorFlow loads it, tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import needed_data_files


def prefixes(folder: Path) -> list[str]:
    found = sorted(str(path).removesuffix(".index") for path in folder.rglob("*.index"))
    assert len(found) >= 70
    return found


def lacks_data(prefix: str) -> bool:
    index = decode_index(Path(f"{prefix}.index").read_bytes(), prefix)
    return not all(Path(file).exists() for file in needed_data_files(prefix, index))


def test_whole_ones_load_as_tensorflow_loads_them(tf: Any, real_checkpoints: Path) -> None:
    compared = 0
    for prefix in prefixes(real_checkpoints):
        if lacks_data(prefix):
            continue
        loaded, reader = ckpt.load(prefix), tf.train.load_checkpoint(prefix)
        assert set(loaded) == set(reader.get_variable_to_shape_map())
        for name, array in loaded.items():
            if array.dtype == object:
                assert array.tolist() == np.asarray(reader.get_tensor(name), object).tolist()
            else:
                expected = np.asarray(reader.get_tensor(name))
                assert array.dtype == expected.dtype
                assert array.shape == expected.shape
                assert array.tobytes() == expected.tobytes()
            compared += 1
    assert compared > 300


def test_those_without_data_say_which_file_is_missing(real_checkpoints: Path) -> None:
    without_data = [prefix for prefix in prefixes(real_checkpoints) if lacks_data(prefix)]
    assert without_data
    for prefix in without_data:
        with pytest.raises(ckpt.CheckpointDamagedError, match=r"\.data-[0-9]{5}-of-[0-9]{5}' is missing"):
            ckpt.load(prefix)


def test_no_file_there_has_tensors_in_slices(real_checkpoints: Path) -> None:
    """Putting slices together is a later step; none of the files that real programs wrote here needs it."""
    for prefix in prefixes(real_checkpoints):
        index = decode_index(Path(f"{prefix}.index").read_bytes(), prefix)
        assert not index.slice_entries
        assert not any(entry.is_sliced for entry in index.entries.values())
