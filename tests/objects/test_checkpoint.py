"""`Checkpoint`: what it takes, where it saves, and what it refuses."""

from __future__ import annotations

import uuid
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from cloudckpt import train
from cloudckpt.checkpoint.commit import SavedCheckpoint, save_tensors
from cloudckpt.errors import (
    CheckpointNotFoundError,
    CheckpointPathError,
    InvalidArgumentError,
    StorageTimeoutError,
    StructureError,
    UnsupportedOperationError,
)
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.location import Location
from cloudckpt.train import Checkpoint, CheckpointOptions
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDCKPT_FSYNC", "0")


def test_saves_are_numbered_and_named_in_the_state(tmp_path: Path) -> None:
    v = Variable(1.0)
    checkpoint = Checkpoint(v=v)
    prefix = str(tmp_path / "run" / "ckpt")
    assert checkpoint.save(prefix) == f"{prefix}-1"
    assert checkpoint.save(prefix) == f"{prefix}-2"
    assert train.latest_checkpoint(tmp_path / "run") == f"{prefix}-2"
    assert train.get_checkpoint_state(tmp_path / "run").all_model_checkpoint_paths == [f"{prefix}-2"]
    assert checkpoint.write(prefix) == prefix
    assert train.latest_checkpoint(tmp_path / "run") == f"{prefix}-2"
    restarted = Checkpoint(v=Variable(0.0))
    restarted.restore(f"{prefix}-2").assert_consumed()
    assert restarted.save(prefix) == f"{prefix}-3"


@pytest.mark.parametrize("make", [str, lambda path: path, lambda path: str(path).encode()])
def test_paths_of_all_kinds(tmp_path: Path, make: Any) -> None:
    path = Checkpoint(v=Variable(1.0)).save(make(tmp_path / "ckpt"))
    assert path == str(tmp_path / "ckpt-1")
    Checkpoint(v=Variable(0.0)).restore(make(tmp_path / "ckpt-1")).assert_consumed()


def test_any_store() -> None:
    prefix = f"memory://{uuid.uuid4().hex}/run/ckpt"
    path = Checkpoint(v=Variable(1.0)).save(prefix, timeout=60)
    assert train.latest_checkpoint(prefix.removesuffix("/ckpt")) == path
    v = Variable(0.0)
    Checkpoint(v=v).restore(path, timeout=60).assert_consumed()
    assert v.numpy() == 1.0


def test_options_of_the_store_and_the_time_limit(tmp_path: Path) -> None:
    checkpoint = Checkpoint(v=Variable(1.0))
    with pytest.raises(InvalidArgumentError, match="part_size"):
        checkpoint.write(tmp_path / "ckpt", storage_options={"part_size": 0})
    path = checkpoint.write(tmp_path / "ckpt", storage_options={"fsync": False})
    with pytest.raises(InvalidArgumentError, match="part_size"):
        checkpoint.restore(path, storage_options={"part_size": 0})
    with pytest.raises(StorageTimeoutError):
        checkpoint.write(f"memory://{uuid.uuid4().hex}/ckpt", timeout=1e-9)


def test_a_checkpoint_within_a_checkpoint(tmp_path: Path) -> None:
    inner = Checkpoint(v=Variable(1.0))
    path = Checkpoint(inner=inner).save(tmp_path / "ckpt")
    v = Variable(0.0)
    Checkpoint(inner=Checkpoint(v=v)).restore(path).assert_consumed()
    assert v.numpy() == 1.0


def test_a_weak_reference_keeps_no_root_alive(tmp_path: Path) -> None:
    root = Module()
    root.v = Variable(1.0)
    checkpoint = Checkpoint(weakref.ref(root), extra=Variable(2.0))
    path = checkpoint.save(tmp_path / "ckpt")
    root.v.assign(0.0)
    checkpoint.restore(path).assert_consumed()
    assert root.v.numpy() == 1.0
    gone = weakref.ref(root)
    del root
    assert gone() is None
    with pytest.raises(InvalidArgumentError, match="root is no object"):
        checkpoint.save(tmp_path / "ckpt")


def test_what_is_no_object() -> None:
    with pytest.raises(InvalidArgumentError, match=r"step is no object .* but 3: pass a variable"):
        Checkpoint(step=3)
    with pytest.raises(InvalidArgumentError, match="root is no object"):
        Checkpoint({"a": Variable(1.0)})
    root = Module()
    root.v = Variable(1.0)
    with pytest.raises(InvalidArgumentError, match="v= is another object than the root's own attribute 'v'"):
        Checkpoint(root, v=Variable(1.0))
    Checkpoint(root, v=root.v)


def test_lists_that_were_rearranged_are_not_saved(tmp_path: Path) -> None:
    checkpoint = Checkpoint(all=[Variable(1.0), Variable(2.0)])
    checkpoint.all.reverse()
    with pytest.raises(StructureError, match="list"):
        checkpoint.write(tmp_path / "ckpt")
    assert [*tmp_path.iterdir()] == []


def test_paths_that_are_none(tmp_path: Path) -> None:
    checkpoint = Checkpoint(v=Variable(1.0))
    path = checkpoint.save(tmp_path / "ckpt")
    with pytest.raises(CheckpointNotFoundError, match="Check the path"):
        checkpoint.restore(tmp_path / "ckpt")
    with pytest.raises(CheckpointPathError, match=r"pass its prefix, '.*/ckpt-1'"):
        checkpoint.restore(f"{path}.index")
    with pytest.raises(CheckpointNotFoundError, match="It is a directory of checkpoints"):
        checkpoint.restore(tmp_path)
    with pytest.raises(CheckpointPathError, match="is a folder"):
        checkpoint.restore(f"{tmp_path}/")


@pytest.mark.parametrize("model_file", ["saved_model.pb", "saved_model.pbtxt"])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_saved_model_is_restored_by_its_folder(tmp_path: Path, model_file: str, end: str) -> None:
    (tmp_path / "model" / "variables").mkdir(parents=True)
    (tmp_path / "model" / model_file).touch()
    Checkpoint(v=Variable(1.0)).write(tmp_path / "model" / "variables" / "variables")
    v = Variable(0.0)
    Checkpoint(v=v).restore(f"{tmp_path / 'model'}{end}")
    assert v.numpy() == 1.0
    with pytest.raises((CheckpointNotFoundError, CheckpointPathError)):
        Checkpoint(v=v).read(f"{tmp_path / 'model'}{end}")


def test_graphs_are_for_savers(tmp_path: Path) -> None:
    checkpoint = Checkpoint(v=Variable(1.0))
    path = checkpoint.save(tmp_path / "ckpt")
    with Graph().as_default():
        for call in (checkpoint.save, checkpoint.write, checkpoint.read, checkpoint.restore):
            with pytest.raises(RuntimeError, match="a Saver for a graph's variables"):
                call(path)
    assert checkpoint.save_counter.numpy() == 1


def test_a_save_that_fails_changes_nothing_but_the_counter(tmp_path: Path) -> None:
    checkpoint = Checkpoint(v=Variable(1.0))
    path = checkpoint.save(tmp_path / "ckpt")
    checkpoint.v = Variable(2.0)
    checkpoint.broken = [Variable(0.0), Variable(1.0)]
    checkpoint.broken.reverse()
    with pytest.raises(StructureError):
        checkpoint.save(tmp_path / "ckpt")
    assert train.latest_checkpoint(tmp_path) == path
    assert checkpoint.save_counter.numpy() == 2


def test_options(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []
    options = CheckpointOptions(
        experimental_io_device="/job:localhost",
        experimental_write_callbacks=[lambda: called.append(None), called.append],
        enable_async=True,
    )
    assert options.experimental_enable_async_checkpoint
    checkpoint = Checkpoint(v=Variable(1.0))
    path = checkpoint.save(tmp_path / "ckpt", options)
    assert called == [None, path]
    assert "saved before the call returned, though enable_async is set" in caplog.text
    checkpoint.sync()
    with pytest.raises(InvalidArgumentError, match="experimental_sharding_callback"):
        CheckpointOptions(experimental_sharding_callback=print)
    foreign = SimpleNamespace(experimental_write_callbacks=[called.append], enable_async=False)
    checkpoint.write(tmp_path / "other", foreign)
    assert called[-1] == str(tmp_path / "other")


def test_a_callback_that_fails_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    def refuse() -> None:
        raise RuntimeError("no")

    checkpoint = Checkpoint(v=Variable(1.0))
    with pytest.raises(RuntimeError, match="no"):
        checkpoint.save(tmp_path / "ckpt", CheckpointOptions(experimental_write_callbacks=[refuse]))
    assert train.latest_checkpoint(tmp_path) is None
    Checkpoint(v=Variable(0.0)).restore(tmp_path / "ckpt-1").assert_consumed()


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
def test_unsafe_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: str, _options: Any) -> Location:
        return Location(FilesystemStore(DirFileSystem(path=str(tmp_path), fs=LocalFileSystem())), path)

    monkeypatch.setattr("cloudckpt.objects.checkpoint.open_prefix", opened)
    checkpoint = Checkpoint(v=Variable(1.0))
    checkpoint.write("ckpt")
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite"):
        checkpoint.write("ckpt")
    checkpoint.v.assign(2.0)
    checkpoint.write("ckpt", unsafe_overwrite=True)
    checkpoint.v.assign(0.0)
    checkpoint.restore(tmp_path / "ckpt")
    assert checkpoint.v.numpy() == 2.0


def test_variables_arrays_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    v = Variable(np.arange(1000.0))
    saved: dict[str, Any] = {}

    def save(prefix: Location, tensors: dict[str, Any], **options: Any) -> SavedCheckpoint:
        saved.update(tensors)
        return save_tensors(prefix, tensors, **options)

    monkeypatch.setattr("cloudckpt.objects.checkpoint.save_tensors", save)
    Checkpoint(v=v).write(tmp_path / "ckpt")
    assert saved["v/.ATTRIBUTES/VARIABLE_VALUE"] is v.own_value


def test_ten_thousand_variables(tmp_path: Path) -> None:
    def tree() -> Module:
        root = Module()
        root.layers = [Module() for _ in range(1000)]
        for layer in root.layers:
            for number in range(10):
                setattr(layer, f"w{number}", Variable(0.0))
        return root

    saved = tree()
    for number, layer in enumerate(saved.layers):
        layer.w3.assign(float(number))
    path = Checkpoint(saved).save(tmp_path / "ckpt")
    now, later = tree(), Module()
    Checkpoint(now).restore(path).assert_consumed()
    assert [layer.w3.numpy() for layer in now.layers] == [*range(1000)]
    status = Checkpoint(later).restore(path)
    later.layers = tree().layers
    status.assert_consumed()
    assert [layer.w3.numpy() for layer in later.layers] == [*range(1000)]
