"""The local store: what the contract does not say of it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from crc32c import crc32c

import cloudckpt as ckpt
from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ShortReadError,
    StorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.local import store as local
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.store import Always, IfAbsent, IfVersion

CONDITIONS = {"always": Always(), "absent": IfAbsent()}


@pytest.fixture
def store():
    with LocalStore() as store:
        yield store


@pytest.fixture
def key(tmp_path):
    return f"{tmp_path}/object"


def put(store, key, data, condition=CONDITIONS["always"]):
    return store.put(key, data, condition, crc32c=crc32c(data))


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def failing(monkeypatch, name, number):
    """Let a function of `os` fail with an errno, and count its calls."""
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, fail)
    return calls


@pytest.fixture
def mounted(monkeypatch, tmp_path):
    """Nothing above the temporary folder is of this disk."""
    monkeypatch.setattr(os.path, "ismount", str(tmp_path).__eq__)


@pytest.fixture
def recorded(monkeypatch, tmp_path, mounted):
    """The system calls that publish a file, in order, with the names of files and folders."""
    calls = []

    def record(name, describe):
        original = getattr(os, name)

        def call(*args, **kwargs):
            calls.append(f"{name} {describe(*args, **kwargs)}")
            return original(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    def opened(descriptor):
        return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))

    record("fsync", lambda descriptor: "temporary" if opened(descriptor).endswith(".cloudckpt") else opened(descriptor))
    record("link", lambda _, target, **__: target)
    record("rename", lambda _, target, **__: target)
    record("mkdir", lambda path, *_: os.path.basename(path))
    return calls


# Durability, and the order of its steps.


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells a descriptor's file this way")
@pytest.mark.parametrize(("condition", "step"), [("absent", "link"), ("always", "rename")])
def test_bytes_are_flushed_before_the_name_and_the_name_before_it_returns(recorded, tmp_path, condition, step):
    put(LocalStore(fsync=True), f"{tmp_path}/object", b"data", CONDITIONS[condition])
    assert recorded == ["fsync temporary", f"{step} object", f"fsync {tmp_path.name}"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells a descriptor's file this way")
def test_new_folders_are_flushed_up_to_the_first_that_was_there(recorded, tmp_path):
    put(LocalStore(fsync=True), f"{tmp_path}/a/b/object", b"data")
    made = ["mkdir a", "mkdir b", "fsync a", f"fsync {tmp_path.name}"]
    assert recorded == [*made, "fsync temporary", "rename object", "fsync b"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells a descriptor's file this way")
def test_folders_that_another_made_are_flushed_once(recorded, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    recorded.clear()
    store = LocalStore(fsync=True)
    for name in ("first", "second"):
        put(store, f"{tmp_path}/link/b/{name}", b"data")
    put(store, f"{tmp_path}/a/object", b"data")
    above = ["fsync a", f"fsync {tmp_path.name}"]
    files = [
        ["fsync temporary", f"rename {name}", f"fsync {folder}"]
        for name, folder in [("first", "b"), ("second", "b"), ("object", "a")]
    ]
    assert recorded == above + files[0] + files[1] + files[2]


def test_a_folder_above_that_may_not_be_read_is_passed_over(monkeypatch, store, tmp_path):
    def denied(path, flags, *args, dir_fd=None):
        if path == str(tmp_path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *args, dir_fd=dir_fd)

    (tmp_path / "theirs").mkdir()
    opened = os.open
    monkeypatch.setattr(os, "open", denied)
    put(store, f"{tmp_path}/theirs/object", b"data")
    with pytest.raises(PermissionDeniedError):
        put(store, f"{tmp_path}/ours/object", b"data")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells a descriptor's file this way")
def test_deleting_flushes_a_folder_before_and_after(recorded, tmp_path):
    store = LocalStore(fsync=True)
    keys = [f"{tmp_path}/{folder}/{name}" for folder in "ab" for name in "xyz"]
    for key in keys:
        put(store, key, b"")
    recorded.clear()
    store.delete(keys)
    assert recorded == ["fsync a", "fsync a", "fsync b", "fsync b"]


def test_without_fsync_nothing_is_flushed(monkeypatch, tmp_path):
    store = LocalStore(fsync=False)
    calls = failing(monkeypatch, "fsync", errno.EIO)
    put(store, f"{tmp_path}/a/object", b"data")
    store.delete_if_version(f"{tmp_path}/a/object", store.stat(f"{tmp_path}/a/object").version)
    assert calls == []


def test_a_disk_that_can_not_flush_is_an_error(monkeypatch, store, key, tmp_path):
    failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(StorageError, match="reports a fault"):
        put(store, key, b"data")
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells a descriptor's file this way")
def test_a_file_whose_flush_has_failed_is_never_flushed_again(monkeypatch, tmp_path):
    """The system may have dropped its bytes, and would report success the next time."""
    flushed = []
    flush = os.fsync

    def fail_once(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".cloudckpt"):
            flushed.append(path)
            if len(flushed) == 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.raises(StorageError, match="reports a fault"):
        ckpt.save(tmp_path / "ckpt", {"w": 1})
    assert names(tmp_path) == []
    ckpt.save(tmp_path / "ckpt", {"w": 1})
    assert len(flushed) == len(set(flushed)) == 3


def test_macos_flushes_the_drives_cache_too(monkeypatch, mounted, store, key):
    asked = []
    original = fcntl.fcntl
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)

    def full_fsync(descriptor, command, *rest):
        if command != 51:
            return original(descriptor, command, *rest)
        asked.append(descriptor)
        return 0

    monkeypatch.setattr(fcntl, "fcntl", full_fsync)
    put(store, key, b"data")
    assert len(asked) == 2


# Versions.


def test_the_version_that_completes_is_the_version_that_stays(store, key):
    for condition in CONDITIONS.values():
        written = put(store, key, b"data", condition)
        assert written == store.stat(key) == next(store.list(key))
        store.delete([key])


def test_a_link_or_a_mode_is_no_new_version(store, key):
    version = put(store, key, b"data").version
    os.link(key, key + ".backup")
    os.chmod(key, 0o600)
    assert store.stat(key).version == version
    put(store, key, b"new", IfVersion(version))


def test_replacing_again_and_again_never_brings_a_version_back(tmp_path):
    # Without fsync many replacements fall into one tick of the system's clock, and on most disks the inodes come back.
    store = LocalStore(fsync=False)
    versions = [put(store, f"{tmp_path}/object", b"same").version for _ in range(300)]
    assert len(set(versions)) == 300


def test_versions_do_not_rest_on_the_systems_coarse_clock(monkeypatch, tmp_path):
    tick = 10_000_000
    original = os.utime

    def coarse(descriptor, times=None, *, ns=None):
        now = time.time_ns() // tick * tick
        original(descriptor, ns=ns or (now, now))

    monkeypatch.setattr(os, "utime", coarse)
    store = LocalStore(fsync=False)
    times = [put(store, f"{tmp_path}/object", b"same").version.split("-")[1] for _ in range(50)]
    assert len(set(times)) == 50


def test_the_times_of_another_machine_are_left_alone(monkeypatch, store, key):
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000_000)  # this one's clock is far off the disk's
    put(store, key, b"data")
    assert os.stat(key).st_mtime > 1_600_000_000


def test_a_change_in_place_is_another_version(store, key):
    version = put(store, key, b"data").version
    buffer = bytearray(4)
    store.read(key, 0, [memoryview(buffer)], version)
    with open(key, "r+b") as file:
        file.write(b"DATA!")
    with pytest.raises(ObjectChangedError, match=version):
        store.read(key, 0, [memoryview(buffer)], version)


def test_the_time_is_that_of_arrival(store, key):
    put(store, key, b"data")
    os.utime(key, (1000, 1000))
    assert store.stat(key).modified > 1_600_000_000


# Conditions.


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_where_links_do_not_work_a_lock_does(monkeypatch, store, key, tmp_path, number):
    calls = failing(monkeypatch, "link", number)
    put(store, key, b"first", IfAbsent())
    with pytest.raises(PreconditionFailedError):
        put(store, key, b"second", IfAbsent())
    assert len(calls) == 2
    assert store.get(key)[0] == b"first"
    assert names(tmp_path) == ["object"]


def test_where_links_do_not_work_one_of_many_creates(monkeypatch, store, tmp_path):
    failing(monkeypatch, "link", errno.EPERM)
    wins = []

    def create(number):
        try:
            put(store, f"{tmp_path}/object", b"%d" % number, IfAbsent())
            wins.append(number)
        except PreconditionFailedError:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(f"{tmp_path}/object")[0] == b"%d" % wins[0]
    assert len(wins) == 1


def test_where_locks_do_not_work_conditions_are_refused(monkeypatch, store, key, tmp_path):
    version = put(store, key, b"old").version

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(UnsupportedOperationError, match="no locks"):
        put(store, key, b"new", IfVersion(version))
    with pytest.raises(UnsupportedOperationError, match="no locks"):
        store.delete_if_version(key, version)
    put(store, key, b"newer")
    put(store, key + "2", b"newer", IfAbsent())
    store.delete([key])
    assert names(tmp_path) == ["object2"]


def test_processes_exclude_each_other(store, key):
    """Several processes add one to a number, each time on the condition that nobody else did."""
    put(store, key, b"0")
    program = (
        "import sys\n"
        "from crc32c import crc32c\n"
        "from cloudckpt.errors import PreconditionFailedError\n"
        "from cloudckpt.storage.local.store import LocalStore\n"
        "from cloudckpt.storage.store import IfVersion\n"
        "store, done = LocalStore(fsync=False), 0\n"
        "while done < 100:\n"
        "    data, info = store.get(sys.argv[1])\n"
        "    new = b'%d' % (int(data) + 1)\n"
        "    try:\n"
        "        store.put(sys.argv[1], new, IfVersion(info.version), crc32c=crc32c(new))\n"
        "    except PreconditionFailedError:\n"
        "        continue\n"
        "    done += 1\n"
    )
    root = str(Path(__file__).parents[2])
    environ = {**os.environ, "PYTHONPATH": root}
    processes = [subprocess.Popen([sys.executable, "-c", program, key], env=environ) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert store.get(key)[0] == b"300"


def test_a_lock_is_gone_with_its_process_and_leaves_no_file(store, key, tmp_path):
    version = put(store, key, b"old").version
    program = "import fcntl, os, sys, time; fd = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(fd, fcntl.LOCK_EX); "
    program += "print('locked', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        process.kill()
    put(store, key, b"new", IfVersion(version))
    assert names(tmp_path) == ["object"]


def test_a_link_whose_answer_was_lost_on_the_network_is_recognised(monkeypatch, store, key, tmp_path):
    link = os.link

    def link_twice(*args, **kwargs):
        link(*args, **kwargs)
        link(*args, **kwargs)

    monkeypatch.setattr(os, "link", link_twice)
    put(store, key, b"data", IfAbsent())
    assert names(tmp_path) == ["object"]
    assert store.get(key)[0] == b"data"


# Reading.


def test_a_reader_keeps_what_it_began_with(store, key):
    version = put(store, key, b"first").version
    buffer = bytearray(2)
    store.read(key, 0, [memoryview(buffer)], version)
    put(LocalStore(), key, b"other")  # another program
    store.read(key, 2, [memoryview(buffer)], version)
    assert buffer == b"rs"
    os.unlink(key)
    store.read(key, 3, [memoryview(buffer)], version)
    assert buffer == b"st"


def test_what_the_store_itself_deletes_is_given_back(store, key):
    version = put(store, key, b"first").version
    store.read(key, 0, [memoryview(bytearray(2))], version)
    store.delete([key])
    with pytest.raises(ObjectNotFoundError):
        store.read(key, 0, [memoryview(bytearray(2))], version)


def test_descriptors_are_bounded_and_closed(tmp_path):
    def open_files():
        return len(os.listdir("/dev/fd"))

    before = open_files()
    store = LocalStore(fsync=False)
    for number in range(200):
        info = put(store, f"{tmp_path}/{number}", b"x")
        store.read(info.key, 0, [memoryview(bytearray(1))], info.version)
    assert before < open_files() < before + 100
    store.close()
    assert open_files() == before


def test_what_is_written_into_while_it_is_got_is_no_version(store, key, monkeypatch):
    put(store, key, b"12345")

    def described_before_it_grew(key, status):
        with open(key, "ab") as file:
            file.write(b"6")
        return described(key, status)

    described = local.described
    monkeypatch.setattr(local, "described", described_before_it_grew)
    with pytest.raises(ObjectChangedError):
        store.get(key)


def test_a_short_file_says_what_is_missing(store, key):
    put(store, key, b"12345")
    with pytest.raises(ShortReadError, match="ends at byte 5; expected 3 more from byte 5"):
        store.read(key, 2, [memoryview(bytearray(6))])


# What stands in the way.


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_folder_in_the_place_of_the_file(store, key, tmp_path, condition):
    os.mkdir(key)
    with pytest.raises(StorageError, match="a folder is in the place of the file") as failure:
        put(store, key, b"data", CONDITIONS[condition])
    assert not isinstance(failure.value, PreconditionFailedError)
    assert failure.value.path == key
    assert names(tmp_path) == ["object"]
    with pytest.raises(ObjectNotFoundError, match="folder"):
        store.stat(key)
    with pytest.raises(StorageError):
        store.get(key)
    with pytest.raises(StorageError):
        store.delete([key])
    assert list(store.list(key)) == []


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(store, key):
    os.mkfifo(key)
    for read in (store.stat, store.get, lambda key: store.read(key, 0, [memoryview(bytearray(1))])):
        with pytest.raises(ObjectNotFoundError, match="not a file"):
            read(key)
    assert list(store.list(key)) == []


def test_a_file_in_the_place_of_a_folder(store, key, tmp_path):
    put(store, key, b"data")
    with pytest.raises(StorageError, match="a file is in the place of one of its folders"):
        put(store, f"{key}/below/object", b"data")
    with pytest.raises(ObjectNotFoundError):
        store.stat(f"{key}/object")
    assert list(store.list(f"{key}/")) == []
    assert names(tmp_path) == ["object"]


def test_a_name_that_is_too_long(store, tmp_path):
    with pytest.raises(StorageError, match="too long"):
        put(store, f"{tmp_path}/{'x' * 300}", b"data")
    assert names(tmp_path) == []


def test_the_longest_name_works(store, tmp_path):
    for name in ("x" * 255, "é" * 127):
        put(store, f"{tmp_path}/{name}", b"data", IfAbsent())
        assert store.get(f"{tmp_path}/{name}")[0] == b"data"


@pytest.mark.parametrize(
    ("number", "kind", "remedy"),
    [
        (errno.ENOSPC, StorageError, "free some space"),
        (errno.EDQUOT, StorageError, "quota"),
        (errno.EROFS, PermissionDeniedError, "read-only"),
        (errno.EACCES, PermissionDeniedError, "owner and mode"),
        (errno.EIO, StorageError, "fault"),
    ],
)
@pytest.mark.parametrize("call", ["posix_fallocate", "pwritev", "link", "rename"])
def test_a_failure_at_any_step_is_clear_and_leaves_nothing(
    monkeypatch, store, key, tmp_path, call, number, kind, remedy
):
    if not hasattr(os, call):
        pytest.skip(f"this system has no {call}")
    failing(monkeypatch, call, number)
    before = len(os.listdir("/dev/fd"))
    condition = Always() if call == "rename" else IfAbsent()
    with pytest.raises(kind, match=remedy) as failure:
        put(store, key, b"data", condition)
    assert failure.value.path == key
    assert isinstance(failure.value.__cause__, OSError)
    assert names(tmp_path) == []
    assert len(os.listdir("/dev/fd")) == before


def test_a_disk_that_is_really_full(store):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    from cloudckpt.storage.local.errors import translated
    from cloudckpt.storage.local.io import write_from

    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(StorageError, match="disk is full"),
        translated("/dev/full"),
    ):
        write_from(full.fileno(), 0, [memoryview(b"x")])


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_can_not_allocate(monkeypatch, store, key, number):
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: None, raising=False)
    calls = failing(monkeypatch, "posix_fallocate", number)
    put(store, key, b"data")
    assert len(calls) == 1
    assert store.get(key)[0] == b"data"


def test_an_upload_that_is_not_whole_is_refused(store, key, tmp_path):
    with store.create(key, 10, Always()) as upload:
        upload.write(0, [b"four"], crc32c(b"four"))
        with pytest.raises(StorageError, match="4 of 10 bytes"):
            upload.complete(0)
    assert names(tmp_path) == []


def test_after_abort_nothing_can_be_written(store, key, tmp_path):
    upload = store.create(key, 4, Always())
    upload.abort()
    with pytest.raises(StorageError, match="closed"):
        upload.write(0, [b"data"], crc32c(b"data"))
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_not_listed(store, tmp_path):
    store.create(f"{tmp_path}/object", 4, Always())  # and never a word of it again
    (left,) = names(tmp_path)
    assert left.startswith(".object.")
    assert left.endswith(".cloudckpt")
    assert list(store.list(f"{tmp_path}/")) == []
    assert list(store.list(f"{tmp_path}/.obj")) == []


def test_hidden_files_of_others_are_listed(store, tmp_path):
    for name in (".hidden", ".object.tmp", "object.0123456789abcdef.cloudckpt"):
        put(store, f"{tmp_path}/{name}", b"")
    assert len(list(store.list(f"{tmp_path}/"))) == 3
