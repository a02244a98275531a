"""Refusals that a request overcomes when it is sent again otherwise: elsewhere, by another clock, in another name."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudckpt.storage.http.client import http_date
from cloudckpt.storage.s3.access import region_of
from cloudckpt.storage.s3.errors import Failure
from cloudckpt.storage.s3.xml import bucket_region

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.storage.http.client import Response
    from cloudckpt.storage.s3.access import S3Access

__all__ = ["REMEDIES", "Refusal"]

_REGION = re.compile(r"[a-z0-9-]+")
_SKEW = 240.0
"""Seconds from which on a clock counts as wrong where the server does not say so; it takes 15 minutes for it."""
_CLOCK_CODES = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired"})
_CREDENTIAL_CODES = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"}
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not done, and how it had been sent."""

    method: str
    response: Response
    access: S3Access
    credentials: Any
    """that it was signed with; None for nobody's"""

    def is_for(self, codes: frozenset[str]) -> bool:
        """Whether it is for one of these reasons; the answer to a HEAD has no body that would tell."""
        if self.response.status not in (400, 401, 403):
            return False
        return self.method == "HEAD" or Failure.of(self.response).code in codes


def elsewhere(refusal: Refusal) -> S3Access | None:
    """Where the server says that the bucket is. Only a region is believed, never a host: that would get a signature,
    a session token and the data of whoever follows it.
    """
    response = refusal.response
    if response.status not in (301, 302, 307, 308, 400):
        return None
    named = response.headers.get("x-amz-bucket-region") or bucket_region(response.body)
    region = named or region_of(response.headers.get("Location", "")) or ""
    if region == refusal.access.region or not _REGION.fullmatch(region):
        return None
    return refusal.access.in_region(region)


def by_its_clock(refusal: Refusal) -> S3Access | None:
    """The same by the server's clock, where this machine's is the reason."""
    if refusal.credentials is None or not refusal.is_for(_CLOCK_CODES):
        return None
    there = http_date(refusal.response.headers.get("Date", ""))
    offset = there - time.time()
    if not there or abs(offset - refusal.access.clock_offset) < _SKEW:
        return None
    _log.warning(
        "the clock of this machine is %.0f s %s the server's at %s; requests are signed by the server's from now on",
        abs(offset),
        "behind" if offset > 0 else "ahead of",
        refusal.access.base,
    )
    return replace(refusal.access, clock_offset=offset)


def in_another_name(refusal: Refusal) -> S3Access | None:
    """The same with fresh credentials, where there are any."""
    holder = refusal.access.credentials
    if holder is None or not refusal.is_for(_CREDENTIAL_CODES):
        return None
    return refusal.access if holder.renew(refusal.credentials) else None


REMEDIES: tuple[Callable[[Refusal], S3Access | None], ...] = (elsewhere, by_its_clock, in_another_name)
"""In this order; each helps a request once at most."""
