"""What stands in the attributes of tracked objects for the lists, dicts and tuples that are assigned to them.

Source of what is wrapped: python/trackable/data_structures.py.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cloudckpt.errors import StructureError
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.trackable.dict_wrapper import DictWrapper
from cloudckpt.variables.trackable.list_wrapper import ListWrapper
from cloudckpt.variables.trackable.recognition import NoDependency, is_plain, is_trackable
from cloudckpt.variables.trackable.tuple_wrapper import tuple_wrapper

__all__ = ["OBJECTS", "OBJECTS_AND_ARRAYS", "Wrapping"]


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Which values are tracked, and what is kept in the place of containers.

    Args:
        arrays: whether arrays that can be assigned to are tracked, too.
    """

    arrays: bool

    def tracks(self, value: Any) -> bool:
        """Whether a value is tracked, once it is wrapped.

        Raises:
            StructureError: arrays are tracked, and this one can't be assigned to.
        """
        return is_trackable(value) or (self.arrays and not is_plain(value) and _is_assignable_array(value))

    def wrapped(self, value: Any) -> Any:
        """What is kept in a value's place: of a list, dict or tuple its wrapper, of a `NoDependency` what it has.

        Lists and dicts of classes of their own are left alone, and so is a tuple that holds nothing to track.

        Raises:
            StructureError: as `tracks`, of an array in a container.
        """
        if isinstance(value, NoDependency):
            return value.value
        if is_trackable(value):
            return value
        if type(value) is list:
            return ListWrapper(value, self)
        if type(value) in {dict, OrderedDict}:
            return DictWrapper(value, self)
        if isinstance(value, tuple) and any(map(self._changes, value)):
            return tuple_wrapper(value, self)
        return value

    def _changes(self, element: Any) -> bool:
        """Whether another thing than the element itself, untracked, is kept of it."""
        if isinstance(element, NoDependency) or type(element) in {list, dict, OrderedDict}:
            return True
        if isinstance(element, tuple) and not is_trackable(element):
            return any(map(self._changes, element))
        return self.tracks(element)


def _is_assignable_array(value: Any) -> bool:
    # NumPy's numbers are passed over as Python's are.
    if isinstance(value, np.generic) or (holder := as_holder(value)) is None:
        return False
    if not holder.assignable:
        raise StructureError(
            f"a checkpoint by object restores arrays in place, and this {type(value).__module__}."
            f"{type(value).__qualname__} can't be assigned to: save what holds it as a tree (cloudckpt.save), put its "
            "value into a Variable, or keep it in a NoDependency to leave it out"
        )
    return True


OBJECTS: Final = Wrapping(arrays=False)
"""Objects and variables alone, as in TensorFlow: for the attributes of objects."""

OBJECTS_AND_ARRAYS: Final = Wrapping(arrays=True)
"""Arrays too: for what is handed over to be saved."""
