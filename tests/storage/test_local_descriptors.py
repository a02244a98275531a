"""Descriptors that threads share."""

from __future__ import annotations

import os
import signal
import traceback

import pytest

from cloudckpt.storage.local.descriptors import DescriptorCache, SharedDescriptor


def in_child(act):
    """Run it in a forked process, which must end well, and soon."""
    if (child := os.fork()) == 0:
        signal.alarm(30)
        try:
            act()
        except BaseException:  # noqa: BLE001 - the end of a process, which no exception leaves
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_it_is_closed_when_the_last_one_has_left(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    shared = SharedDescriptor(descriptor)
    with shared.use():
        with shared.use():
            shared.close()
        assert is_open(descriptor)
        with pytest.raises(ValueError, match="closed"):
            shared.acquire()
    assert not is_open(descriptor)
    shared.close()


def test_what_is_borrowed_survives_being_forgotten(tmp_path):
    (tmp_path / "file").write_bytes(b"data")
    cache = DescriptorCache(limit=1)
    key = str(tmp_path / "file")
    with cache.borrow(key, "1") as first:
        with cache.borrow(key, "2") as second:
            assert first != second  # beyond the limit, and still open
            assert is_open(first)
        cache.forget(key)
        assert os.pread(first, 4, 0) == b"data"
    assert not is_open(first)
    assert not is_open(second)


def test_a_version_is_opened_once(tmp_path):
    (tmp_path / "file").write_bytes(b"data")
    cache = DescriptorCache()
    key = str(tmp_path / "file")
    with cache.borrow(key, "1") as first:
        pass
    with cache.borrow(key, "1") as second:
        assert first == second
    cache.close()
    assert not is_open(first)


def test_without_a_version_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_bytes(b"data")
    with DescriptorCache().borrow(str(tmp_path / "file"), None) as descriptor:
        assert is_open(descriptor)
    assert not is_open(descriptor)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads
def test_a_child_reads_while_a_thread_of_its_parent_did(tmp_path):
    (tmp_path / "file").write_bytes(b"data")
    cache, key = DescriptorCache(), str(tmp_path / "file")

    def read():
        for _ in range(2):
            with cache.borrow(key, "1") as own:
                assert own != inherited
                assert os.pread(own, 4, 0) == b"data"
        cache.forget(key)
        cache.close()
        assert is_open(inherited)

    with cache.borrow(key, "1") as inherited, cache._held():  # as by another thread in the moment of the fork
        in_child(read)
        assert is_open(inherited)
    with cache.borrow(key, "1") as again:
        assert again == inherited
    cache.close()
