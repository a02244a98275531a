"""Options of a `Checkpoint`'s saves and restores, under TensorFlow's names."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CheckpointOptions", "call_write_callbacks", "skips_slot_variables"]

logger = logging.getLogger(__name__)


class CheckpointOptions:
    """How a `Checkpoint` saves and restores; TensorFlow's own are taken as well.

    Args:
        experimental_io_device: ignored: which machine reads and writes is no question here.
        experimental_enable_async_checkpoint: the older name of `enable_async`.
        experimental_write_callbacks: called one after the other when a checkpoint is committed, without arguments or
            with its path; those of `save` before the state file names it.
        enable_async: a `Checkpoint` saves before it returns, and logs a warning if this is set: to go on while it is
            written is what `cloudckpt.CheckpointManager(asynchronous=True)` is for.
        experimental_skip_slot_variables: a restore leaves optimizers' slot variables alone.
        experimental_sharding_callback: refused: data files are cut by size where the store wants it.

    Raises:
        AssertionError: a callback takes more than one argument.
        InvalidArgumentError: a sharding callback is given.
    """

    def __init__(  # noqa: PLR0917 - TensorFlow's arguments
        self,
        experimental_io_device: str | None = None,
        experimental_enable_async_checkpoint: bool = False,
        experimental_write_callbacks: Sequence[Callable[..., Any]] | None = None,
        enable_async: bool = False,
        experimental_skip_slot_variables: bool = False,
        experimental_sharding_callback: Any = None,
    ) -> None:
        if experimental_sharding_callback is not None:
            raise InvalidArgumentError(
                "experimental_sharding_callback is not supported: how many data files there are follows from their "
                "size and the store; leave it out"
            )
        for callback in experimental_write_callbacks or ():
            if _arguments(callback) > 1:
                raise AssertionError(f"a write callback takes the path, or nothing: {callback!r} takes more")
        self.experimental_io_device = experimental_io_device
        self.enable_async = self.experimental_enable_async_checkpoint = (
            experimental_enable_async_checkpoint or enable_async
        )
        self.experimental_write_callbacks = experimental_write_callbacks
        self.experimental_skip_slot_variables = experimental_skip_slot_variables
        self.experimental_sharding_callback = None


def call_write_callbacks(options: Any, path: str) -> None:
    """Call what wants to know of a commit; warn of what else was wished and is not done."""
    if getattr(options, "enable_async", False):
        logger.warning(
            "%r was saved before the call returned, though enable_async is set: use "
            "cloudckpt.CheckpointManager(asynchronous=True) to save while the program goes on",
            path,
        )
    for callback in getattr(options, "experimental_write_callbacks", None) or ():
        callback(path) if _arguments(callback) else callback()


def skips_slot_variables(options: Any) -> bool:
    """Whether slot variables are left out of a restore."""
    return bool(getattr(options, "experimental_skip_slot_variables", False))


def _arguments(callback: Callable[..., Any]) -> int:
    return len(inspect.signature(callback).parameters)
