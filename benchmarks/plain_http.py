"""The bare requests of a multipart upload and of ranged reads: memory to socket and back without a copy in Python."""

from __future__ import annotations

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PART = 16 << 20


class PlainClient:
    """Sends presigned requests over one kept connection a thread."""

    def __init__(self, client: Any, bucket: str, threads: int) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = threads
        self._local = threading.local()

    def upload(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write one object of all arrays, one after the other; each begins a new part."""
        target = {"Bucket": self._bucket, "Key": key}
        upload = target | {"UploadId": self._client.create_multipart_upload(**target)["UploadId"]}
        with ThreadPoolExecutor(self._threads) as pool:
            parts = list(pool.map(lambda part: self._put(upload, *part), enumerate(parts_of(arrays), 1)))
        self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def download(self, key: str, like: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Read it back into new arrays."""
        arrays = {name: np.empty_like(array) for name, array in like.items()}
        url = self._presigned("get_object", {"Bucket": self._bucket, "Key": key})
        views, offsets, offset = list(parts_of(arrays)), [], 0
        for view in views:
            offsets.append(offset)
            offset += len(view)
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(lambda offset, view: self._get(url, offset, view), offsets, views))
        return arrays

    def _put(self, upload: dict[str, str], number: int, body: memoryview) -> dict[str, Any]:
        connection = self._connection()
        connection.putrequest("PUT", self._presigned("upload_part", upload | {"PartNumber": number}))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.sock.sendall(body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"part {number}: status {answer.status}")
        return {"PartNumber": number, "ETag": answer.headers["ETag"]}

    def _get(self, url: str, offset: int, view: memoryview) -> None:
        connection = self._connection()
        connection.request("GET", url, headers={"Range": f"bytes={offset}-{offset + len(view) - 1}"})
        answer = connection.getresponse()
        while view:
            count = answer.readinto(view)
            if not count:
                raise EOFError(f"the answer to the range at {offset} is too short, status {answer.status}")
            view = view[count:]
        answer.read()

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            address = urlsplit(self._client.meta.endpoint_url)
            connection = http.client.HTTPConnection(str(address.hostname), address.port)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._local.connection = connection
        held: http.client.HTTPConnection = self._local.connection
        return held

    def _presigned(self, operation: str, parameters: dict[str, Any]) -> str:
        url = urlsplit(self._client.generate_presigned_url(operation, Params=parameters))
        return f"{url.path}?{url.query}"


def parts_of(arrays: Mapping[str, NDArray[Any]]) -> list[memoryview]:
    """The arrays' bytes in parts, none reaching over two arrays."""
    views = (array.reshape(-1).view(np.uint8).data for array in arrays.values())
    return [view[start : start + PART] for view in views for start in range(0, len(view), PART)]
