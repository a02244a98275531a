"""Copies inside the store: another object's bytes, of exactly that version, on conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from cloudckpt.storage.store import Always, IfAbsent, IfVersion
from cloudckpt.testing.contract_fixtures import ContractFixtures, keys, pattern, put, read, upload_whole
from cloudckpt.testing.contract_races import ROUNDS, race

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo, Store, WriteCondition

CONDITIONS: list[WriteCondition] = [Always(), IfAbsent()]


class CopyContract(ContractFixtures):
    """`copy`; where it is not claimed, each of these must be refused and leave nothing."""

    @pytest.fixture
    def source(self, store: Store, location: Location) -> ObjectInfo:
        """An object to copy, as its writer knows it."""
        return put(store, location.child("from").child("source").key, pattern(1000), commit_id="the source's")

    def copy(
        self,
        source: ObjectInfo,
        store: Store,
        key: str,
        condition: WriteCondition = Always(),  # noqa: B008 - a frozen value
        commit_id: str | None = None,
    ) -> ObjectInfo | None:
        """Copy, and return None where that is not claimed and rightly refused."""
        if store.capabilities.server_side_copy:
            return store.copy(source, key, condition, commit_id=commit_id)
        before = list(store.list(key))
        with pytest.raises(UnsupportedOperationError):
            store.copy(source, key, condition, commit_id=commit_id)
        assert list(store.list(key)) == before
        return None

    @pytest.mark.parametrize("condition", CONDITIONS)
    @pytest.mark.parametrize("size", [0, 1, 100_000])
    def test_a_copy_has_the_bytes(self, store: Store, location: Location, size: int, condition: WriteCondition) -> None:
        source, key = location.child("source").key, location.child("folder").child("copy").key
        put(store, source, pattern(size))
        copied = self.copy(store.stat(source), store, key, condition)
        if copied is not None:
            data, info = store.get(key)
            assert data == pattern(size)
            assert (copied.key, copied.size, copied.version) == (key, size, info.version)
            assert store.stat(key).modified == pytest.approx(copied.modified, abs=2)
            assert read(store, key, size // 2, size - size // 2, copied.version) == pattern(size)[size // 2 :]

    def test_a_copy_of_several_parts(self, store: Store, key: str) -> None:
        with store.create(key, 0, Always()) as probe:
            data = pattern(probe.part_size + 1)
        if self.copy(upload_whole(store, key, data), store, key + "-copy", IfAbsent()):
            assert store.get(key + "-copy")[0] == data

    def test_what_a_listing_gave_can_be_copied(self, store: Store, source: ObjectInfo, key: str) -> None:
        [listed] = store.list(source.key)
        if self.copy(listed, store, key, IfAbsent()):
            assert store.get(key)[0] == pattern(1000)

    def test_the_source_stays_as_it_is(self, store: Store, source: ObjectInfo, key: str) -> None:
        self.copy(source, store, key)
        assert store.get(source.key)[0] == pattern(1000)
        assert read(store, source.key, 0, 1000, source.version) == pattern(1000)

    def test_a_copy_outlives_its_source(self, store: Store, source: ObjectInfo, key: str) -> None:
        copied = self.copy(source, store, key, IfAbsent())
        store.delete([source.key])
        if copied:
            assert store.get(key)[0] == pattern(1000)
            assert store.stat(key).version == copied.version

    def test_a_source_outlives_its_copy(self, store: Store, source: ObjectInfo, key: str) -> None:
        self.copy(source, store, key)
        put(store, key, b"another")
        assert store.get(source.key)[0] == pattern(1000)
        store.delete([key])
        assert store.stat(source.key).version == source.version

    def test_a_copy_outlives_a_replaced_source(self, store: Store, source: ObjectInfo, key: str) -> None:
        copied = self.copy(source, store, key)
        put(store, source.key, b"another")
        if copied:
            assert store.get(key)[0] == pattern(1000)

    @pytest.mark.parametrize("commit_id", ["mine", None])
    def test_a_copy_has_its_own_commit_id(
        self, store: Store, source: ObjectInfo, key: str, commit_id: str | None
    ) -> None:
        for condition, name in zip(CONDITIONS, (key + "-1", key + "-2"), strict=True):
            if self.copy(source, store, name, condition, commit_id):
                found = store.stat(name).commit_id
                assert found != "the source's"
                assert commit_id is None or found == (commit_id if self.keeps_commit_ids else None)

    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_another_version_is_not_copied(
        self, store: Store, source: ObjectInfo, key: str, condition: WriteCondition
    ) -> None:
        put(store, source.key, b"another")
        if store.capabilities.server_side_copy:
            with pytest.raises(ObjectChangedError) as failure:
                store.copy(source, key, condition)
            assert failure.value.path == store.url(source.key)
        else:
            self.copy(source, store, key, condition)
        assert keys(store, key) == []

    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_what_is_not_there_is_not_copied(
        self, store: Store, source: ObjectInfo, key: str, condition: WriteCondition
    ) -> None:
        store.delete([source.key])
        if store.capabilities.server_side_copy:
            with pytest.raises(ObjectNotFoundError) as failure:
                store.copy(source, key, condition)
            assert failure.value.path == store.url(source.key)
        else:
            self.copy(source, store, key, condition)
        assert keys(store, key) == []

    def test_a_copy_without_a_condition_replaces(self, store: Store, source: ObjectInfo, key: str) -> None:
        put(store, key, b"old")
        copied = self.copy(source, store, key)
        assert store.get(key)[0] == (pattern(1000) if copied else b"old")

    def test_a_copy_if_absent_never_replaces(self, store: Store, source: ObjectInfo, key: str) -> None:
        put(store, key, b"old")
        if store.capabilities.server_side_copy:
            with pytest.raises(PreconditionFailedError) as failure:
                store.copy(source, key, IfAbsent())
            assert failure.value.path == store.url(key)
        else:
            self.copy(source, store, key, IfAbsent())
        assert store.get(key)[0] == b"old"

    def test_a_copy_if_absent_is_made_once(self, store: Store, source: ObjectInfo, key: str) -> None:
        if self.copy(source, store, key, IfAbsent()):
            for taken in (key, source.key):
                with pytest.raises(PreconditionFailedError):
                    store.copy(source, taken, IfAbsent())

    def test_a_copy_if_version_replaces_that_version_only(self, store: Store, source: ObjectInfo, key: str) -> None:
        stale = put(store, key, b"first").version
        current = put(store, key, b"second").version
        if not (store.capabilities.server_side_copy and store.capabilities.replace_if_version):
            with pytest.raises(UnsupportedOperationError):
                store.copy(source, key, IfVersion(current))
            assert store.get(key)[0] == b"second"
            return
        with pytest.raises(PreconditionFailedError):
            store.copy(source, key, IfVersion(stale))
        assert store.get(key)[0] == b"second"
        copied = store.copy(source, key, IfVersion(current))
        assert store.get(key)[0] == pattern(1000)
        put(store, key, b"third", IfVersion(copied.version))

    def test_one_of_many_copies_creates(self, store: Store, source: ObjectInfo, location: Location) -> None:
        if not (store.capabilities.server_side_copy and store.capabilities.create_if_absent):
            return
        for round_ in range(ROUNDS):
            key = location.child(f"copy-{round_}").key

            def copy(_number: int, key: str = key) -> None:
                store.copy(source, key, IfAbsent())

            assert len(race(copy)) == 1
            assert store.get(key)[0] == pattern(1000)

    def test_a_copy_of_nothing_in_no_folder(
        self, store: Store, source: ObjectInfo, key: str, location: Location
    ) -> None:
        nowhere = replace(source, key=location.child("nowhere").child("nothing").key)
        if store.capabilities.server_side_copy:
            with pytest.raises(ObjectNotFoundError):
                store.copy(nowhere, key, IfAbsent())
        assert keys(store, key) == []

    def test_nothing_but_the_copy_is_left(self, store: Store, source: ObjectInfo, location: Location) -> None:
        for name in ("a", "b"):
            self.copy(source, store, location.child("to").child(name).key, IfAbsent())
        expected = ["a", "b"] if store.capabilities.server_side_copy else []
        assert keys(store, location.child("to").key + "/") == [
            location.child("to").child(name).key for name in expected
        ]
