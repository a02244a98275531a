"""Deletion of many S3 objects: a thousand a request, or one by one where the server knows no batches."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cloudckpt.errors import TransientStorageError
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.s3.errors import Failure, s3_error
from cloudckpt.storage.s3.xml import delete_document, parse_delete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.http.client import Response
    from cloudckpt.storage.s3.client import S3Client

_BATCH = 1000
_NO_BATCHES = (400, 405, 411, 501)
"""Statuses of servers that don't know DeleteObjects (GCS), or of keys that no XML document can hold."""


def delete_all(client: S3Client, keys: Sequence[str]) -> None:
    """Try to delete every key; one that is not there is no error.

    Raises:
        StorageError: the first failure, after all were tried.
    """
    failures = Failures()
    for start in range(0, len(keys), _BATCH):
        with failures.collected():
            _delete_batch(client, keys[start : start + _BATCH], failures)
    failures.raise_first()


def _delete_batch(client: S3Client, keys: Sequence[str], failures: Failures) -> None:
    answer = None if len(keys) == 1 else _ask_for_batch(client, keys)
    if answer is None or answer.status != 200:
        _delete_singly(client, keys, failures)
        return
    try:
        refused = parse_delete(answer.body)
    except ValueError as error:
        url = client.url(keys[0])
        raise TransientStorageError(f"{url}: the answer to its deletion can't be read: {error}", path=url) from error
    for key, (code, message) in refused.items():
        with failures.collected():
            raise s3_error("DELETE", client.url(key), Failure(0, code, message))


def _ask_for_batch(client: S3Client, keys: Sequence[str]) -> Response:
    document = delete_document(keys)
    digest = hashlib.md5(document, usedforsecurity=False).digest()  # the one checksum that all servers know here
    return client.request(
        "POST",
        query={"delete": ""},
        headers={"Content-MD5": base64.b64encode(digest).decode()},
        body=[document],
        expect=(200, *_NO_BATCHES),
        repeatable=True,
    )


def _delete_singly(client: S3Client, keys: Sequence[str], failures: Failures) -> None:
    for key in keys:
        with failures.collected():
            client.request("DELETE", key, expect=(200, 204), repeatable=True)
