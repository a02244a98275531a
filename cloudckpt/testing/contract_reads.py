"""Ranges of objects, of one version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import ObjectChangedError, ObjectNotFoundError, ShortReadError
from cloudckpt.testing.contract_fixtures import ContractFixtures, pattern, put, read

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store


class ReadContract(ContractFixtures):
    """`read`."""

    @pytest.mark.parametrize(("offset", "size"), [(0, 1000), (0, 1), (999, 1), (10, 500), (0, 0), (1000, 0)])
    def test_any_range(self, store: Store, key: str, offset: int, size: int) -> None:
        data = pattern(1000)
        put(store, key, data)
        assert read(store, key, offset, size) == data[offset : offset + size]

    def test_several_buffers_are_filled_one_after_the_other(self, store: Store, key: str) -> None:
        data = pattern(5000)
        put(store, key, data)
        buffers = [bytearray(size) for size in (1, 0, 1000, 7, 2000)]
        store.read(key, 100, [memoryview(buffer) for buffer in buffers])
        assert b"".join(buffers) == data[100:3108]

    def test_very_many_buffers(self, store: Store, key: str) -> None:
        data = pattern(9000)
        put(store, key, data)
        target = bytearray(9000)
        store.read(key, 0, [memoryview(target)[at : at + 3] for at in range(0, 9000, 3)])
        assert target == data

    @pytest.mark.parametrize(("offset", "size"), [(990, 11), (1000, 1), (2000, 5)])
    def test_a_range_beyond_the_end_is_an_error(self, store: Store, key: str, offset: int, size: int) -> None:
        put(store, key, pattern(1000))
        with pytest.raises(ShortReadError):
            read(store, key, offset, size)

    def test_a_version_that_is_there(self, store: Store, key: str) -> None:
        version = put(store, key, b"hello").version
        assert read(store, key, 1, 3, version) == b"ell"

    def test_never_the_bytes_of_another_version(self, store: Store, key: str) -> None:
        version = put(store, key, b"first").version
        assert read(store, key, 0, 5, version) == b"first"
        put(store, key, b"second")
        with suppress(ObjectChangedError):
            assert read(store, key, 0, 5, version) == b"first"  # a store may hold on to what is being read
        assert read(store, key, 0, 6) == b"second"

    def test_a_version_that_was_replaced_before_the_first_read(self, store: Store, key: str) -> None:
        version = put(store, key, b"first").version
        put(store, key, b"second")
        with pytest.raises(ObjectChangedError):
            read(store, key, 0, 5, version)

    def test_a_range_of_what_is_not_there(self, store: Store, key: str) -> None:
        with pytest.raises(ObjectNotFoundError):
            read(store, key, 0, 1)
        version = put(store, key, b"x").version
        store.delete([key])
        with pytest.raises(ObjectNotFoundError):
            read(store, key, 0, 1, version)

    def test_many_threads_read_at_once(self, store: Store, key: str) -> None:
        data = pattern(100_000)
        version = put(store, key, data).version
        with ThreadPoolExecutor(8) as pool:
            pieces = pool.map(lambda at: read(store, key, at, 1000, version), range(0, 100_000, 1000))
            assert b"".join(pieces) == data
