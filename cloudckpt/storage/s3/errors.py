"""What S3's answers mean: each status and code classified once, as the error that a handler needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
    UnsupportedOperationError,
    UploadCorruptedError,
)
from cloudckpt.storage.http.client import TRANSIENT_STATUSES, retry_after
from cloudckpt.storage.s3.xml import is_error, parse, parse_error

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from cloudckpt.storage.http.client import Response

_TRANSIENT_CODES = frozenset(
    {
        "ConditionalRequestConflict",  # 409: another conditional write of the key is under way
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",  # 400: the body came too slowly
        "ServerBusy",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
    }
)
_CORRUPTION_CODES = frozenset(
    {"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidChecksum"}
)
_CREDENTIAL_CODES = frozenset(
    {
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_REDIRECTS = (301, 302, 307, 308)
_ELSEWHERE = (
    "the bucket is elsewhere, where no request goes that was signed for here; set its region "
    "(client_kwargs={'region_name': ...}) or endpoint_url"
)
_CREDENTIAL_ADVICE = (
    "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, the role, or storage_options) "
    "and what they may do with this bucket"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a server said is wrong, with one request or with one key of a batch."""

    status: int
    """0 where it is about one key of a batch."""
    code: str
    message: str
    retry_after: float | None = None

    @classmethod
    def of(cls, response: Response) -> Failure:
        """Read the answer's error document, if it has one: the answer to a HEAD has none."""
        code, message = parse_error(response.body)
        if response.status in _REDIRECTS and (host := urlsplit(response.headers.get("Location", "")).hostname):
            message = f"it sends us to {host}"
        return cls(response.status, code, message, retry_after(response.headers))

    @property
    def described(self) -> str:
        """As a person reads it, such as `HTTP 403 AccessDenied: Access Denied.`."""
        status = f"HTTP {self.status}" if self.status else "the server"
        return " ".join(filter(None, [status, self.code])) + (f": {self.message}" if self.message else "")


def result_of(method: str, url: str, response: Response) -> ET.Element:
    """The document of an answer of status 200, which may still be an error: S3 sends its 200 first for what takes long.

    Args:
        method: of the request.
        url: the object's, for the message.
        response: the answer.

    Raises:
        StorageError: what the server said; a `TransientStorageError` where it can't be read.
    """
    try:
        result = parse(response.body)
    except ValueError as error:
        raise TransientStorageError(f"{url}: the server's answer can't be read: {error}", path=url) from error
    if is_error(result):
        raise s3_error(method, url, Failure(0, *parse_error(response.body)))
    return result


def s3_error(method: str, url: str, failure: Failure) -> StorageError:
    """The error of our tree for what the server said.

    Args:
        method: of the request: a 412 to a GET means another thing than one to a PUT.
        url: the object's, for the message.
        failure: what the server said.
    """
    code, status = failure.code, failure.status
    if status in TRANSIENT_STATUSES or code in _TRANSIENT_CODES:
        return TransientStorageError(
            f"{url}: the server could not do it now ({failure.described})", path=url, retry_after=failure.retry_after
        )
    kind, advice = _permanent(method, code, status)
    return kind(f"{url}: {advice} ({failure.described})", path=url)


def _permanent(method: str, code: str, status: int) -> tuple[type[StorageError], str]:
    writes = method in ("PUT", "POST")
    if code == "NoSuchBucket":
        return ObjectNotFoundError, "there is no such bucket; check its name, and the endpoint and region asked"
    if code == "NoSuchUpload":
        return ObjectNotFoundError, "the upload is gone: it was aborted, or an earlier attempt completed it"
    if status == 412 or code == "PreconditionFailed" or (writes and code == "NoSuchKey"):
        # A missing key can spoil a write only where If-Match wanted it.
        if writes:
            return PreconditionFailedError, "the object is not as the write demands; another writer may be at work"
        return ObjectChangedError, "the object was replaced while it was read; open the checkpoint again"
    if code == "NoSuchKey":
        return ObjectNotFoundError, "there is no such object"
    if status == 404:
        return ObjectNotFoundError, "there is no such object, or no such bucket"
    if status in (401, 403) or code in _CREDENTIAL_CODES:
        return PermissionDeniedError, f"the server refused; {_CREDENTIAL_ADVICE}"
    return _odd(code, status)


def _odd(code: str, status: int) -> tuple[type[StorageError], str]:
    if code in _CORRUPTION_CODES:
        return (
            UploadCorruptedError,
            "the server received other bytes than were sent; save again, and test memory and network",
        )
    if status in _REDIRECTS:
        return StorageError, _ELSEWHERE
    if status == 501:
        return UnsupportedOperationError, "this server can't do that"
    return StorageError, "the server refused the request"


def no_credentials(url: str) -> PermissionDeniedError:
    """The error for a request that nobody signs."""
    return PermissionDeniedError(
        f"{url}: no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, give the "
        "machine a role, or pass storage_options={'key': ..., 'secret': ...}; {'anon': True} reads public buckets",
        path=url,
    )
