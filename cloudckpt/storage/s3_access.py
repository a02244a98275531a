"""What botocore knows of a bucket from s3fs's options: where it is, in whose name, and how a request is signed.

Every option means here what it means to s3fs: profiles, keys, roles, endpoints, addressing, AWS_* variables.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import botocore.exceptions
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from fsspec.asyn import get_loop, sync
from fsspec.exceptions import FSTimeoutError

from cloudckpt.errors import PermissionDeniedError, StorageError, TransientStorageError, UnsupportedOperationError
from cloudckpt.storage.s3_errors import no_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEEP_CREDENTIALS = 60.0
"""Seconds until they are asked for again; botocore renews them ten minutes before they expire."""
_AMAZON = re.compile(r"(?:^|(?<=\.))s3(?:\.dualstack)?(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?P<cn>\.cn)?$")
# A body is checked by its CRC-32C, which is signed; hashing it as well would take longer than sending it.
_UNSIGNED_PAYLOAD = Config(s3={"payload_signing_enabled": False})


class Credentials:
    """A bucket's credentials, renewed in time, for any thread.

    Args:
        source: botocore's, which knows how to renew them.
        subject: the bucket's URL, for messages.
    """

    def __init__(self, source: Any, subject: str) -> None:
        self._source = source
        self._subject = subject
        self._frozen: Any = None
        self._until = 0.0
        self._lock = threading.Lock()

    def current(self) -> Any:
        """What to sign with now, as botocore's frozen credentials.

        Raises:
            StorageError: they could not be renewed.
        """
        with self._lock:
            if self._frozen is None or time.monotonic() > self._until:
                with _translated(self._subject):
                    self._frozen = sync(get_loop(), self._source.get_frozen_credentials)
                self._until = time.monotonic() + _KEEP_CREDENTIALS
            return self._frozen


@dataclass(frozen=True)
class S3Access:
    """One bucket's address and signature, as botocore resolved them."""

    base: str
    """The bucket's URL, without a slash at its end."""
    region: str
    signing_name: str
    credentials: Credentials | None = field(repr=False)
    headers: Mapping[str, str]
    """For every request."""
    write_headers: Mapping[str, str]
    """For requests that begin an object."""

    def url(self, key: str, query: Mapping[str, str]) -> str:
        """The address of a key, encoded as it is signed."""
        path = f"{self.base}/{quote(key, safe='/-_.~')}"
        return f"{path}?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else path

    def signed(self, method: str, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with those that prove who sends them."""
        if self.credentials is None:
            return {**self.headers, **headers}
        request = AWSRequest(method, url, headers={**self.headers, **headers})
        request.context["client_config"] = _UNSIGNED_PAYLOAD
        S3SigV4Auth(self.credentials.current(), self.signing_name, self.region).add_auth(request)
        return dict(request.headers.items())

    def in_region(self, region: str) -> S3Access:
        """The same bucket where the server says that it is."""
        target = urlsplit(self.base)
        host = _AMAZON.sub(lambda match: f"s3.{region}.amazonaws.com{match['cn'] or ''}", target.netloc)
        return replace(self, base=target._replace(netloc=host).geturl(), region=region)

    @property
    def is_amazon(self) -> bool:
        """Whether it is Amazon's own S3, whose general purpose buckets are known to honour every condition."""
        return _AMAZON.search(urlsplit(self.base).hostname or "") is not None


def resolve(bucket: str, filesystem: Any, subject: str) -> S3Access:
    """Ask s3fs's botocore client about a bucket; it may have to look for credentials over the network.

    Raises:
        PermissionDeniedError: no credentials, or incomplete ones.
        TransientStorageError: who gives out credentials did not answer.
        StorageError: botocore can't make sense of the options.
    """
    with _translated(subject):
        return sync(get_loop(), _resolve, bucket, filesystem, subject)  # type: ignore[no-any-return]  # fsspec is untyped


@contextmanager
def _translated(subject: str) -> Iterator[None]:
    """Turn botocore's errors into ours; a malformed endpoint is a ValueError there."""
    try:
        yield
    except (BotoCoreError, FSTimeoutError, ValueError) as error:
        raise access_error(subject, error) from error


def access_error(subject: str, error: Exception) -> StorageError:
    """The error of our tree for one of botocore's; its own messages name options, never their secret values."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
        found = no_credentials(subject)
        return PermissionDeniedError(f"{found} ({error})", path=subject)
    if isinstance(error, CredentialRetrievalError):
        return PermissionDeniedError(f"{subject}: the credentials could not be fetched ({error})", path=subject)
    if isinstance(error, (botocore.exceptions.ConnectionError, HTTPClientError, FSTimeoutError)):
        return TransientStorageError(f"{subject}: no answer from where the credentials are ({error})", path=subject)
    return StorageError(f"{subject}: botocore refuses the options ({error}); check storage_options", path=subject)


async def _resolve(bucket: str, filesystem: Any, subject: str) -> S3Access:
    await filesystem.set_session()
    client = await filesystem.get_s3(bucket)
    context: dict[str, Any] = {
        "client_region": client.meta.region_name,
        "client_config": client.meta.config,
        "has_streaming_input": False,
        "auth_type": None,
    }
    operation = client.meta.service_model.operation_model("HeadBucket")
    # Private, but the only place that answers with region, address and addressing style for every kind of endpoint:
    # a presigned URL is for the global endpoint where the bucket's region is another.
    base, headers, _ = await client._resolve_endpoint_ruleset(operation, {"Bucket": bucket}, context)  # noqa: SLF001
    signing = context.get("signing") or {}
    source = client._request_signer._credentials  # noqa: SLF001 - no public way to the credentials that a client uses
    anonymous = client.meta.config.signature_version is UNSIGNED
    if source is None and not anonymous:
        raise no_credentials(subject)
    payer = {"x-amz-request-payer": "requester"} if filesystem.req_kw else {}
    return S3Access(
        base=base.rstrip("/"),
        region=signing.get("region") or client.meta.region_name or "us-east-1",
        signing_name=signing.get("signing_name") or "s3",
        credentials=None if anonymous else Credentials(source, subject),
        headers=payer | {name: ", ".join(values) for name, values in headers.items()},
        write_headers=_write_headers(client, filesystem.s3_additional_kwargs, subject),
    )


def _write_headers(client: Any, options: Mapping[str, Any], subject: str) -> dict[str, str]:
    """The headers of s3_additional_kwargs, such as encryption and storage class, by botocore's own table."""
    if any(name.startswith("SSECustomer") for name in options):
        raise UnsupportedOperationError(
            f"{subject}: keys of one's own for encryption (SSE-C) are not supported; use SSE-S3 or SSE-KMS",
            path=subject,
        )
    members = client.meta.service_model.operation_model("CreateMultipartUpload").input_shape.members
    return {
        members[name].serialization["name"]: str(value)
        for name, value in options.items()
        if name in members and members[name].serialization.get("location") == "header"
    }
