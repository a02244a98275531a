"""Every checkpoint in the folder of real ones, of both formats, loaded as TensorFlow loads it, tensor by tensor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.index import decode_index
from cloudckpt.bundle.table import MAGIC
from cloudckpt.checkpoint.names import needed_data_files
from tests.bundle.tables import decode_table
from tests.checkpoint.v1 import saved


def prefixes(folder: Path) -> list[str]:
    found = sorted(str(path).removesuffix(".index") for path in folder.rglob("*.index"))
    assert len(found) >= 70
    return found


def lacks_data(prefix: str) -> bool:
    index = decode_index(Path(f"{prefix}.index").read_bytes(), prefix)
    return not all(Path(file).exists() for file in needed_data_files(prefix, index))


def v1_patterns(folder: Path) -> list[str]:
    """Every V1 checkpoint: files that end as tables do and are no index, those of one checkpoint as one pattern."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".index"]
    tables = (str(path) for path in files if path.read_bytes().endswith(MAGIC))
    found = {re.sub(r"-[0-9]{5}(?=-of-[0-9]{5}$)", "-?????", table) for table in tables}
    assert len(found) >= 6
    return sorted(found)


def assert_loads_as_tensorflow_loads(tf: Any, path: str) -> int:
    """Load and compare every tensor; returns how many there are."""
    loaded, reader = ckpt.load(path), tf.train.load_checkpoint(path)
    assert set(loaded) == set(reader.get_variable_to_shape_map())
    for name, array in loaded.items():
        if array.dtype == object:
            assert array.tolist() == np.asarray(reader.get_tensor(name), object).tolist()
        else:
            expected = np.asarray(reader.get_tensor(name))
            assert array.dtype == expected.dtype
            assert array.shape == expected.shape
            assert array.tobytes() == expected.tobytes()
    return len(loaded)


def test_whole_ones_load_as_tensorflow_loads_them(tf: Any, real_checkpoints: Path) -> None:
    whole = [prefix for prefix in prefixes(real_checkpoints) if not lacks_data(prefix)]
    assert sum(assert_loads_as_tensorflow_loads(tf, prefix) for prefix in whole) > 300


def test_v1_ones_load_as_tensorflow_loads_them(tf: Any, real_checkpoints: Path) -> None:
    patterns = v1_patterns(real_checkpoints)
    assert any("?????" in pattern for pattern in patterns)
    assert sum(assert_loads_as_tensorflow_loads(tf, pattern) for pattern in patterns) > 50


def test_v1_ones_are_written_again_byte_for_byte(real_checkpoints: Path, tmp_path: Path) -> None:
    """Only the header of a file of 2015 differs, which says no version."""
    same = 0
    for number, pattern in enumerate(v1_patterns(real_checkpoints)):
        saved(tmp_path / f"{number}", ckpt.load(pattern))
        original, again = Path(pattern.replace("?????", "00000")).read_bytes(), (tmp_path / f"{number}").read_bytes()
        assert decode_table(again, "ours")[1:] == decode_table(original, "theirs")[1:]
        same += again == original
    assert same == number


def test_other_files_are_refused_as_tensorflow_refuses_them(tf: Any, real_checkpoints: Path) -> None:
    others = [path for path in real_checkpoints.rglob("*") if path.name in ("checkpoint", "SOURCE")]
    others = [path for path in [*others, *real_checkpoints.rglob("*.meta")] if path.is_file()]
    assert len(others) > 20
    for path in others:
        if Path(f"{path}.index").exists():
            continue  # a checkpoint that is named so
        with pytest.raises(ckpt.CheckpointDamagedError, match="no index of a checkpoint, and no V1 checkpoint"):
            ckpt.load(path)
        with pytest.raises(Exception, match="Unable to open table file"):
            tf.train.load_checkpoint(str(path)).get_variable_to_shape_map()


def test_those_without_data_say_which_file_is_missing(real_checkpoints: Path) -> None:
    without_data = [prefix for prefix in prefixes(real_checkpoints) if lacks_data(prefix)]
    assert without_data
    for prefix in without_data:
        with pytest.raises(ckpt.CheckpointDamagedError, match=r"\.data-[0-9]{5}-of-[0-9]{5}' is missing"):
            ckpt.load(prefix)


def test_no_file_there_has_tensors_in_slices(real_checkpoints: Path) -> None:
    """So what puts slices together is tested with files that are made for it."""
    for prefix in prefixes(real_checkpoints):
        index = decode_index(Path(f"{prefix}.index").read_bytes(), prefix)
        assert not index.slice_entries
        assert not any(entry.is_sliced for entry in index.entries.values())
