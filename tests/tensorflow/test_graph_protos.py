"""Real files with graphs through our messages and TensorFlow's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from google.protobuf import text_format

from cloudckpt.descriptors import message_class
from tests.tensorflow.real_graphs import read, real_files

if TYPE_CHECKING:
    from pathlib import Path


def as_text(message: Any) -> str:
    return text_format.MessageToString(message, descriptor_pool=message.DESCRIPTOR.file.pool)


def same_text(ours: str, theirs: str) -> bool:
    """Entries of a map come in any order."""
    return sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_real_files_are_the_same_to_both_in_bytes_and_text(tf: Any, real_checkpoints: Path) -> None:
    seen = set()
    for path, kind in real_files(real_checkpoints):
        module = "meta_graph_pb2" if kind == "MetaGraphDef" else "saved_model_pb2"
        theirs = read(path, getattr(importlib.import_module(f"tensorflow.core.protobuf.{module}"), kind)())
        ours = read(path, message_class(f"tensorflow.{kind}")())
        written = ours.SerializeToString(deterministic=True)
        assert written == theirs.SerializeToString(deterministic=True), path
        text = as_text(ours)
        assert same_text(text, as_text(theirs)), path
        again = text_format.Parse(text, type(ours)(), descriptor_pool=ours.DESCRIPTOR.file.pool)
        assert same_text(as_text(again), text), path
        ours.DiscardUnknownFields()
        theirs.DiscardUnknownFields()
        assert ours.ByteSize() == theirs.ByteSize(), path
        seen.add(path.suffix)
    assert seen == {".meta", ".pb", ".pbtxt"}


def test_an_any_of_a_collection_survives_as_text(tf: Any) -> None:
    pool = message_class("tensorflow.MetaGraphDef").DESCRIPTOR.file.pool
    meta = message_class("tensorflow.MetaGraphDef")()
    packed = meta.collection_def["c"].any_list.value.add()
    packed.Pack(message_class("tensorflow.SaverDef")(max_to_keep=3))
    from tensorflow.core.protobuf import meta_graph_pb2

    theirs = text_format.Parse(as_text(meta), meta_graph_pb2.MetaGraphDef())
    assert theirs.SerializeToString() == meta.SerializeToString()
    assert text_format.Parse(text_format.MessageToString(theirs), type(meta)(), descriptor_pool=pool) == meta
