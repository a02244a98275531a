"""What a saver of an imported graph saves and restores, as its nodes say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec, VariableSaveable
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.holder import as_holder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.graph.savers.save_plan import SavedTensor
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

__all__ = ["ImportedSaver"]


@dataclass(frozen=True)
class NodeHolder:
    """A node of a graph whose value a session has: a variable's, or a tensor that is none, as the keys of a table."""

    graph: Graph
    name: str
    data_type: DataType
    shape: tuple[int, ...] | None
    variables: Mapping[str, Any]
    """the graph's variables, by the names of their operations"""

    device = ""
    save_slice_info: SaveSliceInfo | None = None
    assignable = True
    frozen = False  # nobody asks, of what a saver saves at once

    @property
    def thing(self) -> Any:
        """See `Holder.thing`."""
        return self.variables.get(self.name, self)

    def read(self) -> NDArray[Any]:
        """See `Holder.read`."""
        array: NDArray[Any] = self._own().read()
        return array

    def assign(self, array: NDArray[Any]) -> None:
        """See `Holder.assign`."""
        self._own().assign(array)

    def _own(self) -> Any:
        if (holder := as_holder(self.variables.get(self.name))) is None:
            raise InvalidArgumentError(
                f"{self.name!r} is no variable in a collection of its graph, so only a session has its value: pass a "
                "Session",
                tensor=self.name,
            )
        return holder


class NodeSaveable(VariableSaveable):
    """What is saved of one node, and assigned to it."""

    def __init__(self, holder: NodeHolder, slice_spec: str, name: str) -> None:
        self.holder = holder
        SaveableObject.__init__(self, holder.thing, [SaveSpec(holder, slice_spec, name, holder.data_type, "")], name)


class ImportedSaver:
    """The saveables that the nodes of a saver stand for.

    Args:
        graph: which has the nodes.
        saver_def: which names them.

    Raises:
        InvalidArgumentError: they are not there, or fit no saver.
    """

    def __init__(self, graph: Graph, saver_def: Any) -> None:
        self._graph = graph
        self._plan = find_saver_operations(graph, saver_def)

    @property
    def shards(self) -> Sequence[Sequence[SaveableObject]]:
        """What a save writes: a group a file."""
        return [[self._saveable(tensor) for tensor in shard.tensors] for shard in self._plan.shards]

    @property
    def restored(self) -> Sequence[SaveableObject]:
        """What a restore assigns."""
        return [self._saveable(tensor) for tensor in self._plan.restored]

    @property
    def sharded(self) -> bool:
        """Whether a save writes a file for every shard."""
        return self._plan.sharded

    @property
    def write_version(self) -> int:
        """The format that a save writes, `SaverDef.V1` or `SaverDef.V2`."""
        return self._plan.version

    @cached_property
    def _variables(self) -> dict[str, Any]:
        keys = (GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES, GraphKeys.MODEL_VARIABLES)
        found = [variable for key in keys for variable in self._graph.get_collection(key)]
        return {variable.op.name: variable for variable in found if hasattr(variable, "op")}

    def _saveable(self, tensor: SavedTensor) -> SaveableObject:
        if (constant := self._plan.constants.get(tensor.source)) is not None:
            spec = SaveSpec(constant, tensor.slice_spec, tensor.name, tensor.data_type, "")
            return SaveableObject(None, [spec], tensor.name)
        name = tensor.variable or tensor.source
        holder = NodeHolder(self._graph, name, DataType(tensor.data_type), tensor.shape, self._variables)
        return NodeSaveable(holder, tensor.slice_spec, tensor.name)
