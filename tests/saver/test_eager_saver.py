"""The saver of eager execution: its arguments, what it writes, what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.eager import Saver
from cloudckpt.errors import StorageTimeoutError, TensorNotFoundError, UnsupportedOperationError
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.location import Location

if TYPE_CHECKING:
    from pathlib import Path


class Tensor:
    """A tensor as other frameworks have them: no integer, but an array that holds one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype)


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "ckpt")


def variables(*values: float) -> list[ckpt.Variable]:
    return [ckpt.Variable(value, name=name) for name, value in zip("ab", values, strict=True)]


def names(prefix: str) -> list[str]:
    return [name for name, _ in train.list_variables(prefix)]


def test_var_list_as_list(prefix: str) -> None:
    saved, restored = variables(1.0, 2.0), variables(0.0, 0.0)
    path = Saver(saved).save(prefix)
    assert path == prefix
    assert names(path) == ["a", "b"]
    Saver(restored).restore(path)
    assert [float(variable) for variable in restored] == [1.0, 2.0]


def test_var_list_as_dict(prefix: str) -> None:
    (a, b) = variables(1.0, 2.0)
    assert names(Saver({"x": a, "y/z": b}).save(prefix)) == ["x", "y/z"]
    Saver({"y/z": a}).restore(prefix)
    assert [float(a), float(b)] == [2.0, 2.0]


def test_var_list_none_is_a_runtime_error() -> None:
    with pytest.raises(RuntimeError):
        Saver(None)  # type: ignore[arg-type] - what is tested


@pytest.mark.parametrize("var_list", [[3], ["w"], 5, {"w": object()}, {3: np.zeros(2)}], ids=repr)
def test_var_list_of_what_can_not_be_saved_is_a_type_error(prefix: str, var_list: Any) -> None:
    """When it is looked at, as in TensorFlow: until then a list may still be filled."""
    with pytest.raises(TypeError):
        Saver(var_list).save(prefix)


def test_var_list_with_a_name_twice_is_a_value_error(prefix: str) -> None:
    """Executing eagerly names are not made unique, as in TensorFlow."""
    with pytest.raises(ValueError, match="w"):
        Saver([ckpt.Variable(1, name="w"), ckpt.Variable(2, name="w")]).save(prefix)


def test_var_list_with_a_variable_twice_is_a_value_error(prefix: str) -> None:
    (a, _) = variables(1.0, 2.0)
    with pytest.raises(ValueError, match="twice"):
        Saver({"x": a, "y": a}).save(prefix)


def test_var_list_that_is_empty_is_a_value_error(prefix: str) -> None:
    with pytest.raises(ValueError, match="variables"):
        Saver([]).save(prefix)


def test_made_in_a_graph_is_a_runtime_error() -> None:
    (a, _) = variables(1.0, 2.0)
    with ckpt.Graph().as_default(), pytest.raises(RuntimeError, match=r"cloudckpt\.train\.Saver"):
        Saver([a])


@pytest.mark.parametrize("call", ["save", "restore"])
def test_used_in_a_graph_is_a_runtime_error(prefix: str, call: str) -> None:
    """Also TensorFlow's, which was not built there."""
    saver = Saver(variables(1.0, 2.0))
    saver.save(prefix)
    with ckpt.Graph().as_default(), pytest.raises(RuntimeError):
        getattr(saver, call)(prefix)


@pytest.mark.parametrize(
    "step",
    [7, np.int64(7), np.array(7), ckpt.Variable(7, name="global_step"), Tensor(7)],
    ids=lambda step: type(step).__name__,
)
def test_global_step(prefix: str, step: Any) -> None:
    saver = Saver(variables(1.0, 2.0))
    assert saver.save(prefix, global_step=step) == f"{prefix}-7"
    assert saver.save(prefix, step) == f"{prefix}-7"
    assert names(f"{prefix}-7") == ["a", "b"]


def test_global_step_0_is_appended(prefix: str) -> None:
    assert Saver(variables(1.0, 2.0)).save(prefix, 0) == f"{prefix}-0"


@pytest.mark.parametrize("step", ["7", np.zeros(2, int), object()], ids=lambda step: type(step).__name__)
def test_global_step_that_is_no_number(prefix: str, step: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Saver(variables(1.0, 2.0)).save(prefix, step)


def test_no_meta_graph_is_written(prefix: str, tmp_path: Path) -> None:
    Saver(variables(1.0, 2.0)).save(prefix, 3)
    found = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert found == ["checkpoint", "ckpt-3.data-00000-of-00001", "ckpt-3.index"]


def test_the_last_5_are_kept_and_named_in_the_state(prefix: str, tmp_path: Path) -> None:
    saver = Saver(variables(1.0, 2.0))
    for step in range(8):
        saver.save(prefix, step)
    kept = sorted(path.name for path in (tmp_path / "run").glob("*.index"))
    assert kept == [f"ckpt-{step}.index" for step in range(3, 8)]
    assert train.latest_checkpoint(str(tmp_path / "run")) == f"{prefix}-7"


def test_restore_none_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="None"):
        Saver(variables(1.0, 2.0)).restore(None)  # type: ignore[arg-type] - what is tested


def test_restore_of_what_is_no_checkpoint_is_a_value_error(prefix: str) -> None:
    with pytest.raises(ValueError, match="ckpt"):
        Saver(variables(1.0, 2.0)).restore(prefix)


def test_restore_of_a_name_that_is_not_there(prefix: str) -> None:
    (a, b) = variables(1.0, 2.0)
    Saver([a]).save(prefix)
    with pytest.raises(TensorNotFoundError, match="'b'"):
        Saver([a, b]).restore(prefix)


def test_restore_changes_nothing_when_it_fails(prefix: str) -> None:
    (a, b) = variables(1.0, 2.0)
    Saver([a]).save(prefix)
    a.assign(5.0)
    with pytest.raises(TensorNotFoundError):
        Saver([a, b]).restore(prefix)
    assert [float(a), float(b)] == [5.0, 2.0]


def test_arrays_in_a_dict_are_restored_in_place(prefix: str) -> None:
    array = np.arange(6.0).reshape(2, 3)
    saver = Saver({"w": array})
    saver.save(prefix)
    expected, array[...] = array.copy(), 0
    saver.restore(prefix)
    assert (array == expected).all()


def test_storage_options(bucket_url: str, object_server: Any) -> None:
    saved, restored = variables(1.0, 2.0), variables(0.0, 0.0)
    path = Saver(saved, storage_options=object_server.storage_options).save(f"{bucket_url}/ckpt", 3)
    assert path == f"{bucket_url}/ckpt-3"
    Saver(restored, storage_options=object_server.storage_options).restore(path)
    assert [float(variable) for variable in restored] == [1.0, 2.0]
    assert ckpt.latest_checkpoint(bucket_url, storage_options=object_server.storage_options) == path


def test_timeout(prefix: str) -> None:
    with pytest.raises(ValueError, match="timeout must be None or more than 0 seconds"):
        Saver(variables(1.0, 2.0), timeout=0)
    with pytest.raises(StorageTimeoutError):
        Saver(variables(1.0, 2.0), timeout=1e-9).save(prefix)
    assert Saver(variables(1.0, 2.0), timeout=60).save(prefix) == prefix


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
def test_unsafe_overwrite(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    def opened(path: str, _: Any) -> Location:
        return Location(FilesystemStore(LocalFileSystem()), path)  # fsspec can't tell two writers apart

    monkeypatch.setattr("cloudckpt.saver.saver.open_prefix", opened)
    Saver(variables(1.0, 2.0)).save(prefix)
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite"):
        Saver(variables(3.0, 4.0)).save(prefix)
    assert Saver(variables(3.0, 4.0), unsafe_overwrite=True).save(prefix) == prefix
