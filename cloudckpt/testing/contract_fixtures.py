"""What a suite of the contract is given, and the words in which its tests speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from crc32c import crc32c

from cloudckpt.storage.store import Always

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo, Store, Upload, WriteCondition

ALWAYS = Always()


class ContractFixtures:
    """The fixtures and facts that a subclass gives.

    Attributes:
        has_buckets: whether a key can lie in a bucket that does not exist.
        keeps_commit_ids: whether `stat` returns the commit id of the write.
        leaves_uploads: whether an upload that is neither completed nor aborted leaves something that can be listed.
        versions_are_digests: whether a version is made of the bytes, so that writing equal bytes brings it back.
        many_keys: how many objects the test of long listings makes; more than a thousand where that is cheap.
    """

    has_buckets = False
    keeps_commit_ids = True
    leaves_uploads = False
    versions_are_digests = False
    many_keys = 1001

    @pytest.fixture
    def location(self) -> Any:
        """A place where there is nothing, and that no other test uses."""
        raise NotImplementedError("a suite of the contract must define the fixture `location`")

    @pytest.fixture
    def missing_location(self, location: Location) -> Any:
        """A place in a bucket that does not exist; without buckets, in a folder that does not exist."""
        if self.has_buckets:
            raise NotImplementedError("a suite with buckets must define the fixture `missing_location`")
        return location.child("missing").child("run")

    @pytest.fixture
    def store(self, location: Location) -> Store:
        """The store under test."""
        return location.store

    @pytest.fixture
    def key(self, location: Location) -> str:
        """A key where there is nothing."""
        return location.child("object").key


def pattern(size: int, seed: int = 0) -> bytes:
    """That many bytes; no two 256-byte stretches of it that begin apart are alike for long."""
    block = bytes((index * 31 + index // 251 + seed) % 256 for index in range(min(size, 1 << 16)))
    return (block * (size // max(len(block), 1) + 1))[:size]


def put(
    store: Store, key: str, data: Buffer, condition: WriteCondition = ALWAYS, commit_id: str | None = None
) -> ObjectInfo:
    """Write one object whole, with its true checksum."""
    return store.put(key, data, condition, crc32c=crc32c(data), commit_id=commit_id)


def parts(data: bytes, part_size: int) -> list[tuple[int, bytes]]:
    """The data cut for an upload, with offsets."""
    return [(offset, data[offset : offset + part_size]) for offset in range(0, len(data), part_size)]


def write_parts(upload: Upload, pieces: Sequence[tuple[int, bytes]]) -> None:
    """Write the parts in the order given."""
    for offset, piece in pieces:
        upload.write(offset, [piece], crc32c(piece))


def upload_whole(store: Store, key: str, data: bytes, condition: WriteCondition = ALWAYS) -> ObjectInfo:
    """Write one object in parts."""
    with store.create(key, len(data), condition) as upload:
        write_parts(upload, parts(data, upload.part_size))
        return upload.complete(crc32c(data))


def read(store: Store, key: str, offset: int, size: int, version: str | None = None) -> bytes:
    """A range of an object."""
    buffer = bytearray(size)
    store.read(key, offset, [memoryview(buffer)], version)
    return bytes(buffer)


def keys(store: Store, prefix: str) -> list[str]:
    """The keys that a listing gives."""
    return [info.key for info in store.list(prefix)]
