"""Our protos beside TensorFlow's: the same names and numbers, and both in one process."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

from cloudckpt.descriptors import message_class

# Where TensorFlow keeps the messages that are ours too.
MODULES = {
    "tensorflow.core.protobuf.tensor_bundle_pb2": ("BundleHeaderProto", "BundleEntryProto"),
    "tensorflow.core.framework.tensor_shape_pb2": ("TensorShapeProto",),
    "tensorflow.core.framework.tensor_slice_pb2": ("TensorSliceProto",),
    "tensorflow.core.framework.versions_pb2": ("VersionDef",),
    "tensorflow.core.protobuf.saver_pb2": ("SaverDef",),
    "tensorflow.python.training.checkpoint_state_pb2": ("CheckpointState",),
}
PLACES = [(name, module) for module, names in MODULES.items() for name in names]

BOTH_SIDES = """
from cloudckpt.bundle.entry import BundleEntry
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto
ours = BundleEntry(1, (2, 3), 0, 0, 24, 0x12345678)
theirs = BundleEntryProto.FromString(ours.encode())
assert [dim.size for dim in theirs.shape.dim] == [2, 3]
assert BundleEntry.decode(theirs.SerializeToString(), path="p", name="n", num_shards=1) == ours
"""


def definition(descriptor: Any) -> Any:
    """A message or enum as written."""
    proto: Any = DescriptorProto() if hasattr(descriptor, "fields") else EnumDescriptorProto()
    descriptor.CopyToProto(proto)
    clear_json_names(proto)
    return proto


def clear_json_names(proto: Any) -> None:
    """They follow from the names, and protoc adds them to descriptor sets only."""
    for field in getattr(proto, "field", ()):
        field.ClearField("json_name")
    for nested in getattr(proto, "nested_type", ()):
        clear_json_names(nested)


@pytest.mark.parametrize(("name", "module"), PLACES)
def test_messages_have_tensorflows_names_numbers_types_and_labels(tf: Any, name: str, module: str) -> None:
    theirs = getattr(importlib.import_module(module), name).DESCRIPTOR
    assert definition(message_class(f"tensorflow.{name}").DESCRIPTOR) == definition(theirs)


def test_every_message_of_ours_is_compared() -> None:
    pool = message_class("tensorflow.SaverDef").DESCRIPTOR.file.pool
    files = ["tensor_bundle", "tensor_shape", "tensor_slice", "versions", "saver", "checkpoint_state", "types"]
    ours = {name for file in files for name in pool.FindFileByName(f"{file}.proto").message_types_by_name}
    assert ours == {name for name, _ in PLACES}


def test_dtypes_have_tensorflows_names_and_numbers(tf: Any) -> None:
    ours = message_class("tensorflow.BundleEntryProto").DESCRIPTOR.fields_by_name["dtype"].enum_type
    theirs = importlib.import_module("tensorflow.core.framework.types_pb2").DataType.DESCRIPTOR
    assert definition(ours) == definition(theirs)


@pytest.mark.parametrize(
    "imports", ["import tensorflow, cloudckpt", "import cloudckpt, cloudckpt.bundle.entry, tensorflow"]
)
def test_both_work_in_one_process_in_either_order(tf: Any, imports: str) -> None:
    command = [sys.executable, "-c", imports + BOTH_SIDES]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
