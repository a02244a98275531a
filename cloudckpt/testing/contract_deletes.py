"""Deletion, of keys and of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError, UnsupportedOperationError
from cloudckpt.testing.contract_fixtures import ContractFixtures, keys, put

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import Store


class DeleteContract(ContractFixtures):
    """`delete` and `delete_if_version`."""

    def test_what_is_deleted_is_gone(self, store: Store, key: str) -> None:
        put(store, key, b"x")
        store.delete([key])
        with pytest.raises(ObjectNotFoundError):
            store.get(key)

    def test_several_and_some_that_are_not_there(self, store: Store, location: Location) -> None:
        names = ["a", "b", "below/c", "kept"]
        for name in names:
            put(store, location.child(name).key, b"x")
        store.delete(location.child(name).key for name in ("a", "nothing", "b", "nowhere/nothing", "below/c"))
        assert keys(store, location.key + "/") == [location.child("kept").key]
        assert keys(store, location.child("below").key + "/") == []

    def test_nothing(self, store: Store) -> None:
        store.delete([])

    def test_that_version_where_that_is_claimed(self, store: Store, key: str) -> None:
        version = put(store, key, b"x").version
        if not store.capabilities.delete_if_version:
            with pytest.raises(UnsupportedOperationError):
                store.delete_if_version(key, version)
            assert store.get(key)[0] == b"x"
            return
        store.delete_if_version(key, version)
        assert keys(store, key) == []
        store.delete_if_version(key, version)

    def test_no_other_version(self, store: Store, key: str) -> None:
        stale = put(store, key, b"first").version
        put(store, key, b"second")
        with pytest.raises((PreconditionFailedError, UnsupportedOperationError)) as failure:
            store.delete_if_version(key, stale)
        assert isinstance(failure.value, UnsupportedOperationError) is not store.capabilities.delete_if_version
        assert store.get(key)[0] == b"second"
