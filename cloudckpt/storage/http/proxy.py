"""Proxies between this machine and a server, by the options of botocore or by the environment."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from cloudckpt.errors import StorageError
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

__all__ = ["Proxies", "Proxy"]

_DEFAULT_PORT = 80


@dataclass(frozen=True, slots=True)
class Proxy:
    """One HTTP proxy."""

    host: str
    port: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What it wants to know about who asks; a secret."""

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read a URL such as `http://user:password@proxy:3128`; without a scheme, it is http.

        Raises:
            StorageError: it is no HTTP proxy, or one that wants to be spoken to by TLS.
        """
        target = urlsplit(url if "://" in url else f"http://{url.removeprefix('//')}")
        try:
            host, port = target.hostname, target.port or _DEFAULT_PORT
        except ValueError:  # a port that is no number
            host, port = None, 0
        if target.scheme != "http" or not host:
            raise StorageError(
                f"the proxy {redacted(url)!r} can't be used: it must be one that is spoken to by plain HTTP, such as "
                "http://proxy:3128 (what goes through them to https:// is encrypted all the same)"
            )
        if target.username is None:
            return cls(host, port)
        user = f"{unquote(target.username)}:{unquote(target.password or '')}"
        return cls(host, port, (("Proxy-Authorization", f"Basic {base64.b64encode(user.encode()).decode()}"),))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Proxies:
    """Which proxy a request goes through.

    Args:
        by_scheme: the URLs of proxies for "http" and "https", which all requests go through; None for those of the
            environment: HTTP_PROXY and HTTPS_PROXY, but not to the hosts of NO_PROXY.
    """

    def __init__(self, by_scheme: Mapping[str, str] | None = None) -> None:
        self._by_scheme = getproxies() if by_scheme is None else by_scheme
        self._has_exceptions = by_scheme is None

    def between(self, target: SplitResult) -> Proxy | None:
        """The proxy on the way to a URL, or None.

        Raises:
            StorageError: it can't be used.
        """
        url = self._by_scheme.get(target.scheme)
        if not url or (self._has_exceptions and proxy_bypass(target.netloc.rpartition("@")[2])):
            return None
        return Proxy.parse(url)
