"""What nested containers hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.trackable.tracking import Tracking

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["leaves"]


def leaves(attributes: Mapping[str, Any]) -> Iterator[Any]:
    """The leaves of an object's attributes: all that is no sequence or mapping, at any depth.

    A mapping's are in the order of its keys, where they can be compared. Source: python/util/nest.py.
    """
    levels: list[Iterator[Any]] = [iter(_values(attributes))]
    while levels:
        for value in levels[-1]:
            if _is_nested(value):
                levels.append(iter(_values(value)))
                break
            if not isinstance(value, Tracking):
                yield value
        else:
            levels.pop()


def _is_nested(value: Any) -> bool:
    return isinstance(value, Sequence | Mapping) and not isinstance(value, str | bytes | bytearray | memoryview | range)


def _values(nested: Sequence[Any] | Mapping[Any, Any]) -> Iterable[Any]:
    if not isinstance(nested, Mapping):
        return nested
    try:
        keys = sorted(nested)
    except TypeError:  # as of keys of more than one type
        keys = list(nested)
    return [nested[key] for key in keys]
