"""What botocore knows of a bucket from s3fs's options: where it is, in whose name, and how a request is signed.

Every option means here what it means to s3fs: profiles, keys, roles, endpoints, addressing, AWS_* variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from botocore import UNSIGNED
from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from cloudckpt.storage.s3.credentials import Credentials, ask_botocore, credentials_of
from cloudckpt.storage.s3.errors import no_credentials
from cloudckpt.storage.s3.headers import S3Headers, headers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["S3Access", "region_of", "resolve"]

_AMAZON = re.compile(
    r"(?:^|(?<=\.))s3(?P<dualstack>\.dualstack)?(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com(?P<cn>\.cn)?$"
)
_ACCELERATED = "accelerate"
# A body is checked by its CRC-32C, which is signed; hashing it as well would take longer than sending it.
_UNSIGNED_PAYLOAD = Config(s3={"payload_signing_enabled": False})


class _Signature(S3SigV4Auth):  # type: ignore[misc]  # botocore is untyped
    """A signature by the server's clock, which is not always this machine's."""

    def __init__(self, credentials: Any, access: S3Access) -> None:
        super().__init__(credentials, access.signing_name, access.region)
        self._ahead = timedelta(seconds=access.clock_offset)

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        # The only place between the time that botocore takes and the headers that it makes of it.
        request.context["timestamp"] = (datetime.now(UTC) + self._ahead).strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


@dataclass(frozen=True)
class S3Access:
    """One bucket's address and signature, as botocore resolved them."""

    base: str
    """The bucket's URL, without a slash at its end."""
    region: str
    signing_name: str
    credentials: Credentials | None = field(repr=False)
    headers: S3Headers = field(default_factory=S3Headers)
    clock_offset: float = 0.0
    """Seconds that the server's clock is ahead of this machine's; 0 as long as no request was refused for it."""

    def url(self, key: str, query: Mapping[str, str]) -> str:
        """The address of a key, encoded as it is signed."""
        path = f"{self.base}/{quote(key, safe='/-_.~')}"
        return f"{path}?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else path

    def signed(self, method: str, url: str, headers: Mapping[str, str], credentials: Any) -> dict[str, str]:
        """The headers with those that prove who sends them; without credentials, nobody does."""
        if credentials is None:
            return dict(headers)
        request = AWSRequest(method, url, headers=dict(headers))
        request.context["client_config"] = _UNSIGNED_PAYLOAD
        _Signature(credentials, self).add_auth(request)
        return dict(request.headers.items())

    def in_region(self, region: str) -> S3Access:
        """The same bucket where the server says that it is. Nothing else that a server says goes into the address."""
        target = urlsplit(self.base)
        found = _AMAZON.search(target.netloc)
        if found is None or found["region"] == _ACCELERATED:  # one address for all regions
            return replace(self, region=region)
        regional = f"s3{found['dualstack'] or ''}.{region}.amazonaws.com{found['cn'] or ''}"
        return replace(
            self, base=target._replace(netloc=target.netloc[: found.start()] + regional).geturl(), region=region
        )

    @property
    def is_amazon(self) -> bool:
        """Whether it is Amazon's own S3, whose general purpose buckets are known to honour every condition."""
        return _AMAZON.search(urlsplit(self.base).hostname or "") is not None


def region_of(url: str) -> str | None:
    """The region that an address of Amazon's S3 is in, if it says so."""
    found = _AMAZON.search(urlsplit(url).hostname or "")
    return found["region"] if found and found["region"] != _ACCELERATED else None


def resolve(bucket: str, filesystem: Any, subject: str) -> S3Access:
    """Ask s3fs's botocore client about a bucket; it may have to look for credentials over the network.

    Raises:
        PermissionDeniedError: no credentials, or incomplete ones.
        TransientStorageError: who gives out credentials did not answer.
        StorageError: botocore can't make sense of the options.
    """
    return ask_botocore(subject, _resolve, bucket, filesystem, subject)


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
    source = credentials_of(client)
    if source is None and client.meta.config.signature_version is not UNSIGNED:
        raise no_credentials(subject)
    options = {**filesystem.s3_additional_kwargs, **filesystem.req_kw}
    wanted = headers_of(client, options, subject, secure=base.startswith("https:"))
    return S3Access(
        base=base.rstrip("/"),
        region=signing.get("region") or client.meta.region_name or "us-east-1",
        signing_name=signing.get("signing_name") or "s3",
        credentials=None if source is None else Credentials(filesystem, source, subject),
        headers=wanted.with_all({name: ", ".join(values) for name, values in headers.items()}),
    )
