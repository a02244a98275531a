"""`collect_garbage`: what a person or a job calls, and how old garbage must be."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.save_time import MAX_SAVE_TIME, collection_age
from cloudckpt.errors import InvalidArgumentError, UnsupportedOperationError
from cloudckpt.garbage.collector import Collector
from cloudckpt.garbage.names import BaseName
from cloudckpt.state.directory import read_state
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cloudckpt.garbage.report import GarbageReport
    from cloudckpt.storage.location import Location

__all__ = ["MIN_AGE", "collect_garbage", "collect_in"]

MIN_AGE = collection_age(MAX_SAVE_TIME)
"""Seconds, 24 hours: the age of garbage in a directory whose saves take no longer than usual."""


def collect_garbage(
    directory: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    min_age: float = MIN_AGE,
    no_writers: bool = False,
    checkpoint_name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> GarbageReport:
    """Delete what saves have left behind in a directory. A committed checkpoint is never touched, at whatever moment.

    Garbage is: data files that their checkpoint's index does not name, or that have no index; uploads and temporary
    files of checkpoints that were begun and not completed; and what TensorFlow leaves when a save of its own fails or
    is killed. It must be 24 hours old by the store's clock, for a younger one may belong to a save under way; where
    the directory's saves may take longer (`CheckpointManager(max_save_time=...)`), twice that time. It may run while
    jobs save, read and collect.

    Not touched are: all of a prefix whose index can't be read; checkpoints in the V1 format; side files (`.meta`);
    folders below, but for TensorFlow's temporary ones; and every file whose name is not one that saves make.

    Args:
        directory: of checkpoints: a local path, or any URL that fsspec reads.
        dry_run: whether to find only, and delete nothing.
        min_age: seconds; a shorter one than 24 hours needs `no_writers`.
        no_writers: that nobody saves in the directory, nor copies into it, while this runs. Then `min_age` may be as
            short as 0, and is not lengthened.
        checkpoint_name: only what belongs to this base name: `<name>` and `<name>-<step>`. By default all.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        What was found, deleted and kept, and why; `str()` of it is for people.

    Raises:
        InvalidArgumentError: `min_age` is too short, or the name can't be one.
        UnsupportedOperationError: it is no dry run, and the store does not tell times that prove an age.
        StateFileError: the directory's state file can't be read, which may say how long saves take.
        StorageError: the store failed. A deletion that fails is raised when all others were tried.

    Cost: a GET of the state file; a LIST (one request a thousand files, those in folders below included); a GET of the
    index for each prefix that has old data files beside it which it may not name, and a LIST of indexes that were put
    aside where it does not; one request for the unfinished uploads, where the store can list them; and the deletions:
    one each, on S3 a LIST and a batch for each prefix.
    """
    _check(min_age, no_writers=no_writers, checkpoint_name=checkpoint_name)
    with open_location(directory, storage_options) as location:
        return collect_in(
            location, dry_run=dry_run, min_age=min_age, no_writers=no_writers, checkpoint_name=checkpoint_name
        )


def collect_in(
    directory: Location,
    *,
    dry_run: bool = False,
    min_age: float = MIN_AGE,
    no_writers: bool = False,
    checkpoint_name: str | None = None,
) -> GarbageReport:
    """What `collect_garbage` does, at an open location."""
    read = read_state(directory)
    if read.error is not None:
        raise read.error
    now = _time_of(directory, dry_run=dry_run)
    if not no_writers:
        min_age = max(min_age, collection_age(read.state.max_save_time or MAX_SAVE_TIME))
    return Collector(directory, now=now, min_age=min_age, base_name=BaseName(checkpoint_name), dry_run=dry_run).run()


def _check(min_age: float, *, no_writers: bool, checkpoint_name: str | None) -> None:
    if not (min_age >= 0 and math.isfinite(min_age)) or (min_age < MIN_AGE and not no_writers):
        raise InvalidArgumentError(
            f"min_age must be {MIN_AGE:.0f} seconds or more, got {min_age}: what is younger may be a save under way. "
            "Where nobody saves or copies now, pass no_writers=True, and 0 or more"
        )
    if checkpoint_name is not None and (not checkpoint_name or "/" in checkpoint_name):
        raise InvalidArgumentError(f"checkpoint_name must be a plain name, got {checkpoint_name!r}")


def _time_of(directory: Location, *, dry_run: bool) -> float:
    """The time by the store's clock; in a dry run by this machine's where the store tells none."""
    now = directory.store.time()
    if now and directory.store.capabilities.server_times:
        return now
    if dry_run:
        return time.time()
    raise UnsupportedOperationError(
        f"{directory.url!r} is in a store that tells no times by which an age is proved, so a save under way can't be "
        "told from garbage: pass dry_run=True, look at what it finds, and delete it by hand when nobody saves",
        path=directory.url,
    )
