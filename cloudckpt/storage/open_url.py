"""From a URL to the store that holds it, as fsspec reads URLs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fsspec import available_protocols
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations.local import LocalFileSystem

from cloudckpt.errors import CheckpointPathError, StorageError
from cloudckpt.storage.filesystem import FilesystemStore
from cloudckpt.storage.local import LocalStore
from cloudckpt.storage.location import Location
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store

__all__ = ["open_url"]

LOCAL = {"file", "local"}
S3 = {"s3", "s3a"}
GCS = {"gs", "gcs"}


def open_url(text: str, options: dict[str, Any]) -> Location:
    """Open the store that a URL is in; `options` as `open_location` takes them, and raising what it raises."""
    protocol = split_protocol(text)[0] or "file"
    if "::" in text or protocol not in {*LOCAL, "memory", *S3, *GCS}:
        return _generic_location(text, options)
    if protocol in LOCAL:
        return _local_location(text, options)
    if protocol == "memory":
        filesystem, key = _filesystem(text, options)
        return Location(MemoryStore(filesystem), key.lstrip("/"))
    return _bucket_location(text, protocol, options)


def _local_location(text: str, options: dict[str, Any]) -> Location:
    """A location on this machine's disks; fsspec's own options for them (`auto_mkdir`) mean nothing here."""
    fsync = options.get("fsync")
    key: str = LocalFileSystem._strip_protocol(text)  # noqa: SLF001 - fsspec's documented hook for reading its URLs
    return Location(LocalStore(fsync=fsync), os.path.normpath(key) if "/." in key or "//" in key else key)


def _bucket_location(text: str, protocol: str, options: dict[str, Any]) -> Location:
    """A location in a bucket of S3 or GCS, behind retries."""
    if "@" in text.partition("://")[2].partition("/")[0]:
        names = "key=…, secret=…" if protocol in S3 else "token=…"
        raise CheckpointPathError(
            f"{redacted(text)}: credentials do not belong in the URL, give storage_options=dict({names})",
            path=redacted(text),
        )
    retries = _retry_options(options)
    filesystem, path = _filesystem(text, options)
    bucket, _, key = path.partition("/")
    if not bucket:
        raise CheckpointPathError(
            f"{redacted(text)} names no bucket: expected {protocol}://bucket/prefix", path=redacted(text)
        )
    return Location(RetryingStore(_bucket_store(protocol, bucket, filesystem), **retries), key)


def _bucket_store(protocol: str, bucket: str, filesystem: Any) -> Store:
    """The store of one bucket; its module is imported only now, with what it needs from s3fs or gcsfs."""
    if protocol in S3:
        from cloudckpt.storage.s3 import S3Store  # noqa: PLC0415 - not before a URL needs it

        return S3Store(bucket, filesystem)
    from cloudckpt.storage.gcs import GCSStore  # noqa: PLC0415 - as above

    return GCSStore(bucket, filesystem)


def _generic_location(text: str, options: dict[str, Any]) -> Location:
    """A location in any other filesystem that fsspec knows, behind retries."""
    retries = _retry_options(options)
    filesystem, key = _filesystem(text, options)
    shown = redacted(text).rstrip("/")
    # What comes before the key in the user's own URL, so that other keys are shown in the same form.
    root = shown[: len(shown) - len(key)] if key and shown.endswith(key) else None
    return Location(RetryingStore(FilesystemStore(filesystem, root), **retries), key)


def _retry_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take our own options for retries out of the user's."""
    return {"max_retry_seconds": float(options.pop("max_retry_seconds"))} if "max_retry_seconds" in options else {}


def _filesystem(text: str, options: dict[str, Any]) -> tuple[Any, str]:
    """The filesystem of fsspec, and its path, for a URL."""
    shown = redacted(text)
    _known(text, shown)
    try:
        filesystem, path = url_to_fs(text, **options)
    except ImportError as error:
        raise StorageError(
            f"{shown} needs a package that is not installed: {_remedy(text, error)}", path=shown
        ) from error
    except Exception as error:
        # A filesystem may log in here, and fail with whatever its library raises.
        raise StorageError(
            f"{shown} can't be opened: {type(error).__name__}: {redacted(str(error))}; "
            "check the URL and storage_options",
            path=shown,
        ) from error
    return filesystem, path.rstrip("/")


def _known(text: str, shown: str) -> None:
    """Raise for a protocol that fsspec does not know."""
    for link in text.split("::"):
        protocol = split_protocol(link)[0]
        if protocol and protocol not in available_protocols():
            raise CheckpointPathError(
                f"{shown}: the protocol {protocol!r} is unknown; expected a path, s3, gs, memory or one of fsspec's",
                path=shown,
            )


def _remedy(text: str, error: ImportError) -> str:
    """How to get the package that a URL needs."""
    for protocols, extra in ((S3, "s3"), (GCS, "gcs")):
        if any(f"{protocol}://" in text for protocol in protocols):
            return f"pip install 'cloudckpt[{extra}]'"
    return str(error)
