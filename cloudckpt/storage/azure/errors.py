"""What Azure Blob Storage's answers mean, as Microsoft's client raises them: each classified once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from cloudckpt.errors import (
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ShortReadError,
    StorageError,
    TransientStorageError,
)
from cloudckpt.storage.http.message import TRANSIENT_STATUSES, retry_after
from cloudckpt.storage.urls import reason_of, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONDITIONS = ("BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet")
_LOGIN = "check the credentials in storage_options, and what the account may do with this container"


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what Microsoft's client raises inside the block as a `StorageError` about `url`.

    It makes no error of its own of an answer that is none of the service's, but fails on it with whatever comes.
    """
    try:
        yield
    except StorageError:
        raise
    except AzureError as error:
        raise azure_error(url, error) from error
    except OSError as error:
        raise TransientStorageError(f"{url}: the connection failed ({error})", path=url) from error
    except Exception as error:
        raise StorageError(f"{url}: Microsoft's client failed ({reason_of(error)})", path=url) from error


def azure_error(url: str, error: AzureError) -> StorageError:
    """The error of our tree for one of theirs."""
    status, code = error.status_code if isinstance(error, HttpResponseError) else None, error_code(error)
    if isinstance(error, ServiceRequestError | ServiceResponseError) or _is_cut(error, status):
        return TransientStorageError(f"{url}: there was no whole answer ({redacted(error.message)})", path=url)
    described = f"HTTP {status or '?'} {code}: " + redacted(error.message).partition("\n")[0]
    if status in TRANSIENT_STATUSES:
        headers: Any = getattr(getattr(error, "response", None), "headers", {})
        return TransientStorageError(
            f"{url}: the server could not do it now ({described})", path=url, retry_after=retry_after(headers)
        )
    kind, advice = _permanent(error, status, code)
    return kind(f"{url}: {advice} ({described})", path=url)


def _is_cut(error: AzureError, status: int | None) -> bool:
    """Whether the answer did not arrive whole: then there is no status, or one of success and a body without sense."""
    is_refusal = isinstance(error, ClientAuthenticationError)  # one of its own has no status either
    return isinstance(error, HttpResponseError) and not is_refusal and (status or 0) < 400


def error_code(error: AzureError) -> str:
    """The service's name of what went wrong, such as BlobNotFound."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or type(error).__name__)


def _permanent(error: AzureError, status: int | None, code: str) -> tuple[type[StorageError], str]:
    if code == "ContainerNotFound":
        return ObjectNotFoundError, "there is no such container; check its name and the account"
    if isinstance(error, ResourceNotFoundError):
        return ObjectNotFoundError, "there is no such object"
    if isinstance(error, ClientAuthenticationError) or status in (401, 403):
        return PermissionDeniedError, f"the server refused; {_LOGIN}"
    if code == "InvalidRange":
        return (
            ShortReadError,
            "it ends before the range that was asked for; it is not the file that its index speaks of",
        )
    if code in _CONDITIONS:
        return PreconditionFailedError, "the object is not as the condition demands; another writer may be at work"
    return StorageError, "the server refused the request"
