"""State of Python in a checkpoint by object, as `tf.train.experimental.PythonState`."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["PythonState"]


class PythonState(ABC):
    """A base of objects that go into a checkpoint as one string, which they make and take themselves.

    For what is neither variables nor objects that hold them: the position of a data iterator, the state of a random
    number generator. Nothing that is assigned to its attributes is tracked, unless the class is a `Trackable`, too.
    """

    @abstractmethod
    def serialize(self) -> str | bytes:
        """The state, when it is saved; a text is stored as UTF-8."""

    @abstractmethod
    def deserialize(self, string_value: bytes) -> None:
        """Take a state that was saved.

        Args:
            string_value: what `serialize` gave, as bytes.
        """
