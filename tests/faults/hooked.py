"""A store in which something else happens before or after its N-th operation."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from cloudckpt.testing.faults import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudckpt.storage.store import Store


class HookedStore(FaultyStore):
    """Calls `hook` with the number of each operation (from 1) and its name, before and after it is done."""

    def __init__(
        self,
        inner: Store,
        before: Callable[[int, str], object] | None = None,
        after: Callable[[int, str], object] | None = None,
    ) -> None:
        super().__init__(inner, 0)
        self._before, self._after = before, after
        self._numbers = count(1)

    @contextmanager
    def operation(self, name: str, key: str, half: Callable[[], object] = lambda: None) -> Iterator[None]:
        number = next(self._numbers)  # atomic, unlike the length of the list
        if self._before is not None:
            self._before(number, name)
        with super().operation(name, key, half):
            yield
        if self._after is not None:
            self._after(number, name)
