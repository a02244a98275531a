"""Into how many parts partitioners cut, and what is not to be cut; tests/tensorflow compares with TensorFlow's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.variables.partitions.partitioners import (
    fixed_size_partitioner,
    min_max_variable_partitioner,
    variable_axis_size_partitioner,
)
from cloudckpt.variables.partitions.partitioning import partitions_of, slices_of


def test_a_fixed_number_of_parts() -> None:
    assert fixed_size_partitioner(3)(shape=(7, 2), dtype="float32") == [3, 1]
    assert fixed_size_partitioner(3, axis=1)(shape=(7, 2), dtype="float32") == [1, 2]


def test_parts_of_at_most_so_many_bytes() -> None:
    partitioner = variable_axis_size_partitioner(16)
    assert partitioner(shape=(7, 2), dtype="float32") == [4, 1]
    assert partitioner(shape=(7, 200), dtype="float32") == [7, 1]
    assert partitioner(shape=(7, 0), dtype="float32") == [1, 1]


def test_at_most_so_many_parts_go_before_their_size() -> None:
    assert variable_axis_size_partitioner(1, max_shards=2)(shape=(7,), dtype=np.int64) == [2]


def test_texts_count_as_many_bytes_as_is_said() -> None:
    assert variable_axis_size_partitioner(32)(shape=(4,), dtype="string") == [2]
    assert variable_axis_size_partitioner(32, bytes_per_string_element=32)(shape=(4,), dtype="string") == [4]
    assert min_max_variable_partitioner(9, min_slice_size=32)(shape=(4,), dtype="string") == [2]


@pytest.mark.parametrize(
    "arguments", [{"max_shard_bytes": 0}, {"max_shard_bytes": 1, "max_shards": -1}, {"max_shard_bytes": 1.0}]
)
def test_numbers_must_be_positive(arguments: dict[str, Any]) -> None:
    bytes_per_string_element = 0 if arguments == {"max_shard_bytes": 1.0} else 16
    with pytest.raises(ValueError, match="must be positive"):
        variable_axis_size_partitioner(**arguments, bytes_per_string_element=bytes_per_string_element)


def test_parts_of_at_least_so_many_bytes() -> None:
    assert min_max_variable_partitioner(16)(shape=(1024, 1024), dtype="float32") == [16, 1]
    assert min_max_variable_partitioner(10)(shape=(1024, 1024), dtype="float32") == [10, 1]
    assert min_max_variable_partitioner(10, min_slice_size=1)(shape=(3, 9), dtype="float32") == [3, 1]
    assert min_max_variable_partitioner(10)(shape=(0, 9), dtype="float32") == [1, 1]


def test_a_dimension_that_is_not_there_can_not_be_cut() -> None:
    with pytest.raises(ValueError, match="can't be cut along dimension 2"):
        min_max_variable_partitioner(axis=2)(shape=(3, 9), dtype="float32")


@pytest.mark.parametrize(
    ("shape", "partitions"), [(None, [1]), ((), []), ((None, 2), [1, 1]), ((4,), [2, 1]), ((4, 4), [2, 2]), ((4,), [0])]
)
def test_partitions_that_are_none_are_refused(shape: Any, partitions: list[int]) -> None:
    with pytest.raises(ValueError, match="'w'"):
        partitions_of("w", shape, "float32", lambda **_: partitions)


def test_slices_cover_the_whole_and_the_first_take_what_is_left_over() -> None:
    assert [info.spec for info in slices_of("w", (7, 2), [3, 1])] == ["7 2 0,3:0,2", "7 2 3,2:0,2", "7 2 5,2:0,2"]
    assert [info.spec for info in slices_of("w", (7, 2), [1, 1])] == ["7 2 0,7:0,2"]


@pytest.mark.parametrize(("shape", "partitions"), [((2,), [3]), ((0, 3), [1, 1]), ((3, 0), [3, 1])])
def test_slices_without_elements_are_refused(shape: tuple[int, ...], partitions: list[int]) -> None:
    with pytest.raises(ValueError, match="parts that have elements"):
        list(slices_of("w", shape, partitions))
