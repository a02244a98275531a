"""Requests to one container of Azure Blob Storage, by Microsoft's client as adlfs has set it up."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from cloudckpt.errors import StorageTimeoutError
from cloudckpt.storage.azure.errors import translated
from cloudckpt.storage.deadline import require_time, time_is_over, under_way
from cloudckpt.storage.filesystem.process import of_each_process
from cloudckpt.storage.http.client import Response
from cloudckpt.storage.server_clock import ServerClock
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_Result = TypeVar("_Result")


class AzureClient:
    """One container, for any number of threads; a forked child connects for itself.

    Args:
        container: its name.
        filesystem: an adlfs.AzureBlobFileSystem, which knows the account and renews the credentials.
        root: what a person writes before a key to make it a URL.

    Attributes:
        clock: the server's.
    """

    def __init__(self, container: str, filesystem: Any, root: str) -> None:
        self._container = container
        self._filesystem = of_each_process(filesystem)
        self._root = root
        self.clock = ServerClock()

    def url(self, key: str) -> str:
        """The key's URL."""
        return f"{self._root}{key}"

    def call(self, key: str, operation: str, *args: Any, **options: Any) -> Any:
        """Do one operation of Microsoft's `BlobClient` for the key.

        Raises:
            StorageError: what went wrong, classified.
        """
        return self.run(key, lambda container: self.blob(container, key, operation, *args, **options))

    async def blob(self, container: Any, key: str, operation: str, *args: Any, **options: Any) -> Any:
        """As `call`, inside `run`."""
        return await getattr(container.get_blob_client(key), operation)(*args, **options, **self.each_request())

    def each_request(self) -> dict[str, Any]:
        """Options of each request: it is tried once, as others decide about retries, and its answer tells the time."""
        return {"retry_total": 0, "raw_response_hook": self._heard}

    def run(self, key: str, work: Callable[[Any], Coroutine[Any, Any, _Result]]) -> _Result:
        """Let Microsoft's client work, in the thread that it lives in, and wait for it as long as there is time.

        Args:
            key: that it is about, for messages.
            work: given the `ContainerClient`.
        """
        url, filesystem = self.url(key), self._filesystem.get()
        require_time(url)
        record(requests=1)
        container = filesystem.service_client.get_container_client(self._container)
        under_work = asyncio.run_coroutine_threadsafe(work(container), filesystem.loop)
        with translated(url), under_way(lambda: _cancel(under_work)):
            try:
                return under_work.result()
            except CancelledError as error:
                raise StorageTimeoutError(f"{url}: {time_is_over()}", path=url) from error
            except BaseException:
                under_work.cancel()  # the user has interrupted
                raise

    def _heard(self, answer: Any) -> None:
        response = answer.http_response
        self.clock.heard(Response(response.status_code, response.headers))


def _cancel(work: Any) -> None:
    work.cancel()
