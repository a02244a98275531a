"""Objects that track what is assigned to their attributes."""

from __future__ import annotations

from typing import Any

from cloudckpt.variables.trackable.tracking import Tracking
from cloudckpt.variables.trackable.tracks import TRACKING, Tracks
from cloudckpt.variables.trackable.wrapping import OBJECTS

__all__ = ["Trackable"]

_MISSING = object()


class Trackable(Tracks):
    """An object whose attributes go into a checkpoint by object: the base of modules, optimizers, training loops.

    Variables, other such objects and `PythonState` that are assigned to its attributes are tracked under the
    attributes' names, and so is what lists, dicts and tuples hold, at any depth: of these the attribute keeps a wrapper
    that acts as they do. Objects of other frameworks that hold state, such as layers of Keras and modules of torch, are
    tracked too. Numbers, texts and arrays are not: they are part of the program, and what changes by training belongs
    into a `Variable`.

    An attribute that is assigned a second object tracks that in the first one's place; one that is assigned something
    that can't be tracked goes on tracking the first, as in TensorFlow; one that is deleted tracks nothing. What is to
    be kept out is assigned as `NoDependency(value)`.

    If a checkpoint was restored before an object was assigned, it gets its values when it is. A subclass need not call
    `__init__`. It behaves as TensorFlow's AutoTrackable, and its objects can be copied and pickled.
    """

    @property
    def __tracking__(self) -> Tracking:
        """What it keeps of its children; made when it is first needed."""
        found: Tracking | None = vars(self).get(TRACKING)
        if found is None:
            vars(self)[TRACKING] = found = Tracking(OBJECTS)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, name, _MISSING) is value:
            return
        super().__setattr__(name, self.__tracking__.keep(name, value))

    def __delattr__(self, name: str) -> None:
        self.__tracking__.forget(name)
        super().__delattr__(name)
