"""The private descriptor pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import descriptor_pool

from cloudckpt import descriptors
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CloudckptError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_class_is_the_same_at_every_call() -> None:
    assert message_class("tensorflow.BundleEntryProto") is message_class("tensorflow.BundleEntryProto")


def test_messages_of_two_classes_fit_together() -> None:
    entry = message_class("tensorflow.BundleEntryProto")()
    shape = message_class("tensorflow.TensorShapeProto")()
    shape.dim.add().size = 3
    entry.shape.CopyFrom(shape)
    assert entry.SerializeToString() == bytes.fromhex("120412020803")


def test_the_default_pool_is_left_alone() -> None:
    descriptor = message_class("tensorflow.CheckpointState").DESCRIPTOR
    assert descriptor.file.pool is not descriptor_pool.Default()


def test_an_unknown_message_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="NoSuchProto"):
        message_class("tensorflow.NoSuchProto")


def test_a_source_tree_that_was_not_installed_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_FILE", tmp_path / "descriptors.binpb")
    monkeypatch.setattr(descriptors, "_pool", descriptors._pool.__wrapped__)
    with pytest.raises(CloudckptError, match=r"pip install -e \."):
        message_class("tensorflow.NotCachedYet")
