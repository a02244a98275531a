"""`.meta` files in bytes and as text, and what is none."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import EncodeError

from cloudckpt.checksums import crc32c
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, InvalidArgumentError
from cloudckpt.graph.encoding.meta_graph_file import read_meta_graph, write_meta_graph
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudckpt.storage.location import Location


@pytest.fixture(params=["local", "memory"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    folder = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    with open_location(f"{folder}/model.meta") as location:
        yield location


def meta_graph() -> Any:
    meta = message_class("tensorflow.MetaGraphDef")()
    meta.graph_def.node.add(name="w", op="VariableV2").attr["dtype"].type = 1
    for key in "zyx":
        meta.collection_def[key].bytes_list.value.append(b"\xff")
    meta.collection_def["any"].any_list.value.add().Pack(meta.saver_def)
    return meta


def put(location: Location, data: bytes) -> None:
    location.store.put(location.key, data, Always(), crc32c=crc32c(data))


@pytest.mark.parametrize("as_text", [False, True])
def test_what_is_written_is_read_back_whatever_its_form(location: Location, as_text: bool) -> None:
    write_meta_graph(location, meta_graph(), as_text=as_text)
    assert read_meta_graph(location) == meta_graph()
    content, _ = location.store.get(location.key)
    assert (b'name: "w"' in content) is as_text


def test_what_has_no_text_is_refused(location: Location) -> None:
    """The text of a message within an Any is that of its type, which its bytes may not be."""
    meta = meta_graph()
    meta.collection_def["any"].any_list.value[0].value = b"\xff"
    with pytest.raises(InvalidArgumentError, match=r"model\.meta can't be written"):
        write_meta_graph(location, meta, as_text=True)
    write_meta_graph(location, meta)
    assert read_meta_graph(location) == meta


def test_a_file_is_replaced(location: Location) -> None:
    put(location, b"something longer " * 100)
    write_meta_graph(location, meta_graph())
    assert read_meta_graph(location) == meta_graph()


def test_the_bytes_are_the_same_in_every_process(location: Location) -> None:
    write_meta_graph(location, meta_graph())
    content, _ = location.store.get(location.key)
    positions = [content.index(b"\n\x01" + key) for key in (b"x", b"y", b"z")]
    assert positions == sorted(positions)


def test_fields_that_this_version_does_not_know_survive(location: Location) -> None:
    unknown = b"\xfa\x3e\x01u"
    put(location, meta_graph().SerializeToString(deterministic=True) + unknown)
    write_meta_graph(location, read_meta_graph(location))
    assert location.store.get(location.key)[0].endswith(unknown)


def test_a_missing_file_is_named(location: Location) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"model\.meta does not exist") as caught:
        read_meta_graph(location)
    assert caught.value.path == location.url


def test_every_truncation_is_read_as_less_or_refused(location: Location) -> None:
    content = meta_graph().SerializeToString(deterministic=True)
    refused = 0
    for end in range(len(content)):
        put(location, content[:end])
        try:
            assert read_meta_graph(location).ByteSize() == end
        except CheckpointDamagedError:
            refused += 1
    # What ends where a field of the meta graph ends looks whole.
    assert refused == len(content) - 4


NONE_AT_ALL = {
    "nothing": b"",
    "an unknown field in bytes": b"\xfa\x3e\x01u",
    "an unknown field in text": b"grph_def { }",
    "no text": b"\xff\xfe\x00",
    "an index": b"\x00" * 48 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    "html": b"<!DOCTYPE html><html></html>",
    "very deep text": b"graph_def{node{attr{value{list{" + b"func{attr{value{list{" * 5000,
    "a very long number": b"saver_def { max_to_keep: " + b"9" * 100_000 + b" }",
}


@pytest.mark.parametrize("name", NONE_AT_ALL)
def test_what_is_no_meta_graph_is_refused_with_its_name(location: Location, name: str) -> None:
    put(location, NONE_AT_ALL[name])
    with pytest.raises(CheckpointDamagedError, match=r"model\.meta is no MetaGraphDef") as caught:
        read_meta_graph(location)
    assert caught.value.path == location.url
    assert len(str(caught.value)) < 1000


def test_very_deep_bytes_are_refused(location: Location) -> None:
    message = b""
    for _ in range(500):
        message = b"\x0a" + varint(len(message)) + message
    put(location, b"\x12" + varint(len(message)) + message)
    with pytest.raises(CheckpointDamagedError, match="neither in bytes nor as text"):
        read_meta_graph(location)


def varint(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def test_a_message_beyond_protobufs_limit_is_refused(location: Location) -> None:
    class Large:
        def SerializeToString(self, *, deterministic: bool) -> bytes:  # noqa: N802 (protobuf's name)
            raise EncodeError("exceeds maximum protobuf size of 2GB")

    with pytest.raises(InvalidArgumentError, match=r"model\.meta can't be written: .*2GB"):
        write_meta_graph(location, Large())
