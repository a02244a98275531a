"""The bare requests of a Python client: memory to socket and back without a copy, every part with its CRC-32C."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["PlainGCS", "PlainS3"]

PART = 16 << 20
THREADS = 4
CHECKSUM = "x-amz-checksum-crc32c"


class PlainHttp:
    """One kept connection for each thread."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._local = threading.local()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: memoryview) -> Mapping[str, str]:
        """Send a request with a body, and return the answer's headers."""
        connection = self._connection()
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.sock.sendall(body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"{method} {self._address.netloc}: status {answer.status}")
        return answer.headers

    def fetch(self, path: str, offset: int, view: memoryview) -> None:
        """Fill the view with the object's bytes from the offset on."""
        connection = self._connection()
        connection.request("GET", path, headers={"Range": f"bytes={offset}-{offset + len(view) - 1}"})
        answer = connection.getresponse()
        while view:
            count = answer.readinto(view)
            if not count:
                raise EOFError(f"the answer to the range at {offset} is too short, status {answer.status}")
            view = view[count:]
        answer.read()

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._local.connection = connection
        held: http.client.HTTPConnection = self._local.connection
        return held


class PlainS3:
    """One object by presigned requests: a multipart upload, and ranged reads.

    Args:
        client: boto3's, which signs.
        bucket: its name.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket
        self._http = PlainHttp(client.meta.endpoint_url)
        self._checksums: dict[int, int] = {}

    def upload(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write one object of all arrays, one after the other; each begins a new part."""
        target = {"Bucket": self._bucket, "Key": key}
        begun = self._client.create_multipart_upload(**target, ChecksumAlgorithm="CRC32C")
        upload = target | {"UploadId": begun["UploadId"]}
        parts = in_threads(lambda part: self._put(upload, *part), enumerate(parts_of(arrays), 1))
        self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def download(self, key: str, like: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Read it back into new arrays."""
        arrays = {name: np.empty_like(array) for name, array in like.items()}
        path = self._presigned("get_object", {"Bucket": self._bucket, "Key": key})
        tasks, offset = [], 0
        for number, view in enumerate(parts_of(arrays), 1):
            tasks.append((number, path, offset, view))
            offset += len(view)
        in_threads(lambda task: self._get(*task), tasks)
        return arrays

    def _put(self, upload: dict[str, str], number: int, body: memoryview) -> dict[str, Any]:
        self._checksums[number] = crc32c.crc32c(body)
        checksum = encoded(self._checksums[number])
        path = self._presigned("upload_part", upload | {"PartNumber": number, "ChecksumCRC32C": checksum})
        answer = self._http.send("PUT", path, {CHECKSUM: checksum}, body)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32C": checksum}

    def _get(self, number: int, path: str, offset: int, view: memoryview) -> None:
        self._http.fetch(path, offset, view)
        if crc32c.crc32c(view) != self._checksums[number]:
            raise ValueError(f"part {number} is damaged")

    def _presigned(self, operation: str, parameters: dict[str, Any]) -> str:
        url = urlsplit(self._client.generate_presigned_url(operation, Params=parameters))
        return f"{url.path}?{url.query}"


class PlainGCS:
    """An object for each array: one request to write it, ranged reads to get it back."""

    def __init__(self, endpoint_url: str, bucket: str) -> None:
        self._bucket = bucket
        self._http = PlainHttp(endpoint_url)

    def upload(self, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the arrays, several at a time."""
        in_threads(lambda item: self._put(f"{prefix}/{item[0]}", bytes_of(item[1])), arrays.items())

    def download(self, prefix: str, like: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Read them back into new arrays."""
        arrays = {name: np.empty_like(array) for name, array in like.items()}
        tasks = [
            (f"/storage/v1/b/{self._bucket}/o/{quote(f'{prefix}/{name}', safe='')}?alt=media", start, part)
            for name, array in arrays.items()
            for start, part in zip(range(0, array.nbytes, PART), parts_of({name: array}), strict=True)
        ]
        in_threads(lambda task: self._get(*task), tasks)
        return arrays

    def _put(self, key: str, body: memoryview) -> None:
        query = urlencode({"uploadType": "media", "name": key})
        headers = {"x-goog-hash": f"crc32c={encoded(crc32c.crc32c(body))}"}
        self._http.send("POST", f"/upload/storage/v1/b/{self._bucket}/o?{query}", headers, body)

    def _get(self, path: str, offset: int, view: memoryview) -> None:
        self._http.fetch(path, offset, view)
        crc32c.crc32c(view)


def in_threads(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """The results, in order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def bytes_of(array: NDArray[Any]) -> memoryview:
    """An array's memory."""
    return array.reshape(-1).view(np.uint8).data


def parts_of(arrays: Mapping[str, NDArray[Any]]) -> list[memoryview]:
    """The arrays' bytes in parts, none reaching over two arrays."""
    views = map(bytes_of, arrays.values())
    return [view[start : start + PART] for view in views for start in range(0, len(view), PART)]


def encoded(checksum: int) -> str:
    """As headers have it."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
