"""An upload of an object so small that one request carries it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.errors import StorageError
from cloudckpt.storage.store import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import ObjectInfo


class SinglePutUpload(Upload):
    """Keeps the only part, as the views that it came in, and puts it on `complete`.

    Args:
        url: the object's, for messages.
        part_size: bytes, at least the object's size.
        put: writes the buffers as the whole object, with the CRC-32C given, on the upload's condition.
    """

    def __init__(self, url: str, part_size: int, put: Callable[[Sequence[Buffer], int], ObjectInfo]) -> None:
        self.part_size = part_size
        self._url = url
        self._put = put
        self._buffers: Sequence[Buffer] = ()
        self._open = True

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        self._buffers = buffers

    def complete(self, crc32c: int) -> ObjectInfo:
        if not self._open:
            raise StorageError(f"{self._url}: the upload was completed or aborted before", path=self._url)
        info = self._put(self._buffers, crc32c)
        self._open = False
        return info

    def abort(self) -> None:
        self._open = False
        self._buffers = ()
