"""Frameworks that a user need not have to run the tests, and CI must."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

from tests.servers import missing_part

__all__ = ["has_gpu", "require_torch"]


def require_torch() -> Any:
    """The module; where it is missing the test, or the module of tests, is skipped, and fails in CI."""
    if importlib.util.find_spec("torch") is None:
        missing_part("PyTorch", "pip install 'cloudckpt[torch]', which brings gigabytes of CUDA on Linux")
    with warnings.catch_warnings():
        # Its own warnings while it is imported are none of ours.
        warnings.simplefilter("ignore")
        return importlib.import_module("torch")


def has_gpu(torch: Any) -> bool:
    """Whether torch finds a GPU; it warns when it looks, where TensorFlow has looked before and found none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(torch.cuda.is_available())
