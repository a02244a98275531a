"""Where a SavedModel has its checkpoint. Source: python/saved_model/path_helpers.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import ObjectNotFoundError
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checkpoint_of_saved_model"]

MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


def checkpoint_of_saved_model(
    directory: str, storage_options: Mapping[str, Any] | None, timeout: float | None = None
) -> str | None:
    """The prefix of the checkpoint that a SavedModel's directory has; None if it is none. Two requests at most.

    Raises:
        StorageError: the store failed.
    """
    with time_limit(timeout), open_location(directory, storage_options) as location:
        for name in MODEL_FILES:
            try:
                location.store.stat(location.child(name).key)
            except ObjectNotFoundError:
                continue
            return os.path.join(directory, "variables", "variables")
    return None
