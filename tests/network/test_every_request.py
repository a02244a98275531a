"""Each request of a save, an overwrite, retention, a restore and a recovery goes wrong, on real servers."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import PermissionDeniedError, TransientStorageError
from cloudckpt.storage.s3 import probe as s3_probe
from tests.network.http_faults import FOREVER, ONCE, refused
from tests.network.runs import CASES, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.network.conftest import Flaky
    from tests.network.flaky_proxy import Fate
    from tests.network.runs import Case

CAUSES = ["no whole answer", "HTTP 503", "HTTP 403", "answer to its write was lost"]


def goes_wrong_once(flaky: Flaky, case: Case, fault: Fate, at: int) -> bool:
    """The work is done nevertheless; returns whether it had so many requests."""
    place = flaky.place()
    case.prepare(place)
    s3_probe._known.clear()  # as in a new process
    flaky.proxy.arm(fault, at)
    restored = case.work(place.url, place.options)
    reached = len(flaky.proxy.seen) >= at
    flaky.proxy.heal()
    assert restored in {None, case.done}
    check(place, {case.done})
    return reached


def goes_wrong_for_ever(flaky: Flaky, case: Case, fault: Fate, at: int) -> bool:
    """It is as it was, or done; and the error says what is wrong. Returns whether it had so many requests."""
    place = flaky.place(seconds=0.2)
    case.prepare(place)
    s3_probe._known.clear()  # as in a new process
    flaky.proxy.arm(fault, at, forever=True)
    error = case.failure(place)
    reached = len(flaky.proxy.seen) >= at
    flaky.proxy.heal()
    if error is not None:
        assert any(cause in str(error) for cause in CAUSES), error
        assert not isinstance(error, TransientStorageError) or f"failed {error.attempts} times" in str(error)
    check(place, {case.done} if error is None else case.acceptable)
    return reached


@pytest.mark.parametrize("name", ["retention", "recovery"])
def test_one_request_goes_wrong(flaky: Flaky, name: str) -> None:
    """A sample: each request, each time in another way."""
    faults = itertools.cycle(ONCE.values())
    assert requests_until(flaky, lambda at: goes_wrong_once(flaky, CASES[name], next(faults), at)) > 6


@pytest.mark.parametrize("flaky", ["flaky_minio"], indirect=True)
@pytest.mark.parametrize("name", ["overwrite"])
def test_all_requests_go_wrong_from_one_on(flaky: Flaky, name: str) -> None:
    """A sample: each request, each time in another way."""
    faults = itertools.cycle(FOREVER.values())
    assert requests_until(flaky, lambda at: goes_wrong_for_ever(flaky, CASES[name], next(faults), at)) > 6


@pytest.mark.faults
@pytest.mark.parametrize("fault", ONCE)
@pytest.mark.parametrize("name", CASES)
def test_one_request_goes_wrong_in_every_way(flaky: Flaky, name: str, fault: str) -> None:
    assert requests_until(flaky, lambda at: goes_wrong_once(flaky, CASES[name], ONCE[fault], at)) > 3


@pytest.mark.faults
@pytest.mark.parametrize("fault", FOREVER)
@pytest.mark.parametrize("name", CASES)
def test_all_requests_go_wrong_from_one_on_in_every_way(flaky: Flaky, name: str, fault: str) -> None:
    assert requests_until(flaky, lambda at: goes_wrong_for_ever(flaky, CASES[name], FOREVER[fault], at)) > 3


@pytest.mark.parametrize("name", ["first save", "overwrite"])
def test_a_save_that_is_refused_cleans_up(flaky_minio: Flaky, name: str) -> None:
    """What it does not get to delete stays for the collector, all else is gone at once."""
    assert requests_until(flaky_minio, lambda at: is_refused(flaky_minio, CASES[name], at)) > 6


def is_refused(flaky: Flaky, case: Case, at: int) -> bool:
    """Whatever the request, there is nothing that no index names; returns whether it had so many."""
    s3_probe._known.clear()
    place = flaky.place()
    case.prepare(place)
    flaky.proxy.arm(refused(403, "AccessDenied"), at)
    error = case.failure(place)
    flaky.proxy.heal()
    if len(flaky.proxy.seen) < at:
        return False
    line = flaky.proxy.seen[at - 1]
    got_over = re.match(r"DELETE |POST .*[?]delete=|PUT .*/[.]cloudckpt-probe-", line)
    assert error is None if got_over else isinstance(error, PermissionDeniedError)
    if not got_over:
        assert place.keys() <= place.needed()
        assert place.unfinished() == []
    check(place, {case.done} if error is None else case.acceptable)
    return True


def requests_until(flaky: Flaky, goes_wrong: Callable[[int], bool]) -> int:
    """Let each request go wrong in turn, until there are no more; how many there were."""
    for at in itertools.count(1):
        try:
            if not goes_wrong(at):
                return at - 1
        except BaseException as error:
            error.add_note(f"request {at} went wrong of {flaky.proxy.seen}")
            raise
    raise AssertionError("unreachable")
