"""An S3 server behind a slow network that fails now and then: what of the throughput is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.bucket import ours, s3_bucket
from benchmarks.measure import Plan, compete, results_table
from benchmarks.proxy import proxy
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

LATENCY = 0.05
FAIL_EVERY = 100
ROUNDS = 2
"""For each that others have: a save of 1 GiB is 36 requests."""
STEADY, FLAKY = f"{1000 * LATENCY:.0f} ms latency", f"the same, {100 / FAIL_EVERY:.0f}% of the requests fail"


def measure(options: Options, folder: Path) -> Report:
    """Saves and restores through two proxies; half of the failures are refusals (503), half cut connections."""
    plan = options.few_large_tensors()
    plan = Plan(plan.arrays, ROUNDS * plan.rounds)
    with (
        s3_bucket(folder) as bucket,
        proxy(bucket.endpoint_url, latency=LATENCY) as steady,
        proxy(bucket.endpoint_url, latency=LATENCY, fail_every=FAIL_EVERY) as flaky,
    ):
        contenders = [
            ours(plan, bucket, "no latency"),
            ours(plan, bucket.behind(steady.url), STEADY),
            ours(plan, bucket.behind(flaky.url), FLAKY),
        ]
        outcomes = compete(contenders, plan, folder, bucket.clean)
        came, failed = flaky.counts()
    table = results_table(f"{bucket.server} and a network", outcomes, plan)
    counts = Table(f"{failed} of {came} requests failed")
    undisturbed, disturbed = outcomes[STEADY], outcomes[FLAKY]
    shares = {  # of all rounds: few of them have a failure
        "save": undisturbed.save.total / disturbed.save.total,
        "restore": undisturbed.restore.total / disturbed.restore.total,
    }
    goals = [
        Goal(f"{way} over 50 ms, 1% of the requests failing, to none", "0.9", "", f"{share:.2f}")
        for way, share in shares.items()
    ]
    return Report([table, counts], goals)
