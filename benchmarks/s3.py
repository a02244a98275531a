"""An S3 server on this machine: ours, the bare HTTP requests, boto3 in threads, and a file that is then uploaded."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
from botocore.config import Config

import cloudckpt as ckpt
from benchmarks import peers
from benchmarks.measure import Contender, Plan, compete, results_table
from benchmarks.plain_http import PlainClient
from benchmarks.report import Report
from examples.s3_server import ACCESS_KEY, REGION, SECRET_KEY, S3Server, s3_server

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Arrays
    from benchmarks.options import Options

THREADS = 4


def measure(options: Options, folder: Path) -> Report:
    """Save and restore over plain HTTP; the server takes its share of the same processors and disk."""
    plan = options.few_large_tensors()
    with s3_server(folder) as server:
        client = boto3_client(server)
        bucket = f"bench-{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=bucket)
        contenders = [
            ours(plan, server, bucket),
            plain_http(plan, client, bucket),
            boto3_in_threads(plan, client, bucket),
        ]
        missing = []
        if peers.is_installed("safetensors"):
            contenders.append(safetensors_and_upload(plan, client, bucket))
        else:
            missing.append("safetensors, then boto3")
        return Report([results_table(server.name, compete(contenders, plan, folder), plan, missing)])


def boto3_client(server: S3Server) -> Any:
    """A client that computes no checksums of its own."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(
            signature_version="s3v4",
            max_pool_connections=THREADS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def ours(plan: Plan, server: S3Server, bucket: str) -> Contender:
    """Cloudckpt, every byte checked."""
    options = server.storage_options
    return Contender(
        "cloudckpt",
        lambda folder: ckpt.save(f"s3://{bucket}/{folder.name}/ckpt", plan.arrays, storage_options=options),
        lambda folder: ckpt.load(f"s3://{bucket}/{folder.name}/ckpt", storage_options=options),
    )


def plain_http(plan: Plan, client: Any, bucket: str) -> Contender:
    """Presigned requests through the standard library: what a Python client can reach at best."""
    plain = PlainClient(client, bucket, THREADS)
    return Contender(
        "http.client",
        lambda folder: plain.upload(folder.name, plan.arrays),
        lambda folder: plain.download(folder.name, plan.arrays),
    )


def boto3_in_threads(plan: Plan, client: Any, bucket: str) -> Contender:
    """An object a tensor, several at a time."""

    def put(folder: Path, item: tuple[str, np.ndarray]) -> None:
        client.put_object(Bucket=bucket, Key=f"{folder.name}/{item[0]}", Body=item[1].tobytes())

    def get(folder: Path, item: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
        array = np.empty_like(item[1])
        body = client.get_object(Bucket=bucket, Key=f"{folder.name}/{item[0]}")["Body"]
        rest = array.reshape(-1).view(np.uint8).data
        while rest:
            rest = rest[body.readinto(rest) :]
        return item[0], array

    def in_threads(work: Any) -> list[Any]:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(work, plan.arrays.items()))

    return Contender(
        "boto3, object a tensor",
        lambda folder: in_threads(partial(put, folder)),
        lambda folder: dict(in_threads(partial(get, folder))),
    )


def safetensors_and_upload(plan: Plan, client: Any, bucket: str) -> Contender:
    """A local file first, and then boto3's managed transfer of it; and back."""
    from safetensors.numpy import load_file, save_file

    def save(folder: Path) -> None:
        save_file(dict(plan.arrays), folder / "state")
        client.upload_file(str(folder / "state"), bucket, f"{folder.name}/state")

    def restore(folder: Path) -> Arrays:
        with suppress(FileNotFoundError):
            (folder / "state").unlink()
        client.download_file(bucket, f"{folder.name}/state", str(folder / "state"))
        loaded: Arrays = load_file(folder / "state")
        return loaded

    return Contender("safetensors, then boto3", save, restore)
