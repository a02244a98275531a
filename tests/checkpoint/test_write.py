"""Cutting tensors into an upload's parts, and putting the checksums together again."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.checkpoint import write as writing
from cloudckpt.checkpoint.content import content_of
from cloudckpt.checkpoint.entries import Entries
from cloudckpt.checkpoint.parallel import MemoryLimit
from cloudckpt.checkpoint.plan import plan_shards
from cloudckpt.checkpoint.write import ShardWriter, write_shards
from cloudckpt.checksums import crc32c as checksum_of
from cloudckpt.storage.store import ObjectInfo, Upload
from cloudckpt.variables.dtypes import DataType
from tests.bundle.whole_strings import decode_strings
from tests.objects.trees.strategies import fixed_arrays, string_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.checkpoint.plan import ShardPlan


class RecordingUpload(Upload):
    """Keeps the parts, and checks that they are cut and summed as the interface says."""

    def __init__(self, part_size: int, size: int) -> None:
        self.part_size, self.size = part_size, size
        self.parts: dict[int, bytes] = {}
        self.order: list[int] = []
        self.lock = threading.Lock()

    def write(self, offset: int, buffers: Sequence[Any], crc32c: int) -> None:
        data = b"".join(buffers)
        assert offset % self.part_size == 0
        assert len(data) == min(self.part_size, self.size - offset)
        assert crc32c == checksum_of(data)
        with self.lock:
            assert offset not in self.parts
            self.parts[offset] = data
            self.order.append(offset)

    def complete(self, crc32c: int) -> ObjectInfo:
        data = self.data()
        assert len(data) == self.size
        assert crc32c == checksum_of(data)
        return ObjectInfo("key", self.size, "1", 0.0)

    def data(self) -> bytes:
        return b"".join(self.parts[offset] for offset in sorted(self.parts))

    def abort(self) -> None:
        pass


def plans(arrays: dict[str, np.ndarray], alignment: int = 1) -> list[ShardPlan]:
    content = content_of(arrays)
    return plan_shards(content.keys, content.sources, alignment=alignment)


def entries_of(writer: ShardWriter, shard_id: int) -> dict[str, BundleEntry]:
    entries = Entries()
    writer.add_entries(entries, shard_id)
    decode = partial(BundleEntry.decode, path="p", num_shards=shard_id + 1)
    return {key.decode(): decode(entry, name=key.decode()) for key, entry in entries.stored.items()}


arrays = st.dictionaries(st.sampled_from("abcdefgh"), fixed_arrays() | string_arrays(), max_size=6)


@settings(max_examples=80, deadline=None)
@given(arrays, st.integers(1, 200), st.sampled_from([1, 8, 64]), st.booleans())
def test_any_part_size_makes_the_same_file(
    arrays: dict[str, np.ndarray], part_size: int, alignment: int, parallel: bool
) -> None:
    for plan in plans(arrays, alignment):
        upload = RecordingUpload(part_size, plan.size)
        writer = ShardWriter(plan, upload)
        write_shards([writer], threads=2, parallel_parts=parallel)
        assert parallel or upload.order == sorted(upload.order)
        entries = entries_of(writer, 7)
        assert entries.keys() == arrays.keys()
        for name, entry in entries.items():
            assert entry.shard_id == 7
            assert entry.shape == arrays[name].shape
            check(upload.data()[entry.offset : entry.offset + entry.size], entry, arrays[name])


def check(data: bytes, entry: Any, array: np.ndarray) -> None:
    assert len(data) == entry.size
    if entry.dtype != DataType.STRING:
        assert data == array.tobytes()
        assert entry.crc32c == checksum_of(data)
        return
    strings, crc = decode_strings(memoryview(data), array.size, path="p", tensor="t")
    assert strings == [text if isinstance(text, bytes) else text.encode() for text in array.ravel().tolist()]
    assert entry.crc32c == crc


def test_padding_is_zeros_even_over_parts() -> None:
    (plan,) = plans({"a": np.full(1, 255, np.uint8), "b": np.full(64, 255, np.uint8)}, alignment=64)
    upload = RecordingUpload(5, plan.size)
    writer = ShardWriter(plan, upload)
    write_shards([writer], threads=3, parallel_parts=True)
    assert upload.data() == b"\xff" + bytes(63) + b"\xff" * 64
    assert entries_of(writer, 0)["b"].offset == 64


def test_large_pieces_are_sent_from_the_users_memory() -> None:
    large, small = np.ones(100_000, np.uint8), np.ones(10, np.uint8)
    (plan,) = plans({"a": small, "b": small, "c": large})
    sent: list[Any] = []

    class Keeping(RecordingUpload):
        def write(self, offset: int, buffers: Sequence[Any], crc32c: int) -> None:
            sent.extend(buffers)
            super().write(offset, buffers, crc32c)

    write_shards([ShardWriter(plan, Keeping(1 << 20, plan.size))], threads=1, parallel_parts=True)
    assert [len(buffer) for buffer in sent] == [20, 100_000]
    assert np.shares_memory(np.frombuffer(sent[1], np.uint8), large)


def test_a_failing_part_fails_the_file() -> None:
    class Failing(RecordingUpload):
        def write(self, offset: int, buffers: Sequence[Any], crc32c: int) -> None:
            raise RuntimeError("no")

    (plan,) = plans({"a": np.ones(100, np.uint8)})
    with pytest.raises(RuntimeError, match="no"):
        write_shards([ShardWriter(plan, Failing(10, plan.size))], threads=2, parallel_parts=True)


@pytest.mark.parametrize("parallel", [True, False])
def test_a_file_is_visible_as_soon_as_it_is_whole(parallel: bool) -> None:
    """So that what an upload keeps until then is one part of each file that is being written, not of all."""
    events: list[tuple[str, int]] = []

    class Noting(RecordingUpload):
        def __init__(self, number: int, size: int) -> None:
            super().__init__(10, size)
            self.number = number

        def write(self, offset: int, buffers: Sequence[Any], crc32c: int) -> None:
            super().write(offset, buffers, crc32c)
            events.append(("write", self.number))

        def complete(self, crc32c: int) -> ObjectInfo:
            events.append(("complete", self.number))
            return super().complete(crc32c)

    (plan,) = plans({"a": np.ones(25, np.uint8)})
    (empty,) = plans({"none": np.ones(0, np.uint8)})
    writers = [ShardWriter(each, Noting(number, each.size)) for number, each in enumerate([plan, empty, plan])]
    write_shards(writers, threads=1, parallel_parts=parallel)
    assert [writer.info is not None for writer in writers] == [True] * 3
    written = [("write", 0)] * 3 + [("complete", 0), ("complete", 1)] + [("write", 2)] * 3 + [("complete", 2)]
    assert events == written


@pytest.mark.parametrize("parallel", [True, False])
def test_copies_are_bounded_whatever_is_in_flight(parallel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MemoryLimit", partial(MemoryLimit, 250))
    held, most, lock = 0, 0, threading.Lock()

    class Holding(RecordingUpload):
        """Keeps the only part until it is completed."""

        def write(self, offset: int, buffers: Sequence[Any], crc32c: int) -> None:
            nonlocal held, most
            super().write(offset, buffers, crc32c)
            with lock:
                held += self.size
                most = max(most, held)

        def complete(self, crc32c: int) -> ObjectInfo:
            nonlocal held
            threading.Event().wait(0.005)
            with lock:
                held -= self.size
            return super().complete(crc32c)

    (plan,) = plans({"transposed": np.ones((10, 10), np.uint8).T})
    write_shards([ShardWriter(plan, Holding(1000, 100)) for _ in range(30)], threads=15, parallel_parts=parallel)
    assert 100 <= most <= 250
