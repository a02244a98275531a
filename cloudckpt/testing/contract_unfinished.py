"""What uploads leave behind that were neither completed nor aborted, and the store's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import StorageError
from cloudckpt.testing.contract_fixtures import ALWAYS, ContractFixtures, keys, parts, pattern, put, upload_whole
from cloudckpt.testing.contract_fixtures import write_parts as write

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import Store, Unfinished, Upload

SIZE = 33 << 20
"""Bytes of an upload that every store sends in several parts."""


class UnfinishedContract(ContractFixtures):
    """`unfinished` and `time`. Stores whose uploads leave nothing have nothing to list."""

    def begin(self, store: Store, key: str) -> Upload:
        """Begin an upload and send its first part."""
        upload = store.create(key, SIZE, ALWAYS)
        write(upload, parts(pattern(SIZE), upload.part_size)[:1])
        return upload

    def test_what_was_begun_is_listed(self, store: Store, location: Location) -> None:
        key = location.child("ckpt-1.data-00000-of-00001").key
        with self.begin(store, key):
            found = [*store.unfinished(location.key + "/")]
        assert [upload.key for upload in found] == [key] * self.leaves_uploads
        assert not [*store.unfinished(location.key + "/")]

    def test_only_of_the_prefix(self, store: Store, location: Location) -> None:
        key = location.child("ckpt-1.data-00000-of-00001").key
        below = location.child("below").child("ckpt-1.index").key
        with self.begin(store, key), self.begin(store, below):
            assert found_keys(store, location.child("ckpt-1").key) == [key] * self.leaves_uploads
            assert found_keys(store, location.child("ckpt-2").key) == []
            assert found_keys(store, location.child("below").key) == []
            assert found_keys(store, location.child("below").key + "/") == [below] * self.leaves_uploads

    def test_what_is_complete_is_not_unfinished(self, store: Store, location: Location) -> None:
        upload_whole(store, location.child("large").key, pattern(SIZE))
        put(store, location.child("small").key, b"small")
        assert found_keys(store, location.key + "/") == []

    def test_what_is_unfinished_is_no_object(self, store: Store, location: Location) -> None:
        with self.begin(store, location.child("object").key):
            assert keys(store, location.key + "/") == []
            assert not [*store.list(location.key + "/", recursive=True)]

    def test_discard_takes_one_away(self, store: Store, location: Location) -> None:
        key = location.child("object").key
        put(store, key, b"what was there")
        with self.begin(store, key), self.begin(store, key):
            found = [*store.unfinished(key)]
            assert len(found) == 2 * self.leaves_uploads
            discard_all(found[:1])
            assert len(found_keys(store, key)) == len(found[1:])
            discard_all(found)  # one of them for the second time
            assert found_keys(store, key) == []
        assert store.get(key)[0] == b"what was there"

    def test_what_was_discarded_can_t_be_completed(self, store: Store, key: str) -> None:
        if not self.leaves_uploads:
            assert not [*store.unfinished(key)]
            return
        upload = store.create(key, SIZE, ALWAYS)
        write(upload, parts(pattern(SIZE), upload.part_size))
        discard_all([*store.unfinished(key)])
        with upload, pytest.raises(StorageError):
            upload.complete(0)
        assert keys(store, key) == []

    def test_it_began_by_the_store_s_clock(self, store: Store, location: Location) -> None:
        before = put(store, location.child("before").key, b"").modified
        with self.begin(store, location.child("object").key):
            found = [*store.unfinished(location.child("object").key)]
        after = put(store, location.child("after").key, b"").modified
        for upload in found:
            assert before - 1 <= upload.began <= after + 1
            assert upload.size is None or 0 < upload.size <= SIZE

    def test_nothing_in_a_folder_that_does_not_exist(self, store: Store, location: Location) -> None:
        assert found_keys(store, location.child("nowhere").key + "/") == []

    def test_the_clock_is_that_of_the_objects(self, store: Store, location: Location) -> None:
        written = put(store, location.child("object").key, b"now").modified
        if store.capabilities.server_times:
            assert written - 2 <= store.time() <= written + 2
            assert store.stat(location.child("object").key).modified <= store.time() + 1
        else:
            assert store.time() == 0.0


def found_keys(store: Store, prefix: str) -> list[str]:
    """The keys of unfinished uploads."""
    return [upload.key for upload in store.unfinished(prefix)]


def discard_all(uploads: list[Unfinished]) -> None:
    """Discard them, as a collector does."""
    for upload in uploads:
        upload.discard()
