"""Metrics: what is taken, how it stands in JSON, and which is the best."""

from __future__ import annotations

import json
import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.state.metrics import best_first, checked_metrics, metrics_from_json, metrics_to_json


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.25, 0.25),
        (3, 3.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.array(0.5), 0.5),
        (ml_dtypes.bfloat16(0.5), 0.5),
        (np.int64(7), 7.0),
        (math.inf, math.inf),
    ],
)
def test_numbers_of_any_kind(value: Any, expected: float) -> None:
    found = checked_metrics({"loss": value})
    assert found == {"loss": expected}
    assert type(found["loss"]) is float


@pytest.mark.parametrize(
    ("metrics", "error"),
    [
        ({"loss": "0.3"}, TypeError),
        ({"loss": b"0.3"}, TypeError),
        ({"loss": None}, TypeError),
        ({"loss": np.zeros(2)}, TypeError),
        ({"loss": 1j}, TypeError),
        ({3: 0.3}, TypeError),
        ({"loss": 10**400}, ValueError),
        ({"\ud800": 0.3}, ValueError),
    ],
)
def test_others_are_refused(metrics: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        checked_metrics(metrics)


@given(st.dictionaries(st.text(), st.floats()))
def test_they_come_back_from_strict_json_bit_for_bit(metrics: dict[str, float]) -> None:
    text = json.dumps(metrics_to_json(metrics), allow_nan=False)
    found = metrics_from_json(json.loads(text))
    assert found.keys() == metrics.keys()
    assert all(
        found[name] == value or (math.isnan(value) and math.isnan(found[name])) for name, value in metrics.items()
    )


@pytest.mark.parametrize(
    "found", [None, [], "loss", 3, {"loss": None}, {"loss": "0.3"}, {"loss": []}, {"loss": True}, {"loss": 10**400}]
)
def test_other_json_is_no_metrics(found: object) -> None:
    with pytest.raises(ValueError):
        metrics_from_json(found)


def test_the_best_first_of_equal_ones_the_later() -> None:
    rated = [({"loss": value}, name) for name, value in zip("abcdef", (3, 1, math.nan, 1, -math.inf, 2), strict=True)]
    assert best_first([*rated, ({}, "g"), ({"other": 0.0}, "h")], "loss", "min") == ["e", "d", "b", "f", "a"]
    assert best_first(rated, "loss", "max") == ["a", "f", "d", "b", "e"]
    assert best_first([], "loss", "max") == []
