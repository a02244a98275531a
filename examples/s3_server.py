"""An S3 server to play with: the one that runs already, else MinIO, else moto's emulator, on a port of its own."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY, SECRET_KEY, REGION = "cloudckpt", "cloudckpt-secret", "us-east-1"
START_SECONDS = 60.0


@dataclass(frozen=True)
class S3Server:
    """A server that answers."""

    name: str
    endpoint_url: str

    def environment(self, endpoint_url: str | None = None) -> dict[str, str]:
        """This process's environment, with this server as the only S3 that a child can find."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return clean | {
            "AWS_ENDPOINT_URL": endpoint_url or self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def storage_options(self) -> dict[str, Any]:
        """The same, as fsspec's s3fs takes it."""
        return {"key": ACCESS_KEY, "secret": SECRET_KEY, "endpoint_url": self.endpoint_url}


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Find or start a server; one that was started keeps its files in `folder`, and stops with the block."""
    if given := os.environ.get("CLOUDCKPT_TEST_S3_ENDPOINT"):
        yield S3Server("the server at CLOUDCKPT_TEST_S3_ENDPOINT", given)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if minio := find_minio():
        name, health = "MinIO", "/minio/health/live"
        command = [minio, "server", "--quiet", "--address", f"127.0.0.1:{port}", str(folder)]
    else:
        name, health = "moto (an emulator: `make servers` builds MinIO, where Go is there)", "/moto-api/"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    credentials = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | credentials)
    try:
        server = S3Server(name, f"http://127.0.0.1:{port}")
        wait_until_it_answers(process, server.endpoint_url + health)
        yield server
    finally:
        process.kill()
        process.wait()


def find_minio() -> str | None:
    """The path of the `minio` program: where CLOUDCKPT_SERVERS says, on PATH, or where `make servers` puts it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folders = [
        os.environ.get("CLOUDCKPT_SERVERS"),
        os.environ.get("PATH"),
        str(cache / "cloudckpt" / "servers" / "bin"),
    ]
    return shutil.which("minio", path=os.pathsep.join(folder for folder in folders if folder))


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    """Ask for the page until it is there."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with status {process.returncode} before it answered")
        try:
            with direct.open(url, timeout=5):
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    raise TimeoutError(f"{process.args} did not answer at {url} within {START_SECONDS:.0f} s")
