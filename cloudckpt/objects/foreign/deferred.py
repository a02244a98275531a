"""Values that wait for a variable which TensorFlow's objects have not made yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.variables.foreign.imported import imported

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Deferred"]


@dataclass(frozen=True, slots=True)
class Deferred:
    """Waits where TensorFlow's own `CheckpointPosition` waits, and has what is asked of that there.

    Sources: python/trackable/base.py, Trackable._handle_deferred_dependencies and _preload_simple_restoration;
    python/training/optimizer.py and tf_keras's optimizer_v2.py, _create_or_restore_slot_variable.
    """

    function: Callable[[Any], None]
    restore_uid: int
    """by which TensorFlow calls the newest first, its own ones among them"""

    @classmethod
    def of(cls, function: Callable[[Any], None]) -> Self:
        """One that is newer than all of TensorFlow's until now."""
        return cls(function, imported("tensorflow.python.framework.ops").uid())

    @property
    def checkpoint(self) -> Self:
        """Where TensorFlow looks for `restore_uid`."""
        return self

    def is_simple_variable(self) -> bool:
        """Never, so that a variable is made with its own initializer, and then given to `restore`."""
        return False

    def restore(self, trackable: Any, reader: Any = None) -> None:  # noqa: ARG002  # as TensorFlow calls it
        """Give the object that has come its values; also where it was made while a function was traced."""
        with imported("tensorflow").init_scope():
            self.function(trackable)
