"""Bad networks before real servers: what passes is got over, and what stays is an error in time."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest

from tests.network.runs import CASES, check
from tests.network.toxiproxy import Toxic

if TYPE_CHECKING:
    from tests.network.conftest import ToxicBucket
    from tests.network.runs import Case

SLOW = {
    "latency": [Toxic("latency", {"latency": 20})],
    "jitter": [Toxic("latency", {"latency": 20, "jitter": 20})],
    "slow close": [Toxic("slow_close", {"delay": 200})],
    "slicer": [Toxic("slicer", {"average_size": 20_000, "size_variation": 10_000, "delay": 100})],
    "slicer upstream": [Toxic("slicer", {"average_size": 20_000, "size_variation": 10_000, "delay": 100}, "upstream")],
    "a bad day": [
        Toxic("bandwidth", {"rate": 10_000}, "upstream"),
        Toxic("bandwidth", {"rate": 10_000}),
        Toxic("latency", {"latency": 20, "jitter": 20}),
    ],
}
"""Networks on which all goes on, slowly. Milliseconds, bytes, microseconds, kilobytes a second."""

BROKEN = {
    "reset": [Toxic("reset_peer", {"timeout": 20})],
    "reset upstream": [Toxic("reset_peer", {"timeout": 0}, "upstream")],
    "cut": [Toxic("limit_data", {"bytes": 100})],
    "cut in the middle of a body": [Toxic("limit_data", {"bytes": 1 << 20})],
    "cut upstream": [Toxic("limit_data", {"bytes": 1 << 20}, "upstream")],
    "silent": [Toxic("timeout", {"timeout": 0})],
    "deaf": [Toxic("timeout", {"timeout": 0}, "upstream")],
    "down": [],
}
"""Networks on which nothing large goes through. Silence is a connection that stays, and no byte comes."""

PASSES_AFTER = 0.3
"""seconds"""


def is_done(toxic: ToxicBucket, case: Case, toxics: list[Toxic], *, passing: bool = False) -> None:
    """The work is done on such a network; or on one that is such only for a while."""
    place = toxic.place()
    case.prepare(place)
    with toxic.proxy.poisoned(*toxics):
        passes = threading.Timer(PASSES_AFTER, toxic.proxy.heal) if passing else None
        if passes:
            passes.start()
        restored = case.work(place.url, place.options)
        if passes:
            passes.join()
    assert restored in {None, case.done}
    check(place, {case.done})


def is_done_or_fails(toxic: ToxicBucket, case: Case, toxics: list[Toxic]) -> None:
    """The work is done, or an error says why not and how often it was tried; nothing is half done."""
    place = toxic.place(seconds=0.3)
    case.prepare(place)
    with toxic.proxy.poisoned(*toxics):
        error = case.failure(place)
    if error is not None:
        assert re.search(r"got no whole answer from .*: .*\(gave up: .* failed \d+ times", str(error))
    check(place, {case.done} if error is None else case.acceptable)


@pytest.mark.parametrize("toxic", ["toxic_minio"], indirect=True)
@pytest.mark.parametrize("network", BROKEN)
def test_what_passes_is_got_over(toxic: ToxicBucket, network: str) -> None:
    """A sample."""
    is_done(toxic, CASES["retention"], BROKEN[network], passing=True)


@pytest.mark.parametrize("network", ["cut in the middle of a body", "silent", "down"])
def test_what_stays_is_an_error(toxic: ToxicBucket, network: str) -> None:
    """A sample."""
    is_done_or_fails(toxic, CASES["overwrite"], BROKEN[network])


def test_a_bad_day_is_only_slow(toxic: ToxicBucket) -> None:
    """A sample."""
    is_done(toxic, CASES["recovery"], SLOW["a bad day"])


@pytest.mark.faults
@pytest.mark.parametrize("network", SLOW)
@pytest.mark.parametrize("name", CASES)
def test_every_slow_network(toxic: ToxicBucket, name: str, network: str) -> None:
    is_done(toxic, CASES[name], SLOW[network])


@pytest.mark.faults
@pytest.mark.parametrize("network", BROKEN)
@pytest.mark.parametrize("name", CASES)
def test_every_broken_network_that_passes(toxic: ToxicBucket, name: str, network: str) -> None:
    is_done(toxic, CASES[name], BROKEN[network], passing=True)


@pytest.mark.faults
@pytest.mark.parametrize("network", BROKEN)
@pytest.mark.parametrize("name", CASES)
def test_every_broken_network_that_stays(toxic: ToxicBucket, name: str, network: str) -> None:
    is_done_or_fails(toxic, CASES[name], BROKEN[network])
