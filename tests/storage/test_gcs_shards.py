"""Large saves to Cloud Storage: one upload is one stream, so several data files are written side by side."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint import commit
from cloudckpt.storage.http.client import HttpClient

MIB = 1 << 20
PART = 256 << 10
SHARDS = 4


def kind_of(request):
    """What a request is for, by the shape of its URL."""
    if request.method == "PUT":
        return "part"
    kinds = {"uploadType=resumable": "session", "uploadType=multipart": "put", "prefix=": "list"}
    return next((kind for mark, kind in kinds.items() if mark in request.url), "get")


@pytest.fixture
def requests(monkeypatch):
    """Counts requests by kind; the first one to each upload session waits until all sessions have theirs."""
    counted, met, lock = Counter(), set(), threading.Lock()
    barrier = threading.Barrier(SHARDS, timeout=60)
    original = HttpClient.request

    def request(self, sent):
        with lock:
            counted[kind_of(sent)] += 1
            first = sent.method == "PUT" and sent.url not in met
            met.add(sent.url)
        if first:
            barrier.wait()
        return original(self, sent)

    monkeypatch.setattr(HttpClient, "request", request)
    return counted


def test_several_data_files_are_on_their_way_at_once(fake_gcs, requests, monkeypatch):
    """The barrier breaks, and the test fails, if they are written one after the other."""
    monkeypatch.setattr(commit, "SHARD_BYTES", MIB)
    options = {**fake_gcs.storage_options, "part_size": PART, "max_concurrency": SHARDS}
    prefix = f"{fake_gcs.fresh_url()}/ckpt-1"
    state = {f"w{number}": np.random.default_rng(number).integers(0, 255, MIB, np.uint8) for number in range(SHARDS)}
    ckpt.save(prefix, state, storage_options=options)
    # One part more for the few bytes of the state's structure; one put for the index.
    assert requests == {"list": 1, "session": SHARDS, "part": SHARDS * MIB // PART + 1, "put": 1}
    requests.clear()
    loaded = ckpt.load(prefix, storage_options=options)
    for name, value in state.items():
        np.testing.assert_array_equal(loaded[name], value)
    assert set(requests) == {"list", "get"}


def test_a_small_save_is_three_requests(fake_gcs, requests):
    prefix = f"{fake_gcs.fresh_url()}/ckpt-1"
    ckpt.save(prefix, {f"w{number}": np.ones(100) for number in range(100)}, storage_options=fake_gcs.storage_options)
    assert requests == {"list": 1, "put": 2}
