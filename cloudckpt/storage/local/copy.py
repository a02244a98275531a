"""Copies of a file on the same machine: a second name where the file system can give one, else the bytes.

Data files are never changed in place, so two names may stand for one file, and a copy of any size costs nothing: what
RocksDB and Cassandra do for their snapshots. The price: a foreign program that writes into one of the two changes both,
until one of them is deleted; checksums find that. Copying the bytes instead would double the time and the space of a
merge, which TensorFlow does by renaming.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudckpt.storage.local.errors import while_reading, while_writing
from cloudckpt.storage.local.hidden import HiddenFile
from cloudckpt.storage.local.io import copy_bytes
from cloudckpt.storage.local.version import described, require_version, stamp

if TYPE_CHECKING:
    from cloudckpt.storage.local.durability import Durability
    from cloudckpt.storage.store import ObjectInfo, WriteCondition


def copy_file(source: ObjectInfo, key: str, condition: WriteCondition, durability: Durability) -> ObjectInfo:
    """Copy a file: `Store.copy`.

    Args:
        source: the file, and which version of it.
        key: the absolute path of the copy; folders on the way are made.
        condition: what must hold of the file that is there.
        durability: flushes the copy and its folder. A source need not be on the disk yet, if another program wrote it.
    """
    with while_reading(source.key):
        original = os.open(source.key, os.O_RDONLY | os.O_CLOEXEC)
    try:
        require_version(source.key, original, source.version)
        with while_writing(key), HiddenFile(key, durability) as hidden:
            if hidden.link(source.key, original):
                return _publish(hidden, key, original, condition)
            copy = hidden.create()
            try:
                copy_bytes(original, copy, source.size, source.key)
                require_version(source.key, original, source.version)
                stamp(copy)
                return _publish(hidden, key, copy, condition)
            finally:
                os.close(copy)
    finally:
        os.close(original)


def _publish(hidden: HiddenFile, key: str, descriptor: int, condition: WriteCondition) -> ObjectInfo:
    hidden.publish(descriptor, condition)
    return described(key, os.fstat(descriptor))
