"""One slice of 4 KB out of a checkpoint of 10 GiB: how many bytes and requests it takes, and how long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks import peers
from benchmarks.measure import Timing, timed
from benchmarks.report import Goal, Report
from cloudckpt import raw_ops
from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import encode_index
from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checksums import combine, crc32c
from cloudckpt.storage.location import Location
from cloudckpt.stored.checkpoint import StoredCheckpoint, open_checkpoint
from cloudckpt.stored.source import open_source
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.options import Options
    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = ["measure"]

TENSORS = 10
ROWS, COLUMNS = 1 << 18, 1 << 10
TENSOR_BYTES = ROWS * COLUMNS * 4
ROW = ROWS // 2
NAME = "layer5/w"
SPEC = f"{ROWS} {COLUMNS} {ROW},1:-"


@dataclass
class Counts:
    """What went through a store."""

    requests: int = 0
    index_bytes: int = 0
    data_bytes: int = 0


class CountingStore(FaultyStore):
    """A store that counts its reads, and fails none of them."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, fail_at=0)
        self.counts = Counts()

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        data, info = super().get(key)
        self.counts.requests += 1
        self.counts.index_bytes += len(data)
        return data, info

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        super().read(key, offset, into, version)
        self.counts.requests += 1
        self.counts.data_bytes += sum(len(view) for view in into)


def measure(options: Options, folder: Path) -> Report:
    """The file is sparse: its index is as real as any, its zeros take no room on the disk."""
    prefix = str(folder / "large")
    make_checkpoint(prefix)
    counts = count_reads(prefix)
    with open_checkpoint(prefix) as checkpoint:
        ways: dict[str, Callable[[], object]] = {
            "cloudckpt.raw_ops.RestoreV2": lambda: raw_ops.RestoreV2(
                prefix=prefix, tensor_names=[NAME], shape_and_slices=[SPEC], dtypes=["float32"]
            ),
            "an open checkpoint, index cached": lambda: checkpoint[NAME][ROW],
        }
        if peers.is_installed("tensorflow"):
            ways["TensorFlow's RestoreV2"] = tensorflow(prefix)
        timings = {name: Timing() for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                wall, processor, _ = timed(way)
                timings[name].add(wall, processor)
    goal = Goal(
        "bytes read beyond the index, in reads", "1 MiB", "4096 in 1", f"{counts.data_bytes} in {counts.requests}"
    )
    return Report([times_table(timings)], [goal])


def make_checkpoint(prefix: str) -> None:
    """Ten tensors of 1 GiB, all zero."""
    block = crc32c(bytes(1 << 20))
    checksum = 0
    for _ in range(TENSOR_BYTES >> 20):
        checksum = combine(checksum, block, 1 << 20)
    entries = {
        f"layer{number}/w": BundleEntry(
            DataType.FLOAT, (ROWS, COLUMNS), 0, number * TENSOR_BYTES, TENSOR_BYTES, checksum
        )
        for number in range(TENSORS)
    }
    with open(data_filename(prefix, 0, 1), "wb") as file:
        file.truncate(TENSORS * TENSOR_BYTES)
    with open(index_filename(prefix), "wb") as file:
        file.write(encode_index(BundleHeader(1), entries))


def count_reads(prefix: str) -> Counts:
    """Those of one slice, once the checkpoint is open."""
    location = open_prefix(prefix, None)
    store = CountingStore(location.store)
    with StoredCheckpoint(open_source(Location(store, location.key))) as checkpoint:
        store.counts = Counts()
        assert not checkpoint[NAME][ROW].any()
        return store.counts


def tensorflow(prefix: str) -> Callable[[], object]:
    """The same slice by TensorFlow."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
    import tensorflow as tf

    return lambda: tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=[NAME], shape_and_slices=[SPEC], dtypes=[tf.float32]
    )


def times_table(timings: dict[str, Timing]) -> Table:
    """A row for each way."""
    table = Table("", title=f"4 KB out of {TENSORS} GiB", title_justify="left")
    for column in ("first ms", "best ms", "time / ours"):
        table.add_column(column, justify="right")
    ours = next(iter(timings.values()))
    for name, timing in timings.items():
        ratio = f"{timing.best / ours.best:.2f}"
        table.add_row(name, f"{1000 * timing.first:.1f}", f"{1000 * timing.best:.1f}", ratio)
    return table
