"""What these tests get: a place on every store, or in memory."""

from tests.state.places import memory, place

__all__ = ["memory", "place"]
