"""Headers that the options of s3fs ask for: which, and on which requests Amazon takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from botocore.handlers import sse_md5
from botocore.serialize import create_serializer

from cloudckpt.errors import UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["S3Headers", "headers_of"]

_EVERYWHERE = {"RequestPayer", "ExpectedBucketOwner"}
_OUR_OWN = {"Bucket", "Key", "ChecksumAlgorithm", "ChecksumType"}
_CUSTOMER = "x-amz-server-side-encryption-customer-"
_SOURCE = "x-amz-copy-source-server-side-encryption-customer-"


@dataclass(frozen=True, slots=True)
class S3Headers:
    """What goes out beside our own headers."""

    everywhere: Mapping[str, str] = field(default_factory=dict)
    """with every request"""
    new_object: Mapping[str, str] = field(default_factory=dict)
    """with requests that begin an object: storage class, encryption, tags"""
    customer_key: Mapping[str, str] = field(default_factory=dict, repr=False)
    """with requests that touch an object's bytes or describe them: a key of the user's own (SSE-C)"""

    def with_all(self, headers: Mapping[str, str]) -> S3Headers:
        """With others for every request."""
        return replace(self, everywhere={**headers, **self.everywhere})

    def common(self, method: str, key: str) -> dict[str, str]:
        """Those of a request that are independent of its purpose."""
        return {**self.everywhere, **(self.customer_key if key and method != "DELETE" else {})}

    def copy_source(self) -> dict[str, str]:
        """The customer's key once more, for what is copied."""
        return {name.replace(_CUSTOMER, _SOURCE): value for name, value in self.customer_key.items()}


def headers_of(client: Any, options: Mapping[str, Any], subject: str, *, secure: bool) -> S3Headers:
    """Read s3fs's `s3_additional_kwargs` by botocore's own tables; what they don't know of new objects is left out.

    Args:
        client: of botocore, for S3.
        options: by botocore's names, such as ServerSideEncryption.
        subject: the bucket's URL, for messages.
        secure: whether requests are encrypted on their way.

    Raises:
        UnsupportedOperationError: a key of one's own would go over the network in the clear.
    """
    wanted = {name: value for name, value in options.items() if name not in _OUR_OWN}
    sse_md5(wanted)
    model = client.meta.service_model
    operation = model.operation_model("CreateMultipartUpload")
    known = operation.input_shape.members
    serializer = create_serializer(model.metadata["protocol"], include_validation=False)

    def serialized(names: set[str]) -> dict[str, str]:
        members = {name: value for name, value in wanted.items() if name in names}
        request = serializer.serialize_to_request({"Bucket": "", "Key": "", **members}, operation)
        return {name: str(value) for name, value in request["headers"].items()}

    customer = {name for name in known if name.startswith("SSECustomer")}
    key = serialized(customer)
    if key and not secure:
        raise UnsupportedOperationError(
            f"{subject}: a key of one's own for encryption (SSE-C) is only sent to an endpoint of https://",
            path=subject,
        )
    return S3Headers(serialized(_EVERYWHERE), serialized(set(known) - customer - _EVERYWHERE), key)
