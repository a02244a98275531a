"""Files that are one message, in bytes or as text: `.meta` and what stands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError, EncodeError

from cloudckpt.checksums import crc32c
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, InvalidArgumentError, ObjectNotFoundError
from cloudckpt.storage.store import Always

if TYPE_CHECKING:
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["read_proto", "write_proto"]


def read_proto(location: Location, full_name: str) -> Any:
    """The message that is a whole file: in bytes, or else as text, whatever the file is called. One GET.

    An empty file is no message, though protobuf would take it for one: nobody writes an empty graph, and a copy that
    broke off leaves such a file.

    Args:
        location: the file.
        full_name: of the message type, such as "tensorflow.MetaGraphDef".

    Raises:
        CheckpointNotFoundError: there is no such file.
        CheckpointDamagedError: it is empty, or neither the bytes nor the text of such a message.
        StorageError: the store failed.
    """
    try:
        data, _ = location.store.get(location.key)
    except ObjectNotFoundError as error:
        kind = full_name.rpartition(".")[2]
        raise CheckpointNotFoundError(
            f"{location.url} does not exist, so no {kind} can be read from it.", path=location.url
        ) from error
    return _decode(data, full_name, location.url)


def write_proto(location: Location, message: Any, *, as_text: bool = False) -> ObjectInfo:
    """Make a message a whole file, in place of what is there: a reader sees the old one or the new one. One PUT.

    Args:
        location: the file.
        message: ours, or TensorFlow's own.
        as_text: for people to read, in protobuf's text format; two to ten times as large.

    Raises:
        InvalidArgumentError: in bytes it is larger than the 2 GiB that protobuf allows; or it has no text, because
            an Any in it has bytes that are not of the type that it says.
        StorageError: the store failed.
    """
    try:
        data = _encode(message, as_text=as_text)
    except (EncodeError, DecodeError) as error:
        raise InvalidArgumentError(f"{location.url} can't be written: {error}", path=location.url) from error
    return location.store.put(location.key, data, Always(), crc32c=crc32c(data))


def _encode(message: Any, *, as_text: bool) -> bytes:
    if as_text:
        pool = message.DESCRIPTOR.file.pool
        return text_format.MessageToString(message, descriptor_pool=pool).encode()
    # The entries of a map would come in another order in every process.
    serialized: bytes = message.SerializeToString(deterministic=True)
    return serialized


def _decode(data: bytes, full_name: str, path: str) -> Any:
    message = message_class(full_name)()
    try:
        message.ParseFromString(data)
    except DecodeError:
        message.Clear()
    # Some texts are also bytes of fields that nobody knows.
    if not message.ListFields():
        message.Clear()
        _merge_text(message, data, path)
    return message


def _merge_text(message: Any, data: bytes, path: str) -> None:
    try:
        if not data:
            raise ValueError("it is empty")
        text_format.Merge(data.decode(), message, descriptor_pool=message.DESCRIPTOR.file.pool)
    except (text_format.ParseError, ValueError, RecursionError) as error:
        kind = message.DESCRIPTOR.name
        raise CheckpointDamagedError(
            f"{path} is no {kind}, neither in bytes nor as text: {_reason(error)}. It may be a copy that broke off, or "
            "a text that a newer TensorFlow wrote: get the whole file, or the binary form of it.",
            path=path,
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"its bytes are cut off or damaged, and byte {error.start} is no text's"
    return str(error)[:200]
