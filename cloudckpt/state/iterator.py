"""Waiting for checkpoints that another program writes: `checkpoints_iterator`.

Source: python/training/checkpoint_utils.py, checkpoints_iterator and wait_for_new_checkpoint.
"""

from __future__ import annotations

import logging
import os
import random
import time
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    ObjectChangedError,
    StateFileError,
    TransientStorageError,
)
from cloudckpt.state.latest import whole_latest
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.open import open_location
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudckpt.storage.location import Location

__all__ = ["checkpoints_iterator", "wait_for_new_checkpoint"]

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 10.0
"""Seconds between two looks at most, unless more are asked for."""
SHORTEST_LOOK = 5.0
"""Seconds that a look may take, however little of the timeout is left."""

NOT_YET = (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    ObjectChangedError,
    StateFileError,
    TransientStorageError,
)
"""What a look may meet while a checkpoint, or a copy of one, is on its way, or the network is down for a while."""


def checkpoints_iterator(
    checkpoint_dir: str | os.PathLike[str],
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Iterate over the checkpoints that a directory's state file names as the latest, as they appear.

    It looks only while the next one is asked for, so it passes over those that came and went meanwhile.

    Args:
        checkpoint_dir: the directory: a local path, or any URL that fsspec reads. It need not exist yet.
        min_interval_secs: seconds from giving one to the look for the next, at least.
        timeout: seconds to wait for each; None to wait without end.
        timeout_fn: called without arguments when the timeout is over, and after each checkpoint. If it returns
            something true, the iterator ends; else it goes on waiting. Without it the end of a timeout is the end.
        storage_options: options of the store, as fsspec takes them.

    Yields:
        The prefix, as `latest_checkpoint` gives it.

    Raises: what `wait_for_new_checkpoint` raises.

    Cost: that of `wait_for_new_checkpoint` for each.
    """
    latest = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, latest, timeout=timeout, storage_options=storage_options)
        if found is not None:
            started, latest = time.time(), found
            yield found
            if (pause := started + min_interval_secs - time.time()) > 0:
                time.sleep(pause)
        elif timeout_fn is None:
            logger.info("no new checkpoint in %s in %s s", redacted(os.fspath(checkpoint_dir)), timeout)
            return
        if timeout_fn is not None and timeout_fn():
            logger.info("no new checkpoints are expected in %s", redacted(os.fspath(checkpoint_dir)))
            return


def wait_for_new_checkpoint(
    checkpoint_dir: str | os.PathLike[str],
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> str | None:
    """Wait until a directory's state file names another checkpoint as the latest, and that is whole.

    Looks are about `seconds_to_sleep` apart at first; each pause is random, up to a bound that doubles until it is 10
    seconds. What may pass is waited for: a state file or a checkpoint that is still being copied, a server that does
    not answer. Unlike `latest_checkpoint` it takes no older checkpoint in the place of the latest.

    Args:
        checkpoint_dir: the directory: a local path, or any URL that fsspec reads. It need not exist yet.
        last_checkpoint: what was returned last; None to take any.
        seconds_to_sleep: seconds until the second look at most; more than 10 is the bound for all.
        timeout: seconds; the last look is at their end. None to wait without end.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        The prefix, as `latest_checkpoint` gives it; None if none came in time.

    Raises:
        CheckpointVersionError: a newer program wrote it.
        PermissionDeniedError: the store does not let these credentials look.
        StorageError: the store failed in a way that waiting does not mend, or the bucket itself does not exist.

    Cost: a GET a look, and a LIST without a state file; once there is another name, a GET of the index and a LIST.
    """
    given = os.fspath(checkpoint_dir)
    stop = None if timeout is None else time.time() + timeout
    bound = seconds_to_sleep
    with open_location(given or os.curdir, storage_options) as directory:
        while True:
            found = _look(directory, given, last_checkpoint, None if stop is None else stop - time.time())
            if found is not None:
                return found
            left = None if stop is None else stop - time.time()
            if left is not None and left <= 0:
                return None
            pause = random.uniform(bound / 2, bound)  # noqa: S311 - jitter is no secret
            time.sleep(pause if left is None else min(pause, left))
            bound = max(seconds_to_sleep, min(2 * bound, LONGEST_PAUSE))


def _look(directory: Location, given: str, last: str | None, left: float | None) -> str | None:
    """The latest checkpoint, if it is there and another than the last one."""
    try:
        with time_limit(None if left is None else max(left, SHORTEST_LOOK)):
            found = whole_latest(directory, given, known=last)
    except NOT_YET as error:
        logger.log(
            logging.WARNING if isinstance(error, TransientStorageError) else logging.INFO,
            "no new checkpoint in %s yet: %s",
            directory.url,
            error,
        )
        return None
    return None if found == last else found
