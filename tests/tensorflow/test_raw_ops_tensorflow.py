"""`cloudckpt.raw_ops` and `tf.raw_ops`: the same files, and each reads the other's."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import raw_ops
from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.variables.dtypes import DataType, from_numpy, to_numpy
from tests.golden.cases import FIXED_SIZE, tensors
from tests.ops.misuses import HALVES, floats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STRINGS = np.array([b"a", b"\0\xff", b"", b"x" * 300, "żółw".encode(), b"end"], object)
VECTORS = {DataType.STRING: STRINGS} | {
    data_type: tensors("dtypes")[f"{data_type.name.lower()}/vector"] for data_type in FIXED_SIZE
}
"""Six elements of every dtype."""
DTYPES = pytest.mark.parametrize("data_type", VECTORS, ids=lambda data_type: data_type.name.lower())

REASSEMBLED = {
    *(DataType.BOOL, DataType.INT4, DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64),
    *(DataType.UINT4, DataType.UINT8, DataType.BFLOAT16, DataType.FLOAT, DataType.DOUBLE),
    *(DataType.COMPLEX64, DataType.COMPLEX128, DataType.QINT8, DataType.QUINT8, DataType.QINT32),
}
"""What TensorFlow puts together from slices, or cuts slices from, in the V2 format; of others it restores the very
slice that was saved."""
V1_WRITTEN = {
    *(DataType.BOOL, DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64, DataType.UINT8, DataType.UINT16),
    *(DataType.HALF, DataType.FLOAT, DataType.DOUBLE, DataType.COMPLEX64, DataType.COMPLEX128, DataType.STRING),
    *(DataType.QINT8, DataType.QUINT8, DataType.QINT32),
}
"""What TensorFlow writes in the V1 format."""
V1_UNWRITTEN = {DataType.UINT32, DataType.UINT64}
"""What it reads in the V1 format, but never writes."""


def tensor(tf: Any, array: np.ndarray) -> Any:
    data_type = DataType.STRING if array.dtype.kind in "OSU" else from_numpy(array.dtype)
    return tf.constant(array, tf.as_dtype(int(data_type)), array.shape)


def save_v2(ops: Any, prefix: Any, names: Sequence[str], specs: Sequence[str], given: Sequence[Any]) -> None:
    ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=specs, tensors=given)


def restore_v2(ops: Any, prefix: Any, name: str, spec: str, data_type: int) -> np.ndarray:
    (restored,) = ops.RestoreV2(
        prefix=str(prefix), tensor_names=[name], shape_and_slices=[spec], dtypes=[int(data_type)]
    )
    return as_array(restored)


def as_array(restored: Any) -> np.ndarray:
    return restored if isinstance(restored, np.ndarray) else np.asarray(restored.numpy())


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    if expected.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        # TensorFlow's eager tensors show a quantised dtype as the integer in it.
        plain = expected.dtype[0] if expected.dtype.names and not found.dtype.names else expected.dtype
        assert found.dtype == plain
        assert found.tobytes() == expected.tobytes()


def files(prefix: Path) -> tuple[bytes, bytes]:
    return Path(index_filename(str(prefix))).read_bytes(), Path(data_filename(str(prefix), 0, 1)).read_bytes()


class TestSameBytes:
    """Where the place is fresh, the files are the very ones that TensorFlow writes."""

    @pytest.mark.parametrize("case", ["dtypes", "strings", "names", "blocks"])
    def test_whole_tensors(self, tf: Any, tmp_path: Path, case: str) -> None:
        arrays = dict(reversed(tensors(case).items()))  # the order in the data file is that of the arguments
        given = [tensor(tf, array) for array in arrays.values()]
        for ops, name in ((tf.raw_ops, "theirs"), (raw_ops, "ours")):
            save_v2(ops, tmp_path / name, list(arrays), [""] * len(arrays), given)
        assert files(tmp_path / "ours") == files(tmp_path / "theirs")

    @DTYPES
    def test_slices(self, tf: Any, tmp_path: Path, data_type: DataType) -> None:
        array = VECTORS[data_type]
        names, specs = ["z", "a", "a", "a", "b"], ["", "6 2,3", "6 0,2", "6 5,1", "6 -"]
        given = [tensor(tf, part) for part in (array, array[2:5], array[:2], array[5:], array)]
        for ops, name in ((tf.raw_ops, "theirs"), (raw_ops, "ours")):
            save_v2(ops, tmp_path / name, names, specs, given)
        assert files(tmp_path / "ours") == files(tmp_path / "theirs")

    def test_slices_of_many_dimensions(self, tf: Any, tmp_path: Path) -> None:
        array = floats(300, 2, 5)
        names, specs, given = [], [], []
        for row in range(0, 300, 100):
            for column in range(2):
                names.append("grid")
                specs.append(f"300 2 5 {row},100:{column},1:-")
                given.append(array[row : row + 100, column : column + 1])
        for ops, name in ((tf.raw_ops, "theirs"), (raw_ops, "ours")):
            save_v2(ops, tmp_path / name, names, specs, given)
        assert files(tmp_path / "ours") == files(tmp_path / "theirs")
        assert_same(restore_v2(tf.raw_ops, tmp_path / "ours", "grid", "", DataType.FLOAT), array)
        assert_same(restore_v2(raw_ops, tmp_path / "theirs", "grid", "", DataType.FLOAT), array)

    def test_python_values(self, tf: Any, tmp_path: Path) -> None:
        given = [1.5, [1, 2], 1 << 40, True, 1j, "text", [["a"], [b"b\0"]], [np.float64(2)], np.arange(3, dtype=">i4")]
        names = [str(number) for number in range(len(given))]
        for ops, name in ((tf.raw_ops, "theirs"), (raw_ops, "ours")):
            save_v2(ops, tmp_path / name, names, [""] * len(given), given)
        assert files(tmp_path / "ours") == files(tmp_path / "theirs")

    def test_v1(self, tf: Any, tmp_path: Path) -> None:
        arrays = {data_type.name: VECTORS[data_type] for data_type in sorted(V1_WRITTEN, reverse=True)}
        given = [tensor(tf, array) for array in arrays.values()]
        for ops, name in ((tf.raw_ops, "theirs"), (raw_ops, "ours")):
            ops.Save(filename=str(tmp_path / name), tensor_names=list(arrays), data=given)
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()

    def test_v1_slices(self, tf: Any, tmp_path: Path) -> None:
        for ops, name in ((tf.raw_ops, "theirs"), (raw_ops, "ours")):
            ops.SaveSlices(
                filename=str(tmp_path / name),
                tensor_names=["p", "a", "p"],
                shapes_and_slices=[HALVES[1], "", HALVES[0]],
                data=[floats(2, 4) + 8, floats(3), floats(2, 4)],
            )
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


class TestSlices:
    """Each library reads the other's slices, in whatever other slices; TensorFlow those of some dtypes."""

    @DTYPES
    def test_tensorflow_reads_ours(self, tf: Any, tmp_path: Path, data_type: DataType) -> None:
        array, prefix = VECTORS[data_type], tmp_path / "ckpt"
        save_v2(raw_ops, prefix, ["a", "a"], ["6 2,4", "6 0,2"], [array[2:], array[:2]])
        save_v2(raw_ops, f"{prefix}-whole", ["a"], [""], [array])
        assert_same(restore_v2(tf.raw_ops, prefix, "a", "6 2,4", data_type), array[2:])
        assert_same(restore_v2(tf.raw_ops, f"{prefix}-whole", "a", "", data_type), array)
        for path, spec, expected in (
            (prefix, "", array),
            (prefix, "6 1,3", array[1:4]),
            (f"{prefix}-whole", "6 1,3", array[1:4]),
        ):
            if data_type in REASSEMBLED:
                assert_same(restore_v2(tf.raw_ops, path, "a", spec, data_type), expected)
            else:
                with pytest.raises(tf.errors.InvalidArgumentError, match="not supported"):
                    restore_v2(tf.raw_ops, path, "a", spec, data_type)
            assert_same(restore_v2(raw_ops, path, "a", spec, data_type), expected)

    @DTYPES
    def test_we_read_tensorflow_s(self, tf: Any, tmp_path: Path, data_type: DataType) -> None:
        array, prefix = VECTORS[data_type], tmp_path / "ckpt"
        save_v2(tf.raw_ops, prefix, ["a", "a"], ["6 2,4", "6 0,2"], [tensor(tf, array[2:]), tensor(tf, array[:2])])
        save_v2(tf.raw_ops, f"{prefix}-whole", ["a"], [""], [tensor(tf, array)])
        for spec, expected in {"": array, "6 -": array, "6 2,4": array[2:], "6 1,3": array[1:4]}.items():
            for path in (prefix, f"{prefix}-whole"):
                found = restore_v2(raw_ops, path, "a", spec, data_type)
                assert_same(found, expected)
                assert found.dtype == to_numpy(data_type)

    def test_partitioned_variables_of_tensorflow(self, tf: Any, tmp_path: Path) -> None:
        v1, prefix = tf.compat.v1, str(tmp_path / "ckpt")
        with partitioned_variable(v1, parts=3) as (session, whole):
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, prefix)
            assert_same(restore_v2(raw_ops, prefix, "w", "", DataType.FLOAT), session.run(whole))
        grid = floats(7, 3)
        save_v2(raw_ops, prefix, ["w", "w"], ["7 3 0,5:-", "7 3 5,2:-"], [grid[:5], grid[5:]])
        for parts in (1, 2, 3):
            with partitioned_variable(v1, parts) as (session, whole):
                v1.train.Saver().restore(session, prefix)
                assert_same(session.run(whole), grid)


@contextmanager
def partitioned_variable(v1: Any, parts: int) -> Iterator[tuple[Any, Any]]:
    """A session, and the whole of a variable of 7 x 3 that is partitioned in it."""
    with v1.Graph().as_default(), v1.Session() as session:
        variable = v1.get_variable("w", (7, 3), partitioner=v1.fixed_size_partitioner(parts) if parts > 1 else None)
        yield session, v1.convert_to_tensor(variable)


class TestV1:
    """The V1 ops on each other's files."""

    @pytest.mark.parametrize(
        "data_type", sorted(V1_WRITTEN | V1_UNWRITTEN), ids=lambda data_type: data_type.name.lower()
    )
    def test_both_ways(self, tf: Any, tmp_path: Path, data_type: DataType) -> None:
        array, parts = VECTORS[data_type], [VECTORS[data_type][2:], VECTORS[data_type][:2]]
        for number, (writer, reader) in enumerate(((tf.raw_ops, raw_ops), (raw_ops, tf.raw_ops))):
            if writer is tf.raw_ops and data_type in V1_UNWRITTEN:
                with pytest.raises(tf.errors.InvalidArgumentError, match="not implemented"):
                    writer.Save(filename=str(tmp_path / "no"), tensor_names=["a"], data=[tensor(tf, array)])
                continue
            file = str(tmp_path / f"{number}")
            given = [tensor(tf, each) for each in (array, *parts)]
            writer.SaveSlices(
                filename=file, tensor_names=["a", "p", "p"], shapes_and_slices=["", "6 2,4", "6 0,2"], data=given
            )
            for name in ("a", "p"):
                restored = reader.Restore(file_pattern=file, tensor_name=name, dt=int(data_type))
                assert_same(as_array(restored), array)
                for spec, expected in {"": array, "6 1,3": array[1:4], "6 2,4": array[2:]}.items():
                    restored = reader.RestoreSlice(
                        file_pattern=file, tensor_name=name, shape_and_slice=spec, dt=int(data_type)
                    )
                    assert_same(as_array(restored), expected)
                    assert_same(restore_v2(reader, file, name, spec, data_type), expected)

    def test_several_files(self, tf: Any, tmp_path: Path) -> None:
        for number, (writer, reader) in enumerate(((tf.raw_ops, raw_ops), (raw_ops, tf.raw_ops))):
            base = str(tmp_path / f"v1-{number}")
            for shard, part in enumerate((floats(2, 4), floats(2, 4) + 8)):
                writer.SaveSlices(
                    filename=writer.ShardedFilename(basename=base, shard=shard, num_shards=2),
                    tensor_names=["p", f"own{shard}"],
                    shapes_and_slices=[HALVES[shard], ""],
                    data=[part, part],
                )
            pattern = writer.ShardedFilespec(basename=base, num_shards=2)
            restored = reader.Restore(file_pattern=pattern, tensor_name="p", dt="float32", preferred_shard=1)
            assert_same(as_array(restored), floats(4, 4))
            assert_same(restore_v2(reader, base + "-?????-of-00002", "p", "4 4 1,2:-", 1), floats(4, 4)[1:3])
            restored = reader.Restore(file_pattern=base + "-00001-of-00002", tensor_name="own1", dt="float32")
            assert_same(as_array(restored), floats(2, 4) + 8)


def save_parts(ops: Any, folder: Path) -> list[str]:
    """Checkpoints that share a tensor by slices, each with one of its own beside it."""
    prefixes = [str(folder / f"part-{number}") for number in range(3)]
    save_v2(ops, prefixes[0], ["p", "x"], [HALVES[0], ""], [floats(2, 4), floats(3)])
    save_v2(ops, prefixes[1], ["p", "w"], [HALVES[1], ""], [floats(2, 4) + 8, floats(5)])
    save_v2(ops, prefixes[2], ["s"], [""], [STRINGS])
    return prefixes


def merge(ops: Any, prefixes: Sequence[str], destination: Path, **options: Any) -> None:
    destination.parent.mkdir(exist_ok=True)
    ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=str(destination), **options)


def assert_merged(ops: Any, prefix: Path) -> None:
    assert_same(restore_v2(ops, prefix, "p", "", DataType.FLOAT), floats(4, 4))
    assert_same(restore_v2(ops, prefix, "p", "4 4 1,2:-", DataType.FLOAT), floats(4, 4)[1:3])
    assert_same(restore_v2(ops, prefix, "w", "", DataType.FLOAT), floats(5))
    assert_same(restore_v2(ops, prefix, "x", "3 1,2", DataType.FLOAT), floats(3)[1:])
    assert_same(restore_v2(ops, prefix, "s", "", DataType.STRING), STRINGS)


class TestMerge:
    """Checkpoints of one library, merged by one, read by both."""

    @pytest.mark.parametrize("saves", ["ours", "theirs"])
    @pytest.mark.parametrize("merges", ["ours", "theirs"])
    def test_each_way(self, tf: Any, tmp_path: Path, saves: str, merges: str) -> None:
        ops = {"ours": raw_ops, "theirs": tf.raw_ops}
        (tmp_path / "parts").mkdir()
        prefixes = save_parts(ops[saves], tmp_path / "parts")
        merged = tmp_path / "merged" / "ckpt"
        merge(ops[merges], prefixes, merged)
        for reader in (raw_ops, tf.raw_ops):
            assert_merged(reader, merged)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["merged"]
        expected = ["ckpt.index", *(f"ckpt.data-0000{shard}-of-00003" for shard in range(3))]
        assert sorted(path.name for path in merged.parent.iterdir()) == sorted(expected)

    def test_the_same_bytes(self, tf: Any, tmp_path: Path) -> None:
        written = []
        for ops in (tf.raw_ops, raw_ops):
            folder = tmp_path / f"{len(written)}"
            folder.mkdir()
            merge(ops, save_parts(tf.raw_ops, folder), folder / "merged")
            written.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert written[0] == written[1]

    @pytest.mark.parametrize("delete_old_dirs", [True, False])
    def test_the_same_directories_stay(self, tf: Any, tmp_path: Path, delete_old_dirs: bool) -> None:
        stay = []
        for ops in (tf.raw_ops, raw_ops):
            folder = tmp_path / f"{len(stay)}"
            for name in ("a", "b", "c"):
                (folder / name).mkdir(parents=True)
                save_v2(ops, folder / name / "ckpt", [name], [""], [floats(2)])
            (folder / "b" / "notes").touch()
            prefixes = [str(folder / name / "ckpt") for name in ("a", "b", "c")]
            merge(ops, prefixes, folder / "c" / "merged", delete_old_dirs=delete_old_dirs)
            stay.append(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
        assert stay[0] == stay[1]

    def test_missing_ones(self, tf: Any, tmp_path: Path) -> None:
        for number, ops in enumerate((tf.raw_ops, raw_ops)):
            folder = tmp_path / f"{number}"
            folder.mkdir()
            prefixes = save_parts(ops, folder)
            prefixes.insert(1, str(folder / "gone"))
            merge(ops, prefixes, folder / "merged", allow_missing_files=True)
            assert_merged(tf.raw_ops, folder / "merged")

    @pytest.mark.parametrize("sliced", [True, False])
    def test_tensorflow_can_t_merge_what_was_saved_over(self, tf: Any, tmp_path: Path, sliced: bool) -> None:
        # It counts on data files 0 to N - 1: it stops half-way, or makes a checkpoint that nobody can read.
        prefixes = save_parts(raw_ops, tmp_path)
        if sliced:
            save_v2(raw_ops, prefixes[0], ["p", "x"], [HALVES[0], ""], [floats(2, 4), floats(3)])
        else:
            save_v2(raw_ops, prefixes[2], ["s"], [""], [STRINGS])
        with pytest.raises(tf.errors.NotFoundError, match=r"\.data-"):
            merge(tf.raw_ops, prefixes, tmp_path / "merged")
            assert_merged(tf.raw_ops, tmp_path / "merged")

    def test_we_merge_all_that_was_saved_over(self, tf: Any, tmp_path: Path) -> None:
        save_parts(raw_ops, tmp_path)
        merge(raw_ops, save_parts(raw_ops, tmp_path), tmp_path / "merged")
        assert_merged(tf.raw_ops, tmp_path / "merged")


@pytest.mark.parametrize(("basename", "shard", "num_shards"), [("a/b", 0, 1), (b"a", 12, 345), ("a", 123456, 1234567)])
def test_sharded_names(tf: Any, basename: Any, shard: int, num_shards: int) -> None:
    theirs = tf.raw_ops.ShardedFilename(basename=basename, shard=shard, num_shards=num_shards)
    assert raw_ops.ShardedFilename(basename=basename, shard=shard, num_shards=num_shards) == theirs.numpy().decode()
    theirs = tf.raw_ops.ShardedFilespec(basename=basename, num_shards=num_shards)
    assert raw_ops.ShardedFilespec(basename=basename, num_shards=num_shards) == theirs.numpy().decode()


def test_tensorflow_s_own_objects_as_arguments(tf: Any, tmp_path: Path) -> None:
    prefix = tf.constant(str(tmp_path / "ckpt"))
    quantised = tf.raw_ops.Bitcast(input=tf.constant([-1, 2], tf.int8), type=tf.qint8)
    given = [tf.Variable([1.0, 2.0]), quantised, tf.constant(["x", b"\xff\0"]), tf.ones(2, tf.bfloat16), tf.constant(3)]
    dtypes = [tf.float32, tf.qint8, tf.string, tf.bfloat16, tf.int32]
    names, specs = tf.constant(["v", "q", "s", "b", "i"]), tf.constant([""] * 5)
    raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, tensors=given)
    ours = raw_ops.RestoreV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, dtypes=dtypes)
    theirs = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, dtypes=dtypes)
    for found, restored, expected in zip(ours, theirs, given, strict=True):
        assert_same(np.asarray(expected), found if not found.dtype.names else found["qint8"])
        assert_same(restored.numpy(), np.asarray(expected))
    file = tf.constant(str(tmp_path / "v1"))
    raw_ops.Save(filename=file, tensor_names=names[:3], data=given[:3])
    found = raw_ops.Restore(file_pattern=file, tensor_name=names[1], dt=tf.qint8)
    assert found["qint8"].tolist() == [-1, 2]
    name = raw_ops.ShardedFilename(basename=tf.constant("v1"), shard=tf.constant(1), num_shards=tf.constant(2))
    assert name == "v1-00001-of-00002"


def test_tensorflow_reads_what_was_saved_over(tf: Any, tmp_path: Path) -> None:
    prefix = tmp_path / "ckpt"
    for number in range(3):
        save_v2(raw_ops, prefix, ["a", "p", "p"], ["", *HALVES], [np.float32(number), floats(2, 4), floats(2, 4) + 8])
        assert restore_v2(tf.raw_ops, prefix, "a", "", DataType.FLOAT) == number
        assert_same(restore_v2(tf.raw_ops, prefix, "p", "", DataType.FLOAT), floats(4, 4))
    assert len(list(tmp_path.iterdir())) == 2
