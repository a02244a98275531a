"""A bucket on a server of this machine: an S3 server, or an emulator of Cloud Storage."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

import cloudckpt as ckpt
from benchmarks.measure import Contender
from examples.s3_server import ACCESS_KEY, REGION, SECRET_KEY, s3_server, wait_until_it_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Plan

__all__ = ["Bucket", "gcs_bucket", "ours", "s3_bucket"]

CONNECTIONS = 16


@dataclass(frozen=True)
class Bucket:
    """An empty one."""

    server: str
    """its name for titles"""
    scheme: str
    name: str
    endpoint_url: str
    options: dict[str, Any]
    """as fsspec's filesystems take them"""
    client: Any
    """boto3's, or the filesystem of gcsfs"""
    delete: Callable[[str], None]
    """what begins with a key"""

    def url(self, key: str) -> str:
        """An object's, or a prefix's."""
        return f"{self.scheme}://{self.name}/{key}"

    def behind(self, endpoint_url: str) -> Bucket:
        """The same bucket, by another address."""
        return replace(self, endpoint_url=endpoint_url, options=self.options | {"endpoint_url": endpoint_url})

    def clean(self, folder: Path) -> None:
        """Remove what a contender left, here and in the bucket."""
        shutil.rmtree(folder)
        self.delete(f"{folder.name}/")


def ours(plan: Plan, bucket: Bucket, name: str = "cloudckpt") -> Contender:
    """Cloudckpt, every byte checked; what is loaded once a process is loaded."""
    ckpt.load(ckpt.save(bucket.url("warm"), {"x": 0}, storage_options=bucket.options), storage_options=bucket.options)
    return Contender(
        name,
        lambda folder: ckpt.save(bucket.url(f"{folder.name}/ckpt"), plan.arrays, storage_options=bucket.options),
        lambda folder: ckpt.load(bucket.url(f"{folder.name}/ckpt"), storage_options=bucket.options),
    )


@contextmanager
def s3_bucket(folder: Path) -> Iterator[Bucket]:
    """A bucket of MinIO, or of what else `s3_server` finds; its client computes no checksums of its own."""
    (folder / "server").mkdir()
    with s3_server(folder / "server") as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                signature_version="s3v4",
                max_pool_connections=CONNECTIONS,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        name = f"bench-{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=name)

        def delete(prefix: str) -> None:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix):
                for found in page.get("Contents", ()):
                    client.delete_object(Bucket=name, Key=found["Key"])

        yield Bucket(server.name, "s3", name, server.endpoint_url, server.storage_options, client, delete)


@contextmanager
def gcs_bucket(folder: Path) -> Iterator[Bucket | None]:
    """A bucket of fake-gcs-server, which keeps objects in memory; None where it is not built."""
    # gcsfs asks a bucket's type over gRPC, which hangs a minute before an emulator; read when it is imported.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    with gcs_server(folder) as endpoint_url:
        if endpoint_url is None:
            yield None
            return
        import gcsfs

        options = {"endpoint_url": endpoint_url, "token": "anon", "project": "bench"}
        name = f"bench-{uuid.uuid4().hex[:8]}"
        request = urllib.request.Request(
            f"{endpoint_url}/storage/v1/b?project=bench",
            data=json.dumps({"name": name}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()
        filesystem = gcsfs.GCSFileSystem(**options)

        def delete(prefix: str) -> None:
            filesystem.invalidate_cache()
            filesystem.rm(filesystem.find(f"{name}/{prefix}"))

        yield Bucket("fake-gcs-server", "gs", name, endpoint_url, options, filesystem, delete)


@contextmanager
def gcs_server(folder: Path) -> Iterator[str | None]:
    """The address of the emulator that runs already, or of one for the time of the block."""
    if given := os.environ.get("CLOUDCKPT_TEST_GCS_ENDPOINT"):
        yield given
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cloudckpt" / "servers" / "bin"
    folders = [os.environ.get("CLOUDCKPT_SERVERS"), os.environ.get("PATH"), str(cache)]
    binary = shutil.which("fake-gcs-server", path=os.pathsep.join(filter(None, folders)))
    if binary is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    host, _, port = address.partition(":")
    command = [binary, "-backend", "memory", "-scheme", "http", "-host", host, "-port", port, "-public-host", address]
    with (folder / "gcs.log").open("wb") as log:
        process = subprocess.Popen([*command, "-external-url", f"http://{address}"], stdout=log, stderr=log)
    try:
        wait_until_it_answers(process, f"http://{address}/storage/v1/b?project=bench")
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()
