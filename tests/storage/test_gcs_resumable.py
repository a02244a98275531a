"""Resumable uploads against a server that keeps sessions as Cloud Storage does, and fails at any moment of them."""

from __future__ import annotations

import base64
import itertools
import json
import re

import numpy as np
import pytest
from crc32c import crc32c

from cloudckpt.errors import CommitUnknownError, PreconditionFailedError, StorageError, TransientStorageError
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.store import Always, IfAbsent
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_gcs import failing, gcs_store, resource

PART = 512 << 10
GRANULE = 256 << 10
DATA = memoryview(np.random.default_rng(0).bytes(3 * PART + 7))
CRC = base64.b64encode(crc32c(DATA).to_bytes(4, "big")).decode()

FAULTS = {
    "503 before anything is kept": lambda *_: failing(503, **{"Retry-After": "0"}),
    "429 before anything is kept": lambda *_: failing(429, **{"Retry-After": "0"}),
    "cut before anything is kept": lambda *_: Answer(drop=True),
    "cut in the middle of the part": lambda self, body: self.kept(body[: len(body) // 2]) and Answer(drop=True),
    "the answer is lost": lambda self, body: self.kept(body) and Answer(drop=True),
    "503 though all is kept": lambda self, body: self.kept(body) and failing(503),
    "308 with half of the part": lambda self, body: self.kept(body[: len(body) // 2]),
    "308 with nothing of the part": lambda self, _: self.kept(b""),
}


class Sessions:
    """One bucket's upload sessions, and the object that one of them makes.

    Args:
        faults: what happens to the requests to sessions, by their number from 0 on.
        forgets: a session that has ended answers 404, as some servers do, and not with what it made.
    """

    def __init__(self, faults=None, *, forgets=False):
        self.faults = faults or {}
        self.forgets = forgets
        self.requests = itertools.count()
        self.stored = bytearray()
        self.made = None
        self.opened = {}
        self.server = None
        self.metadata = {}

    def __call__(self, seen):
        if seen.query.get("uploadType") == "resumable":
            self.opened, self.metadata = seen.query, json.loads(seen.body)["metadata"]
            return Answer(headers={"Location": f"{self.server.url}/session"})
        if not seen.path.startswith("/session"):
            return self.made or failing(404)
        if seen.method == "DELETE":
            return Answer(499)
        fault = self.faults.get(next(self.requests))
        if isinstance(fault, Answer):
            return fault
        if fault and seen.body:
            return FAULTS[fault](self, seen.body)
        return self.ended() or self.taken(seen)

    def ended(self):
        return self.made and (failing(404) if self.forgets else self.made)

    def taken(self, seen):
        begin = re.match(r"bytes (\d+)-", seen.headers["content-range"])
        assert begin is None or int(begin[1]) == len(self.stored)
        return self.kept(seen.body)

    def kept(self, body):
        """Keep bytes as the service does: whole granules, or what ends the object; the answer says how far it got."""
        after = len(self.stored) + len(body)
        whole = len(body) if after == len(DATA) else len(body) - after % GRANULE
        self.stored += body[: max(whole, 0)]
        if len(self.stored) == len(DATA):
            self.made = resource("key", len(DATA), "18", crc32c=CRC, metadata=self.metadata)
            return self.made
        return Answer(308, headers={"Range": f"bytes=0-{len(self.stored) - 1}"} if self.stored else {})


def upload(sessions, condition=IfAbsent()):  # noqa: B008 - a frozen value
    """The whole of it through a store that retries; the pauses are not waited for."""
    with scripted_server(by=sessions) as server:
        sessions.server = server
        with (
            RetryingStore(gcs_store(server, part_size=PART), sleep=lambda _: None) as store,
            store.create("key", len(DATA), condition) as writing,
        ):
            for offset in range(0, len(DATA), PART):
                part = DATA[offset : offset + PART]
                writing.write(offset, [part[:1000], part[1000:]], crc32c(part))
            return writing.complete(crc32c(DATA))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("condition", [Always(), IfAbsent()], ids=["always", "if absent"])
def test_an_upload_that_is_interrupted_once_goes_on(number, fault, condition):
    sessions = Sessions({number: fault})
    info = upload(sessions, condition)
    assert bytes(sessions.stored) == DATA
    assert (info.version, info.size) == ("18", len(DATA))
    assert sessions.opened.get("ifGenerationMatch") == (None if condition == Always() else "0")


@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_that_is_interrupted_every_other_time_goes_on(fault):
    # Not at once: a server that never moves on is given up.
    sessions = Sessions(dict.fromkeys(range(0, 40, 3), fault))
    assert upload(sessions).version == "18"
    assert bytes(sessions.stored) == DATA


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("number", range(3))
def test_a_session_that_is_lost_in_the_middle_ends_the_save(status, number):
    """The bytes of earlier parts may be gone from memory, so it can't begin anew; nothing was made visible."""
    sessions = Sessions({number: failing(status)})
    with pytest.raises(StorageError, match="the upload is gone") as failure:
        upload(sessions)
    assert not isinstance(failure.value, TransientStorageError)
    assert sessions.made is None


LOST = Answer(drop=True)


def test_p8_a_finish_whose_answer_was_lost_is_recognised_where_the_session_is_forgotten():
    sessions = Sessions({3: "the answer is lost"}, forgets=True)
    assert upload(sessions).commit_id == sessions.metadata["cloudckpt-commit"]


def test_p8_another_writers_object_is_not_taken_for_ones_own():
    sessions = Sessions({3: LOST, 4: failing(412)})
    sessions.made = resource("key", len(DATA), "17", crc32c=CRC, metadata={"cloudckpt-commit": "another's"})
    sessions.ended = lambda: None
    with pytest.raises(PreconditionFailedError, match="another writer was first"):
        upload(sessions)


def test_p8_what_stays_unproved_is_said_to_be():
    sessions = Sessions({3: LOST, 4: failing(410)})
    with pytest.raises(CommitUnknownError, match="look before you write again"):
        upload(sessions)


def test_p8_a_condition_that_fails_at_the_end_is_the_other_writers_win():
    sessions = Sessions({3: failing(412)})
    with pytest.raises(PreconditionFailedError):
        upload(sessions)
    assert sessions.made is None


def test_a_finish_with_other_bytes_is_taken_back():
    """The server's checksum of the whole is compared with ours, whatever it thinks of it itself."""
    sessions = Sessions()
    damaged = resource("key", len(DATA), "18", crc32c="AAAAAA==")
    sessions.faults = {3: damaged}
    with pytest.raises(StorageError, match="the upload was damaged"):
        upload(sessions)
