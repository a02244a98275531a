"""Others that keep arrays in S3: bare requests, what moves bytes, and what people keep checkpoints with today."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import Contender
from benchmarks.peers import torch_arrays
from benchmarks.plain_http import PART, PlainS3, bytes_of

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bucket import Bucket
    from benchmarks.measure import Arrays, Plan

__all__ = ["BOTO3", "OBSTORE", "PLAIN", "SAFETENSORS_FILE", "TORCH_DISTRIBUTED"]

THREADS = 4
OBSTORE_THREADS = 8


def plain(plan: Plan, bucket: Bucket) -> Contender:
    """Presigned requests through the standard library: what a Python client can reach at best."""
    requests = PlainS3(bucket.client, bucket.name)
    return Contender(
        PLAIN[0],
        lambda folder: requests.upload(folder.name, plan.arrays),
        lambda folder: requests.download(folder.name, plan.arrays),
    )


def obstore(plan: Plan, bucket: Bucket) -> Contender:
    """Rust's object_store: an object a tensor, written in parts; ranges, copied into arrays."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket.name,
        endpoint=bucket.endpoint_url,
        region=bucket.client.meta.region_name,
        access_key_id=bucket.options["key"],
        secret_access_key=bucket.options["secret"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": "300s"},
    )

    def put(folder: Path, item: tuple[str, np.ndarray]) -> None:
        key, view = f"{folder.name}/{item[0]}", bytes_of(item[1])
        obstore.put(store, key, view, chunk_size=PART, max_concurrency=THREADS, use_multipart=True)

    def get(task: tuple[str, np.ndarray, int]) -> None:
        key, target, start = task
        stop = min(start + PART, len(target))
        target[start:stop] = np.frombuffer(obstore.get_range(store, key, start=start, end=stop), np.uint8)

    def restore(folder: Path) -> Arrays:
        arrays = {name: np.empty_like(array) for name, array in plan.arrays.items()}
        tasks = [
            (f"{folder.name}/{name}", array.reshape(-1).view(np.uint8), start)
            for name, array in arrays.items()
            for start in range(0, array.nbytes, PART)
        ]
        in_threads(get, tasks, OBSTORE_THREADS)
        return arrays

    return Contender(OBSTORE[0], lambda folder: in_threads(partial(put, folder), plan.arrays.items()), restore)


def boto3(plan: Plan, bucket: Bucket) -> Contender:
    """An object a tensor, several at a time."""

    def put(folder: Path, item: tuple[str, np.ndarray]) -> None:
        bucket.client.put_object(Bucket=bucket.name, Key=f"{folder.name}/{item[0]}", Body=item[1].tobytes())

    def get(folder: Path, item: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
        array = np.empty_like(item[1])
        body = bucket.client.get_object(Bucket=bucket.name, Key=f"{folder.name}/{item[0]}")["Body"]
        rest = bytes_of(array)
        while rest:
            rest = rest[body.readinto(rest) :]
        return item[0], array

    return Contender(
        BOTO3[0],
        lambda folder: in_threads(partial(put, folder), plan.arrays.items()),
        lambda folder: dict(in_threads(partial(get, folder), plan.arrays.items())),
    )


def safetensors_file(plan: Plan, bucket: Bucket) -> Contender:
    """A local file first, and then boto3's managed transfer of it; and back."""
    from safetensors.numpy import load_file, save_file

    def save(folder: Path) -> None:
        save_file(dict(plan.arrays), folder / "state")
        bucket.client.upload_file(str(folder / "state"), bucket.name, f"{folder.name}/state")

    def restore(folder: Path) -> Arrays:
        with suppress(FileNotFoundError):
            (folder / "state").unlink()
        bucket.client.download_file(bucket.name, f"{folder.name}/state", str(folder / "state"))
        loaded: Arrays = load_file(folder / "state")
        return loaded

    return Contender(SAFETENSORS_FILE[0], save, restore)


def torch_distributed(plan: Plan, bucket: Bucket) -> Contender:
    """PyTorch's distributed checkpoints over s3fs, in one process. They load into tensors that are there."""
    import torch
    from torch.distributed import checkpoint

    try:
        from torch.distributed.checkpoint.fsspec_filesystem import FsspecReader, FsspecWriter
    except ImportError:  # its name before it was public
        from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader, FsspecWriter

    state = {name: torch.from_numpy(array) for name, array in plan.arrays.items()}

    def save(folder: Path) -> None:
        with quiet():
            writer = FsspecWriter(bucket.url(folder.name), **bucket.options)
            checkpoint.save(state, storage_writer=writer, no_dist=True)

    def restore(folder: Path) -> dict[str, Any]:
        into = {name: torch.empty_like(tensor) for name, tensor in state.items()}
        with quiet():
            reader = FsspecReader(bucket.url(folder.name), **bucket.options)
            checkpoint.load(into, storage_reader=reader, no_dist=True)
        return into

    return Contender(TORCH_DISTRIBUTED[0], save, restore, torch_arrays)


def quiet() -> warnings.catch_warnings:
    """It warns at each save that a bucket knows no fsync, and at each call that there is one process."""
    return warnings.catch_warnings(action="ignore")


def in_threads(work: Any, items: Any, threads: int = THREADS) -> list[Any]:
    """The results, in order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


PLAIN = ("http.client", "boto3", plain)
OBSTORE = ("obstore", "obstore", obstore)
BOTO3 = ("boto3, object a tensor", "boto3", boto3)
SAFETENSORS_FILE = ("safetensors, then boto3", "safetensors", safetensors_file)
TORCH_DISTRIBUTED = ("torch DCP over s3fs", "torch", torch_distributed)
