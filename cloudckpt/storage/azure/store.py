"""Azure Blob Storage, with the options of adlfs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from cloudckpt.storage.azure.client import AzureClient
from cloudckpt.storage.azure.errors import translated
from cloudckpt.storage.azure.info import (
    conditions_of,
    is_folder,
    metadata_of,
    only_version,
    parse_answer,
    parse_properties,
)
from cloudckpt.storage.azure.upload import PART_SIZE, AzureUpload
from cloudckpt.storage.buffers import fill, flat_view, flat_views
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.http.range import short_read, total_size
from cloudckpt.storage.single_put import SinglePutUpload
from cloudckpt.storage.store import Capabilities, ObjectInfo, Store
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Unfinished, Upload, WriteCondition

_DELETES_AT_ONCE = 16
_SINGLE_PUT = 1 << 20
"""Bytes. What is more goes as a block, in two requests: a block can be a stream, while for bytes aiohttp would keep all
others waiting until it has sent them."""


class AzureStore(Store):
    """One container, of an account with or without a hierarchical namespace. Versions are ETags.

    Args:
        container: its name.
        filesystem: an adlfs.AzureBlobFileSystem with the user's options; its client of Microsoft's is used.
        root: what a person writes before a key to make it a URL, without credentials.
        part_size: bytes of a large object that are sent at once.
    """

    def __init__(self, container: str, filesystem: Any, root: str, *, part_size: int = PART_SIZE) -> None:
        self._client = AzureClient(container, filesystem, root)
        self._part_size = part_size

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            create_if_absent=True,
            replace_if_version=True,
            delete_if_version=True,
            durable_on_return=True,
            parallel_upload=True,
            server_times=True,
        )

    def url(self, key: str) -> str:
        return self._client.url(key)

    def stat(self, key: str) -> ObjectInfo:
        properties = self._client.call(key, "get_blob_properties")
        if is_folder(properties):
            raise ObjectNotFoundError(f"{self.url(key)} is a folder, not an object", path=self.url(key))
        return self._described(key, properties)

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        options = {"name_starts_with": prefix, "include": ["metadata"], **self._client.each_request()}

        async def found(container: Any) -> list[Any]:
            pages = container.list_blobs(**options) if recursive else container.walk_blobs(**options, delimiter="/")
            return [blob async for blob in pages if not is_folder(blob)]

        blobs = self._client.run(prefix, found)
        # With a hierarchical namespace a folder comes where its name does, without the slash.
        return iter(sorted((self._described(blob.name, blob) for blob in blobs), key=lambda info: info.key))

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        data, properties = self._download(key, {})
        return data, self._described(key, properties, len(data))

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        """Fill the buffers. One request, one copy."""
        wanted, pinned = total_size(into), {} if version is None else only_version(version)
        try:
            if not wanted:
                if (size := self._client.call(key, "get_blob_properties", **pinned).size) < offset:
                    raise short_read(offset, wanted, str(size), self.url(key))
                return
            data, _ = self._download(key, {"offset": offset, "length": wanted, **pinned})
        except PreconditionFailedError as error:
            self.stat(key)  # of one that is gone the service says the same
            raise ObjectChangedError(
                f"{self.url(key)}: the object was replaced while it was read; open the checkpoint again",
                path=self.url(key),
            ) from error
        if len(data) < wanted:
            raise short_read(offset, wanted, str(offset + len(data)), self.url(key))
        fill(into, data)

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        size = flat_view(data).nbytes
        if size <= _SINGLE_PUT:
            return self._put(key, condition, commit_id, [data], crc32c)
        upload = AzureUpload(self._client, key, size, condition, metadata_of(commit_id), part_size=size)
        upload.write(0, [data], crc32c)
        return upload.complete(crc32c)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        if size <= _SINGLE_PUT:
            return SinglePutUpload(self.url(key), self._part_size, partial(self._put, key, condition, commit_id))
        return AzureUpload(self._client, key, size, condition, metadata_of(commit_id), part_size=self._part_size)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        """Refuse: the service may copy long after it has answered, and stop half way."""
        url = self.url(source.key)
        raise UnsupportedOperationError(
            f"{url} can't be copied inside Azure in one step: read it and write it anew", path=url
        )

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, one request each and several at a time."""
        failures, doomed, places = Failures(), [*keys], asyncio.Semaphore(_DELETES_AT_ONCE)

        async def delete(container: Any, key: str) -> None:
            async with places:
                with failures.collected(), translated(self.url(key)):
                    await self._client.blob(container, key, "delete_blob", delete_snapshots="include")

        async def delete_all(container: Any) -> None:
            await asyncio.gather(*(delete(container, key) for key in doomed))

        if doomed:
            self._client.run(doomed[0], delete_all)
        failures.raise_first()

    def delete_if_version(self, key: str, version: str) -> None:
        with suppress(ObjectNotFoundError):
            try:
                self._client.call(key, "delete_blob", delete_snapshots="include", **only_version(version))
            except PreconditionFailedError:
                self.stat(key)  # as above
                raise

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: blocks that no object names can't be freed; the service does that itself, after a week."""
        return iter(())

    def time(self) -> float:
        return self._client.clock.latest

    def close(self) -> None:
        """Do nothing: fsspec keeps its filesystems, and their connections, for others in the process."""

    def _described(self, key: str, properties: Any, size: int | None = None) -> ObjectInfo:
        with translated(self.url(key)):
            return parse_properties(key, properties, size)

    def _put(
        self, key: str, condition: WriteCondition, commit_id: str | None, buffers: Sequence[Buffer], crc32c: int
    ) -> ObjectInfo:
        data, metadata = b"".join(flat_views(buffers)), metadata_of(commit_id)
        options = {"length": len(data), "metadata": metadata, **conditions_of(condition)}
        answer = self._client.call(key, "upload_blob", BytesIO(data), overwrite=True, **options)
        record(sent=len(data))
        return parse_answer(key, len(data), answer, metadata)

    def _download(self, key: str, options: dict[str, Any]) -> tuple[bytes, Any]:
        """The bytes, and the properties of the object that they are of."""

        async def download(container: Any) -> tuple[bytes, Any]:
            stream = await self._client.blob(container, key, "download_blob", **options)
            return await stream.readall(), stream.properties

        data, properties = self._client.run(key, download)
        record(received=len(data))
        return data, properties
