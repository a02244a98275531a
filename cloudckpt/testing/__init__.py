"""What authors of stores test theirs with: the contract every store keeps, and faults on demand. Needs pytest."""

import pytest

# The contract's asserts are to explain themselves in the tests of other projects, too.
_PARTS = ("copies", "deletes", "lists", "places", "races", "reads", "unfinished", "uploads", "writes")
pytest.register_assert_rewrite(*(f"{__name__}.contract_{part}" for part in _PARTS))

from cloudckpt.testing.contract import StoreContract  # noqa: E402 - after the lines above
from cloudckpt.testing.faults import Crash, FaultyStore  # noqa: E402

__all__ = ["Crash", "FaultyStore", "StoreContract"]
