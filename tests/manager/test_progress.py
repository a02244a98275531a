"""Bars in the terminal: when there is one, and that it is in nobody's way."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from cloudckpt.manager.reporting import progress
from cloudckpt.manager.reporting.observer import Observer
from cloudckpt.manager.reporting.progress import progress_bar
from cloudckpt.storage.traffic import record


class Terminal(io.StringIO):
    """A screen; `shows` waits until something is on it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._changed:
            self._changed.notify_all()
            return super().write(text)

    def shows(self, *texts: str) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: all(text in self.getvalue() for text in texts), timeout=30)


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    terminal = Terminal()
    # Not those of `sys` itself, which pytest sets anew between the setup and the test.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=terminal, stdout=io.StringIO()))
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


def bar_of(title):
    return progress_bar(title, lambda: 50_000_000, lambda: 100_000_000, wanted=True)


def bar():
    return bar_of("saving step 7")


def closed() -> io.StringIO:
    file = io.StringIO()
    file.close()
    return file


def test_it_shows_what_is_done_of_what(terminal):
    with bar():
        assert terminal.shows("saving step 7", "50.0/100.0 MB")


def test_it_grows_with_what_is_transferred(terminal):
    with Observer(progress=True).save(7, "run/ckpt-7").run(total=4_000_000):
        record(sent=1_000_000)
        assert terminal.shows("saving step 7", "1.0/4.0 MB")
        record(sent=3_000_000)
        assert terminal.shows("4.0/4.0 MB")


def test_it_is_gone_at_the_end(terminal):
    with bar():
        assert terminal.shows("saving step 7")
    assert terminal.getvalue().rstrip().endswith("\x1b[2K")  # the line is erased


def test_what_others_print_meanwhile_stays_where_it_goes(terminal):
    output = sys.stdout  # a file, as of `python train.py > log`
    with bar():
        assert terminal.shows("saving step 7")
        assert sys.stdout is output


def test_there_is_none_for_a_short_transfer(terminal, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 3600.0)
    with bar():
        pass
    assert terminal.getvalue() == ""


def test_there_is_none_without_a_terminal(terminal, monkeypatch):
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    with bar():
        assert "cloudckpt-progress" not in [thread.name for thread in threading.enumerate()]
    assert terminal.getvalue() == ""


def test_there_is_none_without_rich(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with bar():
        wait_for_drawer()
    assert terminal.getvalue() == ""


def test_one_is_drawn_at_a_time(terminal):
    outputs, over = (sys.stderr, sys.stdout), threading.Event()

    def first() -> None:
        with bar_of("uploading step 3"):
            over.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert terminal.shows("uploading step 3")
        with bar():
            time.sleep(3 * progress._EVERY)  # it looks several times
            assert "saving step 7" not in terminal.getvalue()
            over.set()
            assert terminal.shows("saving step 7")
    finally:
        over.set()
        thread.join()
    assert (sys.stderr, sys.stdout) == outputs


@pytest.mark.parametrize("stderr", [None, object(), closed()], ids=["none", "no file", "closed"])
def test_there_is_none_where_stderr_is_not_what_it_is_elsewhere(monkeypatch, stderr):
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stderr, stdout=None))
    with bar():
        assert "cloudckpt-progress" not in [thread.name for thread in threading.enumerate()]


def test_there_is_none_where_no_thread_can_be_started(terminal, monkeypatch):
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    with bar():
        pass
    assert terminal.getvalue() == ""


def test_a_terminal_that_takes_nothing_holds_nobody_up(terminal, monkeypatch):
    taking = threading.Event()
    writes = Terminal.write
    monkeypatch.setattr(Terminal, "write", lambda *args: (taking.wait(30), writes(*args))[1])
    monkeypatch.setattr(progress, "LONGEST_END", 0.1)
    with bar():
        pass
    assert not taking.is_set()
    taking.set()
    wait_for_drawer()


def test_a_bar_that_fails_costs_nothing(terminal, caplog):
    def broken() -> int:
        raise ZeroDivisionError

    with caplog.at_level(logging.DEBUG), progress_bar("saving", broken, lambda: None, wanted=True):
        wait_for_drawer()
    assert "the progress bar failed" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "in_the_way", "drawn"),
    [
        (None, True, True),
        (None, False, False),  # the loop draws and prints for itself
        (True, False, True),
        (False, True, False),
    ],
)
def test_when_a_save_has_one(terminal, wanted, in_the_way, drawn):
    save = Observer(progress=wanted).save(7, "run/ckpt-7")
    if in_the_way:
        with save.stall(), save.run():
            names = [thread.name for thread in threading.enumerate()]
    else:
        with save.run():
            names = [thread.name for thread in threading.enumerate()]
    assert ("cloudckpt-progress" in names) == drawn


@pytest.mark.parametrize(("wanted", "drawn"), [(None, True), (True, True), (False, False)])
def test_when_a_restore_has_one(terminal, wanted, drawn):
    with Observer(progress=wanted).restore("run"):
        assert ("cloudckpt-progress" in [thread.name for thread in threading.enumerate()]) == drawn


def test_nothing_is_imported_for_it():
    code = "import sys, cloudckpt.manager.reporting.observer; print(sorted({'rich', 'opentelemetry'} & {*sys.modules}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "[]\n"


def wait_for_drawer() -> None:
    """Until the thread that would draw has ended."""
    end = time.monotonic() + 30
    while any(thread.name == "cloudckpt-progress" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
