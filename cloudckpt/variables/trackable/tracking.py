"""What an object that tracks others keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.variables.trackable.recognition import NoDependency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudckpt.variables.trackable.wrapping import Wrapping

__all__ = ["Tracking"]


class Tracking:
    """The children of one object by their names, and the restores that wait for more of them.

    Args:
        wrapping: says what is tracked, and gives what is kept in a value's place.
        children: those that it has already.
    """

    __slots__ = ("_waiting", "_waiting_for_any", "children", "wrapping")

    def __init__(self, wrapping: Wrapping, children: Mapping[str, Any] | None = None) -> None:
        self.wrapping = wrapping
        self.children = dict(children or {})
        self._waiting: dict[str, list[Callable[[Any], None]]] = {}
        self._waiting_for_any: list[Callable[[Any], None]] = []

    def keep(self, name: str, value: Any) -> Any:
        """Track a value under a name, if it is one to be tracked, and give what is to be kept in its place.

        Raises:
            StructureError: as `Wrapping.wrapped`.
            Exception: as `track`.
        """
        kept, is_tracked = self.wrapped(value)
        if is_tracked:
            self.track(name, kept)
        return kept

    def wrapped(self, value: Any) -> tuple[Any, bool]:
        """What is to be kept in a value's place, and whether it is to be tracked.

        Raises:
            StructureError: as `Wrapping.wrapped`.
        """
        kept = self.wrapping.wrapped(value)
        return kept, not isinstance(value, NoDependency) and self.wrapping.tracks(kept)

    def track(self, name: str, child: Any) -> None:
        """Take a child, in the place of the one that had the name; the first of its name gets what waits for it.

        Raises:
            Exception: what a restore that waited for it raises. Then the child is not tracked, and all that waited
                goes on waiting for one that fits.
        """
        is_first = name not in self.children
        self.children[name] = child
        if is_first:
            try:
                for waiting in (self._waiting.get(name, ()), self._waiting_for_any):
                    for restore in reversed(waiting):
                        restore(child)
            except BaseException:
                self.forget(name)
                raise
            self._waiting.pop(name, None)

    def forget(self, name: str) -> None:
        """Have no child of that name any more; one that comes later is the last in order."""
        self.children.pop(name, None)

    def adopt(self, name: str, restore: Callable[[Any], None]) -> None:
        """Call `restore` with the next child of that name that there was none of before; of several the newest first.

        The newest first, because a restore gives nothing to what a later one has given values.
        """
        self._waiting.setdefault(name, []).append(restore)

    def adopt_any(self, restore: Callable[[Any], None]) -> None:
        """Call `restore` with each next child of a name that there was none of before; of several the newest first."""
        self._waiting_for_any.append(restore)

    def given(self, name: str, value: Any) -> Any:
        """What to give `keep` for it to track the same, of what it gave: `value`, or that kept out."""
        return NoDependency(value) if self.wrapping.tracks(value) and name not in self.children else value

    def copy(self) -> Tracking:
        """One with the same children, for which nothing waits: a restore is meant for the object it was asked of."""
        return Tracking(self.wrapping, self.children)
