"""An emulator of Cloud Storage on this machine: few large tensors, by ours, by gcsfs, and by bare requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from benchmarks.bucket import gcs_bucket, ours
from benchmarks.measure import Contender, compete, results_table
from benchmarks.plain_http import PlainGCS
from benchmarks.report import Report
from benchmarks.s3 import beside

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bucket import Bucket
    from benchmarks.measure import Arrays, Plan
    from benchmarks.options import Options

__all__ = ["measure"]

GOALS = {"gcsfs": (("3", "5"), ("1.5", "2"))}


def measure(options: Options, folder: Path) -> Report:
    """Save and restore over plain HTTP; the emulator digests every byte by MD5, on the same processors."""
    plan = options.few_large_tensors()
    with gcs_bucket(folder) as bucket:
        if bucket is None:
            return Report([Table("fake-gcs-server: not built (`make servers`, where Go is there)")])
        contenders = [ours(plan, bucket), plain(plan, bucket), gcsfs(plan, bucket)]
        outcomes = compete(contenders, plan, folder, bucket.clean)
        return Report([results_table(bucket.server, outcomes, plan)], beside(outcomes, "GCS", GOALS))


def plain(plan: Plan, bucket: Bucket) -> Contender:
    """Requests through the standard library, an object a tensor."""
    requests = PlainGCS(bucket.endpoint_url, bucket.name)
    return Contender(
        "http.client",
        lambda folder: requests.upload(folder.name, plan.arrays),
        lambda folder: requests.download(folder.name, plan.arrays),
    )


def gcsfs(plan: Plan, bucket: Bucket) -> Contender:
    """`pipe_file` and `cat_file`, an object a tensor; what it returns is not copied."""

    def save(folder: Path) -> None:
        for name, array in plan.arrays.items():
            bucket.client.pipe_file(f"{bucket.name}/{folder.name}/{name}", array.tobytes())

    def restore(folder: Path) -> Arrays:
        return {
            name: np.frombuffer(bucket.client.cat_file(f"{bucket.name}/{folder.name}/{name}"), array.dtype)
            for name, array in plan.arrays.items()
        }

    return Contender("gcsfs", save, restore)
