"""The real servers that tests talk to: found, started on a free port, given a bucket, and stopped.

A binary is looked for in the folder that CLOUDCKPT_SERVERS names, on PATH, and where `make servers` puts it. A server
that runs already (docker/compose.yaml) is used instead when CLOUDCKPT_TEST_S3_ENDPOINT or CLOUDCKPT_TEST_GCS_ENDPOINT
gives its address.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

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


def missing_part(part: str, remedy: str) -> NoReturn:
    """Skip the test for want of a real part, and say how to get it; in CI (CI=true) fail instead."""
    message = f"{MISSING}{part}; to get it: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@contextmanager
def running_minio(folder: Path) -> Iterator[ObjectServer]:
    """MinIO with its data in `folder`, or the server at CLOUDCKPT_TEST_S3_ENDPOINT."""
    given = os.environ.get("CLOUDCKPT_TEST_S3_ENDPOINT")
    if given:
        yield make_s3_bucket("minio", given)
        return
    port = free_port()
    command = [find_binary("minio", "CLOUDCKPT_TEST_S3_ENDPOINT"), "server", "--quiet", "--address"]
    command += [f"127.0.0.1:{port}", str(folder / "data")]
    environ = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    with running(command, folder, f"http://127.0.0.1:{port}", "/minio/health/live", environ) as endpoint:
        yield make_s3_bucket("minio", endpoint)


@contextmanager
def running_moto(folder: Path) -> Iterator[ObjectServer]:
    """Moto's S3 in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, folder, f"http://127.0.0.1:{port}", "/moto-api/", {}) as endpoint:
        yield make_s3_bucket("moto", endpoint)


@contextmanager
def running_fake_gcs(folder: Path) -> Iterator[ObjectServer]:
    """fake-gcs-server keeping its objects in memory, or the server at CLOUDCKPT_TEST_GCS_ENDPOINT."""
    given = os.environ.get("CLOUDCKPT_TEST_GCS_ENDPOINT")
    if given:
        yield make_gcs_bucket("fake-gcs-server", given)
        return
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [find_binary("fake-gcs-server", "CLOUDCKPT_TEST_GCS_ENDPOINT"), "-backend", "memory", "-scheme", "http"]
    command += [
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-external-url",
        endpoint,
        "-public-host",
        f"127.0.0.1:{port}",
    ]
    with running(command, folder, endpoint, "/storage/v1/b", {}):
        yield make_gcs_bucket("fake-gcs-server", endpoint)


def find_binary(name: str, endpoint_variable: str) -> str:
    """The path of a server's binary; where there is none, the test is skipped, or fails in CI."""
    folders = [os.environ.get("CLOUDCKPT_SERVERS", ""), os.environ.get("PATH", "")]
    folders.append(str(Path.home() / ".cache" / "cloudckpt" / "servers" / "bin"))
    found = shutil.which(name, path=os.pathsep.join(folder for folder in folders if folder))
    if found is None:
        missing_part(
            name, f"`make servers`, or CLOUDCKPT_SERVERS=<folder of {name}>, or {endpoint_variable}=<URL> (docker/)"
        )
    return found


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], folder: Path, endpoint: str, health: str, environ: Mapping[str, str]
) -> Iterator[str]:
    """Run a server until the block ends; entered once its health page answers."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environ}, cwd=folder
        )
    try:
        wait_until_it_answers(process, endpoint + health, log)
        yield endpoint
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
