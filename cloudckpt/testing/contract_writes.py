"""Small objects: written whole, on conditions."""

from __future__ import annotations

import array
from typing import TYPE_CHECKING

import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
    UploadCorruptedError,
)
from cloudckpt.storage.store import IfAbsent, IfVersion
from cloudckpt.testing.contract_fixtures import ContractFixtures, keys, put, upload_whole

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import Store

AWKWARD_NAMES = [
    "with space",
    "plus+sign",
    "percent%20sign",
    "a=1,b=2",
    "..two..dots..",
    "naïve-ключ-鍵-🔑",
    "quote'\"quote",
    "amp&lt<;semi",
    "hash#tag",
    "question?mark",
    "tilde~(brackets)[0]",
    "-00000-of-00001",
]


class WriteContract(ContractFixtures):
    """`put`, `get` and `stat`."""

    def test_what_was_put_is_got(self, store: Store, key: str) -> None:
        written = put(store, key, b"hello")
        data, info = store.get(key)
        assert data == b"hello"
        assert (info.key, info.size, info.version) == (key, 5, written.version)

    def test_stat_agrees_with_put(self, store: Store, key: str) -> None:
        written = put(store, key, b"hello")
        seen = store.stat(key)
        assert (seen.key, seen.size, seen.version) == (written.key, written.size, written.version)
        assert seen.modified == pytest.approx(written.modified, abs=2)

    def test_what_is_said_of_an_object_is_of_the_right_types(self, store: Store, key: str) -> None:
        """Recovery compares times, and sizes; a store that knows no times says 0.0."""
        told = [put(store, key, b"hello"), upload_whole(store, f"{key}-2", b"hello")]
        told += [store.stat(key), store.get(key)[1], *store.list(key), *store.list(key, recursive=True)]
        assert len(told) == 8
        for info in told:
            assert (type(info.key), type(info.version)) == (str, str)
            assert type(info.size) is int
            assert type(info.modified) is float
            assert info.modified >= 0
            assert isinstance(info.commit_id, str | None)

    def test_an_empty_object_is_an_object(self, store: Store, key: str) -> None:
        assert put(store, key, b"").size == 0
        assert store.get(key)[0] == b""
        assert keys(store, key) == [key]

    @pytest.mark.parametrize("data", [bytearray(b"abcdefgh"), memoryview(b"abcdefgh"), array.array("I", [1, 2])])
    def test_any_contiguous_buffer_is_taken(self, store: Store, key: str, data: bytearray) -> None:
        put(store, key, data)
        assert store.get(key)[0] == bytes(memoryview(data))

    @pytest.mark.parametrize("name", AWKWARD_NAMES)
    def test_awkward_names(self, store: Store, location: Location, name: str) -> None:
        key = location.child(name).child(name).key
        put(store, key, name.encode())
        assert store.get(key)[0] == name.encode()
        assert store.stat(key).key == key
        assert keys(store, key) == [key]
        buffer = bytearray(2)
        store.read(key, 0, [memoryview(buffer)])
        store.delete([key])
        with pytest.raises(ObjectNotFoundError):
            store.stat(key)

    def test_the_last_writer_wins_without_a_condition(self, store: Store, key: str) -> None:
        first = put(store, key, b"first")
        second = put(store, key, b"second")
        assert first.version != second.version
        assert store.get(key)[0] == b"second"

    def test_each_write_has_a_version_of_its_own(self, store: Store, key: str) -> None:
        versions = [put(store, key, b"same bytes", commit_id=f"id{n}").version for n in range(5)]
        assert len(set(versions)) == (1 if self.versions_are_digests else 5)
        assert store.stat(key).version == versions[-1]

    def test_the_commit_id_is_kept(self, store: Store, key: str) -> None:
        put(store, key, b"x", commit_id="first")
        put(store, key, b"x", commit_id="second")
        assert store.stat(key).commit_id == ("second" if self.keeps_commit_ids else None)

    def test_if_absent_creates(self, store: Store, key: str) -> None:
        put(store, key, b"x", IfAbsent())
        assert store.get(key)[0] == b"x"

    def test_if_absent_never_replaces(self, store: Store, key: str) -> None:
        put(store, key, b"first")
        with pytest.raises(PreconditionFailedError):
            put(store, key, b"second", IfAbsent())
        assert store.get(key)[0] == b"first"

    def test_if_absent_creates_what_was_deleted(self, store: Store, key: str) -> None:
        put(store, key, b"first", IfAbsent())
        store.delete([key])
        put(store, key, b"second", IfAbsent())
        assert store.get(key)[0] == b"second"

    def test_if_version_replaces_that_version(self, store: Store, key: str) -> None:
        first = put(store, key, b"first")
        if not store.capabilities.replace_if_version:
            with pytest.raises(UnsupportedOperationError):
                put(store, key, b"second", IfVersion(first.version))
            assert store.get(key)[0] == b"first"
            return
        second = put(store, key, b"second", IfVersion(first.version))
        assert store.get(key) == (b"second", store.stat(key))
        put(store, key, b"third", IfVersion(second.version))
        assert store.get(key)[0] == b"third"

    def test_if_version_replaces_no_other_version(self, store: Store, key: str) -> None:
        stale = put(store, key, b"first").version
        put(store, key, b"second")
        with pytest.raises((PreconditionFailedError, UnsupportedOperationError)) as failure:
            put(store, key, b"third", IfVersion(stale))
        assert isinstance(failure.value, UnsupportedOperationError) is not store.capabilities.replace_if_version
        assert store.get(key)[0] == b"second"

    def test_if_version_creates_nothing(self, store: Store, key: str) -> None:
        version = put(store, key, b"first").version
        store.delete([key])
        with pytest.raises((PreconditionFailedError, UnsupportedOperationError)) as failure:
            put(store, key, b"second", IfVersion(version))
        assert isinstance(failure.value, UnsupportedOperationError) is not store.capabilities.replace_if_version
        assert keys(store, key) == []

    def test_a_wrong_checksum_is_found_where_that_is_claimed(self, store: Store, key: str) -> None:
        if store.capabilities.upload_checksum:
            with pytest.raises(UploadCorruptedError):
                store.put(key, b"hello", IfAbsent(), crc32c=crc32c(b"jello"))
            assert keys(store, key) == []
        put(store, key, b"hello", IfAbsent())
        assert store.get(key)[0] == b"hello"

    def test_what_is_not_there_is_not_found(self, store: Store, key: str) -> None:
        with pytest.raises(ObjectNotFoundError):
            store.stat(key)
        with pytest.raises(ObjectNotFoundError):
            store.get(key)
