"""Sharded savers: a file for each device, in one atomic commit where the format allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import InvalidArgumentError, UnsupportedOperationError
from cloudckpt.saver.devices import group_by_device
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.partitions.partitioners import fixed_size_partitioner
from cloudckpt.variables.scopes.get_variable import get_variable
from cloudckpt.variables.variable import Variable
from tests.saver.graphs import files, stored, variable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEVICES = ["", "/cpu:0", "/job:ps/task:1", "/job:ps/task:0/cpu:0", "/job:worker"]
ORDER = ["", "/device:CPU:0", "/job:ps/task:0/device:CPU:0", "/job:ps/task:1", "/job:worker"]
"""Canonical, ascending."""


def on_devices(devices: Sequence[str], value: Any = 0.0) -> list[Variable]:
    return [variable(f"w{number}", value, device=device) for number, device in enumerate(devices)]


def saveable(name: str, *devices: str) -> SaveableObject:
    specs = [SaveSpec(np.zeros(2), "", f"{name}{number}", device=device) for number, device in enumerate(devices)]
    return SaveableObject(None, specs, name)


def test_a_group_for_each_device_in_the_order_of_their_names() -> None:
    groups = group_by_device([saveable(str(number), device) for number, device in enumerate(DEVICES)])
    assert [*groups] == ORDER


def test_one_device_may_be_written_in_several_ways() -> None:
    groups = group_by_device([saveable(device, device) for device in ("/cpu:0", "/CPU:0", "/device:CPU:0")])
    assert [*groups] == ["/device:CPU:0"]
    assert len(groups["/device:CPU:0"]) == 3


def test_all_tensors_of_a_saveable_object_must_be_on_one_device(tmp_path: Path) -> None:
    saver = Saver([saveable("pair", "/cpu:0", "/cpu:1")], sharded=True)
    with pytest.raises(InvalidArgumentError, match="on one device, those of 'pair'"):
        saver.save(None, tmp_path / "model")


def test_v2_has_a_data_file_for_each_device(tmp_path: Path) -> None:
    saver = Saver(on_devices(DEVICES), sharded=True)
    assert saver.save(None, tmp_path / "model") == str(tmp_path / "model")
    assert files(tmp_path) == [
        "checkpoint",
        *[f"model.data-{number:05d}-of-00005" for number in range(5)],
        "model.index",
    ]


def test_v1_has_a_file_for_each_device(tmp_path: Path) -> None:
    saver = Saver(on_devices(DEVICES), sharded=True, write_version=SaverDef.V1)
    path = saver.save(None, tmp_path / "model", global_step=3)
    assert path == f"{tmp_path}/model-3-?????-of-00005"
    assert files(tmp_path) == ["checkpoint", *[f"model-3-{number:05d}-of-00005" for number in range(5)]]
    assert saver.last_checkpoints == [path]


def test_one_device_is_one_shard(tmp_path: Path) -> None:
    assert Saver([variable("w")], sharded=True).save(None, tmp_path / "two") == f"{tmp_path}/two"
    one = Saver([variable("w")], sharded=True, write_version=SaverDef.V1).save(None, tmp_path / "one")
    assert one == f"{tmp_path}/one-?????-of-00001"
    assert "two.data-00000-of-00001" in files(tmp_path)


def test_parts_of_one_variable_on_several_devices(tmp_path: Path) -> None:
    value = np.arange(12, dtype=np.float32).reshape(4, 3)
    with Graph().as_default() as graph:
        numbers = iter(range(2))
        graph_device = graph.device(lambda operation: f"/device:CPU:{next(numbers)}" if is_variable(operation) else "")
        with graph_device:
            parts = [*get_variable("w", [4, 3], partitioner=fixed_size_partitioner(2))]
        assert len({part.device for part in parts}) == 2
        for version in (SaverDef.V1, SaverDef.V2):
            saver = Saver(sharded=True, write_version=version)
            path = saver.save({"w": value}, tmp_path / f"model{version}")
            with open_prefix(path, None) as prefix:
                checkpoint = open_checkpoint(prefix)
                np.testing.assert_array_equal(checkpoint.read_named(["w"])["w"], value)
                assert len(checkpoint.tensors["w"].slices) == 2


def is_variable(operation: Any) -> bool:
    return operation.type == "VariableV2"


def test_an_existing_v2_checkpoint_is_replaced_in_one_step(tmp_path: Path) -> None:
    variables = on_devices(["/cpu:0", "/cpu:1"])
    saver = Saver(variables, sharded=True)
    for value in (1.0, 2.0):
        for each in variables:
            each.assign(value)
        saver.save(None, tmp_path / "model")
    assert stored(tmp_path / "model") == {"w0": 2.0, "w1": 2.0}
    assert len(files(tmp_path)) == 4


def test_existing_v1_shards_are_not_replaced(tmp_path: Path) -> None:
    variables = on_devices(["/cpu:0", "/cpu:1"], 1.0)
    path = Saver(variables, sharded=True, write_version=SaverDef.V1).save(None, tmp_path / "model")
    for each in variables:
        each.assign(2.0)
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite"):
        Saver(variables, sharded=True, write_version=SaverDef.V1).save(None, tmp_path / "model")
    assert path is not None
    assert stored(path) == {"w0": 1.0, "w1": 1.0}
    saver = Saver(variables, sharded=True, write_version=SaverDef.V1, unsafe_overwrite=True)
    assert saver.save(None, tmp_path / "model") == path
    assert stored(path) == {"w0": 2.0, "w1": 2.0}


def test_a_v1_shard_that_can_not_be_written_takes_the_others_along(tmp_path: Path) -> None:
    good = variable("a", device="/cpu:0")
    bad = Variable(np.zeros(2, ml_dtypes.bfloat16), name="b", device="/cpu:1")
    saver = Saver([good, bad], sharded=True, write_version=SaverDef.V1)
    with pytest.raises(InvalidArgumentError, match="'b'"):
        saver.save(None, tmp_path / "model")
    assert files(tmp_path) == []
    assert saver.last_checkpoints == []


def test_two_tensors_of_one_name_on_two_devices(tmp_path: Path) -> None:
    one, other = saveable("a", "/cpu:0"), saveable("b", "/cpu:1")
    saver = Saver([one, other], sharded=True)
    other.specs[0].name = one.specs[0].name
    with pytest.raises(ValueError, match="the same name: 'a0'"):
        saver.save(None, tmp_path / "model")
    assert files(tmp_path) == []


def test_slices_that_overlap_over_two_shards_are_refused(tmp_path: Path) -> None:
    specs = [SaveSpec(np.zeros((2, 2)), f"3 2 {start},2:-", "w", device=f"/cpu:{start}") for start in (0, 1)]
    objects = [SaveableObject(None, [spec], f"part{number}") for number, spec in enumerate(specs)]
    with pytest.raises(InvalidArgumentError, match="overlap"):
        Saver(objects, sharded=True).save(None, tmp_path / "model")
    assert files(tmp_path) == []


def test_a_shard_without_tensors_has_no_file(tmp_path: Path) -> None:
    gone = SaveableObject(None, [SaveSpec(lambda: None, "", "gone", np.int32, "/cpu:1")], "gone")

    Saver([variable("w", 3.0, device="/cpu:0"), gone], sharded=True).save(None, tmp_path / "model")
    assert files(tmp_path) == ["checkpoint", "model.data-00000-of-00001", "model.index"]
    assert stored(tmp_path / "model") == {"w": 3.0}


@pytest.mark.parametrize("version", [SaverDef.V1, SaverDef.V2])
def test_all_files_of_what_drops_out_of_the_list_go(tmp_path: Path, version: int) -> None:
    saver = Saver(on_devices(["/cpu:0", "/cpu:1"]), sharded=True, write_version=version, max_to_keep=1)
    for step in (1, 2):
        saver.save(None, f"{tmp_path}/model", global_step=step)
    assert {name.split(".")[0][:7] for name in files(tmp_path) if name != "checkpoint"} == {"model-2"}
