"""Metrics that are saved with a checkpoint, such as `{"loss": 0.3}`: checked, as JSON, and compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["best_first", "checked_metrics", "metrics_from_json", "metrics_to_json"]

Named = TypeVar("Named")

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def checked_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as Python's floats.

    Args:
        metrics: numbers by name, of any type that `float` takes but str: also NumPy's and JAX's scalars, NaN, infinity.

    Raises:
        TypeError: a name is no str, or a value no number.
        ValueError: a name is not valid UTF-8, or an int too large for a float.
    """
    return {_checked_name(name): _checked_value(name, value) for name, value in metrics.items()}


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a metric's name is a str, got {name!r}")
    name.encode()
    return name


def _checked_value(name: str, value: Any) -> float:
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except OverflowError as error:
        raise ValueError(f"the metric {name!r} is too large for a float") from error
    except (TypeError, ValueError) as error:
        raise TypeError(f"the metric {name!r} is no number: {error}") from error
    raise TypeError(f"the metric {name!r} is no number, got {value!r}")


def metrics_to_json(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as JSON has them, which knows no NaN and no infinity: those are "nan", "inf" and "-inf"."""
    return {name: value if math.isfinite(value) else repr(value) for name, value in metrics.items()}


def metrics_from_json(found: object) -> dict[str, float]:
    """The metrics that `metrics_to_json` made a JSON object of.

    Raises:
        ValueError: it is no such object.
    """
    if not isinstance(found, dict):
        raise ValueError("metrics are no JSON object")  # noqa: TRY004 - of text that anybody may have written
    return {name: _value_from_json(value) for name, value in found.items()}


def _value_from_json(value: object) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a metric is no number: {str(value)[:50]!r}")  # noqa: TRY004 - as above
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("a metric is too large for a float") from error


def best_first(rated: Iterable[tuple[Mapping[str, float], Named]], metric: str, mode: str) -> list[Named]:
    """What has a metric, the best first, of equal ones the later; what has none, or NaN, is left out.

    Args:
        rated: metrics, and whatever has them.
        metric: its name.
        mode: "min" where less is better, "max" where more is.
    """
    found = [(metrics[metric], named) for metrics, named in rated if not math.isnan(metrics.get(metric, math.nan))]
    sign = 1 if mode == "min" else -1
    latest_first = found[::-1]  # sorting leaves equal ones in their order
    return [named for _, named in sorted(latest_first, key=lambda pair: sign * pair[0])]
