"""Opening one checkpoint, and reading tensors that all belong to the same save of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.bundle_reader import open_bundle
from cloudckpt.checkpoint.prefix import check_prefix
from cloudckpt.checkpoint.v1_files import suggest_pattern
from cloudckpt.checkpoint.v1_reader import open_v1
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    ShortReadError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.storage.open import Location

__all__ = ["open_checkpoint", "read_consistently"]

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often a read starts again because the checkpoint was replaced under it."""

Result = TypeVar("Result")


def open_checkpoint(prefix: Location, files: PrefixFiles | None = None) -> OpenCheckpoint:
    """Read what a checkpoint says it holds, and see which files are there. No tensor is read.

    It is of the V2 format if the prefix has an index, as in TensorFlow. Otherwise it is a V1 file of that very name, or
    the files that the name matches as a pattern, such as 'ckpt-?????-of-00003'.

    Args:
        prefix: the checkpoint's prefix.
        files: what a listing of its folder has just shown, which saves the LIST if nothing is missing from it: it may
            be older than the index.

    Raises:
        CheckpointPathError: the path can't be a prefix.
        CheckpointNotFoundError: there is neither.
        CheckpointDamagedError: the index, or a V1 file, does not parse.
        CheckpointVersionError: a newer program wrote it.

    Cost: a GET, and a LIST where `files` does not do; for V1, after the GET that finds nothing, that of `open_v1`.
    """
    check_prefix(prefix)
    checkpoint = open_bundle(prefix, files) or open_v1(prefix)
    if checkpoint is None:
        raise _not_found(prefix)
    return checkpoint


def read_consistently(
    prefix: Location,
    read: Callable[[OpenCheckpoint], Result],
    files: PrefixFiles | None = None,
    *,
    whole: bool = True,
    opening: Callable[[Location, PrefixFiles | None], OpenCheckpoint] = open_checkpoint,
) -> Result:
    """Open a prefix and read from it, such that everything comes from one and the same save.

    A save that replaces the checkpoint meanwhile makes the read start again, a few times. What looks like damage is
    damage only if the prefix still holds the index that was read, and its data files were looked up after it.

    Args:
        prefix: the checkpoint's.
        read: what to do with it; again with what is opened anew.
        files: as for `open_checkpoint`.
        whole: see first that no file is missing or too short. Otherwise only what `read` needs must be there.
        opening: what opens it.

    Raises:
        CheckpointNotFoundError: the prefix has no index.
        CheckpointDamagedError: the checkpoint, or what is needed of it, is not whole.
        ObjectChangedError: it was replaced again and again.

    Cost: that of `open_checkpoint`, one request more to look at the index again, and those of `read`.
    """
    for _ in range(ATTEMPTS):
        try:
            checkpoint = opening(prefix, files)
        except (ObjectChangedError, ShortReadError):
            continue  # a V1 file was replaced between the look at it and the first read
        try:
            if whole:
                checkpoint.check_whole()
            result = read(checkpoint)
        except (CheckpointDamagedError, ObjectChangedError, ObjectNotFoundError, ShortReadError) as error:
            if checkpoint.is_current():
                if isinstance(error, CheckpointDamagedError):
                    raise
                if files is None:  # else they may be older than the index: look again
                    raise CheckpointDamagedError(f"{prefix.url!r} is not whole: {error}", path=prefix.url) from error
        else:
            if checkpoint.is_current():
                return result
        logger.info("%s was replaced while it was read; starting again", prefix.url)
        files = None
    raise ObjectChangedError(
        f"{prefix.url!r} was replaced {ATTEMPTS} times while it was read; stop the writer, or read a checkpoint that "
        "nobody overwrites",
        path=prefix.url,
    )


def _not_found(prefix: Location) -> CheckpointNotFoundError:
    index = prefix.store.url(index_filename(prefix.key))
    if (pattern := suggest_pattern(prefix)) is not None:
        advice = f"There are files of a V1 checkpoint in several: pass their pattern, {pattern!r}"
    elif _is_directory(prefix):
        advice = (
            "It is a directory of checkpoints: cloudckpt.latest_checkpoint finds the newest, and "
            "CheckpointManager.restore_latest loads it"
        )
    else:
        advice = "Check the path: it is the prefix of a checkpoint's files, such as 'run/ckpt-100'"
    return CheckpointNotFoundError(
        f"there is no checkpoint {prefix.url!r}: its index {index!r} does not exist, nor a V1 file of the very name. "
        f"{advice}",
        path=prefix.url,
    )


def _is_directory(path: Location) -> bool:
    """Whether the state file of a directory of checkpoints is there. One request."""
    try:
        path.store.stat(path.child("checkpoint").key)
    except ObjectNotFoundError:
        return False
    return True
