"""Files that were cut short or altered, at every byte: a named error that says what and where, never a wrong value."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from tests.objects.trees.equality import assert_same

TREE = {
    "a": np.arange(40, dtype=np.int16),
    "labels": np.array(["x", "yz", ""]),
    "objects": np.array([b"\0", b"long" * 20], object),
    "step": 7,
    "flag": True,
    "empty": np.empty((0, 2)),
}


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    ckpt.save(tmp_path / "ckpt", TREE)
    return tmp_path / "ckpt"


def index_of(prefix: Path) -> Path:
    return prefix.with_name("ckpt.index")


def data_of(prefix: Path) -> Path:
    return prefix.with_name("ckpt.data-00000-of-00001")


def test_an_index_cut_short_anywhere(prefix: Path) -> None:
    whole = index_of(prefix).read_bytes()
    for length in range(len(whole)):
        index_of(prefix).write_bytes(whole[:length])
        with pytest.raises(ckpt.CheckpointDamagedError) as caught:
            ckpt.load(prefix)
        assert str(index_of(prefix)) in str(caught.value)


def test_an_index_altered_anywhere(prefix: Path) -> None:
    whole = bytearray(index_of(prefix).read_bytes())
    for position in range(len(whole)):
        whole[position] ^= 0x40
        index_of(prefix).write_bytes(whole)
        with pytest.raises(ckpt.CheckpointDamagedError) as caught:
            ckpt.load(prefix)
        assert str(index_of(prefix)) in str(caught.value)
        whole[position] ^= 0x40


def test_data_cut_short_anywhere(prefix: Path) -> None:
    whole = data_of(prefix).read_bytes()
    for length in range(len(whole)):
        data_of(prefix).write_bytes(whole[:length])
        with pytest.raises(ckpt.CheckpointDamagedError, match=f"has {length} bytes where the index needs {len(whole)}"):
            ckpt.load(prefix)


def damage_of(prefix: Path) -> ckpt.CheckpointDamagedError | None:
    """What a load raises, or None if it gives exactly what was saved."""
    try:
        assert_same(ckpt.load(prefix), TREE)
    except ckpt.CheckpointDamagedError as error:
        return error
    return None


def test_data_altered_anywhere(prefix: Path) -> None:
    whole = bytearray(data_of(prefix).read_bytes())
    tensors, padding = set(), 0
    for position in range(len(whole)):
        whole[position] ^= 0x01
        data_of(prefix).write_bytes(whole)
        error = damage_of(prefix)
        if error is None:
            padding += 1
        else:
            assert error.path == str(data_of(prefix))
            assert str(data_of(prefix)) in str(error)
            assert repr(error.tensor) in str(error)
            tensors.add(error.tensor)
        whole[position] ^= 0x01
    assert tensors == {"a", "labels", "objects", "step", "flag", "_CLOUDCKPT_TREE"}
    assert padding <= 2 * 63


@pytest.mark.parametrize("name", ["a", "labels", "objects", "step"])
def test_an_altered_value_is_a_checksum_mismatch(prefix: Path, name: str) -> None:
    """Not merely damage: whoever catches it knows that the bytes changed after they were written."""
    needle = {"a": TREE["a"].tobytes(), "labels": b"xyz", "objects": b"long" * 20, "step": b"\x07" + bytes(7)}[name]  # type: ignore[attr-defined]
    whole = data_of(prefix).read_bytes()
    at = whole.rindex(needle) + len(needle) - 1
    data_of(prefix).write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    with pytest.raises(ckpt.ChecksumMismatchError) as caught:
        ckpt.load(prefix)
    assert caught.value.tensor == name


def test_files_of_two_saves_do_not_mix(prefix: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "ckpt"
    ckpt.save(other, {**TREE, "step": 8})
    data_of(prefix).write_bytes(data_of(other).read_bytes())
    with pytest.raises(ckpt.ChecksumMismatchError, match="'step'"):
        ckpt.load(prefix)


@pytest.mark.parametrize("content", [b"", b"\0" * 48, b"not an index at all" * 10, bytes(range(256)) * 8], ids=range(4))
def test_other_files_in_the_place_of_the_index(prefix: Path, content: bytes) -> None:
    index_of(prefix).write_bytes(content)
    with pytest.raises(ckpt.CheckpointDamagedError, match=r"ckpt\.index"):
        ckpt.load(prefix)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_folder_in_the_place_of_a_file(prefix: Path, suffix: str) -> None:
    path = Path(f"{prefix}{suffix}")
    path.unlink()
    path.mkdir()
    with pytest.raises((ckpt.StorageError, ckpt.CheckpointDamagedError), match=f"ckpt{suffix}.*(folder|missing)"):
        ckpt.load(prefix)


def test_a_damaged_checkpoint_can_be_saved_over(prefix: Path) -> None:
    for file in (index_of(prefix), data_of(prefix)):
        file.write_bytes(b"damaged")
        ckpt.save(prefix, TREE)
        assert_same(ckpt.load(prefix), TREE)
        with suppress(FileNotFoundError):
            data_of(prefix).unlink()
        for left in prefix.parent.iterdir():
            left.unlink()
        ckpt.save(prefix, TREE)


def test_a_sparse_file_of_any_size_is_no_memory(prefix: Path) -> None:
    with open(data_of(prefix), "r+b") as file:
        file.truncate(1 << 40)
    assert_same(ckpt.load(prefix), TREE)


def test_loading_runs_no_code(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    def forbidden(*args: Any, **options: Any) -> Any:
        pytest.fail("a checkpoint is never unpickled")

    for name in ("loads", "load", "Unpickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    assert_same(ckpt.load(prefix), TREE)
