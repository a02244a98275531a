"""What a restore had values for that no object of the program has taken."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudckpt.objects.object_graph.matching import Matching

__all__ = ["Unused"]

logger = logging.getLogger(__name__)

MOST = 20
"""How many values a warning names."""


class Unused:
    """Looks through a restore that is over.

    Args:
        matching: what it has bound.
        url: the checkpoint's, for the message.
    """

    def __init__(self, matching: Matching, url: str) -> None:
        self._matching, self._url = matching, url
        self.expected = False
        """whether the user knows of it, and wants no warning"""

    def warn(self) -> None:
        """Log what was left over, once nothing more can come."""
        if self.expected:
            return
        graph, met = self._matching.graph, self._matching.met
        values = [number for number, stored in enumerate(graph.objects) if stored.attributes and number not in met]
        attributes = [(number, name) for number, names in self._matching.unused.items() for name in names]
        if not values and not attributes:
            return
        shown = [repr(graph.path(number)) for number in values[:MOST]]
        shown += [f"attribute {name!r} of {graph.path(number)!r}" for number, name in attributes[: MOST - len(shown)]]
        more = len(values) + len(attributes) - len(shown)
        logger.warning(
            "values of %r were restored to no object: %s%s. Call expect_partial() on what restore() returned if that "
            "is meant",
            self._url,
            ", ".join(shown),
            f" and {more} others" if more else "",
        )
