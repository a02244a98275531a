"""Who asks Cloud Storage, and where: what gcsfs knows of credentials, endpoint and payer, and nothing of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from google.auth.transport.requests import Request

from cloudckpt.storage.gcs.errors import credentials_error
from cloudckpt.storage.http.client import READ_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

_API = "/storage/v1"
_GOOGLE = ".googleapis.com"


class GCSAccess:
    """What requests need beyond their own subject; asked anew for each, as gcsfs renews its credentials.

    Args:
        filesystem: a gcsfs.GCSFileSystem with the user's options.
    """

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def api(self, *, upload: bool) -> str:
        """The address that paths of the API are appended to; uploads have one of their own."""
        return f"{self._endpoint()}{'/upload' if upload else ''}{_API}/"

    def session(self, address: str) -> str:
        """An upload session's address as it is reached from here.

        An emulator in a container, or behind a proxy, gives the address by which it knows itself; Google's own leads
        to where it says.
        """
        endpoint = urlsplit(self._endpoint())
        if (endpoint.hostname or "").endswith(_GOOGLE):
            return address
        return urlunsplit(urlsplit(address)._replace(scheme=endpoint.scheme, netloc=endpoint.netloc))

    def payer(self) -> str | None:
        """The project that is billed for the request, where the user named one."""
        payer = self._filesystem.requester_pays
        return payer if isinstance(payer, str) else str(self._filesystem.project) if payer else None

    def authorised(self, headers: Mapping[str, str], subject: str) -> dict[str, str]:
        """The headers, with the authorisation; credentials that are about to expire are renewed first.

        Raises:
            PermissionDeniedError: they could not be.
            TransientStorageError: not now.
        """
        authorised = dict(headers)
        try:
            self._filesystem.credentials.apply(authorised)
        except Exception as error:
            # gcsfs and google-auth raise errors of several libraries.
            raise credentials_error(subject, error) from error
        return authorised

    def renew(self, refused: Mapping[str, str], subject: str) -> bool:
        """Replace credentials that the server no longer takes before their time: revoked, or by another clock.

        Args:
            refused: the headers of the request that was refused.
            subject: the object's URL, for messages.

        Returns:
            Whether there are others now, so that the request is worth repeating.

        Raises:
            As `authorised`.
        """
        credentials = self._filesystem.credentials.credentials
        if credentials is None:  # anonymous
            return False
        current: dict[str, str] = {}
        try:
            credentials.apply(current)
            if current.get("authorization") == refused.get("authorization"):
                credentials.refresh(Request())
        except Exception as error:
            raise credentials_error(subject, error) from error
        return True

    def read_timeout(self) -> float:
        """Seconds without a byte: of `requests_timeout`, or of the session's, a number or an aiohttp.ClientTimeout."""
        for given in (self._filesystem.requests_timeout, self._filesystem.session_kwargs.get("timeout")):
            seconds = getattr(given, "sock_read", None) or getattr(given, "total", given)
            if isinstance(seconds, int | float):
                return float(seconds)
        return READ_TIMEOUT

    def _endpoint(self) -> str:
        """Without the path of the API, which people write after it, and without a trailing slash."""
        endpoint: str = self._filesystem.base.rstrip("/").removesuffix(_API)
        return endpoint.rstrip("/").removesuffix(_API)
