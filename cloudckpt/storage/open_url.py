"""From a URL to the store that holds it, as fsspec reads URLs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fsspec import available_protocols
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations.local import LocalFileSystem

from cloudckpt.errors import CheckpointPathError, InvalidArgumentError, StorageError
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.location import Location
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.option_names import require_known_options
from cloudckpt.storage.options import OwnOptions
from cloudckpt.storage.plugins import open_plugin, plugins
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.urls import cause_of, reason_of, redacted

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store

__all__ = ["is_protocol", "open_url"]

LOCAL = {"file", "local"}
S3 = {"s3", "s3a"}
GCS = {"gs", "gcs"}
AZURE = {"abfs", "abfss", "az"}
OURS = {*LOCAL, "memory", *S3, *GCS}
"""Protocols that no other distribution can take over."""

_ANONYMOUS = {"token": "anon"}


def open_url(text: str, options: dict[str, Any]) -> Location:
    """Open the store that a URL is in; `options` as `open_location` takes them, and raising what it raises."""
    protocol = split_protocol(text)[0] or "file"
    if "::" not in text and protocol not in OURS and protocol in plugins():
        return open_plugin(protocol, text, options)
    own = OwnOptions.taken_from(options)
    if "::" in text or protocol not in OURS | AZURE:
        location = _generic_location(text, options, own)
    elif protocol in LOCAL:
        require_known_options(text, protocol, options)
        location = _local_location(text, own)
    elif protocol == "memory":
        filesystem, key = _filesystem(text, options)
        location = Location(MemoryStore(filesystem), key.lstrip("/"))
    else:
        location = _bucket_location(text, protocol, options, own)
    own.tune(location.store)
    return location


def is_protocol(name: str) -> bool:
    """Whether URLs of that protocol can be opened, as far as names tell."""
    return name in available_protocols() or name in plugins()


def _local_location(text: str, own: OwnOptions) -> Location:
    """A location on this machine's disks; fsspec's own options for them (`auto_mkdir`) mean nothing here."""
    key: str = LocalFileSystem._strip_protocol(text)  # noqa: SLF001 - fsspec's documented hook for reading its URLs
    return Location(LocalStore(fsync=own.fsync), os.path.normpath(key) if "/." in key or "//" in key else key)


def _bucket_location(text: str, protocol: str, options: dict[str, Any], own: OwnOptions) -> Location:
    """A location in a bucket of S3 or GCS, or in a container of Azure, behind retries."""
    if _holds_credentials(protocol, text):
        names = "key=…, secret=…" if protocol in S3 else "token=…" if protocol in GCS else "account_key=…"
        raise CheckpointPathError(
            f"{redacted(text)}: credentials do not belong in the URL, give storage_options=dict({names})",
            path=redacted(text),
        )
    if protocol in GCS and not options.keys() & {"token", "endpoint_url"} and _emulated():
        options |= _ANONYMOUS
    filesystem, path = _filesystem(text, options)
    bucket, _, key = path.partition("/")
    if not bucket:
        raise CheckpointPathError(
            f"{redacted(text)} names no bucket: expected {protocol}://bucket/prefix", path=redacted(text)
        )
    root = text.rstrip("/").removesuffix(key).rstrip("/") + "/"
    return Location(RetryingStore(_bucket_store(protocol, bucket, filesystem, root, own), **own.retries()), key)


def _holds_credentials(protocol: str, text: str) -> bool:
    host, _, key = text.partition("://")[2].partition("/")
    user, at, _ = host.rpartition("@")
    if protocol in AZURE:  # it names the container there: abfss://container@account.dfs.core.windows.net/
        return ":" in user or "sig=" in key.partition("?")[2]
    return bool(at)


def _emulated() -> bool:
    """Whether the environment leads to an emulator of Cloud Storage.

    As by Google's own libraries it is sent no credentials, and none are looked for: that takes long where none are.
    """
    return os.environ.get("STORAGE_EMULATOR_HOST", "default") not in ("", "default")


def _bucket_store(protocol: str, bucket: str, filesystem: Any, root: str, own: OwnOptions) -> Store:
    """The store of one bucket; its module is imported only now, with what it needs from s3fs, gcsfs or adlfs."""
    if protocol in S3:
        from cloudckpt.storage.s3.store import S3Store  # noqa: PLC0415 - not before a URL needs it

        return S3Store(bucket, filesystem, **own.parts())
    if protocol in GCS:
        from cloudckpt.storage.gcs.store import GCSStore  # noqa: PLC0415 - as above

        return GCSStore(bucket, filesystem, **own.parts())
    from cloudckpt.storage.azure.store import AzureStore  # noqa: PLC0415 - as above

    return AzureStore(bucket, filesystem, root, **own.parts())


def _generic_location(text: str, options: dict[str, Any], own: OwnOptions) -> Location:
    """A location in any other filesystem that fsspec knows, behind retries."""
    filesystem, key = _filesystem(text, options)
    shown = redacted(text).rstrip("/")
    # What comes before the key in the user's own URL, so that other keys are shown in the same form.
    root = shown[: len(shown) - len(key)] if key and shown.endswith(key) else None
    return Location(RetryingStore(FilesystemStore(filesystem, root, **own.parts()), **own.retries()), key)


def _filesystem(text: str, options: dict[str, Any]) -> tuple[Any, str]:
    """The filesystem of fsspec, and its path, for a URL."""
    shown = redacted(text)
    _known(text, shown)
    protocol = split_protocol(text)[0]
    try:
        if "::" not in text and protocol in OURS | AZURE:
            require_known_options(shown, protocol, options)
        filesystem, path = url_to_fs(text, **options)
    except InvalidArgumentError:
        raise
    except ImportError as error:
        raise StorageError(
            f"{shown} needs a package that is not installed: {_remedy(text, error)}", path=shown
        ) from error
    except Exception as error:  # noqa: BLE001 - raised again as one of ours
        # A filesystem may log in here, and fail with whatever its library raises.
        raise StorageError(
            f"{shown} can't be opened: {reason_of(error)}; check the URL and storage_options", path=shown
        ) from cause_of(error)
    return filesystem, path.rstrip("/")


def _known(text: str, shown: str) -> None:
    """Raise for a protocol that fsspec does not know."""
    for link in text.split("::"):
        protocol = split_protocol(link)[0]
        if protocol and protocol not in available_protocols():
            raise CheckpointPathError(
                f"{shown}: the protocol {protocol!r} is unknown; expected a path, s3, gs, abfs, memory, one of "
                "fsspec's, or one that an installed package brings",
                path=shown,
            )


def _remedy(text: str, error: ImportError) -> str:
    """How to get the package that a URL needs."""
    for protocols, extra in ((S3, "s3"), (GCS, "gcs"), (AZURE, "azure")):
        if any(f"{protocol}://" in text for protocol in protocols):
            return f"pip install 'cloudckpt[{extra}]'"
    return str(error)
