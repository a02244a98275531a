"""The base of all that tracks children: `Trackable`, and the wrappers of containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.variables.trackable.tracking import Tracking

__all__ = ["TRACKING", "Tracks"]

TRACKING = "_tracking"
"""The attribute that has an object's `Tracking`."""


class Tracks:
    """An object that has children by names.

    What is asked of it from outside has names that no attribute of a user's class has.
    """

    @property
    def __tracking__(self) -> Tracking:
        """What it keeps of its children."""
        found: Tracking = vars(self)[TRACKING]
        return found

    def __children__(self) -> Mapping[str, Any]:
        """Its children by their names, in the order in which they came.

        Raises:
            StructureError: it was changed in a way that their names would not survive.
        """
        return self.__tracking__.children

    def __getstate__(self) -> Any:
        # A copy tracks by itself.
        state = super().__getstate__()
        own, slots = state if isinstance(state, tuple) else (state, None)
        own = {**(own or {}), TRACKING: self.__tracking__.copy()}
        return own if slots is None else (own, slots)
