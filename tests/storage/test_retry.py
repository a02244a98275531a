"""Retries and lost answers, on a store that fails by a script and a clock that nobody waits for."""

from __future__ import annotations

import logging
import uuid

import pytest
from crc32c import crc32c
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.errors import (
    CommitUnknownError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
    StorageTimeoutError,
    TransientStorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.attempts import FIRST_WAIT, LONGEST_WAIT
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, Upload

ALWAYS = Always()


class LostAnswerError(TransientStorageError):
    """The operation took effect, and its answer did not arrive."""


def refused(retry_after=None):
    return TransientStorageError("503 slow down", retry_after=retry_after)


class ScriptedStore(MemoryStore):
    """A memory store whose next operations of a name fail as its script says; None is a success."""

    def __init__(self):
        super().__init__(MemoryFileSystem())
        self.script = {}
        self.calls = []

    def run(self, name, operation):
        self.calls.append(name)
        steps = self.script.get(name)
        error = steps.pop(0) if steps else None
        if error is None:
            return operation()
        if isinstance(error, LostAnswerError):
            operation()
        raise error

    def get(self, key):
        return self.run("get", lambda: super(ScriptedStore, self).get(key))

    def read(self, key, offset, into, version=None):
        return self.run("read", lambda: super(ScriptedStore, self).read(key, offset, into, version))

    def put(self, key, data, condition, *, crc32c, commit_id=None):
        parent = super()
        return self.run("put", lambda: parent.put(key, data, condition, crc32c=crc32c, commit_id=commit_id))

    def create(self, key, size, condition, *, commit_id=None):
        parent = super()
        upload = self.run("create", lambda: parent.create(key, size, condition, commit_id=commit_id))
        return ScriptedUpload(self, upload)

    def copy(self, source, key, condition, *, commit_id=None):
        parent = super()
        return self.run("copy", lambda: parent.copy(source, key, condition, commit_id=commit_id))

    def delete(self, keys):
        return self.run("delete", lambda: super(ScriptedStore, self).delete(keys))

    def delete_if_version(self, key, version):
        parent = super()
        return self.run("delete_if_version", lambda: parent.delete_if_version(key, version))

    def list(self, prefix, **options):
        for number, info in enumerate(super().list(prefix, **options)):
            self.run(f"list {number}", lambda: None)
            yield info


class ScriptedUpload(Upload):
    part_size = 10

    def __init__(self, store, upload):
        self.store, self.upload, self.gone = store, upload, False

    def write(self, offset, buffers, crc32c):
        self.store.run("write", lambda: self.upload.write(offset, buffers, crc32c))

    def complete(self, crc32c):
        def operation():
            if self.gone:
                raise ObjectNotFoundError("404 no such upload")
            self.gone = True
            return self.upload.complete(crc32c)

        return self.store.run("complete", operation)

    def abort(self):
        self.store.calls.append("abort")
        self.upload.abort()


class Clock:
    def __init__(self):
        self.now = 1000.0
        self.waits = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def inner():
    return ScriptedStore()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(inner, clock):
    return RetryingStore(inner, max_retry_seconds=100.0, sleep=clock.sleep, clock=clock)


@pytest.fixture
def key():
    return f"{uuid.uuid4().hex}/object"


def put(store, key, data, condition=ALWAYS, commit_id=None):
    return store.put(key, data, condition, crc32c=crc32c(data), commit_id=commit_id)


def upload(store, key, data, condition=ALWAYS):
    with store.create(key, len(data), condition) as parts:
        parts.write(0, [data], crc32c(data))
        return parts.complete(crc32c(data))


def test_a_transient_failure_is_tried_again(store, inner, clock, key):
    put(store, key, b"data")
    inner.script = {"get": [refused(), refused()]}
    assert store.get(key)[0] == b"data"
    assert inner.calls.count("get") == 3
    assert len(clock.waits) == 2


def test_a_permanent_failure_is_not(store, inner, clock, key):
    inner.script = {"get": [PermissionDeniedError("403")]}
    with pytest.raises(PermissionDeniedError):
        store.get(key)
    assert (inner.calls, clock.waits) == (["get"], [])


def test_waits_grow_to_a_bound_with_jitter(store, inner, clock, key):
    inner.script = {"get": [refused() for _ in range(9)]}
    put(store, key, b"data")
    store._attempts.max_seconds = 1e9
    store.get(key)
    bounds = [min(LONGEST_WAIT, FIRST_WAIT * 2**n) for n in range(9)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(clock.waits, bounds, strict=True))


def test_the_server_may_ask_for_a_longer_wait(store, inner, clock, key):
    put(store, key, b"data")
    inner.script = {"get": [refused(retry_after=12.0)]}
    store.get(key)
    assert clock.waits == [12.0]


def test_it_gives_up_at_the_deadline(store, inner, clock, key):
    last = refused()
    inner.script = {"get": [refused() for _ in range(50)]}
    inner.script["get"] += [last]
    with pytest.raises(TransientStorageError) as failure:
        store.get(key)
    attempts = inner.calls.count("get")
    assert clock.now <= 1100.0
    assert failure.value.attempts == attempts
    assert f"failed {attempts} times" in str(failure.value)
    assert "503 slow down" in str(failure.value)
    assert isinstance(failure.value.__cause__, TransientStorageError)


@pytest.mark.parametrize("asked", [120.0, 3600.0])
def test_a_server_that_asks_for_too_long_a_wait_is_asked_again_in_time(store, inner, clock, key, asked):
    """A server that is starting asks for two minutes, and is there in two seconds."""
    put(store, key, b"data")
    inner.script = {"get": [refused(retry_after=asked)] * 4}
    assert store.get(key)[0] == b"data"
    assert clock.waits == [LONGEST_WAIT] * 4


def test_a_server_that_asks_for_too_long_a_wait_is_given_up_in_the_end(store, inner, clock, key):
    inner.script = {"get": [refused(retry_after=3600.0)] * 99}
    with pytest.raises(TransientStorageError) as failure:
        store.get(key)
    assert clock.now <= 1100.0
    assert (failure.value.attempts > 4, failure.value.retry_after) == (True, 3600.0)


def test_a_slow_operation_uses_up_the_deadline(store, inner, clock, key):
    def slow(name, operation):
        clock.now += 60
        raise refused()

    inner.run = slow
    with pytest.raises(TransientStorageError) as failure:
        store.get(key)
    assert failure.value.attempts == 2


def test_each_retry_is_logged(store, inner, key, caplog):
    put(store, key, b"data")
    inner.script = {"get": [refused(), refused()]}
    with caplog.at_level(logging.WARNING, logger="cloudckpt.storage.attempts"):
        store.get(key)
    assert len(caplog.records) == 2
    assert f"get memory://{key} failed (attempt 2)" in caplog.text


@pytest.mark.parametrize(
    "operation", ["create", "write", "complete", "copy", "delete", "delete_if_version", "read", "put"]
)
def test_every_operation_is_tried_again(store, inner, key, operation):
    inner.script = {operation: [refused()]}
    put(store, key, b"old")
    upload(store, key, b"new")
    buffer = bytearray(3)
    store.read(key, 0, [memoryview(buffer)])
    assert buffer == b"new"
    store.copy(store.stat(key), f"{key}-copy", IfAbsent())
    store.delete_if_version(key, store.stat(key).version)
    store.delete([key, f"{key}-copy"])
    assert inner.calls.count(operation) == 2
    assert inner.script == {operation: []}


def test_stat_and_capabilities_are_tried_again(clock):
    class Flaky(MemoryStore):
        failures = 2

        def fail(self):
            self.failures -= 1
            if self.failures >= 0:
                raise refused()

        @property
        def capabilities(self):
            self.fail()
            return super().capabilities

        def stat(self, key):
            self.fail()
            return super().stat(key)

    flaky = Flaky(MemoryFileSystem())
    store = RetryingStore(flaky, sleep=clock.sleep, clock=clock)
    assert store.capabilities.create_if_absent
    flaky.failures = 2
    with pytest.raises(ObjectNotFoundError):
        store.stat("nothing")
    assert len(clock.waits) == 4


def test_a_listing_goes_on_where_it_failed(store, inner, key):
    for name in "abcd":
        put(store, f"{key}-{name}", b"")
    inner.script = {"list 0": [refused()], "list 2": [refused(), refused()], "list 3": [refused()]}
    assert [info.key[-1] for info in store.list(key)] == ["a", "b", "c", "d"]
    assert all(not steps for steps in inner.script.values())


def test_a_listing_is_lazy_and_ends_once(store, inner, key):
    put(store, key, b"")
    listing = store.list(key)
    assert inner.calls == ["put"]
    assert len(list(listing)) == 1
    assert list(listing) == []


def copy_of(store, key, data, condition=ALWAYS):
    source = put(store, f"{key}-source", data)
    return store.copy(source, key, condition)


def test_a_write_carries_a_random_commit_id(store, key):
    first = put(store, key, b"x").commit_id
    second = put(store, key, b"x").commit_id
    third = upload(store, key, b"x").commit_id
    fourth = copy_of(store, key, b"x").commit_id
    assert len({first, second, third, fourth}) == 4
    assert {len(first), len(second), len(third), len(fourth)} == {32}
    assert put(store, key, b"x", commit_id="mine").commit_id == "mine"


# What follows is P8: a lost response is not a failure.


@pytest.mark.parametrize("condition", ["absent", "version"])
def test_a_lost_success_of_a_copy_is_recognised(store, inner, key, condition):
    demanded = IfAbsent() if condition == "absent" else IfVersion(put(store, key, b"old").version)
    inner.script = {"copy": [LostAnswerError("reset")]}
    assert copy_of(store, key, b"mine", demanded) == store.stat(key)
    assert inner.calls.count("copy") == 2


@pytest.mark.parametrize("condition", [ALWAYS, IfAbsent()])
def test_a_copy_whose_source_was_deleted_after_its_lost_success(store, inner, key, condition):
    source = put(store, f"{key}-source", b"mine")
    run = inner.run

    def delete_source(name, operation):
        if name == "copy" and inner.calls.count("copy") == 1:
            MemoryStore.delete(inner, [source.key])
        return run(name, operation)

    inner.run = delete_source
    inner.script = {"copy": [LostAnswerError("reset")]}
    assert store.copy(source, key, condition) == store.stat(key)


def test_a_source_that_is_not_there_is_not_waited_for(store, inner, clock, key):
    source = put(store, f"{key}-source", b"mine")
    store.delete([source.key])
    with pytest.raises(ObjectNotFoundError):
        store.copy(source, key, IfAbsent())
    assert (inner.calls.count("copy"), clock.waits) == (1, [])


@pytest.mark.parametrize("write", [put, upload])
@pytest.mark.parametrize("condition", ["absent", "version"])
def test_a_lost_success_is_recognised(store, inner, key, write, condition):
    demanded = IfAbsent() if condition == "absent" else IfVersion(put(store, key, b"old").version)
    inner.script = {"put": [LostAnswerError("reset")], "complete": [LostAnswerError("reset")]}
    info = write(store, key, b"mine", demanded)
    assert info == store.stat(key)
    assert store.get(key)[0] == b"mine"


@pytest.mark.parametrize("condition", [IfAbsent(), IfVersion("old")])
def test_a_write_that_takes_effect_after_its_answer_was_given_up(store, inner, clock, key, condition):
    """A time limit or Ctrl-C cuts off the waiting, and not the server's work."""
    late = []
    if isinstance(condition, IfVersion):
        condition = IfVersion(put(store, key, b"old").version)
    parent = inner.put

    def slow(*arguments, **options):
        late.append(lambda: parent(*arguments, **options))
        raise StorageTimeoutError("it was interrupted")

    def sleep(seconds):
        if seconds:
            late.pop()()

    inner.put = slow
    info = RetryingStore(inner, max_retry_seconds=0.0, sleep=sleep).put(key, b"new", condition, crc32c=crc32c(b"new"))
    assert (inner.stat(key).version, inner.get(key)[0]) == (info.version, b"new")


def test_what_stays_unproved_is_told(store, inner, key):
    class Unproved(ScriptedUpload):
        def complete(self, crc32c):
            self.unproved = super().complete(crc32c)
            raise StorageError("the disk failed after it was in place")

    made = inner.create
    inner.create = lambda *arguments, **options: Unproved(inner, made(*arguments, **options).upload)
    with pytest.raises(StorageError, match="the disk failed"), store.create(key, 4, ALWAYS) as parts:
        parts.write(0, [b"data"], crc32c(b"data"))
        parts.complete(crc32c(b"data"))
    assert parts.unproved.version == inner.stat(key).version


def test_a_recognised_upload_is_not_aborted(store, inner, key):
    inner.script = {"complete": [LostAnswerError("reset")]}
    upload(store, key, b"mine", IfAbsent())
    assert "abort" not in inner.calls


def test_a_lost_success_is_recognised_when_all_answers_are_lost(store, inner, key):
    inner.script = {"put": [LostAnswerError("reset"), *[refused() for _ in range(100)]]}
    assert put(store, key, b"mine", IfAbsent()).size == 4


def test_an_upload_that_is_gone_without_a_condition_is_settled_too(store, inner, key):
    inner.script = {"complete": [LostAnswerError("reset")]}
    upload(store, key, b"mine", Always())
    assert store.get(key)[0] == b"mine"


@pytest.mark.parametrize("condition", ["absent", "version"])
def test_another_writer_is_recognised(store, inner, key, condition):
    demanded = IfAbsent() if condition == "absent" else IfVersion(put(store, key, b"old").version)

    original = inner.run

    def run(name, operation):
        if name == "put" and inner.calls.count("put") == before:
            inner.calls.append("put")
            MemoryStore.put(inner, key, b"theirs", Always(), crc32c=crc32c(b"theirs"), commit_id="theirs")
            raise TransientStorageError("reset")
        return original(name, operation)

    before = inner.calls.count("put")
    inner.run = run
    with pytest.raises(PreconditionFailedError, match="another writer"):
        put(store, key, b"mine", demanded)
    assert store.get(key)[0] == b"theirs"


def test_a_plain_refusal_is_another_writers(store, key):
    put(store, key, b"theirs")
    with pytest.raises(PreconditionFailedError):
        put(store, key, b"mine", IfAbsent())
    assert store.get(key)[0] == b"theirs"


@pytest.mark.parametrize("demanded", ["absent", "version"])
def test_a_write_that_a_gateway_sent_twice_is_no_conflict(store, key, inner, demanded):
    """The second arrival fails of the first, and its answer is the only one that comes."""
    condition = IfAbsent() if demanded == "absent" else IfVersion(put(store, key, b"old").version)
    run = inner.run

    def twice(name, operation):
        if name == "put":
            operation()
        return run(name, operation)

    inner.run = twice
    written = put(store, key, b"mine", condition)
    assert store.get(key) == (b"mine", written)


def test_unknown_when_the_object_was_never_seen(store, inner, key):
    inner.script = {"put": [refused() for _ in range(100)]}
    with pytest.raises(CommitUnknownError) as failure:
        put(store, key, b"mine", IfAbsent())
    assert isinstance(failure.value.__cause__, TransientStorageError)
    assert failure.value.path == f"memory://{key}"


def test_unknown_when_the_old_version_is_still_there(store, inner, key):
    version = put(store, key, b"old").version
    inner.script = {"put": [refused() for _ in range(100)]}
    with pytest.raises(CommitUnknownError):
        put(store, key, b"mine", IfVersion(version))


def test_unknown_when_the_object_has_no_commit_id(store, inner, key):
    def lose_to_a_program_without_ids(name, operation):
        if not inner.calls:
            inner.calls.append(name)
            MemoryStore.put(inner, key, b"theirs", Always(), crc32c=crc32c(b"theirs"))
            raise refused()
        return operation()

    inner.run = lose_to_a_program_without_ids
    with pytest.raises(CommitUnknownError):
        put(store, key, b"mine", IfAbsent())


def test_unknown_when_reading_back_fails(store, inner, key, monkeypatch):
    def forbidden(*_):
        raise PermissionDeniedError("403")

    inner.script = {"put": [LostAnswerError("reset"), PreconditionFailedError("412")]}
    monkeypatch.setattr(RetryingStore, "stat", forbidden)
    with pytest.raises(CommitUnknownError, match="412"):
        put(store, key, b"mine", IfAbsent())


def test_unknown_when_permission_is_lost_on_the_way(store, inner, key):
    inner.script = {"put": [refused(), PermissionDeniedError("403 expired")]}
    with pytest.raises(CommitUnknownError, match="403 expired"):
        put(store, key, b"mine", IfAbsent())


def test_without_a_condition_the_failure_is_raised_as_it_is(store, inner, key):
    inner.script = {"put": [refused() for _ in range(100)]}
    with pytest.raises(TransientStorageError):
        put(store, key, b"mine", Always())


def test_a_corrupted_upload_is_no_lost_answer(store, inner, key):
    inner.script = {"complete": [UploadCorruptedError("400")]}
    with pytest.raises(UploadCorruptedError):
        upload(store, key, b"mine", IfAbsent())
    assert inner.calls[-1] == "abort"


def test_the_upload_of_an_unknown_commit_is_aborted(store, inner, key):
    inner.script = {"complete": [refused() for _ in range(100)]}
    with pytest.raises(CommitUnknownError):
        upload(store, key, b"mine", IfAbsent())
    assert inner.calls[-1] == "abort"


def test_a_lost_deletion_is_no_error(store, inner, key):
    version = put(store, key, b"x").version
    inner.script = {"delete_if_version": [LostAnswerError("reset")], "delete": [LostAnswerError("reset")]}
    store.delete_if_version(key, version)
    store.delete([key])
    with pytest.raises(ObjectNotFoundError):
        store.get(key)


def test_an_interrupt_is_not_retried(store, inner, clock, key):
    inner.script = {"get": [KeyboardInterrupt()]}
    with pytest.raises(KeyboardInterrupt):
        store.get(key)
    assert clock.waits == []


def test_errors_are_of_our_tree(store, inner, key):
    inner.script = {"get": [refused() for _ in range(100)]}
    with pytest.raises(StorageError):
        store.get(key)
