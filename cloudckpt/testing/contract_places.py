"""Buckets and folders that are not there, the names of places, and stores that are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import ObjectNotFoundError
from cloudckpt.storage.store import IfAbsent
from cloudckpt.testing.contract_fixtures import ContractFixtures, keys, put, upload_whole

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import Store


class PlaceContract(ContractFixtures):
    """Everything about where, and nothing about what."""

    def test_nothing_is_read_where_there_is_no_place(self, missing_location: Location) -> None:
        store, key = missing_location.store, missing_location.child("object").key
        with pytest.raises(ObjectNotFoundError):
            store.stat(key)
        with pytest.raises(ObjectNotFoundError):
            store.get(key)
        with pytest.raises(ObjectNotFoundError):
            store.read(key, 0, [memoryview(bytearray(1))])

    def test_a_missing_bucket_is_an_error_and_a_missing_folder_is_empty(self, missing_location: Location) -> None:
        store, prefix = missing_location.store, missing_location.key + "/"
        if self.has_buckets:
            with pytest.raises(ObjectNotFoundError):
                keys(store, prefix)
        else:
            assert keys(store, prefix) == []

    def test_folders_are_made_and_buckets_are_not(self, missing_location: Location) -> None:
        store = missing_location.store
        small, large = missing_location.child("small").key, missing_location.child("deeper/large").key
        if self.has_buckets:
            with pytest.raises(ObjectNotFoundError):
                put(store, small, b"x", IfAbsent())
            with pytest.raises(ObjectNotFoundError):
                upload_whole(store, large, b"x", IfAbsent())
        else:
            put(store, small, b"x", IfAbsent())
            upload_whole(store, large, b"y", IfAbsent())
            assert (store.get(small)[0], store.get(large)[0]) == (b"x", b"y")

    def test_errors_name_the_url(self, store: Store, key: str) -> None:
        with pytest.raises(ObjectNotFoundError) as failure:
            store.get(key)
        assert store.url(key) in str(failure.value)
        assert failure.value.path == store.url(key)

    def test_the_url_ends_with_the_name(self, location: Location) -> None:
        assert location.child("ckpt-1.index").url == location.url + "/ckpt-1.index"

    def test_closing_twice_is_no_error(self, store: Store, key: str) -> None:
        put(store, key, b"x")
        store.close()
        store.close()
