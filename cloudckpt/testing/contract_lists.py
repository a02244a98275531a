"""Listings: one folder, one prefix, in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cloudckpt.testing.contract_fixtures import ContractFixtures, keys, put

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import Store


class ListContract(ContractFixtures):
    """`list`."""

    @pytest.fixture
    def folder(self, location: Location) -> str:
        """A folder with some objects, one of them in a folder below, ending in a slash."""
        for name in ("ckpt-10.index", "ckpt-1.index", "ckpt-1.data-00000-of-00001", "checkpoint", "below/ckpt-1.index"):
            put(location.store, location.child(name).key, name.encode())
        return location.key + "/"

    def test_a_folder(self, store: Store, folder: str) -> None:
        names = ["checkpoint", "ckpt-1.data-00000-of-00001", "ckpt-1.index", "ckpt-10.index"]
        assert keys(store, folder) == [folder + name for name in names]

    def test_a_prefix_of_names(self, store: Store, folder: str) -> None:
        assert keys(store, folder + "ckpt-1.") == [
            folder + "ckpt-1.data-00000-of-00001",
            folder + "ckpt-1.index",
        ]
        assert keys(store, folder + "ckpt-2") == []

    def test_a_whole_name(self, store: Store, folder: str) -> None:
        assert keys(store, folder + "checkpoint") == [folder + "checkpoint"]

    def test_without_its_slash_a_folder_is_a_name(self, store: Store, folder: str) -> None:
        assert keys(store, folder + "below") == []
        assert keys(store, folder + "below/") == [folder + "below/ckpt-1.index"]

    def test_with_the_folders_below(self, store: Store, folder: str) -> None:
        names = ["below/ckpt-1.index", "checkpoint", "ckpt-1.data-00000-of-00001", "ckpt-1.index", "ckpt-10.index"]
        assert [info.key for info in store.list(folder, recursive=True)] == [folder + name for name in names]
        assert [info.key for info in store.list(folder + "bel", recursive=True)] == [folder + names[0]]
        assert [info.key for info in store.list(folder + "ckpt-10", recursive=True)] == [folder + names[-1]]
        assert [info.key for info in store.list(folder + "nowhere/", recursive=True)] == []

    def test_an_entry_of_a_folder_below_says_what_stat_says(self, store: Store, folder: str) -> None:
        [listed] = store.list(folder + "below/ckpt", recursive=True)
        seen = store.stat(folder + "below/ckpt-1.index")
        assert (listed.size, listed.version) == (seen.size, seen.version)

    def test_an_entry_says_what_stat_says(self, store: Store, folder: str) -> None:
        for listed in store.list(folder):
            seen = store.stat(listed.key)
            assert (listed.size, listed.version) == (seen.size, seen.version)
            assert listed.modified == pytest.approx(seen.modified, abs=2)

    def test_what_was_written_deleted_or_replaced_shows_at_once(self, store: Store, location: Location) -> None:
        key, folder = location.child("object").key, location.key + "/"
        assert keys(store, folder) == []
        put(store, key, b"1")
        assert [info.size for info in store.list(folder)] == [1]
        put(store, key, b"four")
        assert [info.size for info in store.list(folder)] == [4]
        store.delete([key])
        assert keys(store, folder) == []

    def test_a_folder_that_does_not_exist_is_empty(self, store: Store, location: Location) -> None:
        assert keys(store, location.child("nowhere").key + "/") == []
        assert keys(store, location.child("nowhere").child("ckpt-").key) == []

    def test_more_than_one_page(self, store: Store, location: Location) -> None:
        expected = [location.child(f"n{number:05}").key for number in range(self.many_keys)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: put(store, key, b""), expected))
        assert keys(store, location.key + "/") == expected
        store.delete(expected)
        assert keys(store, location.key + "/") == []
