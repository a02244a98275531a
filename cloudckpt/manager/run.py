"""A training job from its start, or its restart, to an exit code that a scheduler understands."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudckpt.manager.checkpoint_manager import CheckpointManager

    Yielded = tuple[int, Any] | tuple[int, Any, Mapping[str, float]]

__all__ = ["PREEMPTED_EXIT_CODE", "run"]

logger = logging.getLogger(__name__)

PREEMPTED_EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: it failed for now, try again later."""
ENDED, PREEMPTED = object(), object()


def run(
    train: Callable[[tuple[Any, int] | None], Generator[Yielded, None, None]],
    manager: CheckpointManager,
    *,
    like: object = None,
    preempted_exit_code: int = PREEMPTED_EXIT_CODE,
) -> int:
    """Resume, train, save what is due, and end in time when this machine is taken away.

    ::

        def train(restored):
            state, step = restored or (initial_state(), 0)
            while step < 10_000:
                state, step = one_step(state), step + 1
                yield step, state

        with ckpt.CheckpointManager(directory, save_every_n_steps=100, asynchronous=True) as manager:
            sys.exit(ckpt.run(train, manager))

    When it returns, no save is in flight: the last step is saved whole if the training has ended, and if it was
    preempted, then if the time left allowed it (the log says so). What `train` raises after a notice is taken for a
    consequence, as when the same signal has ended its workers: it is logged, and counts as a preemption.

    Args:
        train: a generator function. It is given `(state, step)` of the newest whole checkpoint, or None if there is
            none yet, and yields `(step, state)` after each step, or `(step, state, metrics)`. What it yields may be
            saved until it is asked for the next step.
        manager: where to; it says which steps are due, and where notices come from (`preemption=`; by default
            `preemption.detect()`).
        like: a template for the restored state, as `restore_latest` takes it.
        preempted_exit_code: what to return when preempted: a code at which the scheduler starts the job again.

    Returns:
        The process's exit code: 0 when the training has ended, else `preempted_exit_code`.

    Raises:
        TypeError: `train` is no generator function, or yields something else.
        Exception: whatever `train` raises, once the save in flight has ended, unless a notice has come; and what
            `restore_latest` and `save` raise.

    Cost: what `restore_latest` and the saves cost.
    """
    manager.listen()
    restored = manager.restore_latest(default=None, like=like)
    if manager.reached_preemption(0 if restored is None else restored[1]):
        return preempted_exit_code
    with _closing(_started(train, restored), manager) as steps:
        try:
            is_preempted = _train(steps, manager)
        except BaseException:
            _wait_quietly(manager)
            raise
    if is_preempted:
        _wait_quietly(manager)
        return preempted_exit_code
    manager.wait()
    return 0


def _started(train: Callable[[Any], Generator[Yielded, None, None]], restored: Any) -> Generator[Yielded, None, None]:
    steps = train(restored)
    if not isinstance(steps, Generator):
        raise TypeError(f"train must be a generator function that yields (step, state), but it returned {type(steps)}")
    return steps


def _train(steps: Iterator[Yielded], manager: CheckpointManager) -> bool:
    """Train to the end, or until preempted; whether it is to be done again."""
    unsaved: tuple[int, Any, Mapping[str, float] | None] | None = None
    while (yielded := _next(steps, manager)) is not ENDED:
        if yielded is PREEMPTED:
            return True
        step, state, metrics = _parts(yielded)
        is_preempted = manager.reached_preemption(step)
        is_saved = manager.save(step, state, metrics, force=is_preempted) is not None
        if is_preempted:
            return True
        unsaved = None if is_saved else (step, state, metrics)
    if unsaved is None:
        return False
    try:
        # A save in flight would make a manager that skips leave this one out.
        manager.wait()
    except Exception:
        # The last step is not to be lost by what another one has failed with.
        manager.save(*unsaved, force=True)
        raise
    # It is left out where a notice has come just now, and too late.
    return manager.save(*unsaved, force=True) is None


def _next(steps: Iterator[Yielded], manager: CheckpointManager) -> Any:
    """What the training yields next, ENDED at its end; PREEMPTED if it fails and a notice has come."""
    yielded: Any = PREEMPTED
    with _failures_logged_after_a_notice(manager):
        yielded = next(steps, ENDED)
    return yielded  # noqa: RET504 - the block may have ended early


@contextmanager
def _closing(steps: Generator[Yielded, None, None], manager: CheckpointManager) -> Iterator[Iterator[Yielded]]:
    """Let the training clean up after the block."""
    try:
        yield steps
    finally:
        with _failures_logged_after_a_notice(manager):
            steps.close()


@contextmanager
def _failures_logged_after_a_notice(manager: CheckpointManager) -> Iterator[None]:
    try:
        yield
    except Exception:
        if not manager.reached_preemption(0):
            raise
        logger.exception("the training has failed after a notice, and is taken to be preempted")


def _parts(yielded: Any) -> tuple[int, Any, Mapping[str, float] | None]:
    match yielded:
        case (step, state):
            return step, state, None
        case (step, state, metrics):
            return step, state, metrics
    raise TypeError(f"train must yield (step, state) or (step, state, metrics), not {type(yielded)}")


def _wait_quietly(manager: CheckpointManager) -> None:
    """Wait for the save in flight, where its error matters less than what is on its way to the caller."""
    try:
        manager.wait()
    except Exception:
        logger.exception("the save in flight has failed")
