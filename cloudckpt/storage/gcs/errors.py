"""What Cloud Storage's answers mean: each status and reason classified once, as the error that a handler needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.auth.exceptions import TransportError

from cloudckpt.errors import (
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.http.client import TRANSIENT_STATUSES, retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.storage.http.client import Response

_TRANSIENT_REASONS = frozenset({"backendError", "internalError", "rateLimitExceeded", "userRateLimitExceeded"})
_SESSION_GONE = (404, 410, 499)


def gcs_error(url: str, response: Response, *, of_object: bool = True) -> StorageError:
    """The error of our tree for an answer.

    Args:
        url: the object's, for the message.
        response: an answer that is none of those expected.
        of_object: whether one object was asked for; else what is not found is the bucket.
    """
    reason, message = parse_error(response.body)
    status = response.status
    described = " ".join(filter(None, [f"HTTP {status}", reason])) + (f": {message}" if message else "")
    if status in TRANSIENT_STATUSES or reason in _TRANSIENT_REASONS:
        return TransientStorageError(
            f"{url}: the server could not do it now ({described})", path=url, retry_after=retry_after(response.headers)
        )
    kind, advice = _permanent(status, message.lower(), of_object=of_object)
    return kind(f"{url}: {advice} ({described})", path=url)


def session_error(url: str, response: Response) -> StorageError:
    """The error for an answer of an upload session."""
    if response.status in _SESSION_GONE:
        return ObjectNotFoundError(
            f"{url}: the upload is gone: it was aborted, it is over a week old, or an earlier attempt completed it "
            f"(HTTP {response.status})",
            path=url,
        )
    return gcs_error(url, response)


def parse_error(body: bytes) -> tuple[str, str]:
    """The reason and the message of an error document; a few answers are plain text instead."""
    try:
        error = json.loads(body)["error"]
        details = error.get("errors") or [{}]
        return str(details[0].get("reason", "")), str(error.get("message", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", body[:200].decode("utf-8", "replace").strip()


def credentials_error(url: str, error: Exception) -> StorageError:
    """The error for credentials that can't be renewed; google-auth's messages name no secret."""
    if any(map(_may_pass, _with_causes(error))):
        return TransientStorageError(f"{url}: the credentials could not be renewed now ({error})", path=url)
    return PermissionDeniedError(f"{url}: the credentials could not be used ({error}); {_LOGIN}", path=url)


_LOGIN = (
    "run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, or pass "
    "storage_options={'token': ...}, and check what the account may do with this bucket"
)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it was raised from: gcsfs wraps what google-auth raises."""
    while error is not None:
        yield error
        error = error.__cause__


def _may_pass(error: BaseException) -> bool:
    """Whether the service that gives tokens was not reached, or says that it may work later."""
    return isinstance(error, TransportError | ConnectionError | TimeoutError) or bool(
        getattr(error, "retryable", False)
    )


def _permanent(status: int, message: str, *, of_object: bool) -> tuple[type[StorageError], str]:
    if status == 404 and (not of_object or "bucket does not exist" in message):
        return ObjectNotFoundError, "there is no such bucket; check its name and the endpoint"
    if status == 404:
        return ObjectNotFoundError, "there is no such object, or no such bucket"
    if status == 412:
        return PreconditionFailedError, "the object is not as the condition demands; another writer may be at work"
    if status in (401, 403):
        return PermissionDeniedError, f"the server refused; {_LOGIN}"
    if status == 400 and ("crc32c" in message or "checksum" in message):
        return UploadCorruptedError, "the server received other bytes than were sent; save again, and test the memory"
    return StorageError, "the server refused the request"
