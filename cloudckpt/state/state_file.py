"""The `checkpoint` state file: TensorFlow's CheckpointState as text, and one comment line of ours.

TensorFlow's parser skips comments, and would refuse a field that it does not know; so what it has no field for stands
in a line `# cloudckpt: {"retired": [...], "left": [...]}`, with `"max_save_time"` (seconds) where saves may take longer
than usual, and `"metrics"` and `"passed"` where there are any.
Sources: python/training/checkpoint_state.proto, python/checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf import text_format

from cloudckpt.descriptors import message_class
from cloudckpt.errors import StateFileError
from cloudckpt.state.metrics import metrics_from_json, metrics_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LONGEST_SAVE_TIME",
    "STATE_FILENAME",
    "CheckpointState",
    "decode_state",
    "encode_state",
    "last_component",
    "message_of",
]

STATE_FILENAME = "checkpoint"
COMMENT = "# cloudckpt: "
LONGEST_SAVE_TIME = 365 * 86400.0
"""Seconds: the most that a state may allow for a save; collectors wait twice as long."""


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What a state file says. Paths stand as they were written: relative to its folder, or absolute."""

    latest: str = ""
    """the newest checkpoint's path; empty if it names none"""
    paths: tuple[str, ...] = ()
    """all checkpoints that are kept, oldest first, the newest last"""
    timestamps: tuple[float, ...] = ()
    """when each was saved, seconds since the epoch; empty, or one a path"""
    last_preserved: float = 0.0
    """the time of the newest checkpoint that `keep_every_n_hours` keeps, seconds since the epoch"""
    retired: tuple[str, ...] = ()
    """checkpoints that retention has dropped, until they are known to be gone"""
    left: tuple[str, ...] = ()
    """checkpoints of a line that was left by saving on from an older step: on disk, and never resumed"""
    successor: str = ""
    """a checkpoint that is about to take the place of all that are named, and does as soon as it has a new index"""
    instead_of: str = ""
    """the version of the successor's index from before; empty if it had none"""
    max_save_time: float | None = None
    """seconds that a save may take from its first look to its commit, where that is more than usual"""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """what was saved with checkpoints, by their names; one that is not here may have metrics all the same"""
    passed: tuple[str, ...] = ()
    """checkpoints up to `last_preserved` that `keep_every_n_hours` does not keep, but another policy does"""


def encode_state(state: CheckpointState) -> bytes:
    """The text of a state file, as TensorFlow writes it, behind the comment line where there is anything to say."""
    remarks: dict[str, object] = {"retired": list(state.retired), "left": list(state.left)}
    if state.successor:
        remarks["successor"], remarks["instead_of"] = state.successor, state.instead_of
    if state.max_save_time is not None:
        remarks["max_save_time"] = state.max_save_time
    if state.metrics:
        remarks["metrics"] = {name: metrics_to_json(metrics) for name, metrics in state.metrics.items()}
    if state.passed:
        remarks["passed"] = list(state.passed)
    comment = f"{COMMENT}{json.dumps(remarks)}\n" if any(remarks.values()) else ""
    return (comment + text_format.MessageToString(message_of(state))).encode()


def message_of(state: CheckpointState) -> Any:
    """The `CheckpointState` message, which has all but what stands in the comment line."""
    return message_class("tensorflow.CheckpointState")(
        model_checkpoint_path=state.latest,
        all_model_checkpoint_paths=state.paths,
        all_model_checkpoint_timestamps=state.timestamps,
        last_preserved_timestamp=state.last_preserved,
    )


def decode_state(data: bytes, path: str) -> CheckpointState:
    """Read a state file, TensorFlow's or ours.

    Args:
        data: the whole file.
        path: its own path, for messages.

    Raises:
        StateFileError: it is no text of a CheckpointState.
    """
    message = message_class("tensorflow.CheckpointState")()
    try:
        text = data.decode()
        text_format.Merge(text, message, allow_unknown_field=True)
        remarks = _remarks(text)
        retired, left = _names(remarks, "retired"), _names(remarks, "left")
        successor, instead_of = _name(remarks, "successor"), _name(remarks, "instead_of")
        max_save_time = _seconds(remarks)
        metrics, passed = _metrics(remarks), _names(remarks, "passed")
    except (text_format.ParseError, ValueError, RecursionError) as error:
        raise StateFileError(
            f"the state file {path!r} can't be read: {error}. Restore it from a copy, or delete it: then the newest "
            "whole checkpoint beside it is taken",
            path=path,
        ) from error
    return CheckpointState(
        latest=message.model_checkpoint_path,
        paths=tuple(message.all_model_checkpoint_paths),
        timestamps=tuple(message.all_model_checkpoint_timestamps),
        last_preserved=message.last_preserved_timestamp,
        retired=retired,
        left=left,
        successor=successor,
        instead_of=instead_of,
        max_save_time=max_save_time,
        metrics=metrics,
        passed=passed,
    )


def _remarks(text: str) -> dict[str, Any]:
    """What the first comment line of ours says."""
    # Only "\n" ends a line for the parser of the text; str.splitlines would also split a quoted path.
    line = next((line for line in text.split("\n") if line.startswith(COMMENT)), COMMENT + "{}")
    remarks = json.loads(line.removeprefix(COMMENT))
    if isinstance(remarks, dict):
        return remarks
    raise ValueError("its comment line is no JSON object")


def _seconds(remarks: Mapping[str, Any]) -> float | None:
    seconds = remarks.get("max_save_time")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_SAVE_TIME:
        raise ValueError(f"'max_save_time' in its comment line is no number of seconds up to {LONGEST_SAVE_TIME:.0f}")
    return float(seconds)


def _metrics(remarks: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    metrics = remarks.get("metrics", {})
    if not isinstance(metrics, dict):
        raise ValueError("'metrics' in its comment line is no JSON object")  # noqa: TRY004 - the file's fault
    return {name: metrics_from_json(found) for name, found in metrics.items()}


def _names(remarks: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = remarks.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key!r} in its comment line is no list of names")
    return tuple(names)


def _name(remarks: Mapping[str, Any], key: str) -> str:
    name = remarks.get(key, "")
    if isinstance(name, str):
        return name
    raise ValueError(f"{key!r} in its comment line is no name")


def last_component(path: str) -> str:
    """The name of a checkpoint without its folders, be they written as POSIX, Windows or a URL write them."""
    return re.split(r"[/\\]", path)[-1]
