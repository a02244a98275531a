"""Initial values: constants, random numbers and their seeds."""

from __future__ import annotations

from math import sqrt
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

RANDOM: dict[str, Any] = {
    "random_uniform": tf.random_uniform_initializer,
    "random_normal": tf.random_normal_initializer,
    "truncated_normal": tf.truncated_normal_initializer,
    "glorot_uniform": tf.glorot_uniform_initializer,
    "glorot_normal": tf.glorot_normal_initializer,
}
MANY = (200, 300)


@pytest.mark.parametrize(
    ("dtype", "zero", "one"),
    [("float32", 0, 1), ("int8", 0, 1), ("bool", False, True), ("bfloat16", 0, 1), ("complex64", 0, 1)],
)
def test_zeros_and_ones(dtype: str, zero: Any, one: Any) -> None:
    for initializer, value in ((tf.zeros_initializer(), zero), (tf.ones_initializer(), one)):
        array = initializer([2, 3], dtype)
        assert array.dtype == tf.as_dtype(dtype).as_numpy_dtype
        assert array.tolist() == np.full((2, 3), value, array.dtype).tolist()


def test_zeros_of_strings_are_empty() -> None:
    assert tf.zeros_initializer(tf.string)([2]).tolist() == [b"", b""]


@pytest.mark.parametrize("make", [tf.zeros_initializer, tf.ones_initializer, tf.constant_initializer, *RANDOM.values()])
def test_the_dtype_is_what_it_is_called_with_or_was_made_with(make: Any) -> None:
    assert make()([2]).dtype == np.float32
    assert make(dtype=tf.float64)([2]).dtype == np.float64
    assert make(dtype=tf.float64)([2], tf.bfloat16).dtype == ml_dtypes.bfloat16


def test_a_constant_is_repeated() -> None:
    assert tf.constant_initializer(7)([2, 2], tf.int32).tolist() == [[7, 7], [7, 7]]
    assert tf.constant_initializer([1, 2, 3])([2, 2]).tolist() == [[1, 2], [3, 3]]
    assert tf.constant_initializer([[1, 2], [3, 4]])([4]).tolist() == [1, 2, 3, 4]
    assert tf.constant_initializer(b"x", tf.string)([2]).tolist() == [b"x", b"x"]


@pytest.mark.parametrize("value", [[1, 2, 3], []])
def test_a_constant_that_can_not_fill_the_shape_is_refused(value: list[int]) -> None:
    with pytest.raises(ValueError, match="can't fill an array of shape"):
        tf.constant_initializer(value)([2])


def test_a_constant_of_another_shape_is_refused_where_that_is_asked() -> None:
    assert tf.constant_initializer([1, 2], verify_shape=True)([2]).tolist() == [1, 2]
    with pytest.raises(TypeError, match="of shape"):
        tf.constant_initializer([1, 2], verify_shape=True)([2, 1])


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_repeats_random_numbers(name: str) -> None:
    make = RANDOM[name]
    first, again, other, none, never = (make(seed=seed)([5, 4]) for seed in (7, 7, -8, None, None))
    np.testing.assert_array_equal(first, again)
    for one, two in ((first, other), (first, none), (none, never)):
        assert not np.array_equal(one, two)


@pytest.mark.parametrize("name", RANDOM)
def test_parts_of_one_shape_get_other_numbers(name: str) -> None:
    initializer = RANDOM[name](seed=7)
    first, second = (
        initializer([2, 4], partition_info=SaveSliceInfo("w", [4, 4], [start, 0], [2, 4])) for start in (0, 2)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("dtype", ["string", "bool", "complex64"])
def test_random_numbers_are_of_fractions(name: str, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"can't be of {dtype}"):
        RANDOM[name]()([2], dtype)


def test_uniform_numbers_are_between_their_limits() -> None:
    drawn = tf.random_uniform_initializer(-3.0, 5.0, seed=1)(MANY)
    assert -3.0 <= drawn.min() < -2.9
    assert 4.9 < drawn.max() <= 5.0
    whole = tf.random_uniform_initializer(-3, 5, seed=1)(MANY, tf.int32)
    assert set(whole.ravel().tolist()) == set(range(-3, 5))
    with pytest.raises(ValueError, match="need a maxval"):
        tf.random_uniform_initializer()([2], tf.int32)


def test_normal_numbers_have_their_mean_and_deviation() -> None:
    drawn = tf.random_normal_initializer(3.0, 0.5, seed=1)(MANY)
    assert drawn.mean() == pytest.approx(3.0, abs=0.02)
    assert drawn.std() == pytest.approx(0.5, abs=0.02)


def test_truncated_numbers_are_within_two_deviations() -> None:
    drawn = tf.truncated_normal_initializer(3.0, 0.5, seed=1)(MANY)
    assert np.abs(drawn - 3.0).max() <= 1.0 + 1e-6
    assert drawn.std() == pytest.approx(0.5 * 0.8796, abs=0.01)
    assert tf.truncated_normal_initializer(seed=1)([]).shape == ()


@pytest.mark.parametrize(
    ("shape", "units"), [([], 1.0), ([400], 400.0), ([200, 300], 250.0), ([3, 5, 100, 200], 15 * 150.0)]
)
def test_glorots_numbers_narrow_with_the_units_that_they_connect(shape: list[int], units: float) -> None:
    deviation = sqrt(1 / units)
    uniform, normal = (make(seed=1)(shape) for make in (tf.glorot_uniform_initializer, tf.glorot_normal_initializer))
    assert np.abs(uniform).max() <= sqrt(3) * deviation
    assert np.abs(normal).max() <= 2 * deviation / 0.8796 + 1e-6
    if uniform.size > 10_000:
        assert uniform.std() == pytest.approx(deviation, rel=0.03)
        assert normal.std() == pytest.approx(deviation, rel=0.03)


def test_glorots_numbers_of_a_part_are_those_of_the_whole() -> None:
    info = SaveSliceInfo("w", [20_000, 300], [0, 0], [2, 300])
    drawn = tf.glorot_uniform_initializer(seed=1)([2, 300], partition_info=info)
    assert np.abs(drawn).max() <= sqrt(6 / 20_300)
