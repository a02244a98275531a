"""Tensors on their way back: neighbours in one request, several requests in flight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import data_filename
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.checkpoint.targets import StringForm, TensorTarget, target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.bundle.index import BundleIndex
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["read_entries"]

RANGE_BYTES = 16 << 20
"""What one request asks for at most."""
IN_ORDER_BYTES = 4 << 20
"""What one request asks for of a long tensor that is decoded on the way."""
GAP_BYTES = 64 << 10
"""Bytes between two wanted tensors that are read and thrown away rather than asked around."""
THREADS = 4
"""Transfers in flight."""


@dataclass(slots=True)
class Range:
    """One request: the bytes of a data file from `start` to `stop`, and the tensor pieces among them, in order."""

    start: int
    stop: int
    pieces: list[tuple[TensorTarget, int, int]]
    """a tensor, and the bounds of the piece in it"""


def read_entries(
    prefix: Location,
    index: BundleIndex,
    entries: Mapping[str, BundleEntry],
    data: Mapping[str, ObjectInfo],
    forms: Mapping[str, StringForm],
) -> dict[str, NDArray[Any]]:
    """See `OpenCheckpoint.read`; `data` has the data files, whose sizes the entries have been checked against."""
    targets: dict[str, TensorTarget] = {}
    of_file: dict[str, list[TensorTarget]] = {}
    for name, entry in entries.items():
        key = data_filename(prefix.key, entry.shard_id, index.header.num_shards)
        path, form = prefix.store.url(key), forms.get(name, StringForm())
        targets[name] = target_of(name, entry, path, form, big_endian=index.header.big_endian)
        if entry.size:
            of_file.setdefault(key, []).append(targets[name])
    tasks = (
        partial(_fetch, prefix, data[key], requests)
        for key, wanted in sorted(of_file.items())
        for requests in _requests(sorted(wanted, key=lambda target: target.entry.offset))
    )
    run_side_by_side(tasks, threads=THREADS)
    return {name: target.finish() for name, target in targets.items()}


def _requests(targets: Sequence[TensorTarget]) -> Iterator[Iterable[Range]]:
    """The requests for the wanted tensors of one data file, those together that must be made one after the other."""
    in_order = [target for target in targets if target.in_order and target.entry.size > RANGE_BYTES]
    for target in in_order:
        yield _cut(target, IN_ORDER_BYTES)
    passed = {target.name for target in in_order}
    for part in _joined(part for target in targets if target.name not in passed for part in _cut(target, RANGE_BYTES)):
        yield [part]


def _cut(target: TensorTarget, step: int) -> Iterator[Range]:
    for start in range(0, target.entry.size, step):
        stop = min(start + step, target.entry.size)
        yield Range(target.entry.offset + start, target.entry.offset + stop, [(target, start, stop)])


def _joined(ranges: Iterable[Range]) -> Iterator[Range]:
    """Neighbours joined as long as they are near each other and not too long together."""
    current: Range | None = None
    for part in ranges:
        if current is None:
            current = part
        elif 0 <= part.start - current.stop <= GAP_BYTES and part.stop - current.start <= RANGE_BYTES:
            current.stop = part.stop
            current.pieces += part.pieces
        else:
            yield current
            current = part
    if current is not None:
        yield current


def _fetch(prefix: Location, info: ObjectInfo, requests: Iterable[Range]) -> None:
    for request in requests:
        views, position = [], request.start
        buffers: list[memoryview] = []
        for target, start, stop in request.pieces:
            if (begin := target.entry.offset + start) > position:
                views.append(memoryview(bytearray(begin - position)))
            buffers.append(target.buffer(start, stop))
            views.append(buffers[-1])
            position = target.entry.offset + stop
        prefix.store.read(info.key, request.start, views, info.version)
        for (target, start, _), buffer in zip(request.pieces, buffers, strict=True):
            target.arrived(start, buffer)
