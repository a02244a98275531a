"""Jobs in processes of their own, to be killed at an exact moment of their conversation with a server."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from tests.network.flaky_proxy import passed_on
from tests.network.runs import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.network.conftest import Flaky
    from tests.network.flaky_proxy import Exchange, Fate
    from tests.network.runs import Place

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.network.processes", "s3fs"])
"""Each starts without threads and connections, and in milliseconds."""


INTERRUPTED = 130
"""How a process ends that Ctrl-C interrupted in its work, and that could clean up."""


def work(name: str, url: str, options: dict[str, Any]) -> None:
    """What the process does."""
    try:
        CASES[name].work(url, options)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def run_and_signal(
    flaky: Flaky, place: Place, name: str, chosen: Callable[[int, str], bool], fate: Fate, signal: int
) -> int | None:
    """Do a case's work in a process, and send it a signal at the first request that is chosen.

    Args:
        flaky: the bucket's proxy.
        place: prepared for the case.
        name: of the case.
        chosen: whether it is that request, by its number from 1 and its line.
        fate: what becomes of the request before the process gets the signal.
        signal: its number.

    Returns:
        How the process ended, as `Process.exitcode`.
    """
    process = CONTEXT.Process(target=work, args=[name, place.url, place.options])
    started, sent = threading.Event(), threading.Event()

    def signal_it(exchange: Exchange) -> None:
        fate(exchange)
        started.wait(10)
        os.kill(process.pid, signal)

    def plan(number: int, line: str) -> Fate:
        if sent.is_set() or not chosen(number, line):
            return passed_on
        sent.set()
        return signal_it

    flaky.proxy.plan(plan)
    process.start()
    started.set()
    process.join(60)
    flaky.proxy.heal()
    return process.exitcode
