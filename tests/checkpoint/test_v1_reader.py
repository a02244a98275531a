"""Reading V1 checkpoints: regions of any cut, files that don't fit, and how much is read."""

from __future__ import annotations

import shutil
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.v1_header import V1Tensor
from cloudckpt.checkpoint import v1_read, v1_reader
from cloudckpt.checkpoint.opened import StringForm, TensorRequest
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.v1_file import V1File, open_file
from cloudckpt.checkpoint.v1_reader import V1Checkpoint, open_v1
from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError, UnsupportedOperationError
from cloudckpt.storage.open import open_location
from cloudckpt.testing import FaultyStore
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import resolve
from cloudckpt.verification import v1 as verification_of_v1
from cloudckpt.verification.verify import verify
from tests.checkpoint.v1 import forge, opened, record, saved
from tests.golden.cases import FOLDER, v1_slices

if TYPE_CHECKING:
    from pathlib import Path

    from cloudckpt.storage.store import ObjectInfo, Store
    from cloudckpt.variables.tensor_slice import Region, TensorSlice

MATRIX = np.arange(24, dtype=np.int32).reshape(4, 6) - 12
WORDS = np.array([[b"a", b"bc"], [b"", b"\0"]], object)
QUARTERS = {
    ((0, 2), (0, 3)): MATRIX[:2, :3],
    ((0, 2), (3, 3)): MATRIX[:2, 3:],
    ((2, 2), (0, 5)): MATRIX[2:, :5],
    ((2, 2), (5, 1)): MATRIX[2:, 5:],
}
NUMBERS = {
    "m": SlicedTensor((4, 6), QUARTERS),
    "w": WORDS,
    "s": np.float64(1.5).reshape(()),
    "e": np.empty((0, 3), bool),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> V1Checkpoint:
    saved(tmp_path / "ckpt", NUMBERS)
    return opened(tmp_path / "ckpt")


def test_what_it_holds(checkpoint: V1Checkpoint) -> None:
    assert list(checkpoint.tensors) == ["e", "m", "s", "w"]
    found = checkpoint.tensors["m"]
    assert (found.dtype, found.shape, found.slices) == (DataType.INT32, (4, 6), tuple(QUARTERS))
    assert checkpoint.tensors["w"].slices == ()


def test_whole_tensors(checkpoint: V1Checkpoint) -> None:
    arrays = checkpoint.read_named(["w", "m", "e", "s"])
    assert list(arrays) == ["w", "m", "e", "s"]
    assert arrays["m"].tolist() == MATRIX.tolist()
    assert arrays["w"].tolist() == WORDS.tolist()
    assert (arrays["e"].shape, arrays["e"].dtype) == ((0, 3), np.bool_)
    assert (arrays["s"].shape, arrays["s"].item()) == ((), 1.5)
    assert all(array.flags.writeable and array.flags.owndata for array in arrays.values())


@pytest.mark.parametrize("rows", [(0, 4), (0, 2), (1, 2), (3, 1), (0, None)])
@pytest.mark.parametrize("columns", [(0, 6), (2, 3), (4, 2), (5, 1), (0, None)])
def test_regions_of_any_cut(checkpoint: V1Checkpoint, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    (array,) = checkpoint.read([TensorRequest("m", (rows, columns))])
    (row, height), (column, width) = rows, columns
    expected = MATRIX[row : row + (height or 4), column : column + (width or 6)]
    assert array.tolist() == expected.tolist()


def test_several_requests_of_one_tensor(checkpoint: V1Checkpoint) -> None:
    wanted = [TensorRequest("m"), TensorRequest("w", ((1, 1), (0, None))), TensorRequest("m", ((3, 1), (4, 2)))]
    whole, words, corner = checkpoint.read(wanted)
    assert whole.tolist() == MATRIX.tolist()
    assert words.tolist() == [[b"", b"\0"]]
    assert corner.tolist() == [[10, 11]]


def test_what_is_stored_as_it_is_wanted_is_found_without_looking_at_all_slices(
    checkpoint: V1Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = []

    def counted(tensor_slice: TensorSlice, shape: tuple[int, ...]) -> Region:
        resolved.append(tensor_slice)
        return resolve(tensor_slice, shape)

    monkeypatch.setattr(v1_reader, "resolve", counted)
    monkeypatch.setattr(v1_reader, "cover", None)
    arrays = checkpoint.read([TensorRequest("m", tensor_slice) for tensor_slice in QUARTERS])
    assert [array.tolist() for array in arrays] == [array.tolist() for array in QUARTERS.values()]
    assert resolved == list(QUARTERS)


def test_strings_in_the_form_that_is_wanted(checkpoint: V1Checkpoint) -> None:
    form = StringForm(np.dtype("U2"), lambda strings: [string.decode() for string in strings])
    whole, part = checkpoint.read([TensorRequest("w", None, form), TensorRequest("w", ((0, 1), (1, 1)), form)])
    assert whole.dtype == np.dtype("U2")
    assert whole.tolist() == [["a", "bc"], ["", ""]]
    assert part.tolist() == [["bc"]]


def test_errors_of_a_conversion_are_raised(checkpoint: V1Checkpoint) -> None:
    def refuse(strings: object) -> list[str]:
        raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        checkpoint.read([TensorRequest("w", None, StringForm(convert=refuse))])


def test_a_name_that_is_not_there(checkpoint: V1Checkpoint) -> None:
    with pytest.raises(TensorNotFoundError, match="has no tensor 'x'; it has 4 others") as caught:
        checkpoint.read_named(["m", "x"])
    assert caught.value.tensor == "x"


@pytest.mark.parametrize("wanted", [((0, 5), (0, None)), ((0, None),), (), ((-1, 2), (0, None))])
def test_a_slice_beyond_the_tensor(checkpoint: V1Checkpoint, wanted: tuple) -> None:
    with pytest.raises(InvalidArgumentError, match="tensor 'm'"):
        checkpoint.read([TensorRequest("m", wanted)])


def test_elements_that_were_not_saved(tmp_path: Path) -> None:
    saved(tmp_path / "ckpt", {"m": SlicedTensor((4, 6), {((1, 2), (0, None)): MATRIX[1:3]})})
    checkpoint = opened(tmp_path / "ckpt")
    assert checkpoint.read([TensorRequest("m", ((2, 1), (0, 2)))])[0].tolist() == [[0, 1]]
    with pytest.raises(TensorNotFoundError, match="'m'"):
        checkpoint.read([TensorRequest("m")])


def copy_golden(folder: Path) -> Path:
    for path in FOLDER.glob("v1_slices-*"):
        shutil.copy(path, folder)
    return folder / "v1_slices-?????-of-00002"


def test_several_files_are_one_checkpoint(tmp_path: Path) -> None:
    arrays = opened(copy_golden(tmp_path)).read_named(["matrix", "words", "whole"])
    first, second = v1_slices()
    assert arrays["matrix"].tolist() == [*first["matrix"].tolist(), *second["matrix"].tolist()]
    assert arrays["words"].tolist() == [b"a", b"bc", b"", b"\0"]
    assert arrays["whole"].tolist() == second["whole"].tolist()


def test_one_file_of_several_is_read_by_its_name(tmp_path: Path) -> None:
    copy_golden(tmp_path)
    checkpoint = opened(tmp_path / "v1_slices-00001-of-00002")
    assert checkpoint.read([TensorRequest("matrix", ((3, 1), (1, 1)))])[0].tolist() == [[10]]
    with pytest.raises(TensorNotFoundError, match="'matrix'"):
        checkpoint.read_named(["matrix"])


def test_a_file_that_lacks_is_damage(tmp_path: Path) -> None:
    pattern = copy_golden(tmp_path)
    (tmp_path / "v1_slices-00000-of-00002").unlink()
    with pytest.raises(ckpt.CheckpointDamagedError, match="it lacks 1 of its 2 files, the first being number 0"):
        ckpt.load(pattern)


def test_files_of_different_saves_don_t_fit(tmp_path: Path) -> None:
    saved(tmp_path / "m-00000-of-00002", {"t": MATRIX[:2]})
    saved(tmp_path / "m-00001-of-00002", {"t": MATRIX[:3]})
    with pytest.raises(ckpt.CheckpointDamagedError, match="'t' is not of the same dtype and shape in all files"):
        opened(tmp_path / "m-?????-of-00002")
    saved(tmp_path / "m-00001-of-00002", {"t": MATRIX[:2]}, unsafe_overwrite=True)
    with pytest.raises(ckpt.CheckpointDamagedError, match="overlap"):
        opened(tmp_path / "m-?????-of-00002").read_named(["t"])


def test_load_gives_a_flat_dict(tmp_path: Path) -> None:
    saved(tmp_path / "ckpt", NUMBERS)
    assert list(ckpt.load(tmp_path / "ckpt")) == ["e", "m", "s", "w"]


def test_v2_wins_where_both_are(tmp_path: Path) -> None:
    saved(tmp_path / "ckpt", {"old": MATRIX})
    ckpt.save(tmp_path / "ckpt", {"new": MATRIX})
    assert list(ckpt.load(tmp_path / "ckpt")) == ["new"]
    assert list(opened(tmp_path / "ckpt").tensors) == ["old"]


def test_where_there_is_nothing(tmp_path: Path) -> None:
    assert open_v1(open_location(tmp_path / "ckpt", None)) is None
    with pytest.raises(ckpt.CheckpointNotFoundError, match="nor a V1 file of the very name"):
        open_checkpoint(open_location(tmp_path / "ckpt", None))


def test_the_name_without_the_pattern_gets_a_hint(tmp_path: Path) -> None:
    copy_golden(tmp_path)
    with pytest.raises(ckpt.CheckpointNotFoundError, match=r"pass their pattern, '.*v1_slices-\?{5}-of-00002'"):
        ckpt.load(tmp_path / "v1_slices")


@pytest.mark.parametrize("content", [b"", b'model_checkpoint_path: "ckpt-1"\n' * 9, bytes(48)], ids=range(3))
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(
        ckpt.CheckpointDamagedError, match=r"checkpoint is no index .* another kind of file: check the path"
    ):
        ckpt.load(tmp_path / "checkpoint")


def test_the_index_of_a_v2_checkpoint_under_another_name(tmp_path: Path) -> None:
    ckpt.save(tmp_path / "ckpt", {"t": MATRIX})
    shutil.copy(tmp_path / "ckpt.index", tmp_path / "copy")
    with pytest.raises(ckpt.CheckpointDamagedError, match="no header of a V1 checkpoint"):
        ckpt.load(tmp_path / "copy")


def test_a_table_without_a_header(tmp_path: Path) -> None:
    saved(tmp_path / "whole", {})
    assert ckpt.load(tmp_path / "whole") == {}
    forge(tmp_path / "ckpt", {}, [])
    assert ckpt.load(tmp_path / "ckpt") == {}


@pytest.mark.parametrize("dtype", [DataType.BFLOAT16, DataType.VARIANT, 99])
def test_dtypes_that_no_v1_file_has(tmp_path: Path, dtype: int) -> None:
    forge(tmp_path / "ckpt", {"t": V1Tensor(dtype, (2,), (((0, None),),))}, [])
    checkpoint = opened(tmp_path / "ckpt")
    assert checkpoint.tensors["t"].dtype == dtype
    with pytest.raises(UnsupportedOperationError, match="which TensorFlow neither writes"):
        checkpoint.read_named(["t"])


def test_a_listed_slice_that_is_not_there(tmp_path: Path) -> None:
    whole = ((0, None),)
    for records in ([], [record("a", np.zeros(2))], [record("z", np.zeros(2))]):
        forge(tmp_path / "ckpt", {"t": V1Tensor(DataType.FLOAT, (2,), (whole,))}, records)
        with pytest.raises(ckpt.CheckpointDamagedError, match="of tensor 't', which is not in the file"):
            ckpt.load(tmp_path / "ckpt")


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20)])
def test_a_header_that_claims_more_than_the_file_can_hold(tmp_path: Path, shape: tuple[int, ...]) -> None:
    where = ((0, None),) * len(shape)
    forge(tmp_path / "ckpt", {"t": V1Tensor(DataType.BOOL, shape, (where,))}, [])
    with pytest.raises(ckpt.CheckpointDamagedError, match="can't hold"):
        ckpt.load(tmp_path / "ckpt")


def test_a_part_of_a_large_tensor_claims_no_more_than_it_has(tmp_path: Path) -> None:
    part = ((5, 3), (0, 1))
    saved(tmp_path / "ckpt", {"t": SlicedTensor((2**40, 2**20), {part: np.ones((3, 1), np.float32)})})
    checkpoint = opened(tmp_path / "ckpt")
    assert checkpoint.read([TensorRequest("t", part)])[0].tolist() == [[1], [1], [1]]
    with pytest.raises(TensorNotFoundError):
        checkpoint.read_named(["t"])


def test_compressed_files_are_read(tmp_path: Path) -> None:
    zeros = np.zeros(10**6)
    saved(tmp_path / "ckpt", {"t": zeros}, compress=True)
    assert (tmp_path / "ckpt").stat().st_size < zeros.nbytes / 20
    assert ckpt.load(tmp_path / "ckpt")["t"].tobytes() == zeros.tobytes()


def test_it_is_current_until_it_is_replaced(tmp_path: Path) -> None:
    pattern = copy_golden(tmp_path)
    checkpoint = opened(pattern)
    assert checkpoint.is_current()
    saved(tmp_path / "v1_slices-00001-of-00002", {"t": MATRIX}, unsafe_overwrite=True)
    assert not checkpoint.is_current()
    (tmp_path / "v1_slices-00001-of-00002").unlink()
    assert not checkpoint.is_current()


def test_a_file_that_is_replaced_is_not_mixed_with_the_new_one(tmp_path: Path) -> None:
    saved(tmp_path / "ckpt", {"t": np.zeros(10**6)})
    checkpoint = opened(tmp_path / "ckpt")
    saved(tmp_path / "ckpt", {"t": np.ones(10**6)})
    # A local file that was opened stays readable; elsewhere the read fails.
    assert checkpoint.read_named(["t"])["t"].max() == 0


def operations(path: Path, names: list[str]) -> list[str]:
    location = open_location(path, None)
    counting = FaultyStore(location.store, 0)
    checkpoint = open_v1(type(location)(counting, location.key))
    assert checkpoint is not None
    checkpoint.read_named(names)
    return [operation.partition(" ")[0] for operation in counting.operations]


def test_a_small_file_takes_a_look_and_two_reads(tmp_path: Path) -> None:
    saved(tmp_path / "ckpt", NUMBERS)
    assert operations(tmp_path / "ckpt", ["m", "w"]) == ["stat", "read", "read"]


@pytest.mark.parametrize("use", [opened, verify])
def test_files_are_opened_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Any) -> None:
    count, both_under_way = 6, Barrier(2)
    for shard in range(count):
        saved(tmp_path / f"ckpt-{shard:05}-of-{count:05}", {f"w{shard}": np.arange(shard)})

    def open_with_another(store: Store, info: ObjectInfo) -> V1File:
        both_under_way.wait(timeout=30)
        return open_file(store, info)

    for module in (v1_reader, verification_of_v1):
        monkeypatch.setattr(module, "open_file", open_with_another)
    found = use(tmp_path / f"ckpt-?????-of-{count:05}")
    if use is verify:
        assert (found.findings, found.tensors_checked) == ((), count)
    else:
        assert [file.info.key for file in found.files] == sorted(file.info.key for file in found.files)
        assert list(found.tensors) == [f"w{shard}" for shard in range(count)]


def test_only_the_blocks_that_are_needed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {name: np.full(150_000, number, np.int16) for number, name in enumerate("abcdefgh")}
    saved(tmp_path / "ckpt", tensors)
    assert operations(tmp_path / "ckpt", ["g"]) == ["stat", "read", "read", "read"]  # the end, the header, the block
    assert operations(tmp_path / "ckpt", ["c", "d", "e"]) == ["stat", "read", "read", "read"]  # neighbours at once
    monkeypatch.setattr(v1_read, "RANGE_BYTES", 1)
    assert operations(tmp_path / "ckpt", ["a", "c", "e", "g"]) == ["stat", *["read"] * 6]
    assert all((opened(tmp_path / "ckpt").read_named([name])[name] == array).all() for name, array in tensors.items())
