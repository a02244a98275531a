"""What every test gets: an environment without the user's credentials, no way out to the network, and real servers."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

from tests.servers import MISSING, ObjectServer, running_fake_gcs, running_minio, running_moto

if TYPE_CHECKING:
    from collections.abc import Iterator


def leave_the_users_environment() -> None:
    """No test sees the credentials, profiles, proxies, authorities or fsspec settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GCSFS_", "GOOGLE_", "FSSPEC_", "STORAGE_EMULATOR_")) or name.lower() in {
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
            "requests_ca_bundle",
            "ssl_cert_file",
            "ssl_cert_dir",
        }:
            del os.environ[name]
    nowhere = os.path.join(os.sep, "nonexistent")
    os.environ.update(
        AWS_CONFIG_FILE=nowhere,
        AWS_SHARED_CREDENTIALS_FILE=nowhere,
        AWS_EC2_METADATA_DISABLED="true",
        BOTO_CONFIG=nowhere,
        CLOUDSDK_CONFIG=nowhere,
        FSSPEC_CONFIG_DIR=nowhere,
        NO_GCE_CHECK="true",
        # gcsfs asks a bucket's type over gRPC, which hangs a minute before an emulator; read when it is imported.
        GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="false",
        TF_CPP_MIN_LOG_LEVEL="3",
    )


leave_the_users_environment()

# Ctrl-C is tested, here and in processes that inherit this; whoever starts the tests in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: examples of Hypothesis are not timed.
settings.register_profile("cloudckpt", deadline=None)
settings.load_profile("cloudckpt")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which real parts were not there, so that a green run without them is not taken for a whole one."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    absent = {str(reason).partition(MISSING)[2] for reason in reasons if MISSING in str(reason)}
    if absent:
        terminalreporter.section("real parts that were missing")
        for line in sorted(absent):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def only_local_network() -> Iterator[None]:
    """A connection to anything but this machine, or the servers given by the environment, fails the test."""
    given = [os.environ.get(f"CLOUDCKPT_TEST_{kind}_ENDPOINT", "") for kind in ("S3", "GCS", "AZURE")]
    hosts = {host for url in given if (host := urlsplit(url).hostname)}
    allowed = {str(entry[4][0]) for host in hosts for entry in socket.getaddrinfo(host, None)}
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex"):
            patch.setattr(socket.socket, method, guarded(getattr(socket.socket, method), allowed))
        yield


def guarded(connect: Any, allowed: set[str]) -> Any:
    """`connect` that refuses addresses beyond this machine."""

    def guarded_connect(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and not (address[0] in allowed or is_local(address[0])):
            raise PermissionError(f"tests do not reach the network: {address}")
        return connect(self, address)

    return guarded_connect


def is_local(host: str) -> bool:
    """Whether a host is this machine by name or address."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A MinIO server with a bucket."""
    with running_minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A moto server with a bucket."""
    with running_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A fake-gcs-server with a bucket."""
    with running_fake_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(params=["minio", "moto_s3", "fake_gcs"])
def object_server(request: pytest.FixtureRequest) -> ObjectServer:
    """Each of the object servers in turn."""
    server: ObjectServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def bucket_url(object_server: ObjectServer) -> str:
    """A fresh URL on each of the object servers in turn; `object_server.storage_options` open it."""
    return object_server.fresh_url()
