"""Checkpoints that `save` would not write: any structure text beside any tensors."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.objects.trees.structure import STRUCTURE_TENSOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def objects(*elements: object) -> np.ndarray:
    """A vector of Python objects."""
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


def written(text: bytes | NDArray, tensors: Mapping[str, NDArray] | None = None) -> str:
    """The prefix of a new checkpoint in memory, with that structure and those tensors."""
    prefix = f"memory://{uuid.uuid4().hex}/ckpt"
    structure = objects(text).reshape(()) if isinstance(text, bytes) else text
    with open_prefix(prefix, None) as location:
        save_tensors(location, {**(tensors or {}), STRUCTURE_TENSOR: structure})
    return prefix
