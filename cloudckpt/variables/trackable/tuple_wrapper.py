"""Tuples whose elements are tracked."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.trackable.tracking import Tracking
from cloudckpt.variables.trackable.tracks import TRACKING, Tracks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.variables.trackable.wrapping import Wrapping

__all__ = ["TupleWrapper", "tuple_wrapper"]


class TupleWrapper(Tracks):
    """A tuple whose elements are tracked under their indices, those of a named one under their names before that.

    Each is of a class of its own, made of this one and the tuple's: it is a tuple like the one that it stands for.
    """

    @classmethod
    def _make(cls, elements: Iterable[Any]) -> Any:
        # What a named tuple makes of itself, as by `_replace`, tracks nothing until it is assigned to an attribute.
        return _tuple_class(cls)._make(elements)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        elements: tuple[Any, ...] = self  # type: ignore[assignment]  # all of its subclasses are
        given = [self.__tracking__.given(str(index), element) for index, element in enumerate(elements)]
        return _tracked, (_tuple_class(type(self)), given, _own_state(self), self.__tracking__.wrapping)


def tuple_wrapper(elements: tuple[Any, ...], wrapping: Wrapping) -> Any:
    """The wrapper of a tuple, which holds wrappers in the place of lists, dicts and tuples.

    Args:
        elements: of any class of tuples; its `__new__` is not called again.
        wrapping: says which elements are tracked, and gives what is kept in their place.
    """
    return _tracked(type(elements), elements, getattr(elements, "__dict__", {}), wrapping)


def _tracked(kind: type[tuple[Any, ...]], elements: Iterable[Any], state: dict[str, Any], wrapping: Wrapping) -> Any:
    tracking = Tracking(wrapping)
    kept = [tracking.wrapped(element) for element in elements]
    made: Any = tuple.__new__(_wrapper_class(kind), [element for element, _ in kept])
    vars(made).update(state, **{TRACKING: tracking})
    for names in (getattr(kind, "_fields", ()), map(str, range(len(kept)))):
        for name, (element, is_tracked) in zip(names, kept, strict=False):
            if is_tracked:
                tracking.track(name, element)
    return made


@cache
def _wrapper_class(kind: type[tuple[Any, ...]]) -> Any:
    return type(kind.__name__, (TupleWrapper, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def _tuple_class(wrapper: type) -> Any:
    """The class of the tuple that one of a wrapper's class stands for."""
    return wrapper.__mro__[wrapper.__mro__.index(TupleWrapper) + 2]


def _own_state(made: TupleWrapper) -> dict[str, Any]:
    return {name: value for name, value in vars(made).items() if name != TRACKING}
