"""What it means that there was no answer: whether another attempt may help, and what the user can do."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING

from cloudckpt.errors import PermissionDeniedError, StorageError, StorageTimeoutError, TransientStorageError
from cloudckpt.storage.deadline import remaining, time_is_over
from cloudckpt.storage.http.tls import distrust

if TYPE_CHECKING:
    from cloudckpt.storage.http.message import Request
    from cloudckpt.storage.http.pool import Origin

__all__ = ["no_answer", "proxy_refusal"]

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (4\d\d.*)")
"""As `http.client` says it, which has no other way."""


_NO_TLS = frozenset({"HTTP_REQUEST", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
"""OpenSSL's reasons, by its versions, where the answer is something else than TLS."""
_NO_AGREEMENT = frozenset(
    {
        "NO_PROTOCOLS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
    }
)


def no_answer(
    request: Request, origin: Origin, error: OSError | http.client.HTTPException, *, known: bool
) -> StorageError:
    """The error for a request without a whole answer.

    Args:
        request: what was sent.
        origin: where to.
        error: what went wrong.
        known: whether this server has answered before.
    """
    subject = request.subject
    if remaining() == 0.0:
        return StorageTimeoutError(
            f"{subject}: {time_is_over()}, and {request.method} had no whole answer from {origin}", path=subject
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return distrust(subject, origin.host, error)
    if isinstance(error, http.client.InvalidURL):
        return StorageError(f"{subject}: the endpoint {origin} can't be asked ({error})", path=subject)
    if isinstance(error, ssl.SSLError) and not known:  # else a byte was damaged on the way
        if error.reason in _NO_TLS:
            return StorageError(f"{subject}: {origin} does not speak TLS; is it an endpoint of http://?", path=subject)
        if error.reason in _NO_AGREEMENT:
            return StorageError(f"{subject}: {origin} and this machine don't agree on TLS ({error})", path=subject)
    if refused := _TUNNEL_REFUSED.search(str(error)):
        return proxy_refusal(subject, origin, refused[1])
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME and not known:
        # A name that nobody knows is a slip of the pen, unless it was known before.
        return StorageError(f"{subject}: there is no host of the name in {origin}; check the endpoint", path=subject)
    return TransientStorageError(
        f"{subject}: {request.method} got no whole answer from {origin}: {_described(error)}", path=subject
    )


def proxy_refusal(subject: str, origin: Origin, found: str) -> PermissionDeniedError:
    """The error for a proxy that does not let the request pass.

    Args:
        subject: the object's URL.
        origin: where the request was to go.
        found: the proxy's status.
    """
    return PermissionDeniedError(
        f"{subject}: the proxy {origin.proxy} refused ({found}); credentials for it belong in its URL, "
        "http://user:password@host:port, and NO_PROXY names hosts that are reached without it",
        path=subject,
    )


def _described(error: BaseException) -> str:
    """What went wrong on the way, in words."""
    if isinstance(error, TimeoutError):
        return "it timed out"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection ended {error.expected or 'some'} bytes before the end of the answer"
    return str(error) or type(error).__name__
