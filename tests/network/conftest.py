"""Servers behind networks that fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest

from cloudckpt.checkpoint import read
from cloudckpt.storage import attempts
from cloudckpt.storage.s3 import probe as s3_probe
from tests.network.flaky_proxy import FlakyProxy, flaky_proxy
from tests.network.runs import PART, Place
from tests.network.toxiproxy import ToxicProxy
from tests.network.upload_sessions import UploadSessions
from tests.servers import fake_gcs_process, free_port, make_gcs_bucket, running_toxiproxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ObjectServer

IMPATIENT = {
    "s3": {"config_kwargs": {"connect_timeout": 2, "read_timeout": 1}, "part_size": PART},
    "gs": {"requests_timeout": 1, "part_size": PART},
}
"""Storage options of clients that don't wait long, and send small parts."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow soon, and files of a few megabytes are read in several requests."""
    monkeypatch.setattr(attempts, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(read, "RANGE_BYTES", PART // 2)


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets are probed as by a process that has just begun."""
    monkeypatch.setattr(s3_probe, "_known", {})


Proxy = TypeVar("Proxy", FlakyProxy, ToxicProxy)


@dataclass(frozen=True)
class Behind(Generic[Proxy]):
    """A bucket behind a proxy in which things go wrong."""

    server: ObjectServer
    proxy: Proxy

    def place(self, seconds: float = 10.0) -> Place:
        """A fresh directory; who goes through the proxy tries again for so many seconds."""
        through = self.server.through(self.proxy.url, max_retry_seconds=seconds, **IMPATIENT[self.server.scheme])
        return Place(self.server.fresh_url(), self.server, through.storage_options)


Flaky = Behind[FlakyProxy]
ToxicBucket = Behind[ToxicProxy]


@pytest.fixture(scope="session")
def flaky_minio(minio: ObjectServer) -> Iterator[Flaky]:
    with flaky_proxy(minio.endpoint_url) as proxy:
        yield Behind(minio.fresh_bucket(), proxy)


@pytest.fixture(scope="session")
def flaky_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flaky]:
    """A fake-gcs-server of its own, since it sends uploads to the one address that it was told: the proxy's."""
    with (
        flaky_proxy(serve=UploadSessions().serve) as proxy,
        fake_gcs_process(tmp_path_factory.mktemp("flaky-gcs"), external_url=proxy.url) as process,
    ):
        proxy.upstream = process.endpoint
        yield Behind(make_gcs_bucket("fake-gcs-server", process.endpoint), proxy)


@pytest.fixture(scope="session")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL that toxiproxy is controlled by."""
    with running_toxiproxy(tmp_path_factory.mktemp("toxiproxy")) as control:
        yield control


@pytest.fixture(scope="session")
def toxic_minio(minio: ObjectServer, toxiproxy: str) -> ToxicBucket:
    return Behind(minio.fresh_bucket(), ToxicProxy(toxiproxy, minio.endpoint_url))


@pytest.fixture(scope="session")
def toxic_gcs(tmp_path_factory: pytest.TempPathFactory, toxiproxy: str) -> Iterator[ToxicBucket]:
    """Two proxies: what the server gets wrong about upload sessions is put right behind the one that is toxic."""
    port = free_port()
    with (
        flaky_proxy(serve=UploadSessions().serve) as right,
        fake_gcs_process(tmp_path_factory.mktemp("toxic-gcs"), external_url=f"http://127.0.0.1:{port}") as process,
    ):
        right.upstream = process.endpoint
        yield Behind(make_gcs_bucket("fake-gcs-server", process.endpoint), ToxicProxy(toxiproxy, right.url, port))


@pytest.fixture(params=["flaky_minio", "flaky_gcs"])
def flaky(request: pytest.FixtureRequest) -> Flaky:
    """Each of the servers in turn, behind a proxy that is not armed yet."""
    server: Flaky = request.getfixturevalue(request.param)
    server.proxy.heal()
    return server


@pytest.fixture(params=["toxic_minio", "toxic_gcs"])
def toxic(request: pytest.FixtureRequest) -> ToxicBucket:
    """Each of the servers in turn, on a network that can be poisoned."""
    server: ToxicBucket = request.getfixturevalue(request.param)
    return server
