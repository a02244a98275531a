"""In whose name requests to S3 go: botocore's credentials, renewed in time, and before their time where refused."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions
from botocore import UNSIGNED
from botocore.exceptions import (
    BotoCoreError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from fsspec.asyn import get_loop, sync
from fsspec.exceptions import FSTimeoutError

from cloudckpt.errors import PermissionDeniedError, StorageError, TransientStorageError
from cloudckpt.storage.deadline import remaining, require_time
from cloudckpt.storage.s3.errors import no_credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ["Credentials", "access_error", "another_filesystem", "ask_botocore", "credentials_of"]

_Result = TypeVar("_Result")

_KEEP = 60.0
"""Seconds until they are asked for again; botocore renews them ten minutes before they expire."""
_SHORTEST_TIMEOUT = 0.001
"""Seconds; 0 would mean none."""


class Credentials:
    """A bucket's credentials, for any thread.

    Args:
        filesystem: the s3fs.S3FileSystem whose options say where they come from.
        source: botocore's, found by those options, which knows how to renew them.
        subject: the bucket's URL, for messages.
    """

    def __init__(self, filesystem: Any, source: Any, subject: str) -> None:
        self._filesystem = filesystem
        self._source = source
        self._subject = subject
        self._frozen: Any = None
        self._until = 0.0
        self._renewed_in_vain = -math.inf
        self._lock = threading.Lock()

    def current(self) -> Any:
        """What to sign with now, as botocore's frozen credentials.

        Raises:
            StorageError: they could not be renewed.
        """
        with self._lock:
            if self._frozen is None or time.monotonic() > self._until:
                self._hold(ask_botocore(self._subject, self._source.get_frozen_credentials))
            return self._frozen

    def renew(self, refused: Any) -> bool:
        """Look for others, from the beginning: a file, a variable or a role may hold new ones by now.

        Args:
            refused: what a request was signed with that the server did not take.

        Returns:
            Whether there are others, so that the request is worth repeating. If there are none, this is not asked
            again for a minute.
        """
        with self._lock:
            if self._frozen != refused:
                return True
            if time.monotonic() < self._renewed_in_vain + _KEEP:
                return False
            source, found = ask_botocore(self._subject, _looked_up, self._filesystem)
            if found is None or found == refused:
                self._renewed_in_vain = time.monotonic()
                return False
            self._source = source
            self._hold(found)
            return True

    def _hold(self, frozen: Any) -> None:
        self._frozen, self._until = frozen, time.monotonic() + _KEEP


async def _looked_up(filesystem: Any) -> tuple[Any, Any]:
    another = another_filesystem(filesystem)
    await another.set_session()
    source = credentials_of(another.s3)
    return source, None if source is None else await source.get_frozen_credentials()


def another_filesystem(filesystem: Any) -> Any:
    """One of the same options that has found out nothing yet."""
    options = {**filesystem.storage_options, "skip_instance_cache": True}
    return type(filesystem)(*filesystem.storage_args, **options)


def credentials_of(client: Any) -> Any:
    """Those that a client of botocore signs with; None for an anonymous one."""
    if client.meta.config.signature_version is UNSIGNED:
        return None
    return client._request_signer._credentials  # noqa: SLF001 - there is no public way


def ask_botocore(subject: str, question: Callable[..., Awaitable[_Result]], *arguments: Any) -> _Result:
    """Run a coroutine function on fsspec's event loop, within the caller's time.

    Args:
        subject: the bucket's URL, for messages.
        question: what to ask.
        arguments: of `question`.

    Raises:
        PermissionDeniedError: no credentials, or incomplete ones.
        TransientStorageError: who gives out credentials did not answer.
        StorageError: botocore can't make sense of the options.
    """
    require_time(subject)
    left = remaining()
    timeout = None if left is None else max(_SHORTEST_TIMEOUT, left)
    with _translated(subject):
        return sync(get_loop(), question, *arguments, timeout=timeout)  # type: ignore[no-any-return]  # fsspec is untyped


@contextmanager
def _translated(subject: str) -> Iterator[None]:
    """Turn botocore's errors into ours.

    A malformed endpoint is a ValueError there, a vain renewal a RuntimeError, and what is mistyped inside of an option
    such as `client_kwargs` a TypeError or an AttributeError.
    """
    try:
        yield
    except StorageError:
        raise
    except (BotoCoreError, FSTimeoutError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        require_time(subject)
        raise access_error(subject, error) from error


def access_error(subject: str, error: Exception) -> StorageError:
    """The error of our tree for one of botocore's; its own messages name options, never their secret values."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
        found = no_credentials(subject)
        return PermissionDeniedError(f"{found} ({error})", path=subject)
    if isinstance(error, (CredentialRetrievalError, RuntimeError)):
        return PermissionDeniedError(f"{subject}: the credentials could not be fetched ({error})", path=subject)
    if isinstance(error, (botocore.exceptions.ConnectionError, HTTPClientError, FSTimeoutError)):
        return TransientStorageError(f"{subject}: no answer from where the credentials are ({error})", path=subject)
    return StorageError(f"{subject}: botocore refuses the options ({error}); check storage_options", path=subject)
