"""What a variable says of the larger tensor that it is a slice of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo, save_slice_info_of
from cloudckpt.variables.tensor_slice import parse_shape_and_slice


def test_the_spec_says_shape_offset_and_length() -> None:
    info = SaveSliceInfo("w", [4, 3], [2, 0], [2, 3])
    assert info.spec == "4 3 2,2:0,3"
    assert parse_shape_and_slice(info.spec) == ((4, 3), info.region)


def test_a_scalar_is_the_whole_of_itself() -> None:
    assert SaveSliceInfo("w", [], [], []).spec == ""


def test_sequences_become_tuples() -> None:
    assert SaveSliceInfo("w", [4], [1], [2]) == SaveSliceInfo("w", (4,), (1,), (2,))


@pytest.mark.parametrize("numbers", [([4], [3], [2]), ([4], [-1], [2]), ([4], [0], [-1]), ([4, 2], [0], [2])])
def test_a_slice_beyond_the_whole_is_refused(numbers: tuple[list[int], ...]) -> None:
    with pytest.raises(ValueError, match="is not within a tensor of shape"):
        SaveSliceInfo("w", *numbers)


@pytest.mark.parametrize("numbers", [("4", [0], [2]), ([4.0], [0], [2]), (4, [0], [2])])
def test_what_is_no_sequence_of_integers_is_refused(numbers: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        SaveSliceInfo("w", *numbers)


@pytest.mark.parametrize("attribute", ["save_slice_info", "_save_slice_info"])
def test_what_somebodys_variable_says_is_read(attribute: str) -> None:
    said = SimpleNamespace(full_name="w", full_shape=[4], var_offset=[1], var_shape=[2])
    assert save_slice_info_of(SimpleNamespace(**{attribute: said})) == SaveSliceInfo("w", [4], [1], [2])


def test_a_variable_that_says_nothing_is_no_slice() -> None:
    assert save_slice_info_of(SimpleNamespace()) is None
    assert save_slice_info_of(SimpleNamespace(save_slice_info=None, _save_slice_info=None)) is None
