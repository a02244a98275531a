"""Threads side by side, where one of them does not come to be."""

from __future__ import annotations

import threading

import pytest

from cloudckpt.storage.side_by_side import run_side_by_side


@pytest.mark.parametrize("earlier", [0, 1, 2])
def test_an_interruption_before_a_thread_is_there_is_not_waited_for(monkeypatch, earlier: int) -> None:
    starts, raised, start = [], [], threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        starts.append(thread)
        if len(starts) > earlier:
            raise KeyboardInterrupt
        start(thread)

    def caller() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", interrupted)
            try:
                run_side_by_side([lambda: None] * 10, threads=4)
            except KeyboardInterrupt as error:
                raised.append(error)

    thread = threading.Thread(target=caller, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert raised
    assert not any(worker.is_alive() for worker in starts)


@pytest.mark.parametrize("available", [0, 1, 2])
def test_as_many_threads_work_as_can_be_had(monkeypatch, available: int) -> None:
    done, starts, start = [], [], threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        starts.append(thread)
        if len(starts) > available:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    run_side_by_side([lambda number=number: done.append(number) for number in range(10)], threads=4)
    assert sorted(done) == list(range(10))
