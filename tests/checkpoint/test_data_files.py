"""All data files of a save, or none that stays."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.checkpoint.content import content_of
from cloudckpt.checkpoint.data_files import completed_or_discarded, write_data_files
from cloudckpt.checkpoint.plan import plan_shards
from cloudckpt.errors import StorageError
from cloudckpt.storage.location import Location
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.store import ObjectInfo, Upload

FILES = 4


class Watched(Upload):
    """An upload of a `WatchedStore`."""

    def __init__(self, store: WatchedStore, number: int, upload: Upload) -> None:
        self.part_size = upload.part_size
        self._store, self._number, self._upload = store, number, upload

    def write(self, *part: Any) -> None:
        self._upload.write(*part)

    def complete(self, crc32c: int) -> ObjectInfo:
        self._store.completing.wait(30)
        if self._number in self._store.failing:
            raise RuntimeError("no")
        return self._upload.complete(crc32c)

    def abort(self) -> None:
        self._store.aborting.wait(30)
        self._upload.abort()


class WatchedStore(MemoryStore):
    """All uploads complete at the same time, some of them in vain; each abort waits until all others wait, too."""

    def __init__(self, failing: set[int]) -> None:
        super().__init__(MemoryFileSystem())
        self.failing, self.begun = failing, 0
        self.completing, self.aborting = threading.Barrier(FILES), threading.Barrier(FILES)

    def create(self, key: str, *arguments: Any, **options: Any) -> Upload:
        return Watched(self, int(key[-1]), super().create(key, *arguments, **options))


@pytest.mark.parametrize("failing", [{0}, {3}, {1, 2}, {0, 1, 2, 3}])
def test_what_completed_beside_a_failure_is_discarded(failing: set[int]) -> None:
    with Location(WatchedStore(failing), f"{uuid.uuid4().hex}/ckpt") as prefix:
        content = content_of({str(number): np.full(10, number) for number in range(FILES)})
        plans = plan_shards(content.keys, content.sources, shards=FILES)
        keys = [f"{prefix.key}.{number}" for number in range(FILES)]
        with pytest.raises(RuntimeError, match="no"), completed_or_discarded(prefix) as completed:
            write_data_files(prefix, plans, keys, completed)
        assert len(completed) == FILES - len(failing)
        assert not list(prefix.store.list(prefix.key))


def test_an_abort_that_fails_does_not_hide_why(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Watched):
        def abort(self) -> None:
            raise StorageError("the server is gone")

    class BrokenStore(WatchedStore):
        def create(self, key: str, *arguments: Any, **options: Any) -> Upload:
            return Broken(self, 0, MemoryStore.create(self, key, *arguments, **options))

    store = BrokenStore({0})
    store.completing = threading.Barrier(1)
    with Location(store, f"{uuid.uuid4().hex}/ckpt") as prefix:
        content = content_of({"a": np.ones(10)})
        plans = plan_shards(content.keys, content.sources)
        with pytest.raises(RuntimeError, match="no"):
            write_data_files(prefix, plans, [f"{prefix.key}.0"], [])
    assert "unfinished uploads of" in caplog.text
    assert "the server is gone" in caplog.text
