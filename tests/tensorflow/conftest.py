"""Real TensorFlow, and the files that real programs wrote with it."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.servers import missing_part


def require_tensorflow() -> Any:
    """The module; where it is missing the test is skipped, and fails in CI."""
    if importlib.util.find_spec("tensorflow") is None:
        missing_part("TensorFlow", "pip install 'cloudckpt[test]'")
    with warnings.catch_warnings():
        # Its own warnings while it is imported are none of ours.
        warnings.simplefilter("ignore")
        import tensorflow as tf
    return tf


def require_tf_keras() -> Any:
    """The module of Keras 2; where it is missing the test is skipped, and fails in CI."""
    require_tensorflow()
    if importlib.util.find_spec("tf_keras") is None:
        missing_part("tf_keras", "pip install --no-deps tf_keras, of TensorFlow's version")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tf_keras
    return tf_keras


def require_real_checkpoints() -> Path:
    """The folder of checkpoints from public repositories; where it is missing the test is skipped, and fails in CI."""
    folder = os.environ.get("CLOUDCKPT_REAL_CHECKPOINTS")
    if not folder or not Path(folder).is_dir():
        missing_part("checkpoints of real programs", "set CLOUDCKPT_REAL_CHECKPOINTS to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def tf() -> Any:
    return require_tensorflow()


@pytest.fixture(scope="session")
def tf_keras() -> Any:
    return require_tf_keras()


@pytest.fixture(scope="session")
def real_checkpoints() -> Path:
    return require_real_checkpoints()
