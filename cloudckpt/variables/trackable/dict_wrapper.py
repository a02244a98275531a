"""Dicts whose values are tracked."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.errors import StructureError
from cloudckpt.variables.trackable.same import same
from cloudckpt.variables.trackable.tracking import Tracking
from cloudckpt.variables.trackable.tracks import Tracks

if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values
    from collections.abc import Iterator, Mapping

    from cloudckpt.variables.trackable.wrapping import Wrapping

__all__ = ["DictWrapper"]


if TYPE_CHECKING:  # to typeshed a dict is a MutableMapping by inheritance, which can't come before it
    _Dict = dict[Any, Any]
else:

    class _Dict(MutableMapping, dict):
        """A dict all of whose changes come down to a few methods."""


class DictWrapper(Tracks, _Dict):
    """A dict whose values are tracked under their keys.

    As a `ListWrapper`, it acts upon the dict that it was made of, and itself holds what is known of that. Keys may be
    replaced and deleted as they like: what a deleted one named is tracked no longer (TensorFlow goes on saving it, and
    refuses to save once `pop`, `setdefault` or `|=` had an effect).

    Args:
        items: to be changed only through the wrapper from now on.
        wrapping: says which values are tracked, and gives what is kept in their place.
    """

    def __init__(self, items: dict[Any, Any], wrapping: Wrapping) -> None:
        self._tracking = Tracking(wrapping)
        self._items = items
        self._nameless: set[Any] = set()
        for key, value in items.items():
            items[key] = self._keep(key, value)
        dict.__init__(self, items)

    def _keep(self, key: Any, value: Any) -> Any:
        if isinstance(key, str):
            return self.__tracking__.keep(key, value)
        kept, is_tracked = self.__tracking__.wrapped(value)
        if is_tracked:
            self._nameless.add(key)
        else:
            self._nameless.discard(key)
        return kept

    def __children__(self) -> Mapping[str, Any]:
        """Those values that are tracked, by their keys.

        Raises:
            StructureError: a key of one is no string; or the dict was changed by another name.
        """
        if self._nameless:
            raise StructureError(
                f"{self!r} can't be saved: a checkpoint finds objects by their keys, and the keys "
                f"{sorted(map(repr, self._nameless))} are no strings. Use strings for keys of what is to be saved; to "
                "leave the dict out of checkpoints, assign NoDependency(dict)"
            )
        if not self._is_known():
            raise StructureError(
                f"{self!r} can't be saved: the dict was changed by another name than that of the attribute which it "
                "was assigned to, so that nobody knows what is to be tracked. Change it through the attribute; to "
                "leave it out of checkpoints, assign NoDependency(dict)"
            )
        return super().__children__()

    def _is_known(self) -> bool:
        known = (dict.get(self, key, self) for key in self._items)  # itself for one that it does not know
        return dict.__len__(self) == len(self._items) and same(known, self._items.values())

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self._items))

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def keys(self) -> dict_keys[Any, Any]:
        """As of the dict."""
        return self._items.keys()

    def values(self) -> dict_values[Any, Any]:
        """As of the dict."""
        return self._items.values()

    def items(self) -> dict_items[Any, Any]:
        """As of the dict."""
        return self._items.items()

    def __setitem__(self, key: Any, value: Any) -> None:
        kept = self._keep(key, value)
        self._items[key] = kept
        dict.__setitem__(self, key, kept)

    def __delitem__(self, key: Any) -> None:
        del self._items[key]
        dict.pop(self, key, None)
        self._nameless.discard(key)
        self.__tracking__.forget(key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As of a dict; what is kept in the default's place."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        """As of an OrderedDict, from either end."""
        if not self:
            raise KeyError("popitem(): dictionary is empty")
        key = next(reversed(self) if last else iter(self))
        return key, self.pop(key)

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]  # its `|` gives a plain dict
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        return self._items == (other._items if isinstance(other, DictWrapper) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as of dicts

    def __repr__(self) -> str:
        return f"DictWrapper({self._items!r})"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        given = type(self._items)(
            (key, value if key in self._nameless else self.__tracking__.given(key, value))
            for key, value in self._items.items()
        )
        return DictWrapper, (given, self.__tracking__.wrapping)
