"""Reading data files through, each byte once, several requests in flight, and nothing kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.errors import ObjectChangedError, ObjectNotFoundError, ShortReadError
from cloudckpt.verification.log import message_about
from cloudckpt.verification.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudckpt.storage.store import ObjectInfo, Store
    from cloudckpt.verification.extents import Extent
    from cloudckpt.verification.log import Claim, VerifyLog

__all__ = ["DataFile", "read_through"]

READ_BYTES = 8 << 20
"""What one request asks for at most; `Store.max_concurrency` times as much is in memory."""


@dataclass(slots=True)
class DataFile:
    """One data file that is to be read through."""

    info: ObjectInfo
    url: str
    claims: Sequence[Claim]
    """all that the index says is in it"""
    extents: Sequence[Extent]
    """the ranges to read, as `lay_out` returns them"""
    failure: Finding | None = None
    """that it is not the version any more that was listed; then nothing that was read of it counts"""

    def report(self, log: VerifyLog) -> int:
        """Add to the log what was found, once it was read through. Returns how many bytes of tensors were read."""
        if self.failure is None:
            return sum(extent.report(self.url, log) for extent in self.extents)
        log.lose(claim.tensor for claim in self.claims)
        log.add(self.failure)
        return 0


def read_through(store: Store, files: Sequence[DataFile]) -> None:
    """Show each extent its bytes.

    Raises:
        StorageError: the store failed.

    Cost: a ranged GET for every 8 MiB or less, `Store.max_concurrency` in flight.
    """
    reader = _Reader(store)
    run_side_by_side((task for file in files for task in reader.tasks(file)), threads=store.max_concurrency)


class _Reader:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._idle_buffers: list[memoryview] = []

    def tasks(self, file: DataFile) -> Iterator[Callable[[], None]]:
        """What can be done side by side: to read a run of neighbours, a piece of a long extent, or one in its order."""
        for run in _runs(extent for extent in file.extents if extent.stop > extent.start):
            start, stop = run[0].start, run[-1].stop
            cuts = [(cut, min(cut + READ_BYTES, stop)) for cut in range(start, stop, READ_BYTES)]
            if run[0].in_order:
                yield partial(self._read, file, run, cuts)
            else:
                yield from (partial(self._read, file, run, [cut]) for cut in cuts)

    def _read(self, file: DataFile, run: Sequence[Extent], cuts: Iterable[tuple[int, int]]) -> None:
        buffer = self._buffer()
        for start, stop in cuts:
            if file.failure is not None:
                break
            data = buffer[: stop - start]
            try:
                self._store.read(file.info.key, start, [data], file.info.version)
            except (ObjectChangedError, ObjectNotFoundError, ShortReadError) as error:
                file.failure = Finding(FindingKind.FILE_CHANGED, message_about(error, file.url), file.url)
                break
            for extent in run:
                first, last = max(extent.start, start), min(extent.stop, stop)
                extent.take(first - extent.start, data[first - start : last - start])
        self._idle_buffers.append(buffer)

    def _buffer(self) -> memoryview:
        """Memory that no other thread has; a thread that looks first and takes then may find it gone."""
        try:
            return self._idle_buffers.pop()
        except IndexError:
            return np.empty(READ_BYTES, np.uint8).data


def _runs(extents: Iterable[Extent]) -> Iterator[list[Extent]]:
    """Neighbours that one request can read, and by itself each extent that is too long for one."""
    run: list[Extent] = []
    for extent in extents:
        if run and (extent.start != run[-1].stop or extent.stop - run[0].start > READ_BYTES):
            yield run
            run = []
        run.append(extent)
    if run:
        yield run
