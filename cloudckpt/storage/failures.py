"""Failures of a batch of deletions: all are tried, then the first failure is raised."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failures:
    """What went wrong so far; that something was gone already is not wrong."""

    def __init__(self) -> None:
        self._errors: list[StorageError] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep a `StorageError` of the block for later."""
        try:
            yield
        except ObjectNotFoundError:
            pass
        except StorageError as error:
            self._errors.append(error)

    def raise_first(self) -> None:
        """Raise the first one, if any; the others follow as its notes."""
        if self._errors:
            first, *others = self._errors
            for other in others:
                first.add_note(str(other))
            raise first
