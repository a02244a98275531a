"""Values that wait for a variable which TensorFlow's objects have not made yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.variables.foreign.imported import imported

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Deferred", "DeferredByName"]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Calls a function with an object of TensorFlow's that has come; also where that was made in a traced function."""

    function: Callable[[Any], None]
    restore_uid: int = field(compare=False)
    """by which TensorFlow calls the newest first, its own ones among them"""

    @classmethod
    def of(cls, function: Callable[[Any], None]) -> Self:
        """One that is newer than all of TensorFlow's until now."""
        return cls(function, imported("tensorflow.python.framework.ops").uid())

    def _call(self, trackable: Any) -> None:
        with imported("tensorflow").init_scope():
            self.function(trackable)


class Deferred(_Waiting):
    """Waits where TensorFlow's own `CheckpointPosition` waits, and has what is asked of that there.

    Sources: python/trackable/base.py, Trackable._handle_deferred_dependencies and _preload_simple_restoration;
    python/training/optimizer.py and tf_keras's optimizer_v2.py, _create_or_restore_slot_variable.
    """

    __slots__ = ()

    @property
    def checkpoint(self) -> Self:
        """Where TensorFlow looks for `restore_uid`."""
        return self

    def is_simple_variable(self) -> bool:
        """Never, so that a variable is made with its own initializer, and then given to `restore`."""
        return False

    def restore(self, trackable: Any, reader: Any = None) -> None:  # noqa: ARG002  # as TensorFlow calls it
        """Give the object that has come its values."""
        self._call(trackable)


class DeferredByName(_Waiting):
    """Waits where TensorFlow's own restores by name wait, which each object hands on to those that it gets.

    Source: python/trackable/base.py, Trackable._name_based_attribute_restore.
    """

    __slots__ = ()

    def eager_restore(self, trackable: Any) -> None:
        """Give the object that has come its values."""
        self._call(trackable)
