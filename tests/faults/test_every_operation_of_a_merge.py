"""Fail the N-th operation of a merge, for N from 1 until it passes: the old checkpoint is there, or the merged one."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.errors import CloudckptError, StorageError
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.faults.states import files, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.testing.faults import Mode

MODES = ["before", "during", "after"]
STARTS = [pytest.param(False, id="fresh"), pytest.param(True, id="overwrite")]
MATRIX = np.arange(4096.0).reshape(4, 1024)


def prepare(place: Location, *, replacing: bool) -> list[Location]:
    """Two parts beside an empty destination, or one that is to be replaced."""
    parts = [Location(place.store, f"{place.key}-part-{number}") for number in range(2)]
    for prefix in (place, *parts):
        place.store.delete(files(prefix))
    if replacing:
        save_tensors(place, {"old": np.zeros(3)})
    for number, part in enumerate(parts):
        rows = SlicedTensor((4, 1024), {((2 * number, 2), (0, None)): MATRIX[2 * number : 2 * number + 2]})
        save_tensors(part, {"w": rows, f"own{number}": np.full(3, number)}, reuse_names=False)
    return parts


def attempts(
    place: Location, replacing: bool, mode: Mode, error: type[BaseException] | None, forever: bool
) -> Iterator[tuple[FaultyStore, list[Location], BaseException | None]]:
    """Merges, the N-th operation of each failing; yields what became of it until nothing fails."""
    for number in count(1):
        parts = prepare(place, replacing=replacing)
        store = FaultyStore(place.store, number, mode, forever, None if error is None else error("an injected fault"))
        sources = [Location(store, part.key) for part in parts]
        try:
            merge_checkpoints(sources, Location(store, place.key), delete_old=True, allow_missing=False)
        except (CloudckptError, Crash) as raised:
            yield store, parts, raised
        else:
            yield store, parts, None
            if not store.failed:
                return


def is_merged(place: Location) -> bool:
    """Whether the merged checkpoint is there, whole; else the old one must be, or nothing."""
    if list_prefix(place).index is None:
        return False
    checkpoint = open_checkpoint(place)
    if "old" in checkpoint.tensors:
        assert checkpoint.read_named(["old"])["old"].tolist() == [0, 0, 0]
        return False
    found = checkpoint.read_named(["w", "own0", "own1"])
    assert found["w"].tolist() == MATRIX.tolist()
    assert [found[f"own{number}"].tolist() for number in range(2)] == [[0] * 3, [1] * 3]
    return True


def check_parts(parts: list[Location]) -> None:
    for number, part in enumerate(parts):
        found = open_checkpoint(part).read_named([f"own{number}"])
        assert found[f"own{number}"].tolist() == [number] * 3
        assert named(part) <= files(part)


@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [None, Crash, StorageError], ids=["transient", "crash", "permanent"])
@pytest.mark.parametrize("replacing", STARTS)
def test_a_merge_is_whole_or_not_there(
    place: Location, replacing: bool, error: type[BaseException] | None, mode: Mode, forever: bool
) -> None:
    outcomes = set()
    for store, parts, raised in attempts(place, replacing, mode, error, forever):
        merged = is_merged(place)
        assert merged or raised is not None, store.operations
        assert merged or not replacing or "old" in open_checkpoint(place).tensors
        if not merged:
            check_parts(parts)
        outcomes.add((raised is None, merged))
    assert outcomes >= {(True, True), (False, False)}


@pytest.mark.parametrize("replacing", STARTS)
def test_a_definite_failure_leaves_nothing_behind(place: Location, replacing: bool) -> None:
    failures = 0
    for store, parts, raised in attempts(place, replacing, "before", StorageError, forever=False):
        if raised is not None:
            failures += 1
            assert own_files(place) == named(place), store.operations
            check_parts(parts)
    assert failures >= 9


def own_files(place: Location) -> set[str]:
    """The files of the destination, temporaries included, without those of the parts."""
    return {key for key in files(place) if "-part-" not in key}


@pytest.mark.parametrize("replacing", STARTS)
def test_after_any_crash_the_next_merge_works(place: Location, replacing: bool) -> None:
    for mode in MODES:
        for _, parts, raised in attempts(place, replacing, mode, Crash, forever=True):
            if not is_merged(place):
                merge_checkpoints(parts, place, delete_old=True, allow_missing=False)
                assert is_merged(place)
            if raised is None:
                assert own_files(place) == named(place)
                assert not any(named(part) for part in parts)
