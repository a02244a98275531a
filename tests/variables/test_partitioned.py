"""Partitioned variables: their parts, the whole, and assigning to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.partitions.partitioned import PartitionedVariable
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.variable import Variable

TABLE = np.arange(21, dtype=np.float32).reshape(7, 3)


def part(start: int, stop: int, name: str = "w") -> Variable:
    variable = Variable(TABLE[start:stop], name=f"{name}/part_{start}")
    variable.save_slice_info = SaveSliceInfo(name, TABLE.shape, (start, 0), (stop - start, 3))
    return variable


def whole() -> PartitionedVariable:
    return PartitionedVariable("w", TABLE.shape, tf.float32, [part(4, 7), part(0, 3), part(3, 4)], [3, 1])


def test_parts_are_in_the_order_of_their_offsets() -> None:
    assert [each.name for each in whole()] == ["w/part_0:0", "w/part_3:0", "w/part_4:0"]
    assert len(whole()) == 3


def test_it_says_what_the_whole_is() -> None:
    variable = whole()
    assert (variable.name, variable.shape, variable.dtype, variable.partitions) == ("w", (7, 3), np.float32, [3, 1])
    assert "'w'" in repr(variable)


def test_the_whole_is_an_array_of_the_parts_own_values() -> None:
    for value in (whole().as_tensor(), whole().numpy(), np.asarray(whole()), np.array(whole(), np.float64)):
        np.testing.assert_array_equal(value, TABLE)
    with pytest.raises(ValueError, match="without a copy"):
        np.array(whole(), copy=False)


@pytest.mark.parametrize("value", [-TABLE, [-TABLE[:3], -TABLE[3:4], -TABLE[4:]]], ids=["whole", "parts"])
def test_assign_gives_each_part_its_slice(value: Any) -> None:
    variable = whole()
    assert [id(each) for each in variable.assign(value)] == [id(each) for each in variable]
    np.testing.assert_array_equal(variable.numpy(), -TABLE)


def test_assign_takes_another_partitioned_variable() -> None:
    variable, other = whole(), whole()
    other.assign(-TABLE)
    variable.assign(other)
    np.testing.assert_array_equal(variable.numpy(), -TABLE)


def test_assign_add_and_assign_sub_change_each_part() -> None:
    variable = whole()
    variable.assign_add(TABLE)
    np.testing.assert_array_equal(variable.numpy(), 2 * TABLE)
    variable.assign_sub(TABLE)
    np.testing.assert_array_equal(variable.numpy(), TABLE)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="can't be assigned to 'w'"):
        whole().assign(TABLE.T)
    with pytest.raises(ValueError, match="has 3 parts, and there are 2 values"):
        whole().assign([TABLE[:4], TABLE[4:]])


def test_in_a_graph_a_session_runs_what_is_asked_of_it() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable("w", TABLE.shape, partitioner=tf.fixed_size_partitioner(2))
        tensor = variable.as_tensor()
        with pytest.raises(InvalidArgumentError):
            session.run(tensor)
        session.run(variable.assign(tf.constant(TABLE)))
        np.testing.assert_array_equal(session.run(tensor), TABLE)
        session.run(variable.assign_add(TABLE, read_value=False))
        np.testing.assert_array_equal(session.run(tensor), 2 * TABLE)
        assert not np.array_equal(variable.numpy(), TABLE)


def test_parts_and_partitions_must_be_lists() -> None:
    with pytest.raises(TypeError, match="variable_list must be a list"):
        PartitionedVariable("w", (7, 3), tf.float32, iter([part(0, 7)]), [1, 1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="partitions must be a list"):
        PartitionedVariable("w", (7, 3), tf.float32, [part(0, 7)], "11")  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "partitions"), [(0, [1, 1]), (1, [1]), (1, [0, 1])])
def test_parts_must_be_there_along_each_dimension(count: int, partitions: list[int]) -> None:
    with pytest.raises(ValueError, match="a partitioned variable has parts"):
        PartitionedVariable("w", (7, 3), tf.float32, [part(0, 7)] * count, partitions)


def test_parts_must_say_which_slices_of_the_whole_they_are() -> None:
    with pytest.raises(ValueError, match="'Variable:0' does not say"):
        PartitionedVariable("w", (7, 3), tf.float32, [Variable(TABLE)], [1, 1])
    with pytest.raises(ValueError, match="must be a slice of a whole of shape"):
        PartitionedVariable("w", (8, 3), tf.float32, [part(0, 7)], [1, 1])


def test_what_is_cut_along_two_dimensions_is_a_list_of_parts_and_is_not_put_together() -> None:
    quarters = []
    for row in (0, 1):
        for column in (0, 1):
            variable = Variable([[1.0]])
            variable.save_slice_info = SaveSliceInfo("w", (2, 2), (row, column), (1, 1))
            quarters.append(variable)
    cut = PartitionedVariable("w", (2, 2), tf.float32, quarters, [2, 2])
    assert [id(each) for each in list(cut)] == [id(each) for each in quarters]
    assert len(cut) == 4
    for act in (cut.as_tensor, cut.numpy, lambda: cut.assign(np.zeros((2, 2)))):
        with pytest.raises(NotImplementedError, match="cut along 2 dimensions"):
            act()
