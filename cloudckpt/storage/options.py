"""The storage options that are ours; what is left is for the filesystem."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """Our own options; None where the user gave none, so that each store has its default."""

    fsync: bool | None = None
    """local: whether what returns survives a power cut"""
    max_retry_seconds: float | None = None
    """remote: how long a failed request is tried again"""
    part_size: int | None = None
    """remote: bytes of a large object that are sent at once"""
    max_concurrency: int | None = None
    """requests in flight of one save or load"""

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Self:
        """Take them out of the user's options.

        Raises:
            InvalidArgumentError: a value is none that the option can have.
        """
        return cls(
            fsync=options.pop("fsync", None),
            max_retry_seconds=_seconds(options.pop("max_retry_seconds", None)),
            part_size=_positive("part_size", options.pop("part_size", None), "bytes"),
            max_concurrency=_positive("max_concurrency", options.pop("max_concurrency", None), "requests"),
        )

    def tune(self, store: Store) -> None:
        """Set what any store can be told after it was made."""
        if self.max_concurrency is not None:
            store.max_concurrency = self.max_concurrency

    def retries(self) -> dict[str, Any]:
        """What of it a `RetryingStore` takes."""
        return {} if self.max_retry_seconds is None else {"max_retry_seconds": self.max_retry_seconds}

    def parts(self) -> dict[str, Any]:
        """What of it a store takes that cuts large objects."""
        return {} if self.part_size is None else {"part_size": self.part_size}


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InvalidArgumentError(f"the storage option max_retry_seconds must be a number of seconds, got {value!r}")
    return float(value)


def _positive(name: str, value: Any, unit: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgumentError(
            f"the storage option {name} must be a positive whole number of {unit}, got {value!r}"
        )
    return value
