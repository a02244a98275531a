"""SIGTERM: taken as a notice, passed on to the user's handler, and put back as it was."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.preemption import Kubernetes, Sigterm, detect
from tests.manager.preemption.inbox import PATIENCE, Inbox, started

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parent.parent.parent.parent


@pytest.fixture(autouse=True)
def the_handler_from_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    """Send SIGTERM to this process, whose handler has run when this returns."""
    signal.raise_signal(signal.SIGTERM)


def test_the_signal_is_a_notice_with_its_grace() -> None:
    with started(Sigterm(grace=12.0)) as inbox:
        before = time.monotonic()
        terminate()
        notice = inbox.next()
    assert notice.stop
    assert before <= notice.received <= time.monotonic()
    assert notice.deadline == pytest.approx(notice.received + 12.0)
    assert notice.reason == "SIGTERM was received"


def test_a_second_signal_is_a_later_notice() -> None:
    with started(Sigterm()) as inbox:
        terminate()
        terminate()
        assert inbox.next().received <= inbox.next().received


def test_the_user_s_own_handler_is_called_after_the_notice_was_taken() -> None:
    calls: list[tuple[int, bool]] = []
    inbox = Inbox()
    signal.signal(signal.SIGTERM, lambda number, _: calls.append((number, inbox.is_empty())))
    source = Sigterm()
    source.start(inbox.report)
    terminate()
    source.stop()
    terminate()
    assert calls == [(signal.SIGTERM, False), (signal.SIGTERM, False)]
    inbox.next()
    assert inbox.is_empty()


def own_handler(number: int, frame: Any) -> None:
    """One of the user's."""


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN, own_handler])
def test_the_handler_from_before_is_put_back(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)
    with started(Sigterm()) as inbox:
        terminate()
        assert inbox.next().stop
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_handler_that_is_none_of_python_s_is_put_back(tmp_path: Path) -> None:
    """Python does not see such a handler: it is of the C library that a framework brings along."""
    with (tmp_path / "dump").open("w+") as dump:
        faulthandler.register(signal.SIGTERM, file=dump)
        try:
            with started(Sigterm()) as inbox:
                terminate()
                assert inbox.next().stop
            assert dump.read() == ""
            terminate()
            dump.seek(0)
            assert "test_a_handler_that_is_none_of_python_s_is_put_back" in dump.read()
        finally:
            faulthandler.unregister(signal.SIGTERM)


def test_a_handler_from_before_python_started_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded Python finds one that it has no object for."""
    install = signal.signal

    def without_an_object(number: int, handler: Any) -> Any:
        before = install(number, handler)
        return None if before == signal.SIG_DFL else before

    install(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(signal, "signal", without_an_object)
    with started(Sigterm()) as inbox:
        terminate()
        assert inbox.next().stop
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_two_of_them_may_stop_in_any_order() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    first, second = Sigterm(), Sigterm()
    inboxes = Inbox(), Inbox()
    first.start(inboxes[0].report)
    second.start(inboxes[1].report)
    terminate()
    assert all(inbox.next().stop for inbox in inboxes)
    first.stop()
    terminate()
    assert inboxes[0].is_empty()
    assert inboxes[1].next().stop
    second.stop()


def test_another_signal_can_be_meant() -> None:
    with started(Sigterm(number=signal.SIGUSR1)) as inbox:
        signal.raise_signal(signal.SIGUSR1)
        assert inbox.next().reason == "SIGUSR1 was received"


def test_only_the_main_thread_can_handle_signals() -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            Sigterm().start(Inbox().report)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def test_it_is_started_once() -> None:
    source = Sigterm()
    with started(source), pytest.raises(ValueError, match="started already"):
        source.start(Inbox().report)
    source.stop()  # stopping it again does nothing


def test_grace_is_positive() -> None:
    with pytest.raises(ValueError, match="grace"):
        Sigterm(grace=0)


def child(program: str) -> subprocess.Popen[str]:
    """A fresh interpreter at the program, once it has printed its first line."""
    command = [sys.executable, "-W", "error", "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.parametrize(
    ("before", "status"), [("signal.SIG_DFL", -signal.SIGTERM), ("signal.SIG_IGN", 0), ("lambda *_: sys.exit(7)", 7)]
)
def test_stopped_in_another_thread_it_does_what_was_there_before(before: str, status: int) -> None:
    process = child(
        "import signal, sys, threading, time\n"
        "from cloudckpt.preemption import Sigterm\n"
        f"signal.signal(signal.SIGTERM, {before})\n"
        "source = Sigterm()\n"
        "source.start(lambda notice: None)\n"
        "thread = threading.Thread(target=source.stop)\n"
        "thread.start(), thread.join()\n"
        "print('stopped', flush=True)\n"
        "time.sleep(1.0)\n"
    )
    process.terminate()
    process.communicate()
    assert process.returncode == status


def test_while_it_stands_the_process_lives_on() -> None:
    process = child(
        "import signal, sys, time\n"
        "from cloudckpt.preemption import Sigterm\n"
        "notices = []\n"
        "Sigterm().start(notices.append)\n"
        "print('started', flush=True)\n"
        "while not notices: time.sleep(0.01)\n"
        "sys.exit(75)\n"
    )
    process.terminate()
    process.communicate()
    assert process.returncode == 75


def sleep_once_running(is_running: Any) -> None:
    is_running.set()
    time.sleep(PATIENCE)


def test_a_forked_worker_can_be_ended() -> None:
    """As `multiprocessing` and the data loaders on top of it do."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with started(Sigterm()) as inbox:
        context = multiprocessing.get_context("fork")
        is_running = context.Event()
        worker = context.Process(target=sleep_once_running, args=(is_running,))
        worker.start()
        assert is_running.wait(PATIENCE)
        worker.terminate()
        worker.join()
        assert worker.exitcode == -signal.SIGTERM
        assert inbox.is_empty()


# Kubernetes


def test_a_pod_has_its_grace_from_the_signal_on() -> None:
    with started(Kubernetes(grace=40.0)) as inbox:
        terminate()
        notice = inbox.next()
    assert notice.deadline == pytest.approx(notice.received + 40.0)


def test_a_pre_stop_hook_says_by_a_file_when_the_grace_began(tmp_path: Path) -> None:
    hook = tmp_path / "preempted"
    hook.touch()
    os.utime(hook, (time.time() - 10, time.time() - 10))
    with started(Kubernetes(grace=40.0, file=hook)) as inbox:
        notice = inbox.next()
    assert str(hook) in notice.reason
    assert notice.deadline == pytest.approx(notice.received + 30.0, abs=2.0)


def test_a_file_of_a_container_from_before_is_no_notice(tmp_path: Path) -> None:
    hook = tmp_path / "preempted"
    source = Kubernetes(grace=40.0, file=hook)
    assert source._hook is not None
    assert source._hook.poll() is None
    hook.touch()
    os.utime(hook, (time.time() - 41, time.time() - 41))
    assert source._hook.poll() is None


@pytest.mark.parametrize(("variables", "kind"), [({}, Sigterm), ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, Kubernetes)])
def test_detection_takes_the_signal_at_once(
    variables: dict[str, str], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    first, _cloud = detect(grace=9.0)
    assert type(first) is kind
    with started(first) as inbox:
        terminate()
        notice = inbox.next()
    assert notice.deadline == pytest.approx(notice.received + 9.0)


def test_detection_in_another_thread_leaves_the_signal_out() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(detect()))
    thread.start()
    thread.join()
    assert not any(isinstance(source, Sigterm | Kubernetes) for source in found)
    assert len(found) == 1
