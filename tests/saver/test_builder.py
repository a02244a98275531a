"""Builders: what their methods get and return, and savers that do something on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import raw_ops
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError
from cloudckpt.saver.builder import BaseSaverBuilder, BulkSaverBuilder
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec, VariableSaveable
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.variables.sessions.session import Session
from tests.saver.graphs import files, session_with, stored, variable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def halved(saveable: SaveableObject) -> SaveableObject:
    """The same tensors in half the precision."""
    specs = [
        SaveSpec(lambda spec=spec: spec.tensor.astype(np.float16), spec.slice_spec, spec.name, np.float16, spec.device)
        for spec in saveable.specs
    ]
    return SaveableObject(saveable.op, specs, saveable.name)


class HalfBuilder(BaseSaverBuilder):
    """Halves on disk, floats in memory."""

    def save_op(self, filename_tensor: str, saveables: Sequence[SaveableObject]) -> Any:
        return super().save_op(filename_tensor, [halved(each) for each in saveables])

    def restore_op(self, filename_tensor: str, saveable: SaveableObject, preferred_shard: int) -> list[NDArray[Any]]:
        arrays = super().restore_op(filename_tensor, halved(saveable), preferred_shard)
        return [array.astype(np.float32) for array in arrays]


def dtypes(path: Path) -> dict[str, str]:
    with open_prefix(path, None) as prefix:
        checkpoint = open_checkpoint(prefix)
        return {name: str(array.dtype) for name, array in checkpoint.read_named(checkpoint.tensors).items()}


@pytest.mark.parametrize("sequentially", [False, True])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_saver_of_mixed_precision(tmp_path: Path, sequentially: bool, sharded: bool) -> None:
    values = {"w": np.array([1.0, 2.5], np.float32), "b": np.array(3.0, np.float32)}
    with session_with(**values) as (session, variables):
        saver = Saver(builder=HalfBuilder(), restore_sequentially=sequentially, sharded=sharded)
        saver.save(session, tmp_path / "model")
        fresh = Session()
        saver.restore(fresh, tmp_path / "model")
        np.testing.assert_equal({name: fresh.run(each) for name, each in variables.items()}, values)
    assert dtypes(tmp_path / "model") == {"w": "float16", "b": "float16"}


class Recording(BaseSaverBuilder):
    """Keeps what its methods are called with."""

    def __init__(self, write_version: int = SaverDef.V2) -> None:
        super().__init__(write_version)
        self.calls: list[Any] = []

    def save_op(self, filename_tensor: str, saveables: Sequence[SaveableObject]) -> Any:
        tensors = [(type(each), spec.tensor.tolist()) for each in saveables for spec in each.specs]
        self.calls.append(("save", str(filename_tensor), tensors))
        return super().save_op(filename_tensor, saveables)

    def bulk_restore(
        self,
        filename_tensor: str,
        saveables: Sequence[SaveableObject],
        preferred_shard: int,
        restore_sequentially: bool,
    ) -> list[NDArray[Any]]:
        self.calls.append(("restore", str(filename_tensor), len(saveables), preferred_shard, restore_sequentially))
        return super().bulk_restore(filename_tensor, saveables, preferred_shard, restore_sequentially)

    def sharded_filename(self, filename_tensor: str, shard: int, num_shards: int) -> str:
        self.calls.append(("file", filename_tensor, shard, num_shards))
        return super().sharded_filename(filename_tensor, shard, num_shards)


def test_methods_are_called_when_a_save_or_a_restore_runs(tmp_path: Path) -> None:
    builder = Recording()
    with session_with(w=[1.0, 2.0], b=3.0) as (session, _):
        saver = Saver(builder=builder)
        assert builder.calls == []
        saver.save(session, f"{tmp_path}/model")
        saver.restore(session, f"{tmp_path}/model")
    assert builder.calls == [
        ("save", f"{tmp_path}/model", [(VariableSaveable, 3.0), (VariableSaveable, [1.0, 2.0])]),
        ("restore", f"{tmp_path}/model", 2, -1, False),
    ]


def test_sequential_restores_come_one_saveable_at_a_time(tmp_path: Path) -> None:
    builder = Recording()
    variables = [variable("a"), variable("b")]
    saver = Saver(variables, builder=builder, restore_sequentially=True)
    saver.save(None, f"{tmp_path}/model")
    saver.restore(None, f"{tmp_path}/model")
    assert builder.calls[1:] == [("restore", f"{tmp_path}/model", 1, -1, True)] * 2


def test_the_files_of_v1_shards_are_named_by_the_builder(tmp_path: Path) -> None:
    builder = Recording(SaverDef.V1)
    variables = [variable("a", device="/cpu:0"), variable("b", device="/cpu:1")]
    Saver(variables, builder=builder, sharded=True).save(None, f"{tmp_path}/model")
    assert [call for call in builder.calls if call[0] == "file"] == [
        ("file", f"{tmp_path}/model", n, 2) for n in (0, 1)
    ]
    assert [call[1] for call in builder.calls if call[0] == "save"] == [
        f"{tmp_path}/model-00000-of-00002",
        f"{tmp_path}/model-00001-of-00002",
    ]


class Writing(BaseSaverBuilder):
    """Writes the file by the raw operation, as builders of TensorFlow do."""

    def save_op(self, filename_tensor: str, saveables: Sequence[SaveableObject]) -> Any:
        specs = [spec for each in saveables for spec in each.specs]
        raw_ops.SaveV2(
            prefix=filename_tensor,
            tensor_names=[f"mine/{spec.name}" for spec in specs],
            shape_and_slices=[spec.slice_spec for spec in specs],
            tensors=[spec.tensor for spec in specs],
        )

    def restore_op(self, filename_tensor: str, saveable: SaveableObject, preferred_shard: int) -> list[NDArray[Any]]:
        (spec,) = saveable.specs
        return raw_ops.RestoreV2(
            prefix=filename_tensor,
            tensor_names=[f"mine/{spec.name}"],
            shape_and_slices=[spec.slice_spec],
            dtypes=[spec.dtype],
        )


def test_a_builder_may_write_and_read_the_file_itself(tmp_path: Path) -> None:
    w = variable("w", [1.0, 2.0])
    saver = Saver([w], builder=Writing(), max_to_keep=1)
    for step in (1, 2):
        path = saver.save(None, f"{tmp_path}/model", global_step=step)
    assert stored(f"{tmp_path}/model-2") == {"mine/w": [1.0, 2.0]}
    assert files(tmp_path) == ["checkpoint", "model-2.data-00000-of-00001", "model-2.index"]
    w.assign([0.0, 0.0])
    saver.restore(None, path)
    assert w.numpy().tolist() == [1.0, 2.0]


def test_a_builder_of_a_sharded_saver_must_return_the_tensors(tmp_path: Path) -> None:
    variables = [variable("a", device="/cpu:0"), variable("b", device="/cpu:1")]
    with pytest.raises(TypeError, match="must return the tensors"):
        Saver(variables, builder=Writing(), sharded=True).save(None, tmp_path / "model")


class Wrong(BaseSaverBuilder):
    """Reads something else than what was asked for."""

    def __init__(self, *arrays: Any) -> None:
        super().__init__()
        self.arrays = [*arrays]

    def bulk_restore(
        self,
        filename_tensor: str,
        saveables: Sequence[SaveableObject],
        preferred_shard: int,
        restore_sequentially: bool,
    ) -> list[NDArray[Any]]:
        return self.arrays


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ([], "returned 0 tensors"),
        ([np.zeros(2, np.float32)] * 2, "returned 2 tensors"),
        ([np.zeros(2)], "'w'.*float64.*float32"),
        ([np.zeros(3, np.float32)], r"'w'.*\(3,\).*\(2,\)"),
    ],
)
def test_what_a_builder_returns_is_checked_before_it_is_assigned(tmp_path: Path, arrays: list[Any], found: str) -> None:
    w = variable("w", [1.0, 2.0])
    Saver([w]).save(None, tmp_path / "model")
    with pytest.raises(InvalidArgumentError, match=found):
        Saver([w], builder=Wrong(*arrays)).restore(None, tmp_path / "model")
    assert w.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("builder", [BaseSaverBuilder, BulkSaverBuilder])
def test_methods_work_by_themselves(tmp_path: Path, builder: type[BaseSaverBuilder]) -> None:
    w = variable("w", [1.0, 2.0])
    Saver([w]).save(None, tmp_path / "model")
    saveable = VariableSaveable(w, "", "w")
    (found,) = builder().bulk_restore(f"{tmp_path}/model", [saveable], -1, restore_sequentially=False)
    assert found.tolist() == [1.0, 2.0]
    with pytest.raises(TensorNotFoundError):
        builder().restore_op(f"{tmp_path}/model", VariableSaveable(w, "", "x"), -1)
    assert builder().sharded_filename("model", 1, 3) == "model-00001-of-00003"


def test_the_names_that_tensorflows_builders_have() -> None:
    assert BaseSaverBuilder.SaveSpec is SaveSpec
    assert BaseSaverBuilder.SaveableObject is SaveableObject
    assert BaseSaverBuilder.VariableSaveable is BulkSaverBuilder.ResourceVariableSaveable is VariableSaveable
    assert BulkSaverBuilder(SaverDef.V1).write_version == SaverDef.V1


def test_the_builder_says_the_format(tmp_path: Path) -> None:
    Saver([variable("w")], builder=BulkSaverBuilder(SaverDef.V1)).save(None, tmp_path / "model")
    assert files(tmp_path) == ["checkpoint", "model"]
