"""Reads and writes that the system does only in part."""

from __future__ import annotations

import errno
import os

import pytest

from cloudckpt.errors import ShortReadError
from cloudckpt.storage.local import io as local_io
from cloudckpt.storage.local.io import copy_bytes, read_into, write_from


@pytest.fixture(params=["whole", "three views a call", "seven bytes a call", "the system does half"])
def limits(request, monkeypatch):
    if request.param == "three views a call":
        monkeypatch.setattr(local_io, "VIEWS_A_CALL", 3)
    elif request.param == "seven bytes a call":
        monkeypatch.setattr(local_io, "BYTES_A_CALL", 7)
    elif request.param == "the system does half":
        for name in ("preadv", "pwritev"):
            monkeypatch.setattr(os, name, half(getattr(os, name)))


def half(call):
    def do_half(descriptor, views, offset):
        first = next(view for view in views if view.nbytes)
        return call(descriptor, [first[: (first.nbytes + 1) // 2]], offset)

    return do_half


@pytest.mark.usefixtures("limits")
def test_all_is_written_and_read_whatever_the_system_does_at_once(tmp_path):
    pieces = [bytes([number]) * (number * 3 % 17) for number in range(40)]
    whole = b"".join(pieces)
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        write_from(descriptor, 5, [memoryview(piece) for piece in pieces])
        assert (tmp_path / "file").read_bytes() == bytes(5) + whole
        buffers = [bytearray(len(piece)) for piece in reversed(pieces)]
        read_into(descriptor, 5, [memoryview(buffer) for buffer in buffers], "file")
        assert b"".join(buffers) == whole
        with pytest.raises(ShortReadError):
            read_into(descriptor, 6, [memoryview(bytearray(len(whole)))], "file")
    finally:
        os.close(descriptor)


@pytest.fixture(params=["at once", "in pieces", "half way", "not at all", "without the call"])
def copying(request, monkeypatch):
    """How much of a copy the system does itself."""
    system = getattr(os, "copy_file_range", None)
    calls = iter(range(1000))

    def some(source, target, count, *offsets):
        if request.param == "not at all" or (request.param == "half way" and next(calls)):
            raise OSError(errno.EXDEV, "scripted")
        return system(source, target, min(count, 1000), *offsets)

    if system is None and request.param in ("at once", "in pieces", "half way"):
        pytest.skip("this system can't copy ranges of files")
    if request.param == "without the call":
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    elif request.param != "at once":
        monkeypatch.setattr(os, "copy_file_range", some, raising=False)


@pytest.mark.usefixtures("copying")
@pytest.mark.parametrize("size", [0, 1, 1000, 10_001])
def test_a_copy_is_whole_however_much_of_it_the_system_does(tmp_path, monkeypatch, size):
    monkeypatch.setattr(local_io, "_PIECE", 700)
    data = bytes(index * 7 % 256 for index in range(size))
    (tmp_path / "source").write_bytes(data)
    with open(tmp_path / "source", "rb") as source, open(tmp_path / "copy", "wb") as copy:
        copy_bytes(source.fileno(), copy.fileno(), size, "source")
        with pytest.raises(ShortReadError, match="source"):
            copy_bytes(source.fileno(), copy.fileno(), size + 1, "source")
    assert (tmp_path / "copy").read_bytes() == data


def test_a_copy_to_a_full_disk_fails(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "scripted")

    monkeypatch.setattr(os, "copy_file_range", full, raising=False)
    (tmp_path / "source").write_bytes(b"data")
    with (
        open(tmp_path / "source", "rb") as source,
        open(tmp_path / "copy", "wb") as copy,
        pytest.raises(OSError, match="scripted"),
    ):
        copy_bytes(source.fileno(), copy.fileno(), 4, "source")


def test_more_views_than_one_call_takes(tmp_path):
    count = local_io.VIEWS_A_CALL * 2 + 5
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        write_from(descriptor, 0, [memoryview(b"ab")] * count)
        assert os.fstat(descriptor).st_size == 2 * count
    finally:
        os.close(descriptor)
