"""OpenTelemetry's spans of saves and restores, where the program has set OpenTelemetry up.

A tracer provider that nobody has set gives spans that record nothing, and a program that never imported OpenTelemetry
has none to set: so nothing is imported here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Spans"]


class Spans:
    """The span of one save or restore, a child of the span that is current here, and below it one for each phase.

    Args:
        name: of the span, without the "cloudckpt." that stands before it.
        attributes: likewise, with values that OpenTelemetry takes; those that are None are left out.
    """

    def __init__(self, name: str, attributes: Mapping[str, Any]) -> None:
        # Whoever sets a provider has imported it; attributes of `trace` are those of its documented API.
        self._trace: Any = sys.modules.get("opentelemetry.trace")
        if self._trace is None:
            return
        self._tracer = self._trace.get_tracer("cloudckpt")
        self._span = self._tracer.start_span(f"cloudckpt.{name}", attributes=_prefixed(attributes))
        self._phase: Any = None

    def phase(self, name: str) -> None:
        """Begin a phase, and with it end the one before."""
        if self._trace is None:
            return
        self._end_phase()
        self._phase = self._tracer.start_span(f"cloudckpt.{name}", context=self._trace.set_span_in_context(self._span))

    def end(self, attributes: Mapping[str, Any], error: BaseException | None) -> None:
        """End the last phase and the whole, with what is known only now."""
        if self._trace is None:
            return
        self._end_phase()
        self._span.set_attributes(_prefixed(attributes))
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, type(error).__name__))
        self._span.end()

    def _end_phase(self) -> None:
        if self._phase is not None:
            self._phase.end()
            self._phase = None


def _prefixed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"cloudckpt.{name}": value for name, value in attributes.items() if value is not None}
