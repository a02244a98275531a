"""Reads and writes that the system does only in part."""

from __future__ import annotations

import os

import pytest

from cloudckpt.errors import ShortReadError
from cloudckpt.storage import local_io
from cloudckpt.storage.local_io import read_into, write_from


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


def test_more_views_than_one_call_takes(tmp_path):
    count = local_io.VIEWS_A_CALL * 2 + 5
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        write_from(descriptor, 0, [memoryview(b"ab")] * count)
        assert os.fstat(descriptor).st_size == 2 * count
    finally:
        os.close(descriptor)
