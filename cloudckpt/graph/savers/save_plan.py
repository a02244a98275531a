"""What a saver saves and restores: tensors of a graph by their keys in the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SavePlan", "SavedShard", "SavedTensor"]


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """One tensor, or one slice of one, that a saver writes or restores.

    Attributes:
        name: its key in the checkpoint.
        slice_spec: the slice of it, such as "4 3 0,2:0,3"; "" for the whole.
        source: the tensor of the graph that a save writes, "w" or "w:0"; "" of what is only restored.
        data_type: TensorFlow's number of its dtype.
        shape: of the variable, None where it is not, or not fully, known.
        variable: the name of the operation that it is the value of, and that a restore assigns it to; "" where it is
            no variable's, such as the keys of a hash table: `source` then tells what it is.
    """

    name: str
    slice_spec: str
    source: str
    data_type: int
    shape: tuple[int, ...] | None
    variable: str


@dataclass(frozen=True, slots=True)
class SavedShard:
    """The tensors that one device writes."""

    device: str
    tensors: tuple[SavedTensor, ...]


@dataclass(frozen=True, slots=True)
class SavePlan:
    """What a saver's nodes do, found in a graph.

    Attributes:
        shards: what a save writes, by the file that it goes to.
        restored: what a restore assigns, in the order of the nodes.
        sharded: whether a save writes a file for every shard.
        version: 1 or 2, of the format that a save writes.
        filename: the prefix that a save takes when none is fed; "" if it must be fed.
        constants: the values of those sources that are constants of the graph, such as TensorFlow 2's object graph.
    """

    shards: tuple[SavedShard, ...]
    restored: tuple[SavedTensor, ...]
    sharded: bool
    version: int
    filename: str
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict, compare=False)
