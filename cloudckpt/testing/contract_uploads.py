"""Large objects: written in parts, visible at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    UnsupportedOperationError,
    UploadCorruptedError,
)
from cloudckpt.storage.store import IfAbsent, IfVersion
from cloudckpt.testing.contract_fixtures import (
    ALWAYS,
    ContractFixtures,
    keys,
    parts,
    pattern,
    put,
    read,
    upload_whole,
    write_parts,
)

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import Store


class UploadContract(ContractFixtures):
    """`create`, and the `Upload` that it returns."""

    @pytest.mark.parametrize(("whole_parts", "more"), [(0, 0), (0, 1), (0, 1000), (1, 0), (1, 1), (2, 3)])
    def test_any_number_of_parts(self, store: Store, key: str, whole_parts: int, more: int) -> None:
        with store.create(key, 0, ALWAYS) as probe:
            data = pattern(whole_parts * probe.part_size + more)
        written = upload_whole(store, key, data)
        assert written.size == len(data)
        got, info = store.get(key)
        assert got == data
        assert info.version == written.version == store.stat(key).version

    def test_a_part_may_come_in_several_buffers(self, store: Store, key: str) -> None:
        data = pattern(1000)
        with store.create(key, len(data), ALWAYS) as upload:
            upload.write(0, [data[:1], b"", memoryview(data)[1:600], bytearray(data[600:])], crc32c(data))
            upload.complete(crc32c(data))
        assert store.get(key)[0] == data

    def test_parts_in_any_order_where_that_is_claimed(self, store: Store, key: str) -> None:
        with store.create(key, 0, ALWAYS) as probe:
            data = pattern(2 * probe.part_size + 10)
        with store.create(key, len(data), ALWAYS) as upload:
            backwards = parts(data, upload.part_size)[::-1]
            if not store.capabilities.parallel_upload:
                with pytest.raises(StorageError):
                    write_parts(upload, backwards)
                return
            write_parts(upload, backwards)
            upload.complete(crc32c(data))
        assert store.get(key)[0] == data

    def test_parts_side_by_side_where_that_is_claimed(self, store: Store, key: str) -> None:
        with store.create(key, 0, ALWAYS) as probe:
            data = pattern(3 * probe.part_size + 10)
        threads = 4 if store.capabilities.parallel_upload else 1
        with store.create(key, len(data), ALWAYS) as upload, ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: write_parts(upload, [part]), parts(data, upload.part_size)))
            upload.complete(crc32c(data))
        assert read(store, key, upload.part_size - 5, 10) == data[upload.part_size - 5 : upload.part_size + 5]
        assert store.get(key)[0] == data

    def test_nothing_is_visible_before_it_is_complete(self, store: Store, location: Location) -> None:
        key = location.child("object").key
        with store.create(key, 4, ALWAYS) as upload:
            upload.write(0, [b"data"], crc32c(b"data"))
            assert keys(store, location.key + "/") == []
            with pytest.raises(ObjectNotFoundError):
                store.stat(key)
            upload.complete(crc32c(b"data"))
        assert keys(store, location.key + "/") == [key]

    def test_the_old_object_stays_until_it_is_complete(self, store: Store, key: str) -> None:
        put(store, key, b"old")
        with store.create(key, 3, ALWAYS) as upload:
            upload.write(0, [b"new"], crc32c(b"new"))
            assert store.get(key)[0] == b"old"
            upload.complete(crc32c(b"new"))
        assert store.get(key)[0] == b"new"

    def test_abort_leaves_nothing(self, store: Store, location: Location) -> None:
        key = location.child("object").key
        upload = store.create(key, 4, ALWAYS)
        upload.write(0, [b"data"], crc32c(b"data"))
        upload.abort()
        upload.abort()
        assert keys(store, location.key + "/") == []
        with pytest.raises(StorageError):
            upload.complete(crc32c(b"data"))
        assert keys(store, location.key + "/") == []

    def test_an_exception_aborts(self, store: Store, location: Location) -> None:
        with pytest.raises(RuntimeError), store.create(location.child("object").key, 4, ALWAYS) as upload:
            upload.write(0, [b"data"], crc32c(b"data"))
            raise RuntimeError
        assert keys(store, location.key + "/") == []

    def test_abort_after_complete_does_nothing(self, store: Store, key: str) -> None:
        with store.create(key, 4, ALWAYS) as upload:
            upload.write(0, [b"data"], crc32c(b"data"))
            upload.complete(crc32c(b"data"))
            upload.abort()
        assert store.get(key)[0] == b"data"

    @pytest.mark.parametrize("large", [False, True])
    def test_if_absent_holds_when_it_completes(self, store: Store, location: Location, large: bool) -> None:
        key = location.child("object").key
        with store.create(key, 0, ALWAYS) as probe:
            data = pattern(probe.part_size + 1 if large else 10)
        with store.create(key, len(data), IfAbsent()) as upload:
            write_parts(upload, parts(data, upload.part_size))
            put(store, key, b"another writer's")
            with pytest.raises(PreconditionFailedError):
                upload.complete(crc32c(data))
        assert store.get(key)[0] == b"another writer's"
        assert keys(store, location.key + "/") == [key]

    @pytest.mark.parametrize("large", [False, True])
    def test_if_version_holds_when_it_completes(self, store: Store, key: str, large: bool) -> None:
        version = put(store, key, b"first").version
        if not store.capabilities.replace_if_version:
            with pytest.raises(UnsupportedOperationError):
                store.create(key, 10, IfVersion(version))
            assert store.get(key)[0] == b"first"
            return
        with store.create(key, 0, ALWAYS) as probe:
            data = pattern(probe.part_size + 1 if large else 10)
        version = upload_whole(store, key, data, IfVersion(version)).version
        with store.create(key, len(data), IfVersion(version)) as upload:
            write_parts(upload, parts(data, upload.part_size))
            put(store, key, b"another writer's")
            with pytest.raises(PreconditionFailedError):
                upload.complete(crc32c(data))
        assert store.get(key)[0] == b"another writer's"

    def test_the_commit_id_of_an_upload_is_kept(self, store: Store, key: str) -> None:
        with store.create(key, 4, ALWAYS, commit_id="mine") as upload:
            upload.write(0, [b"data"], crc32c(b"data"))
            upload.complete(crc32c(b"data"))
        assert store.stat(key).commit_id == ("mine" if self.keeps_commit_ids else None)

    @pytest.mark.parametrize("large", [False, True])
    def test_a_corrupted_part_is_found_where_that_is_claimed(self, store: Store, key: str, large: bool) -> None:
        with store.create(key, 0, ALWAYS) as probe:
            data = pattern(probe.part_size + 1 if large else 10)
        if store.capabilities.upload_checksum:
            with store.create(key, len(data), IfAbsent()) as upload, pytest.raises(UploadCorruptedError):
                for offset, piece in parts(data, upload.part_size):
                    upload.write(offset, [piece], crc32c(piece) ^ 1)
                upload.complete(crc32c(data) ^ 1)
            assert keys(store, key) == []
        upload_whole(store, key, data, IfAbsent())
        assert store.get(key)[0] == data
