"""What a save refuses, as the error of the op that it was asked through."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudckpt.errors import InvalidArgumentError, StructureError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["refusals_as_invalid"]


@contextmanager
def refusals_as_invalid(path: str) -> Iterator[None]:
    """Raise what a save has against its tensors as one class, and with the file's name.

    Raises:
        InvalidArgumentError: for itself, and for StructureError: a name or a text that no checkpoint can hold.
    """
    try:
        yield
    except (InvalidArgumentError, StructureError) as error:
        if error.path is not None:
            raise
        raise InvalidArgumentError(f"{path!r}: {error.message}", path=path, tensor=error.tensor) from error
