"""What a manager is given, checked before anything is opened."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Literal

from cloudckpt.manager.background.saves import BackgroundSaves
from cloudckpt.state.places import place_of
from cloudckpt.state.policies import Best, EveryHours, Latest, Policy
from cloudckpt.state.state_file import LONGEST_SAVE_TIME
from cloudckpt.state.steps import MAX_STEP
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsIndex

    from cloudckpt.manager.background.saves import WhenBusy
    from cloudckpt.manager.preemption.notice import NoticeSource

__all__ = [
    "background_saves",
    "check_directory_options",
    "check_tier_options",
    "checked_best",
    "checked_step",
    "keep_policy",
    "notice_sources",
]

MAX_TO_KEEP = 5
"""How many of the newest steps stay, if nobody says otherwise."""
LOCAL_MAX_TO_KEEP = 2
"""How many steps a local folder keeps, if nobody says otherwise."""


def keep_policy(
    max_to_keep: int | None,
    keep_every_n_hours: float | None,
    keep: Policy | None,
    best_metric: str | None,
    best_mode: Literal["min", "max"],
) -> Policy:
    """The policy that a manager's arguments stand for.

    Raises:
        TypeError: `keep` is no policy, or `max_to_keep` no integer.
        ValueError: a limit is negative, the mode unknown, or `keep` is given beside what it takes the place of.
    """
    if keep is None:
        policy = _newest_and_hourly(max_to_keep, keep_every_n_hours)
    elif not isinstance(keep, Policy):
        raise TypeError(f"keep must be a policy, such as cloudckpt.keep.Latest(3), got {keep!r}")
    elif max_to_keep != MAX_TO_KEEP or keep_every_n_hours is not None:
        raise ValueError("pass keep, or max_to_keep and keep_every_n_hours: Latest(n) | EveryHours(h) is what they say")
    else:
        policy = keep
    best = Best(best_metric or "", best_mode)
    return policy if best_metric is None else policy | best


def _newest_and_hourly(max_to_keep: int | None, keep_every_n_hours: float | None) -> Policy:
    if max_to_keep is not None and operator.index(max_to_keep) < 0:
        raise ValueError(f"max_to_keep must be None, 0 or more, got {max_to_keep}")
    if keep_every_n_hours is not None and not keep_every_n_hours > 0:
        raise ValueError(f"keep_every_n_hours must be None or more than 0, got {keep_every_n_hours}")
    newest = Latest(max_to_keep or None)
    return newest if keep_every_n_hours is None else newest | EveryHours(keep_every_n_hours)


def check_directory_options(checkpoint_name: str, max_save_time: float | None, timeout: float | None) -> None:
    """Refuse what no directory can be written with.

    Raises:
        ValueError: a time is out of its range, or the base name can't be one.
    """
    if max_save_time is not None and not 0 < max_save_time <= LONGEST_SAVE_TIME:
        raise ValueError(f"max_save_time must be None, or seconds up to {LONGEST_SAVE_TIME:.0f}, got {max_save_time}")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be None or more than 0 seconds, got {timeout}")
    if not checkpoint_name or not checkpoint_name.isprintable() or not {"/", "\\"}.isdisjoint(checkpoint_name):
        raise ValueError(f"checkpoint_name must be a plain name, got {checkpoint_name!r}")


def check_tier_options(
    directory: str | os.PathLike[str],
    local_directory: str | os.PathLike[str] | None,
    local_max_to_keep: int,
    upload_every: int,
    *,
    upload_in_background: bool,
) -> None:
    """Refuse what no two tiers can be made of, and what says something about a local folder where there is none.

    Raises:
        TypeError: a count is no integer.
        ValueError: a count is less than 1, there is no local folder, or it is the directory itself.
    """
    for name, count in (("local_max_to_keep", local_max_to_keep), ("upload_every", upload_every)):
        if operator.index(count) < 1:
            raise ValueError(f"{name} must be 1 or more, got {count}")
    if local_directory is not None:
        if place_of(os.fspath(local_directory)) == place_of(os.fspath(directory)):
            raise ValueError(f"local_directory is the directory itself, {redacted(os.fspath(directory))!r}: give two")
    elif (local_max_to_keep, upload_every, upload_in_background) != (LOCAL_MAX_TO_KEEP, 1, True):
        raise ValueError(
            "local_max_to_keep, upload_every and upload_in_background are about a local folder: pass local_directory, "
            "too; to save less often, pass save_every_n_steps or save_every_n_minutes"
        )


def background_saves(when_busy: WhenBusy, *, asynchronous: bool) -> BackgroundSaves | None:
    """What makes saves behind the caller's back, if anything does.

    Raises:
        ValueError: there is no such policy, or nothing is ever busy.
    """
    saves = BackgroundSaves(when_busy)
    if asynchronous:
        return saves
    if when_busy != "wait":
        raise ValueError(f"when_busy={when_busy!r} is about asynchronous saves: pass asynchronous=True, too")
    return None


def notice_sources(given: Sequence[NoticeSource]) -> tuple[NoticeSource, ...]:
    """The sources of notices that a manager was given.

    Raises:
        TypeError: it is no sequence of them.
    """
    sources = tuple(given) if isinstance(given, list | tuple) else (given,)
    for source in sources:
        if isinstance(source, type) or not (hasattr(source, "start") and hasattr(source, "stop")):
            raise TypeError(
                f"preemption takes a list of sources, such as [cloudckpt.preemption.Sigterm(grace=30)], got {given!r}"
            )
    return sources


def checked_best(metric: str | None, mode: Literal["min", "max"]) -> Best:
    """What `best_step` is asked for.

    Raises:
        ValueError: there is no metric, or no such mode.
    """
    if metric is None:
        raise ValueError("say by which metric: best_step('loss'), or CheckpointManager(best_metric='loss')")
    return Best(metric, mode)


def checked_step(step: SupportsIndex) -> int:
    """The step as an int.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative, or no int64.
    """
    if isinstance(step, bool):
        raise TypeError(f"a step is an integer, got {step}")
    number = operator.index(step)
    if not 0 <= number <= MAX_STEP:
        raise ValueError(f"a step is 0 or more, and an int64, got {number}")
    return number
