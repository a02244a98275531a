"""Our protos beside TensorFlow's: the same names and numbers, and both in one process."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from cloudckpt.descriptors import message_class

PROTOS = Path(__file__).parents[2] / "protos"
FRAMEWORK, PROTOBUF, TRAINING = "core.framework", "core.protobuf", "python.training"
# Where TensorFlow keeps the files that are ours, too.
FILES = {
    "attr_value": FRAMEWORK,
    "checkpoint_state": TRAINING,
    "control_flow": PROTOBUF,
    "full_type": FRAMEWORK,
    "function": FRAMEWORK,
    "graph": FRAMEWORK,
    "graph_debug_info": FRAMEWORK,
    "meta_graph": PROTOBUF,
    "node_def": FRAMEWORK,
    "op_def": FRAMEWORK,
    "resource_handle": FRAMEWORK,
    "saved_model": PROTOBUF,
    "saved_object_graph": PROTOBUF,
    "saver": PROTOBUF,
    "struct": PROTOBUF,
    "tensor": FRAMEWORK,
    "tensor_bundle": PROTOBUF,
    "tensor_shape": FRAMEWORK,
    "tensor_slice": FRAMEWORK,
    "trackable_object_graph": PROTOBUF,
    "types": FRAMEWORK,
    "variable": FRAMEWORK,
    "versions": FRAMEWORK,
}
# Of a package of our own: fields have other types with the same bytes.
OWN = {"queue_runner", "saved_tensor_slice"}

BOTH_SIDES = """
from cloudckpt.bundle.entry import BundleEntry
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto
ours = BundleEntry(1, (2, 3), 0, 0, 24, 0x12345678)
theirs = BundleEntryProto.FromString(ours.encode())
assert [dim.size for dim in theirs.shape.dim] == [2, 3]
assert BundleEntry.decode(theirs.SerializeToString(), path="p", name="n", num_shards=1) == ours
"""


def definition(file: Any) -> FileDescriptorProto:
    """What a file defines: names, numbers, types and labels, without what the file is called and compiles to."""
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    for field in ("name", "dependency", "options"):
        proto.ClearField(field)
    for message in proto.message_type:
        normalise(message)
    return proto


def normalise(message: Any) -> None:
    """Leave out what says nothing."""
    for field in message.field:
        # It follows from the name, and protoc adds it to descriptor sets only.
        field.ClearField("json_name")
    # A map's entry stands where the map is declared, which need not be before the messages beside it.
    message.nested_type.sort(key=lambda nested: nested.name)
    for nested in message.nested_type:
        normalise(nested)


@pytest.mark.parametrize("name", FILES)
def test_files_define_what_tensorflows_do(tf: Any, name: str) -> None:
    theirs = importlib.import_module(f"tensorflow.{FILES[name]}.{name}_pb2").DESCRIPTOR
    pool = message_class("tensorflow.MetaGraphDef").DESCRIPTOR.file.pool
    ours = pool.FindFileByName(f"{name}.proto")
    assert definition(ours) == definition(theirs)


def test_every_file_of_ours_is_compared() -> None:
    assert {path.stem for path in PROTOS.glob("*.proto")} == {*FILES} | OWN


@pytest.mark.parametrize(
    "imports", ["import tensorflow, cloudckpt", "import cloudckpt, cloudckpt.bundle.entry, tensorflow"]
)
def test_both_work_in_one_process_in_either_order(tf: Any, imports: str) -> None:
    command = [sys.executable, "-c", imports + BOTH_SIDES]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
