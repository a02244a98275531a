"""Where the values live that a save reads and a restore sets: with the variables, in a session, or in a mapping."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.conversion import converted
from cloudckpt.variables.foreign.jax import jax_like

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.holder import Holder
    from cloudckpt.variables.sessions.session import Session

__all__ = ["MappingValues", "OwnValues", "SessionValues", "Values"]


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


class MappingValues:
    """A mapping's values, by the names of the holders.

    A restore puts a new array into it for each name; on the devices of the one that was there, if that was JAX's.
    """

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping

    def read(self, holder: Holder) -> NDArray[Any]:
        """The array that the mapping has by the holder's name.

        Raises:
            InvalidArgumentError: it has none.
        """
        if holder.name not in self._mapping:
            raise InvalidArgumentError(
                f"the mapping that is to be saved has no array named {holder.name!r}: it has "
                f"{sorted(map(str, self._mapping))[:5]} and {max(len(self._mapping) - 5, 0)} more",
                tensor=holder.name,
            )
        return converted(self._mapping[holder.name])

    def assign(self, holder: Holder, array: NDArray[Any]) -> None:
        """Put the array into the mapping, by the holder's name.

        Raises:
            TypeError: the mapping can't be changed.
        """
        if not isinstance(self._mapping, MutableMapping):
            raise TypeError(f"a {type(self._mapping).__name__} can't be restored into: give a dict")
        new = jax_like(self._mapping.get(holder.name), array)
        self._mapping[holder.name] = array if new is None else new
