"""Everything that real TensorFlow's Saver can save, restored into our variables; everything of ours, into its."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.handle_nodes import HANDLES_ONLY
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from tests.golden.cases import FIXED_SIZE, V1_SAVED_BY_TENSORFLOW, tensors
from tests.tensorflow.test_save_load import assert_equal
from tests.tensorflow.test_save_slices_tensorflow import REASSEMBLED, matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

NO_VARIABLES = {
    *(DataType.QINT16, DataType.QUINT16),
    *(DataType.FLOAT8_E4M3FNUZ, DataType.FLOAT8_E4M3B11FNUZ, DataType.FLOAT8_E5M2FNUZ),
}
"""The dtypes that TensorFlow's variables can't be assigned: it has no kernel for that. Its raw ops save them, which
test_save_load.py shows."""
DTYPES = [data_type for data_type in FIXED_SIZE if data_type not in NO_VARIABLES]
V1_DTYPES = [data_type for data_type in V1_SAVED_BY_TENSORFLOW if data_type in DTYPES]
BIG = 300_000


def name_of(data_type: DataType) -> str:
    return data_type.name.lower()


def arrays_of(data_type: DataType) -> dict[str, NDArray[Any]]:
    """A vector, a scalar, a matrix and an empty one, one of eight dimensions, and one of several pieces."""
    prefix = f"{name_of(data_type)}/"
    found = {name: array for name, array in tensors("dtypes").items() if name.startswith(prefix)}
    vector = found[f"{prefix}vector"]
    found[f"{prefix}rank_8"] = np.resize(vector, 2 * 3 * 2 * 2).reshape(2, 1, 3, 1, 2, 1, 2, 1)
    found[f"{prefix}big"] = np.resize(vector, BIG)
    return found


def strings() -> dict[str, NDArray[Any]]:
    found = {f"string/{name}": array for name, array in tensors("strings").items()}
    found["string/rank_8"] = np.array([b"a", b"", b"\0\xff", b"x" * 300], object).reshape(2, 1, 1, 1, 1, 1, 2, 1)
    found["string/big"] = np.array([b"%d" % number for number in range(20_000)], object)
    return found


CASES: dict[str, Arrays] = {name_of(data_type): arrays_of(data_type) for data_type in DTYPES} | {"string": strings()}
V1_CASES = [name_of(data_type) for data_type in V1_DTYPES] + ["string"]


@pytest.fixture(params=[*CASES])
def arrays(request: pytest.FixtureRequest) -> Arrays:
    return CASES[request.param]


@pytest.fixture(params=V1_CASES)
def v1_arrays(request: pytest.FixtureRequest) -> Arrays:
    return CASES[request.param]


def tensor(tf: Any, array: NDArray[Any]) -> Any:
    dtype = tf.as_dtype(int(from_numpy(array.dtype)))
    if array.dtype.names:
        return tf.bitcast(tf.constant(array.view(array.dtype[0])), dtype)
    return tf.constant(array, dtype, array.shape)


def blank(array: NDArray[Any]) -> NDArray[Any]:
    """Other values of the same dtype and shape."""
    if array.dtype == object:
        return np.full(array.shape, b"?", object)
    return np.zeros(array.shape, array.dtype)


def their_variables(tf: Any, arrays: Arrays) -> list[Any]:
    return [tf.Variable(tensor(tf, array), name=name) for name, array in arrays.items()]


def our_variables(arrays: Arrays) -> list[ckpt.Variable]:
    return [ckpt.Variable(array, name=name) for name, array in arrays.items()]


def our_blanks(arrays: Arrays) -> list[ckpt.Variable]:
    return our_variables({name: blank(array) for name, array in arrays.items()})


def save_theirs(tf: Any, arrays: Arrays, folder: Path, write_version: int = 2) -> str:
    saver = tf.compat.v1.train.Saver(their_variables(tf, arrays), write_version=write_version)
    path: str = saver.save(None, str(folder / "theirs"), write_meta_graph=False)
    return path


def check_ours(variables: list[ckpt.Variable], arrays: Arrays) -> None:
    for variable, array in zip(variables, arrays.values(), strict=True):
        assert_equal(variable.numpy(), array)


def check_theirs(tf: Any, path: str, arrays: Arrays) -> None:
    """Real TensorFlow's Saver restores each of them."""
    variables = their_variables(tf, {name: blank(array) for name, array in arrays.items()})
    tf.compat.v1.train.Saver(variables).restore(None, path)
    for variable, array in zip(variables, arrays.values(), strict=True):
        assert_equal(variable.numpy(), array)


def test_the_cases_have_every_dtype_that_can_be_saved() -> None:
    dtypes = {from_numpy(array.dtype) for case in CASES.values() for array in case.values()}
    no_arrays = {DataType.RESOURCE, DataType.VARIANT}
    assert dtypes | NO_VARIABLES | no_arrays == set(DataType)


@pytest.mark.parametrize("data_type", sorted(NO_VARIABLES), ids=name_of)
def test_what_tensorflow_has_no_variables_of(tf: Any, data_type: DataType) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="No OpKernel"):
        their_variables(tf, arrays_of(data_type))


def test_ours_have_variables_of_every_dtype(tmp_path: Path) -> None:
    every = {name: array for data_type in NO_VARIABLES for name, array in arrays_of(data_type).items()}
    path = train.Saver(our_variables(every)).save(None, str(tmp_path / "ours"))
    variables = our_blanks(every)
    train.Saver(variables).restore(None, path)
    check_ours(variables, every)


def test_theirs_is_restored_into_our_variables(tf: Any, tmp_path: Path, arrays: Arrays) -> None:
    path = save_theirs(tf, arrays, tmp_path)
    variables = our_blanks(arrays)
    train.Saver(variables).restore(None, path)
    check_ours(variables, arrays)


def test_theirs_of_version_1_is_restored_into_our_variables(tf: Any, tmp_path: Path, v1_arrays: Arrays) -> None:
    path = save_theirs(tf, v1_arrays, tmp_path, write_version=1)
    variables = our_blanks(v1_arrays)
    train.Saver(variables).restore(None, path)
    check_ours(variables, v1_arrays)


def test_theirs_is_restored_into_a_session(tf: Any, tmp_path: Path, arrays: Arrays) -> None:
    path = save_theirs(tf, arrays, tmp_path)
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        variables = our_blanks(arrays)
        train.Saver().restore(session, path)
        for variable, array in zip(variables, arrays.values(), strict=True):
            assert_equal(session.run(variable), array)


def test_ours_is_restored_into_their_variables(tf: Any, tmp_path: Path, arrays: Arrays) -> None:
    path = train.Saver(our_variables(arrays)).save(None, str(tmp_path / "ours"))
    assert path == str(tmp_path / "ours")
    check_theirs(tf, path, arrays)


def test_ours_of_version_1_is_restored_into_their_variables(tf: Any, tmp_path: Path, v1_arrays: Arrays) -> None:
    saver = train.Saver(our_variables(v1_arrays), write_version=train.SaverDef.V1)
    check_theirs(tf, saver.save(None, str(tmp_path / "ours")), v1_arrays)


def test_their_session_restores_ours_by_its_meta_graph(tf: Any, tmp_path: Path, arrays: Arrays) -> None:
    """The graph that we write holds variables of each dtype, and real TensorFlow runs it."""
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        variables = our_variables(arrays)
        for variable, array in zip(variables, arrays.values(), strict=True):
            variable.load(array, session)
        path = train.Saver().save(session, str(tmp_path / "ours"))
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.import_meta_graph(f"{path}.meta")
        saver.restore(session, path)
        found = session.run({variable.op.name: variable for variable in v1.global_variables()})
        again = saver.save(session, str(tmp_path / "again"), write_meta_graph=False)
        for name, array in arrays.items():
            assert_equal(found[name], array)
            if from_numpy(array.dtype) not in HANDLES_ONLY:
                assert_equal(session.run(f"{name}:0"), array)
    check_theirs(tf, again, arrays)


def test_one_saver_of_every_dtype_at_once(tf: Any, tmp_path: Path) -> None:
    every = {name: array for case in CASES.values() for name, array in case.items()}
    path = save_theirs(tf, every, tmp_path)
    variables = our_blanks(every)
    saver = train.Saver(variables)
    saver.restore(None, path)
    check_ours(variables, every)
    check_theirs(tf, saver.save(None, str(tmp_path / "ours")), every)


def cut(array: NDArray[Any], *rows: int) -> dict[int, NDArray[Any]]:
    """Parts of so many rows each, by the first."""
    starts = [sum(rows[:number]) for number in range(len(rows))]
    return {start: array[start : start + count] for start, count in zip(starts, rows, strict=True)}


def set_slices(parts: list[Any], starts: Iterable[int], slice_info: Callable[..., Any]) -> list[Any]:
    """Variables, which are from now on these rows of a matrix `w`."""
    for start, part in zip(starts, parts, strict=True):
        part.save_slice_info = part._save_slice_info = slice_info("w", [4, 6], [start, 0], [part.shape[0], 6])
    return parts


def our_parts(parts: dict[int, NDArray[Any]]) -> list[Any]:
    variables = our_variables({f"w/part_{start}": part for start, part in parts.items()})
    return set_slices(variables, parts, SaveSliceInfo)


@contextmanager
def their_parts(tf: Any, parts: dict[int, NDArray[Any]]) -> Iterator[tuple[Any, Any, list[Any]]]:
    """A session, a saver and the variables; executing eagerly, TensorFlow's saver takes no parts."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [
            v1.Variable(tensor(tf, part), name=f"part_{start}", use_resource=True) for start, part in parts.items()
        ]
        session.run(v1.global_variables_initializer())
        yield session, v1.train.Saver(set_slices(variables, parts, v1.Variable.SaveSliceInfo)), variables


@pytest.mark.parametrize("data_type", [*DTYPES, DataType.STRING], ids=name_of)
def test_their_parts_are_restored_whole_or_cut_otherwise(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    """By value: a graph's constant of int4 has other bits than an eager tensor in the half that doesn't count."""
    array = matrix(data_type)
    with their_parts(tf, cut(array, 1, 3)) as (session, saver, _):
        path = saver.save(session, str(tmp_path / "theirs"), write_meta_graph=False)
    whole = our_blanks({"w": array})
    for variables in (whole, our_parts(cut(blank(array), 1, 3)), our_parts(cut(blank(array), 2, 2))):
        train.Saver(variables).restore(None, path)
        found = np.concatenate([variable.numpy() for variable in variables])
        assert found.dtype == array.dtype
        assert (found == array).all()


@pytest.mark.parametrize("data_type", [*DTYPES, DataType.STRING], ids=name_of)
def test_our_parts_are_restored_by_tensorflow(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    """The same parts always; the whole where it puts slices of that dtype together."""
    array = matrix(data_type)
    path = train.Saver(our_parts(cut(array, 1, 3))).save(None, str(tmp_path / "ours"))
    with their_parts(tf, cut(blank(array), 1, 3)) as (session, saver, variables):
        saver.restore(session, path)
        for found, part in zip(session.run(variables), cut(array, 1, 3).values(), strict=True):
            assert_equal(found, part)
    if data_type in REASSEMBLED:
        check_theirs(tf, path, {"w": array})
    else:
        with pytest.raises(tf.errors.OpError):
            check_theirs(tf, path, {"w": array})


def test_small_floats_keep_every_value(tf: Any, tmp_path: Path) -> None:
    """All that a byte can say, not-a-number with its bits included."""
    every = np.arange(256, dtype=np.uint8)
    arrays = {"e5m2": every.view(ml_dtypes.float8_e5m2), "e4m3fn": every.view(ml_dtypes.float8_e4m3fn)}
    variables = our_blanks(arrays)
    train.Saver(variables).restore(None, save_theirs(tf, arrays, tmp_path))
    check_ours(variables, arrays)
    check_theirs(tf, train.Saver(variables).save(None, str(tmp_path / "ours")), arrays)
