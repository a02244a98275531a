"""Snapshots: equal to what they were taken of, whatever its layout, and untouched by what becomes of it."""

from __future__ import annotations

import gc

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.manager.background import snapshot
from cloudckpt.manager.background.snapshot import SnapshotBuffers

LARGE = (3 << 20) + 7
"""elements: several blocks, and an end that is none"""


@pytest.fixture
def threads(monkeypatch):
    """Several of them, however few processors there are and however little there is to copy."""
    monkeypatch.setattr(snapshot, "_processors", lambda: 4)
    monkeypatch.setattr(snapshot, "BYTES_PER_THREAD", 1)


def many_kinds():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(700, 900))
    return {
        "scalar": np.array(3.5),
        "empty": np.empty((0, 3), np.float32),
        "small": rng.normal(size=5).astype(np.float16),
        "large": rng.normal(size=LARGE).astype(np.float32),
        "bfloat16": rng.normal(size=(3, 4)).astype(ml_dtypes.bfloat16),
        "int4": np.arange(-8, 8).astype(ml_dtypes.int4),
        "bool": rng.random(100) > 0.5,
        "complex": matrix[:50] * 1j,
        "big endian": matrix[0].astype(">f8"),
        "fortran": np.asfortranarray(matrix),
        "transposed": rng.normal(size=(40, 50, 60)).transpose(2, 0, 1),
        "every other": matrix[::2, ::-3],
        "one value": np.broadcast_to(np.float32(2), (1000, 1100)),
        "rows longer than a block": rng.integers(0, 255, (2, 9 << 20), np.uint8)[:, ::2],
        "fixed strings": np.array(["a", "bcd"]),
        "no characters": np.array(["", ""], "U0"),
        "texts": np.array(["a", "ü"], object),
        "bytes": np.array(b"\0\1", object),
    }


def test_a_snapshot_equals_what_it_is_of(threads):
    arrays = many_kinds()
    taken = SnapshotBuffers().take(arrays)
    assert [*taken] == [*arrays]
    for name, array in arrays.items():
        assert taken[name].dtype == array.dtype, name
        assert taken[name].shape == array.shape, name
        assert np.array_equal(taken[name], array), name
        assert taken[name].flags.c_contiguous, name
        assert not np.may_share_memory(taken[name], array) or not array.nbytes, name


def test_it_does_not_change_with_them(threads):
    arrays = {name: array.copy() for name, array in many_kinds().items()}
    taken = SnapshotBuffers().take(arrays)
    for array in arrays.values():
        array[...] = np.zeros((), array.dtype)
    for name, array in many_kinds().items():
        assert np.array_equal(taken[name], array), name


def test_what_is_frozen_is_passed_on(threads):
    arrays = many_kinds()
    taken = SnapshotBuffers().take(arrays, frozen={"large", "texts"})
    assert [name for name in arrays if taken[name] is arrays[name]] == ["large", "texts"]


def test_memory_is_used_again():
    buffers = SnapshotBuffers()
    first = buffers.take({"a": np.ones(LARGE), "b": np.ones(3)})
    again = buffers.take({"a": np.zeros(LARGE), "b": np.zeros(5)})
    assert np.may_share_memory(first["a"], again["a"])
    assert first["a"][0] == 0
    assert first["a"].ctypes.data % snapshot.ALIGNMENT == first["b"].ctypes.data % snapshot.ALIGNMENT == 0


def test_a_larger_state_gets_more_memory_and_a_smaller_one_the_same():
    buffers = SnapshotBuffers()
    small = buffers.take({"a": np.ones(10)})
    large = buffers.take({"a": np.ones(LARGE)})
    assert not np.may_share_memory(small["a"], large["a"])
    assert small["a"].tolist() == [1.0] * 10
    assert np.may_share_memory(large["a"], buffers.take({"a": np.ones(10)})["a"])


def test_nothing_at_all():
    assert SnapshotBuffers().take({}) == {}


def test_a_snapshot_outlives_its_buffers():
    taken = SnapshotBuffers().take({"a": np.arange(LARGE)})
    gc.collect()
    assert np.array_equal(taken["a"], np.arange(LARGE))


def test_what_goes_wrong_in_a_thread_is_raised(threads, monkeypatch):
    monkeypatch.setattr(snapshot, "_copy", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SnapshotBuffers().take({"a": np.ones(LARGE)})
