"""The paths of one save: the checkpoint's, with its step, and those of the files around it."""

from __future__ import annotations

import numbers
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.storage.urls import redacted
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "check_collision",
    "latest_filename_argument",
    "path_argument",
    "step_argument",
    "with_step",
]


def path_argument(path: Any) -> str:
    """A path as text, from str, bytes or a path object.

    Raises:
        TypeError: it is none of these.
    """
    return os.fsdecode(path)


def latest_filename_argument(latest_filename: str | None) -> str:
    """The name of the state file, "checkpoint" by default.

    Raises:
        InvalidArgumentError: it is empty, or has path components.
    """
    if latest_filename is None:
        return "checkpoint"
    if not latest_filename or os.path.dirname(latest_filename):
        raise InvalidArgumentError(
            f"latest_filename must be the name of a file beside the checkpoints, without path components, got "
            f"{latest_filename!r}"
        )
    return latest_filename


def check_collision(path: str, state_name: str, *, several: bool) -> None:
    """See that a checkpoint and the state file beside it have two names.

    Args:
        path: the checkpoint's.
        state_name: the state file's, in the same directory.
        several: whether the files have further numbers in their names, so that none is the path itself.

    Raises:
        InvalidArgumentError: they have one.
    """
    if os.path.basename(path) == state_name and not several:
        raise InvalidArgumentError(
            f"latest_filename {state_name!r} is also the last part of save_path {redacted(path)!r}: give one of them "
            "another name"
        )


def with_step(path: str, step: int, *, pad: bool) -> str:
    """The path of a step's checkpoint: "run/model-7", padded "run/model-00000007"."""
    return f"{path}-{step:08d}" if pad else f"{path}-{step}"


def step_argument(global_step: Any, sess: Session | Mapping[str, Any] | None) -> int:
    """The number of a step.

    Args:
        global_step: an integer; a variable or array with a single one; a tensor of the session's graph or its name.
        sess: where the value of a variable or tensor is, as a saver takes it.

    Raises:
        TypeError: it is nothing of the kind, or only a session has its value.
        InvalidArgumentError: the mapping has no value for it.
    """
    if isinstance(global_step, numbers.Integral):
        return int(global_step)
    if isinstance(global_step, float):
        raise TypeError(f"global_step must be an integer, a variable, a tensor or its name, got {global_step!r}")
    value = np.asarray(_value(global_step, sess))
    if value.ndim or value.dtype.kind not in "iuf":
        raise TypeError(
            f"global_step must have one number without dimensions, got shape {value.shape} and dtype {value.dtype}"
        )
    return int(value)


def _value(global_step: Any, sess: Session | Mapping[str, Any] | None) -> Any:
    if isinstance(sess, Session) and _is_of_graph(global_step, sess):
        return sess.run(global_step)
    if isinstance(global_step, str | Operation | Tensor):
        raise TypeError(f"global_step {global_step!r} has a value in a session only: pass a Session, or an integer")
    if (holder := as_holder(global_step)) is None:
        if hasattr(global_step, "__array__"):
            return global_step  # a tensor that can't be assigned to
        raise TypeError(
            f"global_step must be an integer, a variable, a tensor or its name, got a {type(global_step).__name__}"
        )
    if sess is None or isinstance(sess, Session) or not holder.name:
        return holder.read()
    if holder.name not in sess:
        raise InvalidArgumentError(
            f"the mapping that is saved has no global_step {holder.name!r}: pass an integer", tensor=holder.name
        )
    return sess[holder.name]


def _is_of_graph(thing: Any, session: Session) -> bool:
    return isinstance(thing, str | Operation | Tensor) or getattr(thing, "graph", None) is session.graph
