"""Whether a server honours the conditions of writes: one that does not know them answers 200 to all."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from cloudckpt.errors import StorageError
from cloudckpt.storage.deadline import grace

if TYPE_CHECKING:
    from cloudckpt.storage.s3.client import S3Client

PROBE_PREFIX = ".cloudckpt-probe-"

_log = logging.getLogger(__name__)
_known: dict[str, bool] = {}
"""By bucket URL, for the life of the process."""


def honours_conditions(client: S3Client, folder: str) -> bool:
    """Find out, once a process and bucket, by writing a hidden key twice with `If-None-Match: *`.

    Amazon's own S3 is known to honour them and is not asked.

    Args:
        client: of the bucket.
        folder: where the hidden key goes, empty or with a "/" at its end: the user may write only there.

    Raises:
        StorageError: the key could not be written.
    """
    access = client.access
    if access.is_amazon:
        return True
    if access.base not in _known:
        _known[access.base] = _probe(client, f"{folder}{PROBE_PREFIX}{secrets.token_hex(8)}")
    return _known[access.base]


def _probe(client: S3Client, key: str) -> bool:
    try:
        statuses = [
            client.request("PUT", key, headers={"If-None-Match": "*"}, expect=(200, 412, 501)).status for _ in range(2)
        ]
    finally:
        try:
            with grace():
                client.request("DELETE", key, expect=(200, 204, 404), repeatable=True)
        except StorageError as error:
            _log.warning("a probe of 0 bytes stays behind: %s", error)
    return statuses[1] == 412  # also where a gateway has sent the first one twice
