"""A checkpoint as people look into it: nothing is read before it is asked for, and then no more than is needed."""

from __future__ import annotations

import gc
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import encode_index
from cloudckpt.bundle.naming import data_filename
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.checksums import crc32c
from cloudckpt.errors import ObjectChangedError, UnsupportedOperationError
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.stored import checked
from cloudckpt.stored import checkpoint as stored
from cloudckpt.stored.checkpoint import StoredCheckpoint, open_checkpoint
from cloudckpt.stored.source import open_source
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.dtypes import DataType

MATRIX = np.arange(1_000_000, dtype=np.float32).reshape(1000, 1000)
ARRAYS: dict[str, Any] = {
    "bf16": np.arange(12).reshape(3, 4).astype(ml_dtypes.bfloat16),
    "empty": np.empty((0, 3), np.float32),
    "matrix": MATRIX,
    "parts": SlicedTensor((4, 6), {((0, 2), (0, None)): np.ones((2, 6)), ((2, 2), (0, None)): np.full((2, 6), 2.0)}),
    "scalar": np.array(7, np.int64),
    "text": np.array([[b"a", b""], [b"\xff\x00", b"long" * 100]], object),
}
WHOLE = {name: array for name, array in ARRAYS.items() if name != "parts"} | {
    "parts": np.repeat([[1.0], [1.0], [2.0], [2.0]], 6, axis=1)
}


@pytest.fixture
def place() -> Location:
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    save_tensors(place, ARRAYS)
    return place


@pytest.fixture
def checkpoint(place: Location) -> StoredCheckpoint:
    return open_checkpoint(place.url)


def watched(place: Location) -> tuple[StoredCheckpoint, FaultyStore]:
    """The checkpoint, and what writes down the operations on its store."""
    store = FaultyStore(place.store, 0)
    return StoredCheckpoint(open_source(Location(store, place.key))), store


def bytes_read(place: Location, index: Any, name: str = "matrix", **arguments: Any) -> list[int]:
    """The bytes of each read for an index into a tensor."""
    checkpoint, store = watched(place)
    inner, sizes = store.read, list[int]()

    def counted(key: str, offset: int, into: Any, version: str | None = None) -> None:
        sizes.append(sum(len(view) for view in into))
        inner(key, offset, into, version)

    store.read = counted  # type: ignore[method-assign] - for this test
    checkpoint[name].read(index, **arguments)
    return sizes


def test_it_is_a_mapping_from_names_in_order(checkpoint: StoredCheckpoint) -> None:
    assert list(checkpoint) == sorted(ARRAYS)
    assert len(checkpoint) == len(ARRAYS)
    assert "matrix" in checkpoint
    assert "nothing" not in checkpoint
    assert 3 not in checkpoint
    assert checkpoint.get("nothing") is None
    assert [tensor.name for tensor in checkpoint.values()] == sorted(ARRAYS)


def test_it_is_equal_to_itself_only(place: Location, checkpoint: StoredCheckpoint) -> None:
    assert checkpoint == checkpoint
    assert checkpoint != open_checkpoint(place.url)
    assert {checkpoint: 1}[checkpoint] == 1


def test_a_name_that_is_not_there_is_a_key_error_that_says_where(checkpoint: StoredCheckpoint) -> None:
    with pytest.raises(ckpt.TensorNotFoundError, match=r"ckpt' has no tensor 'w'; it has 6 others") as caught:
        checkpoint["w"]
    assert isinstance(caught.value, KeyError)


def test_what_a_tensor_is_needs_no_request(place: Location) -> None:
    checkpoint, store = watched(place)
    opening = list(store.operations)
    for name, array in WHOLE.items():
        tensor = checkpoint[name]
        assert (tensor.name, tensor.dtype, tensor.shape) == (name, array.dtype, array.shape)
        assert (tensor.ndim, tensor.size) == (array.ndim, array.size)
        assert name == "text" or tensor.nbytes == array.nbytes
        assert not tensor.is_mapped
        assert tensor.pieces
        assert repr(tensor)
    assert checkpoint["bf16"].data_type == DataType.BFLOAT16
    assert store.operations == opening == ["get ckpt.index", "list ckpt.", "stat ckpt.index"]


def test_where_the_bytes_are(place: Location, checkpoint: StoredCheckpoint) -> None:
    for name in ("matrix", "bf16", "parts"):
        for piece in checkpoint[name].pieces:
            data = place.store.get(place.key + piece.path.removeprefix(place.url))[0]
            stored_bytes = data[piece.offset : piece.offset + piece.size]
            assert stored_bytes == np.ascontiguousarray(WHOLE[name][piece.index]).tobytes()
            assert crc32c(stored_bytes) == piece.crc32c


def test_slices_are_indices(checkpoint: StoredCheckpoint) -> None:
    assert checkpoint["parts"].slices == (np.s_[0:2, 0:6], np.s_[2:4, 0:6])
    assert [piece.index for piece in checkpoint["parts"].pieces] == list(checkpoint["parts"].slices)
    assert checkpoint["matrix"].slices == ()
    assert [piece.index for piece in checkpoint["matrix"].pieces] == [np.s_[0:1000, 0:1000]]


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_reading_all_of_a_tensor(checkpoint: StoredCheckpoint, name: str) -> None:
    expected = WHOLE[name]
    for array in (
        checkpoint[name].read(),
        checkpoint[name].read(verify=True),
        checkpoint[name][...],
        np.asarray(checkpoint[name]),
    ):
        assert type(array) is np.ndarray
        assert array.dtype == expected.dtype
        assert np.array_equal(array, expected)
        assert array.shape == expected.shape


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("matrix", np.s_[10:20, ::3]),
        ("matrix", np.s_[-1]),
        ("matrix", np.s_[999, 999]),
        ("matrix", np.s_[..., 5]),
        ("matrix", np.s_[5:5]),
        ("matrix", np.s_[::-400, None, 0]),
        ("parts", np.s_[1:3, 2:4]),
        ("parts", np.s_[3, 5]),
        ("parts", np.s_[2:]),
        ("text", np.s_[1]),
        ("text", np.s_[1, 0]),
        ("bf16", np.s_[1:, :2]),
        ("scalar", ()),
        ("empty", np.s_[:, 1]),
    ],
)
def test_reading_a_part_is_numpys_index(checkpoint: StoredCheckpoint, name: str, index: Any, verify: bool) -> None:
    expected = WHOLE[name][index]
    found = checkpoint[name].read(index, verify=verify)
    assert type(found) is type(expected)
    assert np.array_equal(found, expected)
    assert np.array_equal(checkpoint[name][index], expected)


def test_a_part_reads_the_bytes_it_needs(place: Location) -> None:
    assert bytes_read(place, np.s_[10:12]) == [8000]
    assert bytes_read(place, np.s_[500, 10:20]) == [40]
    assert bytes_read(place, np.s_[5:5]) == []
    assert bytes_read(place, np.s_[3], "parts") == [48]
    assert sum(bytes_read(place, ..., "matrix")) == MATRIX.nbytes


def test_verifying_a_part_reads_the_whole_entries_that_it_is_in(place: Location) -> None:
    assert sum(bytes_read(place, np.s_[10:12], verify=True)) == MATRIX.nbytes
    assert bytes_read(place, np.s_[3, 2], "parts", verify=True) == [96]


def test_verifying_a_part_in_many_slices_reads_neighbours_together(
    place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {((row, 1), (0, None)): MATRIX[row : row + 1] for row in range(1000)}
    save_tensors(place, {"matrix": SlicedTensor(MATRIX.shape, rows)}, alignment=1)
    assert bytes_read(place, np.s_[10:20, 5], verify=True) == [40_000]
    monkeypatch.setattr(checked, "BATCH_BYTES", 16_000)
    assert bytes_read(place, np.s_[10:20, 5], verify=True) == [16_000, 16_000, 8_000]
    assert np.array_equal(open_checkpoint(place.url)["matrix"].read(np.s_[10:20, 5], verify=True), MATRIX[10:20, 5])


def test_the_index_is_read_once(place: Location) -> None:
    checkpoint, store = watched(place)
    opening = len(store.operations)
    for row in range(5):
        checkpoint["matrix"][row]
    assert len(store.operations) == opening + 5
    assert all(operation.startswith("read ckpt.data-") for operation in store.operations[opening:])


def damage(place: Location, tensor: str, offset: int) -> None:
    """Flip a bit of a tensor's bytes."""
    (key,) = list_prefix(place).data
    data = bytearray(place.store.get(key)[0])
    data[open_checkpoint(place.url)[tensor].pieces[0].offset + offset] ^= 1
    place.store.put(key, data, Always(), crc32c=crc32c(data))


def test_what_is_checked_when(place: Location) -> None:
    damage(place, "matrix", 4_000)
    matrix = open_checkpoint(place.url)["matrix"]
    assert not np.array_equal(matrix[1], MATRIX[1])
    assert np.array_equal(matrix.read(2), MATRIX[2])
    for index in (1, 2, ...):
        with pytest.raises(ckpt.ChecksumMismatchError, match="'matrix'"):
            matrix.read(index, verify=True)
    with pytest.raises(ckpt.ChecksumMismatchError):
        matrix[...]


def test_the_length_and_the_rows(checkpoint: StoredCheckpoint) -> None:
    parts = checkpoint["parts"]
    assert len(parts) == 4
    assert [row.tolist() for row in parts] == WHOLE["parts"].tolist()
    with pytest.raises(TypeError, match="scalar"):
        len(checkpoint["scalar"])


def test_numpys_protocol(checkpoint: StoredCheckpoint) -> None:
    parts = checkpoint["parts"]
    assert np.asarray(parts, np.float32).dtype == np.float32
    assert np.sum(parts) == 36
    assert np.array(parts, copy=True).flags.writeable
    with pytest.raises(ValueError, match="new memory"):
        parts.__array__(copy=False)


def test_reading_many(checkpoint: StoredCheckpoint) -> None:
    arrays = checkpoint.read()
    assert list(arrays) == sorted(WHOLE)
    assert all(np.array_equal(arrays[name], WHOLE[name]) for name in WHOLE)
    assert list(checkpoint.read(["text", "bf16"])) == ["text", "bf16"]
    assert checkpoint.read([]) == {}
    with pytest.raises(ckpt.TensorNotFoundError):
        checkpoint.read(["bf16", "nothing"])


@pytest.mark.parametrize("name", ["scalar", b"scalar"])
def test_one_name_is_no_list_of_names(checkpoint: StoredCheckpoint, name: Any) -> None:
    with pytest.raises(TypeError, match=r"pass a list of names: \[b?'scalar'\]"):
        checkpoint.read(name)


def test_going_through_all_in_the_order_of_the_files(
    place: Location, checkpoint: StoredCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "BATCH_BYTES", 3000)
    offsets = []
    for name, array in checkpoint.arrays():
        assert np.array_equal(array, WHOLE[name])
        offsets.append(checkpoint[name].pieces[0].offset)
    assert offsets == sorted(offsets)
    assert len(offsets) == len(WHOLE)


def test_going_through_all_reads_ahead_no_further_than_a_batch(
    place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {f"{number:03}": np.full(100, number, np.uint8) for number in range(100)}
    save_tensors(place, small, alignment=1)
    monkeypatch.setattr(stored, "BATCH_BYTES", 1000)
    checkpoint, store = watched(place)
    iterator = checkpoint.arrays()
    opening = len(store.operations)
    for number in range(100):
        assert next(iterator)[1].tolist() == [number] * 100
        assert len(store.operations) - opening == number // 10 + 1


def test_a_closed_checkpoint_says_so_and_its_arrays_stay(place: Location) -> None:
    with open_checkpoint(place.url) as checkpoint:
        matrix = checkpoint["matrix"]
        array = matrix[:10]
    assert np.array_equal(array, MATRIX[:10])
    for use in (
        lambda: matrix[0],
        lambda: checkpoint["matrix"],
        checkpoint.read,
        lambda: next(checkpoint.arrays()),
        checkpoint.__enter__,
    ):
        with pytest.raises(ValueError, match="is closed: open it again"):
            use()
    assert "closed" in repr(checkpoint)
    assert matrix.shape == MATRIX.shape
    checkpoint.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux lists them")
def test_what_nobody_refers_to_is_closed(tmp_path: Path) -> None:
    save_tensors(open_location(tmp_path / "ckpt"), ARRAYS)
    before = open_files()
    tensor = open_checkpoint(tmp_path / "ckpt")["matrix"]
    gc.collect()
    assert np.array_equal(tensor[1], MATRIX[1])  # the handle keeps it open
    assert open_files() > before
    del tensor
    gc.collect()
    assert open_files() == before


def test_reprs_show_what_there_is(checkpoint: StoredCheckpoint) -> None:
    assert repr(checkpoint) == f"<StoredCheckpoint {checkpoint.path!r}: 6 tensors>"
    assert repr(checkpoint["matrix"]) == "<StoredTensor 'matrix': float32 [1000, 1000], 4000000 bytes>"


def test_the_repr_of_a_tensor_whose_slice_the_index_lacks() -> None:
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    listed = ((0, 2), (0, None)), ((2, 2), (0, None))
    entries = {"w": BundleEntry(DataType.FLOAT, (4, 3), 0, 0, 0, 0, listed)}
    index = encode_index(BundleHeader(num_shards=1), entries)
    for key, content in ((data_filename(place.key, 0, 1), b""), (f"{place.key}.index", index)):
        place.store.put(key, content, Always(), crc32c=crc32c(content))
    tensor = open_checkpoint(place.url)["w"]
    with pytest.raises(ckpt.CheckpointDamagedError):
        tensor.nbytes  # noqa: B018 - a property that raises
    assert repr(tensor) == "<StoredTensor 'w': float32 [4, 3], slices missing>"


def test_no_credentials_are_shown(minio: Any) -> None:
    url = minio.fresh_url()
    with open_location(url, minio.storage_options) as place:
        save_tensors(place, ARRAYS)
    with open_checkpoint(url, storage_options=minio.storage_options) as checkpoint:
        shown = repr(checkpoint) + repr(checkpoint["matrix"]) + repr(checkpoint["matrix"].pieces) + checkpoint.path
        assert np.array_equal(checkpoint["matrix"][3:5, ::2], MATRIX[3:5, ::2])
        assert checkpoint.path == url
    assert minio.secret_key not in shown


# One and the same save (P11).


@pytest.fixture
def local(tmp_path: Path) -> Location:
    place = open_location(tmp_path / "ckpt")
    save_tensors(place, ARRAYS)
    return place


def replace(place: Location) -> None:
    save_tensors(place, {"matrix": MATRIX + 1})


def delete(place: Location) -> None:
    doomed = find_doomed(place)
    assert doomed is not None
    delete_checkpoint(doomed)


@pytest.mark.parametrize("change", [replace, delete])
def test_a_checkpoint_that_was_replaced_is_not_reopened_behind_ones_back(place: Location, change: Any) -> None:
    checkpoint = open_checkpoint(place.url)
    change(place)
    for index in (0, ...):
        with pytest.raises(ObjectChangedError, match="open it again"):
            checkpoint["matrix"][index]
    with pytest.raises(ObjectChangedError):
        checkpoint.read()


@pytest.mark.parametrize("change", [replace, delete])
def test_what_is_open_on_a_local_disk_stays_readable(local: Location, change: Any) -> None:
    checkpoint = open_checkpoint(local.url)
    assert np.array_equal(checkpoint["matrix"][0], MATRIX[0])
    change(local)
    assert np.array_equal(checkpoint["matrix"][...], MATRIX)


def test_a_checkpoint_that_is_replaced_while_it_is_opened_is_opened_again(place: Location) -> None:
    store = FaultyStore(place.store, 0)
    inner = store.list

    def replaced_first(prefix: str) -> Any:
        if len(store.operations) == 1:
            replace(place)
        return inner(prefix)

    store.list = replaced_first  # type: ignore[method-assign] - for this test
    checkpoint = StoredCheckpoint(open_source(Location(store, place.key)))
    assert list(checkpoint) == ["matrix"]
    assert np.array_equal(checkpoint["matrix"][1], MATRIX[1] + 1)


def test_a_checkpoint_that_is_replaced_again_and_again_is_given_up(place: Location) -> None:
    store = FaultyStore(place.store, 0)
    inner = store.list

    def replaced_first(prefix: str) -> Any:
        replace(place)
        return inner(prefix)

    store.list = replaced_first  # type: ignore[method-assign] - for this test
    with pytest.raises(ObjectChangedError, match="5 times"):
        open_source(Location(store, place.key))


def test_a_file_of_version_1_that_is_replaced_while_it_is_opened_is_opened_again() -> None:
    place = open_location(f"memory://{uuid.uuid4().hex}/model")
    save_v1(place, {"matrix": MATRIX})
    store = FaultyStore(place.store, 0)
    inner, done = store.read, list[str]()

    def replaced_first(key: str, offset: int, into: Any, version: str | None = None) -> None:
        if not done:
            done.append(key)
            save_v1(place, {"other": np.ones(3)})
        inner(key, offset, into, version)

    store.read = replaced_first  # type: ignore[method-assign] - for this test
    checkpoint = StoredCheckpoint(open_source(Location(store, place.key)))
    assert done
    assert checkpoint["other"][...].tolist() == [1, 1, 1]


def test_a_data_file_that_is_gone_is_damage(place: Location) -> None:
    checkpoint = open_checkpoint(place.url)
    place.store.delete(list_prefix(place).data)
    with pytest.raises(ckpt.CheckpointDamagedError, match="not whole"):
        checkpoint["matrix"][...]
    listed = open_checkpoint(place.url)
    assert listed["matrix"].shape == MATRIX.shape
    with pytest.raises(ckpt.CheckpointDamagedError, match="is missing"):
        listed["matrix"][0]


@pytest.mark.parametrize("mmap", [False, True])
def test_only_the_data_files_that_are_needed_must_be_there(tmp_path: Path, mmap: bool) -> None:
    """As with TensorFlow; `load` wants the whole."""
    place = open_location(tmp_path / "ckpt")
    halves = SlicedTensor((2, 500), {((0, 1), (0, None)): np.ones((1, 500)), ((1, 1), (0, None)): np.ones((1, 500))})
    save_tensors(place, {"kept": np.arange(500.0), "parts": halves, "lost": np.ones(500)}, shards=2)
    kept, lost = list_prefix(place).data
    os.truncate(lost, 10)
    with open_checkpoint(place.url, mmap=mmap) as checkpoint:
        assert checkpoint["kept"][...].tolist() == checkpoint.read(["kept"])["kept"].tolist() == [*range(500)]
        assert checkpoint["parts"].read(0, verify=True).tolist() == [1] * 500
        for name in ("lost", "parts"):
            with pytest.raises(ckpt.CheckpointDamagedError, match="has 10 bytes where the index needs"):
                checkpoint[name][...]
    os.unlink(kept)
    missing = pytest.raises(ckpt.CheckpointDamagedError, match="data-00000-of-00002' is missing")
    with open_checkpoint(place.url, mmap=mmap) as checkpoint, missing:
        checkpoint["kept"][...]
    with pytest.raises(ckpt.CheckpointDamagedError, match="not whole"):
        ckpt.load(place.url)


def test_what_can_t_be_opened(place: Location, tmp_path: Path) -> None:
    with pytest.raises(ckpt.CheckpointNotFoundError):
        open_checkpoint(f"{place.url}-2")
    with pytest.raises(ckpt.CheckpointPathError):
        open_checkpoint(f"{place.url}.index")
    place.store.put(f"{place.key}.index", b"rubbish", Always(), crc32c=crc32c(b"rubbish"))
    with pytest.raises(ckpt.CheckpointDamagedError):
        open_checkpoint(place.url)


# What is no array, or not known.


@pytest.fixture
def strange() -> StoredCheckpoint:
    """A checkpoint with a variant, a dtype of the future, and an array."""
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    data = b"\1\2\3\4" * 4
    entries = {
        "array": BundleEntry(DataType.INT32, (1,), 0, 0, 4, crc32c(data[:4])),
        "future": BundleEntry(77, (2,), 0, 4, 4, crc32c(data[4:8])),
        "variant": BundleEntry(DataType.VARIANT, (), 0, 8, 4, crc32c(data[8:12])),
        "variants": BundleEntry(DataType.VARIANT, (2,), 0, 12, 4, crc32c(data[12:])),
    }
    for key, content in (
        (data_filename(place.key, 0, 1), data),
        (f"{place.key}.index", encode_index(BundleHeader(num_shards=1), entries)),
    ):
        place.store.put(key, content, Always(), crc32c=crc32c(content))
    return open_checkpoint(place.url)


def test_variants_are_listed_and_not_read(strange: StoredCheckpoint) -> None:
    variant = strange["variant"]
    assert variant.data_type == DataType.VARIANT
    assert (variant.shape, variant.nbytes) == ((), 4)
    assert repr(variant) == "<StoredTensor 'variant': variant [], 4 bytes>"
    with pytest.raises(TypeError, match="variant"):
        variant.dtype  # noqa: B018 - a property that raises
    with pytest.raises(UnsupportedOperationError):
        variant[...]


def test_a_dtype_of_the_future_is_listed_and_not_read(strange: StoredCheckpoint) -> None:
    future = strange["future"]
    assert repr(future) == "<StoredTensor 'future': unknown_77 [2], 4 bytes>"
    with pytest.raises(TypeError, match="unknown_77"):
        future.dtype  # noqa: B018 - a property that raises
    with pytest.raises(ckpt.CheckpointVersionError):
        future[...]
    with pytest.raises(ckpt.CheckpointVersionError):
        strange.read()


@pytest.mark.parametrize("index", [np.s_[:0], np.s_[:1]])
@pytest.mark.parametrize("verify", [False, True])
def test_no_part_of_what_is_no_array_is_read(strange: StoredCheckpoint, index: Any, verify: bool) -> None:
    with pytest.raises(UnsupportedOperationError, match="variant, which no array can hold"):
        strange["variants"].read(index, verify=verify)
    with pytest.raises(ckpt.CheckpointVersionError, match="77"):
        strange["future"].read(index, verify=verify)


def test_all_that_are_arrays_leaves_variants_out(strange: StoredCheckpoint) -> None:
    assert strange.read(["array"])["array"].tolist() == [0x04030201]
    with suppress(ckpt.CheckpointVersionError):
        assert "variant" not in dict(strange.arrays())


# The V1 format.


@pytest.fixture
def version_1() -> StoredCheckpoint:
    place = open_location(f"memory://{uuid.uuid4().hex}/model.ckpt-1")
    save_v1(place, {name: array for name, array in ARRAYS.items() if name not in ("bf16", "text")})
    return open_checkpoint(place.url)


def test_a_checkpoint_of_version_1(version_1: StoredCheckpoint) -> None:
    assert list(version_1) == ["empty", "matrix", "parts", "scalar"]
    for name, tensor in version_1.items():
        assert (tensor.shape, tensor.dtype) == (WHOLE[name].shape, WHOLE[name].dtype)
        assert tensor.pieces == ()
        assert np.array_equal(tensor[...], WHOLE[name])
    assert np.array_equal(version_1["matrix"][5:7, ::-2], MATRIX[5:7, ::-2])
    assert np.array_equal(version_1["parts"].read(np.s_[1:3], verify=True), WHOLE["parts"][1:3])
    assert version_1["parts"].slices == (np.s_[0:2, 0:6], np.s_[2:4, 0:6])
    assert version_1["matrix"].nbytes == MATRIX.nbytes
    assert {name: array.shape for name, array in version_1.arrays()} == {name: WHOLE[name].shape for name in version_1}
