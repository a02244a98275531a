"""Where the values live that a save reads and a restore sets: with the variables, or in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.holder import Holder
    from cloudckpt.variables.sessions.session import Session

__all__ = ["OwnValues", "SessionValues", "Values"]


class Values(Protocol):
    """The values of holders during one save or restore."""

    def read(self, holder: Holder) -> NDArray[Any]:
        """The value, not copied where that can be helped: not to be written to.

        Raises:
            InvalidArgumentError: there is none; the message names the holder.
        """

    def assign(self, holder: Holder, array: NDArray[Any]) -> None:
        """Set the value; the array is handed over, and its dtype and shape are the holder's."""


class OwnValues:
    """Each holder's own value."""

    def read(self, holder: Holder) -> NDArray[Any]:
        """As `Holder.read`."""
        return holder.read()

    def assign(self, holder: Holder, array: NDArray[Any]) -> None:
        """As `Holder.assign`."""
        holder.assign(array)


class SessionValues:
    """A session's values, by the names of the holders."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, holder: Holder) -> NDArray[Any]:
        """As `Session.read`."""
        return self._session.read(holder.name)

    def assign(self, holder: Holder, array: NDArray[Any]) -> None:
        """As `Session.assign`."""
        self._session.assign(holder.name, array)
