"""A larger object on its way to Azure: blocks that nobody sees until one request names them as the object's.

https://learn.microsoft.com/rest/api/storageservices/put-block-list . The service frees blocks that none names after a
week; nothing frees them sooner but another write of the same key.
"""

from __future__ import annotations

import base64
import secrets
from io import BytesIO
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock

from cloudckpt.errors import PreconditionFailedError, StorageError
from cloudckpt.storage.azure.errors import error_code
from cloudckpt.storage.azure.info import conditions_of, parse_answer
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.store import Always, ObjectInfo, Upload
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.azure.client import AzureClient
    from cloudckpt.storage.store import WriteCondition

PART_SIZE = 8 << 20
_MOST_BLOCKS = 50_000


class AzureUpload(Upload):
    """Blocks may come side by side and in any order.

    Args:
        client: of the container.
        key: the object's.
        size: bytes of the whole object.
        condition: checked by `complete`.
        metadata: of the object.
        part_size: bytes of a part; more where there would be too many.
    """

    def __init__(
        self,
        client: AzureClient,
        key: str,
        size: int,
        condition: WriteCondition,
        metadata: dict[str, str],
        *,
        part_size: int,
    ) -> None:
        self._client, self._key, self._size = client, key, size
        self._condition, self._metadata = condition, metadata
        self.part_size = max(part_size, -(-size // _MOST_BLOCKS))
        self._name = secrets.token_hex(8)  # another upload of the key must not take our blocks for its own
        self._open = True

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        data = b"".join(flat_views(buffers))
        self._client.call(self._key, "stage_block", self._block(offset), BytesIO(data), length=len(data))
        record(sent=len(data))

    def complete(self, crc32c: int) -> ObjectInfo:
        url = self._client.url(self._key)
        if not self._open:
            raise StorageError(f"{url}: the upload was completed or aborted before", path=url)
        conditions = conditions_of(self._condition)
        blocks = [BlobBlock(self._block(offset)) for offset in range(0, self._size, self.part_size)]
        try:
            answer = self._client.call(self._key, "commit_block_list", blocks, metadata=self._metadata, **conditions)
        except StorageError as error:
            cause = error.__cause__
            if isinstance(cause, HttpResponseError) and error_code(cause) == "InvalidBlockList":
                raise self._replaced(url) from error
            raise
        self._open = False
        return parse_answer(self._key, self._size, answer, self._metadata)

    def abort(self) -> None:
        self._open = False

    def _replaced(self, url: str) -> StorageError:
        """Whoever commits an object first frees the blocks of all others."""
        kind = StorageError if isinstance(self._condition, Always) else PreconditionFailedError
        return kind(f"{url}: another writer wrote it meanwhile, which freed what was sent", path=url)

    def _block(self, offset: int) -> str:
        """All names of an object's blocks must be of one length."""
        return base64.b64encode(f"{self._name}{offset // self.part_size:08}".encode()).decode()
