"""The real servers that tests talk to: found, started on a free port, given a bucket, and stopped.

A binary is looked for in the folder that CLOUDCKPT_SERVERS names, on PATH, and where `make servers` puts it. A server
that runs already (docker/compose.yaml) is used instead when CLOUDCKPT_TEST_S3_ENDPOINT or CLOUDCKPT_TEST_GCS_ENDPOINT
gives its address; not by the tests of tests/network/, which kill servers and stand between them and the client.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MISSING = "real part missing: "
ACCESS_KEY = "cloudckpt"
SECRET_KEY = "cloudckpt-secret"
REGION = "us-east-1"
START_SECONDS = 60.0


@dataclass(frozen=True)
class ObjectServer:
    """One running server with one bucket of its own."""

    name: str
    scheme: str
    endpoint_url: str
    bucket: str
    storage_options: dict[str, Any]
    access_key: str = ACCESS_KEY
    secret_key: str = field(default=SECRET_KEY, repr=False)
    region: str = REGION

    @property
    def root(self) -> str:
        """The bucket's URL, without a trailing slash."""
        return f"{self.scheme}://{self.bucket}"

    def fresh_url(self) -> str:
        """A URL below the bucket that no other test uses."""
        return f"{self.root}/test-{uuid.uuid4().hex}"

    def fresh_bucket(self) -> ObjectServer:
        """The same server with another, empty bucket: for tests that look at the whole of one."""
        make = make_s3_bucket if self.scheme == "s3" else make_gcs_bucket
        return make(self.name, self.endpoint_url)

    def through(self, endpoint: str, **options: Any) -> ObjectServer:
        """The same bucket over a proxy that listens at `endpoint`, with more storage options if wanted."""
        changed = {**self.storage_options, "endpoint_url": endpoint, **options}
        return replace(self, endpoint_url=endpoint, storage_options=changed)


class ServerProcess:
    """A server that can be killed and started again, with the same data on the same port.

    Args:
        command: with its arguments.
        folder: where it runs and logs.
        endpoint: the URL that it will listen at.
        health: the path of a page that answers 200 once it serves.
        environ: added to this process's environment.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, endpoint: str, health: str, environ: Mapping[str, str]
    ) -> None:
        self._command, self._folder, self._environ = command, folder, environ
        self.endpoint, self._health = endpoint, health
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns once its health page answers."""
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environ},
                cwd=self._folder,
            )
        wait_until_it_answers(self._process, self.endpoint + self._health, log)

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def missing_part(part: str, remedy: str) -> NoReturn:
    """Skip the test for want of a real part, and say how to get it; in CI (CI=true) fail instead."""
    message = f"{MISSING}{part}; to get it: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message, allow_module_level=True)


@contextmanager
def running_minio(folder: Path) -> Iterator[ObjectServer]:
    """MinIO with its data in `folder`, or the server at CLOUDCKPT_TEST_S3_ENDPOINT."""
    given = os.environ.get("CLOUDCKPT_TEST_S3_ENDPOINT")
    if given:
        yield make_s3_bucket("minio", given)
        return
    with minio_process(folder) as process:
        yield make_s3_bucket("minio", process.endpoint)


def minio_process(folder: Path) -> ServerProcess:
    """MinIO with its data in `folder`, not started yet."""
    port = free_port()
    command = [find_binary("minio", "CLOUDCKPT_TEST_S3_ENDPOINT"), "server", "--quiet", "--address"]
    command += [f"127.0.0.1:{port}", str(folder / "data")]
    environ = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    # Only this page waits until requests are served; others are refused for a moment more.
    return ServerProcess(command, folder, f"http://127.0.0.1:{port}", "/minio/health/cluster", environ)


@contextmanager
def running_moto(folder: Path) -> Iterator[ObjectServer]:
    """Moto's S3 in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with ServerProcess(command, folder, f"http://127.0.0.1:{port}", "/moto-api/", {}) as process:
        yield make_s3_bucket("moto", process.endpoint)


@contextmanager
def running_fake_gcs(folder: Path) -> Iterator[ObjectServer]:
    """fake-gcs-server keeping its objects in memory, or the server at CLOUDCKPT_TEST_GCS_ENDPOINT."""
    given = os.environ.get("CLOUDCKPT_TEST_GCS_ENDPOINT")
    if given:
        yield make_gcs_bucket("fake-gcs-server", given)
        return
    with fake_gcs_process(folder) as process:
        yield make_gcs_bucket("fake-gcs-server", process.endpoint)


def fake_gcs_process(folder: Path, external_url: str | None = None, *, on_disk: bool = False) -> ServerProcess:
    """fake-gcs-server, not started yet.

    Args:
        folder: where it runs.
        external_url: where it sends the parts of uploads: the URL of a proxy before it, or its own by default.
        on_disk: whether its objects outlive it. Its upload sessions never do.
    """
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [find_binary("fake-gcs-server", "CLOUDCKPT_TEST_GCS_ENDPOINT"), "-scheme", "http"]
    command += ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    command += ["-external-url", external_url or endpoint]
    backend = ["filesystem", "-filesystem-root", str(folder / "data")] if on_disk else ["memory"]
    command += ["-backend", *backend]
    return ServerProcess(command, folder, endpoint, "/storage/v1/b", {})


@contextmanager
def running_toxiproxy(folder: Path) -> Iterator[str]:
    """toxiproxy, without a proxy yet; gives the URL that it is controlled by."""
    port = free_port()
    command = [find_binary("toxiproxy-server"), "-host", "127.0.0.1", "-port", str(port)]
    with ServerProcess(command, folder, f"http://127.0.0.1:{port}", "/version", {}) as process:
        yield process.endpoint


def find_binary(name: str, endpoint_variable: str | None = None) -> str:
    """The path of a server's binary; where there is none, the test is skipped, or fails in CI.

    Args:
        name: of the binary.
        endpoint_variable: names a variable of the environment that may give the URL of a running one instead.
    """
    folders = [os.environ.get("CLOUDCKPT_SERVERS", ""), os.environ.get("PATH", "")]
    folders.append(str(Path.home() / ".cache" / "cloudckpt" / "servers" / "bin"))
    found = shutil.which(name, path=os.pathsep.join(folder for folder in folders if folder))
    if found is None:
        instead = f", or {endpoint_variable}=<URL> (docker/)" if endpoint_variable else ""
        missing_part(name, f"`make servers`, or CLOUDCKPT_SERVERS=<folder of {name}>{instead}")
    return found


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Ask for the URL until it answers 200; a server that ends, or never answers, fails with its log."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    pytest.fail(f"{process.args} did not answer at {url}; its log ends:\n{tail}", pytrace=False)


def make_s3_bucket(name: str, endpoint: str) -> ObjectServer:
    """A new bucket on a running S3 server."""
    import botocore.session

    bucket = f"cloudckpt-{uuid.uuid4().hex[:12]}"
    client = botocore.session.Session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    options: dict[str, Any] = {"key": ACCESS_KEY, "secret": SECRET_KEY, "endpoint_url": endpoint}
    options["client_kwargs"] = {"region_name": REGION}
    return ObjectServer(name, "s3", endpoint, bucket, options)


def make_gcs_bucket(name: str, endpoint: str) -> ObjectServer:
    """A new bucket on a running GCS emulator."""
    bucket = f"cloudckpt-{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(
        f"{endpoint}/storage/v1/b?project=test",
        data=json.dumps({"name": bucket}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        pass
    options: dict[str, Any] = {"endpoint_url": endpoint, "token": "anon", "project": "test"}
    return ObjectServer(name, "gs", endpoint, bucket, options)
