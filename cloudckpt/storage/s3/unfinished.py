"""The multipart uploads of an S3 bucket that were begun and neither completed nor aborted."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, StorageError
from cloudckpt.storage.s3.xml import parse_uploads
from cloudckpt.storage.store import Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.storage.s3.client import S3Client
    from cloudckpt.storage.s3.xml import UploadsPage


def list_uploads(client: S3Client, prefix: str) -> Iterator[Unfinished]:
    """The uploads of keys of one folder that begin with `prefix`.

    Amazon's servers are asked for that prefix. Others, MinIO for one, answer with nothing then unless it is a whole
    key, and look complete: they are asked for all of the bucket's.
    """
    for page in _pages(client, prefix):
        for upload in page.uploads:
            if upload.key.startswith(prefix) and "/" not in upload.key[len(prefix) :]:
                discard = partial(_abort, client, upload.key, upload.upload_id)
                yield Unfinished(upload.key, upload.began, None, discard)


def _pages(client: S3Client, prefix: str) -> Iterator[UploadsPage]:
    query = {"uploads": "", "encoding-type": "url"}
    if client.access.is_amazon:
        query |= {"prefix": prefix, "delimiter": "/"}
    while True:
        answer = client.request("GET", query=query, repeatable=True)
        try:
            page = parse_uploads(answer.body)
        except ValueError as error:
            url = client.url(prefix)
            raise StorageError(
                f"{url}: the server's list of uploads can't be read ({error}); is the endpoint an S3 server?",
                path=url,
            ) from error
        yield page
        if page.next_marker is None:
            return
        query |= page.next_marker


def _abort(client: S3Client, key: str, upload_id: str) -> None:
    with suppress(ObjectNotFoundError):  # completed or aborted since
        client.request("DELETE", key, {"uploadId": upload_id}, expect=(200, 204), repeatable=True)
