"""What the holders of all frameworks' variables share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo, save_slice_info_of

__all__ = ["ForeignHolder", "known_shape"]


@dataclass(frozen=True, slots=True, eq=False)
class ForeignHolder:
    """A holder without name and device, which is assigned and written to, unless its framework knows better."""

    thing: Any

    @property
    def name(self) -> str:
        return ""

    @property
    def shape(self) -> tuple[int, ...] | None:
        return known_shape(self.thing.shape)

    @property
    def device(self) -> str:
        return ""

    @property
    def save_slice_info(self) -> SaveSliceInfo | None:
        return save_slice_info_of(self.thing)

    @property
    def assignable(self) -> bool:
        return True

    @property
    def frozen(self) -> bool:
        return False


def known_shape(shape: Any) -> tuple[int, ...] | None:
    """A framework's shape as a tuple; None where it is not fully known."""
    try:
        sizes = tuple(shape)
    except (TypeError, ValueError):  # a TensorShape of unknown rank, or no shape at all
        return None
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        return None
    return tuple(int(size) for size in sizes)
