"""TensorFlow's message types, in a pool of our own.

Generated modules would register themselves in protobuf's default pool under TensorFlow's names, and whichever of the
two packages is imported second would fail. A private pool shares nothing, in either order, on protobuf 5, 6 and 7.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from cloudckpt.errors import CloudckptError

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["message_class"]

_FILE = Path(__file__).with_name("descriptors.binpb")

# Two threads that both made the pool would hold classes that don't take each other's messages.
_lock = threading.Lock()


def message_class(full_name: str) -> type[Any]:
    """The message class of that name, the same one at every call.

    Typed `Any`, because its fields are known only at run time. The first call reads and parses the descriptors
    (a millisecond or two).

    Args:
        full_name: as in the .proto file, for instance "tensorflow.BundleEntryProto".

    Raises:
        CloudckptError: the descriptors are missing: this is a source tree that was not installed.
        KeyError: there is no message of that name.
    """
    with _lock:
        return _message_class(full_name)


@cache
def _message_class(full_name: str) -> type[Message]:
    return GetMessageClass(_pool().FindMessageTypeByName(full_name))


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    # protoc writes a file after those that it imports, which is the order that a pool wants.
    for file in FileDescriptorSet.FromString(_read()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _read() -> bytes:
    try:
        return _FILE.read_bytes()
    except FileNotFoundError as error:
        raise CloudckptError(
            f"{_FILE} is missing: it is made when cloudckpt is installed. In a source tree run `pip install -e .`, "
            "or `python hatch_build.py` where hatchling and grpcio-tools are installed.",
            path=str(_FILE),
        ) from error
