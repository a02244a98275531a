"""Lists whose elements are tracked."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.errors import StructureError
from cloudckpt.variables.trackable.same import same
from cloudckpt.variables.trackable.tracking import Tracking
from cloudckpt.variables.trackable.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cloudckpt.variables.trackable.wrapping import Wrapping

__all__ = ["ListWrapper"]


if TYPE_CHECKING:  # to typeshed a list is a MutableSequence by inheritance, which can't come before it
    _List = list[Any]
else:

    class _List(MutableSequence, list):
        """A list all of whose changes come down to a few methods."""


class ListWrapper(Tracks, _List):
    """A list whose elements are tracked under their indices.

    It acts upon the list that it was made of, in which wrappers stand for lists, dicts and tuples; so that list has
    all changes, too. What it holds by being a list itself is the content as of the last change that was made here: C
    code sees that, and any difference was made behind its back.

    What it tracks has to stay where it was first put, for values that are restored find it by its index. Otherwise all
    works as with any list, but it can't be saved any more.

    Args:
        elements: to be changed only through the wrapper from now on.
        wrapping: says which elements are tracked, and gives what is kept in their place.
    """

    def __init__(self, elements: list[Any], wrapping: Wrapping) -> None:
        self._tracking = Tracking(wrapping)
        self._elements = elements
        self._is_rearranged = False
        for index, element in enumerate(elements):
            elements[index] = self._tracking.keep(str(index), element)
        list.__init__(self, elements)

    def __children__(self) -> Mapping[str, Any]:
        """Those elements that are tracked, by their indices.

        Raises:
            StructureError: some were replaced, moved or removed; or the list was changed by another name.
        """
        if self._is_rearranged:
            raise StructureError(
                f"{self!r} can't be saved: some of the objects in it were replaced, moved or removed, and a checkpoint "
                "finds them by their indices. Only append to such a list, or assign a new list to the attribute; to "
                "leave it out of checkpoints, assign NoDependency(list)"
            )
        if not same(list.__iter__(self), self._elements):
            raise StructureError(
                f"{self!r} can't be saved: the list was changed by another name than that of the attribute which it "
                "was assigned to, so that nobody knows what is to be tracked. Change it through the attribute; to "
                "leave it out of checkpoints, assign NoDependency(list)"
            )
        return super().__children__()

    def __getitem__(self, index: Any) -> Any:
        return self._elements[index]

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._elements)

    def append(self, value: Any) -> None:
        """Add an element, tracked under the index that it gets."""
        kept = self.__tracking__.keep(str(len(self._elements)), value)
        self._change(lambda elements: list.append(elements, kept))

    def extend(self, values: Iterable[Any]) -> None:
        """Add elements; what they are taken from may be the list that this one acts upon."""
        for value in list(values):
            self.append(value)

    def insert(self, index: Any, value: Any) -> None:
        """Insert an element; to save the list, nothing in it may be tracked, and neither may be the element."""
        kept, is_tracked = self.__tracking__.wrapped(value)
        self._rearrange(is_tracked)
        self._change(lambda elements: list.insert(elements, index, kept))

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Sort it; to save the list, nothing in it may be tracked."""
        self._rearrange()
        self._change(lambda elements: list.sort(elements, key=key, reverse=reverse))

    def __delitem__(self, index: Any) -> None:
        self._rearrange()
        self._change(lambda elements: list.__delitem__(elements, index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            self._replace(index, value)
            return
        if value is self._elements[index]:  # as after `elements[0] += 1` of an array
            return
        self._is_rearranged |= self.__tracking__.wrapping.tracks(self._elements[index])
        # As TensorFlow has it, an index from the end is a name, too.
        kept = self.__tracking__.keep(str(index), value)
        self._change(lambda elements: list.__setitem__(elements, index, kept))

    def _replace(self, part: slice, values: Iterable[Any]) -> None:
        self._rearrange()
        before, after = self._elements, list(self._elements)
        after[part] = values
        for index, element in enumerate(after):
            if index >= len(before) or element is not before[index]:
                after[index] = self.__tracking__.keep(str(index), element)
        self._change(lambda elements: list.__setitem__(elements, slice(None), after))

    def __iadd__(self, values: Iterable[Any]) -> Self:  # type: ignore[misc]  # its `+` gives a plain list
        self.extend(values)
        return self

    def __imul__(self, times: Any) -> Self:  # type: ignore[misc]  # its `+` gives a plain list
        if times > 0:
            self.extend(list(self) * (times - 1))
        else:
            self.clear()
        return self

    def __eq__(self, other: object) -> bool:
        return self._elements == (other._elements if isinstance(other, ListWrapper) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as of lists

    def __repr__(self) -> str:
        return f"ListWrapper({self._elements!r})"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        given = [self.__tracking__.given(str(index), element) for index, element in enumerate(self._elements)]
        return ListWrapper, (given, self.__tracking__.wrapping), {"_is_rearranged": self._is_rearranged}

    def _rearrange(self, is_new_tracked: bool = False) -> None:
        """Note a change that may have moved what is tracked."""
        self._is_rearranged |= is_new_tracked or bool(self.__tracking__.children)

    def _change(self, change: Callable[[list[Any]], None]) -> None:
        """Change the list, and what is known of it alike, unless the two differ already."""
        is_known = list.__len__(self) == len(self._elements)
        change(self._elements)
        if is_known:
            change(self)
