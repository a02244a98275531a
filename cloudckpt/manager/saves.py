"""From a training loop's state to a committed checkpoint: what lies between the public manager and its tier."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cloudckpt.manager.reporting.watch import phase
from cloudckpt.manager.tiers.two_tiers import TwoTiers
from cloudckpt.objects.trees.save import flatten_for_save

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from cloudckpt.manager.background.saves import BackgroundSaves
    from cloudckpt.manager.directory.tier import Tier
    from cloudckpt.manager.preemption.last_save import Preemption
    from cloudckpt.manager.reporting.observer import Observer, SaveWatch
    from cloudckpt.objects.trees.tree import FlatTree

__all__ = ["Saves"]


class Saves:
    """The saves of one manager, in the order in which they are asked for.

    Args:
        tier: where to.
        preemption: says when a save must fit the time that is left.
        background: makes them behind the caller's back; None to make them before `save` returns.
        observer: watches them.
    """

    def __init__(
        self,
        tier: Tier | TwoTiers,
        preemption: Preemption,
        background: BackgroundSaves | None = None,
        *,
        observer: Observer,
    ) -> None:
        self._tier = tier
        self._two_tiers = tier if isinstance(tier, TwoTiers) else None
        self._observer = observer
        self._preemption = preemption
        self._background = background

    def save(self, step: int, state: object, metrics: Mapping[str, float]) -> str | None:
        """Save a tree as a step; its prefix, or None where it is not saved after all.

        The last save before a preemption is made before this returns, once the one in flight has ended or is cut off.
        What that one has failed with does not keep it from being made.
        """
        self.require_other_thread()
        flat, prefix = flatten_for_save(state), self._tier.prefix(step).url
        watch = self._observer.save(step, prefix)
        with watch.stall():
            saved = self._save(watch, step, flat, metrics)
        if saved is None:
            watch.skipped()
        return saved

    def _save(self, watch: SaveWatch, step: int, flat: FlatTree, metrics: Mapping[str, float]) -> str | None:
        size = sum(array.nbytes for array in flat.arrays.values())

        def commit(tensors: Mapping[str, NDArray[Any]]) -> str:
            with watch.run(size):
                return self._tier.save(step, tensors, metrics=metrics)

        def timed(tensors: Mapping[str, NDArray[Any]]) -> str:
            with self._preemption.timed(size):
                return commit(tensors)

        if self._preemption.reached():
            self._finish()
            return self._preemption.save(step, size, lambda: commit(flat.arrays))
        if self._background is None:
            return timed(flat.arrays)
        prefix, withdrawn = self._tier.prefix(step).url, watch.skipped
        phase("snapshot")
        begun = self._background.start(prefix, flat.arrays, timed, frozen=flat.frozen, withdrawn=withdrawn)
        return prefix if begun else None

    def _finish(self) -> None:
        """Let what is under way end in the time that is left, or cut it off."""
        for saves in self._all:
            self._preemption.finish(saves)

    @property
    def _all(self) -> Iterator[BackgroundSaves]:
        """What makes saves behind the caller's back, in the order in which a step goes through them."""
        if self._background is not None:
            yield self._background
        if self._two_tiers is not None:
            yield self._two_tiers.uploads

    def require_other_thread(self) -> None:
        """Raise if the caller is called by a save that is under way.

        Raises:
            RuntimeError: it is.
        """
        for saves in self._all:
            saves.require_other_thread()

    def settle(self) -> None:
        """Wait until no save is under way; what one has failed with is raised later."""
        self.require_other_thread()
        for saves in self._all:
            saves.settle()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until no save is under way, and raise what one has failed with."""
        self.require_other_thread()
        end = None if timeout is None else time.monotonic() + timeout
        for saves in self._all:
            saves.wait(None if end is None else max(0.0, end - time.monotonic()))

    def check_for_errors(self) -> None:
        """Raise what a save has failed with since the last call."""
        for saves in self._all:
            saves.check_for_errors()

    def close(self) -> None:
        """Wait for the save under way, after a notice in the time that is left; and raise what it has failed with.

        With two tiers the newest step is in the bucket then, unless this machine is about to be taken away.
        """
        is_ending = self._preemption.reached()
        if is_ending:
            self._finish()
        try:
            self.wait()
        finally:
            if self._two_tiers is not None and not is_ending:
                self._two_tiers.flush()
