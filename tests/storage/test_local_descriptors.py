"""Descriptors that threads share."""

from __future__ import annotations

import os

import pytest

from cloudckpt.storage.local_descriptors import DescriptorCache, SharedDescriptor


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
