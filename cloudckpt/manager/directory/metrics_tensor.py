"""Metrics inside a checkpoint: a reserved string tensor, so that they outlive the state file."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, CheckpointVersionError, StorageError
from cloudckpt.state.metrics import metrics_from_json, metrics_to_json
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.storage.location import Location

__all__ = ["METRICS_TENSOR", "find_metrics", "metrics_tensors", "read_metrics"]

METRICS_TENSOR = "_CLOUDCKPT_METRICS"
MOST_BYTES = 1 << 20
"""Of a text that is no longer than that metrics are read."""

logger = logging.getLogger(__name__)


def metrics_tensors(metrics: Mapping[str, float]) -> dict[str, NDArray[Any]]:
    """The tensor that holds metrics, by its name: their JSON object as a string; none for no metrics.

    Raises:
        ValueError: they are too long to be read again.
    """
    if not metrics:
        return {}
    text = json.dumps(metrics_to_json(metrics), ensure_ascii=False).encode()
    if len(text) > MOST_BYTES:
        raise ValueError(f"metrics take {len(text)} bytes as JSON, and {MOST_BYTES} at most: put them into the tree")
    return {METRICS_TENSOR: np.array(text, object)}


def read_metrics(prefix: Location, files: PrefixFiles | None = None) -> dict[str, float]:
    """The metrics in a checkpoint; empty if it was saved without. A GET of the index, a LIST, and a ranged GET or two.

    Raises:
        CheckpointNotFoundError: there is no such checkpoint.
        CheckpointDamagedError: it is damaged where that matters here, or its metrics are none.
        StorageError: the store failed.
    """
    return read_consistently(prefix, _read, files, whole=False)


def _read(checkpoint: OpenCheckpoint) -> dict[str, float]:
    entry = checkpoint.tensors.get(METRICS_TENSOR)
    if entry is None:
        return {}
    if entry.dtype != DataType.STRING or entry.shape != () or entry.size > MOST_BYTES + 64:
        raise _damaged(checkpoint, f"it has dtype {entry.dtype}, shape {entry.shape} and {entry.size} bytes")
    text = checkpoint.read_named([METRICS_TENSOR])[METRICS_TENSOR].item()
    try:
        return metrics_from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise _damaged(checkpoint, str(error)) from error


def _damaged(checkpoint: OpenCheckpoint, what: str) -> CheckpointDamagedError:
    url = checkpoint.prefix.url
    return CheckpointDamagedError(
        f"the tensor {METRICS_TENSOR!r} of {url!r} holds no metrics: {what}", path=url, tensor=METRICS_TENSOR
    )


def find_metrics(prefix: Location) -> dict[str, float] | None:
    """As `read_metrics`: empty where the checkpoint has none to tell, None where the store can't be asked now."""
    try:
        return read_metrics(prefix)
    except (CheckpointNotFoundError, CheckpointDamagedError, CheckpointVersionError) as error:
        logger.warning("%s has no metrics that can be read: %s", prefix.url, error)
        return {}
    except StorageError as error:
        logger.warning("the metrics of %s can't be looked up now; the next save tries again: %s", prefix.url, error)
        return None
