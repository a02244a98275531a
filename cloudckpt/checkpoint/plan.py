"""Where each tensor will stand: which data file, at which offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.names import tensor_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudckpt.checkpoint.sources import TensorSource

__all__ = ["PlannedTensor", "ShardPlan", "plan_shards"]


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """One tensor and the offset (bytes) of its first byte in its data file."""

    name: str
    source: TensorSource
    offset: int

    @property
    def end(self) -> int:
        """The offset of the byte after its last one."""
        return self.offset + self.source.size


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One data file: its tensors in order of their offsets, zeros between them where they are aligned."""

    tensors: Sequence[PlannedTensor]

    @property
    def size(self) -> int:
        """Bytes in the data file."""
        return self.tensors[-1].end if self.tensors else 0


def plan_shards(sources: Mapping[str, TensorSource], *, alignment: int = 1, shards: int = 1) -> list[ShardPlan]:
    """Lay tensors out in order of their names' UTF-8 bytes, over at most `shards` data files of about equal size.

    Args:
        sources: the tensors by name.
        alignment: offsets of tensors of at least so many bytes are multiples of it, for readers that map the file.
            With 1 the data file is the one that TensorFlow writes.
        shards: how many data files to spread them over. A tensor is never cut.
    """
    total = sum(source.size for source in sources.values())
    plans: list[list[PlannedTensor]] = [[]]
    done = 0
    for name in sorted(sources, key=tensor_key):
        source = sources[name]
        if len(plans) < shards and done >= total * len(plans) / shards:
            plans.append([])
        end = plans[-1][-1].end if plans[-1] else 0
        offset = -(-end // alignment) * alignment if source.size >= alignment else end
        plans[-1].append(PlannedTensor(name, source, offset))
        done += source.size
    return [ShardPlan(tensors) for tensors in plans if tensors]
