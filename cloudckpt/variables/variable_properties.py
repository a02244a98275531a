"""What a variable is: its name, dtype, shape and place, and its nodes in a graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.own_value import OwnValue
from cloudckpt.variables.shape import known_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
    from cloudckpt.variables.shape import PartialShape, Shape
    from cloudckpt.variables.variable_nodes import VariableNodes

__all__ = ["EagerOperation", "VariableProperties"]

_Node = TypeVar("_Node")


@dataclass(frozen=True, slots=True)
class EagerOperation:
    """What stands for the operation of a variable that is in no graph."""

    name: str
    device: str
    type: str = "VariableV2"


class VariableProperties(OwnValue):
    """What is said of a variable once, when it is made.

    Args:
        nodes: what it is in its graph; what stands for its operation where it is in none.
        data_type: the dtype of its elements.
        shape: as it is declared.
        trainable: whether it is to be trained.
        own: its own value; None if it has none yet.
    """

    save_slice_info: SaveSliceInfo | None = None
    """the slice of a larger tensor that it is, if it is one: a checkpoint holds it as that"""
    synchronization: int = 0
    """when TensorFlow brings copies of it on several devices together, as an imported graph says: a number of
    core/framework/variable.proto"""
    aggregation: int = 0
    """and how"""

    def __init__(
        self,
        nodes: VariableNodes | EagerOperation,
        data_type: DataType,
        shape: PartialShape,
        trainable: bool,
        own: NDArray[Any] | None,
    ) -> None:
        self._nodes = None if isinstance(nodes, EagerOperation) else nodes
        self._operation = nodes if isinstance(nodes, EagerOperation) else nodes.variable
        self._data_type = data_type
        self._shape = known_shape(shape)
        self._trainable = trainable
        self._own = own

    @property
    def name(self) -> str:
        """The name of its tensor, such as "scope/w:0"."""
        return f"{self._operation.name}:0"

    @property
    def op(self) -> Operation | EagerOperation:
        """Its operation; of a variable that is in no graph what has such a one's name and device."""
        return self._operation

    @property
    def device(self) -> str:
        """Where it is, such as "/job:ps/task:0/device:CPU:1"; "" if nothing was said."""
        return self._operation.device

    @property
    def dtype(self) -> DType:
        """The dtype of its elements, equal to NumPy's and TensorFlow's of the same name."""
        return DType(self._data_type)

    @property
    def data_type(self) -> DataType:
        """The dtype of its elements by TensorFlow's number."""
        return self._data_type

    @property
    def shape(self) -> Shape | None:
        """As it is declared: None for a dimension that is unknown, and for a shape of unknown rank."""
        return self._shape

    def get_shape(self) -> Shape | None:
        """`shape`, by TensorFlow's older name."""
        return self._shape

    @property
    def trainable(self) -> bool:
        """Whether it was made as a trainable variable."""
        return self._trainable

    @property
    def graph(self) -> Graph | None:
        """The graph that it is in; None if it is in none."""
        return self._operation.graph if isinstance(self._operation, Operation) else None

    @property
    def initializer(self) -> Operation:
        """The operation that sets it to its initial value in a session.

        Raises:
            RuntimeError: it is in no graph, or in an imported one that doesn't say.
        """
        return self._known("initializer", None if self._nodes is None else self._nodes.initializer)

    @property
    def initial_value(self) -> Tensor:
        """The tensor that its initializer assigns.

        Raises:
            RuntimeError: it is in no graph, or in an imported one that doesn't say.
        """
        return self._known("initial value", None if self._nodes is None else self._nodes.initial_value)

    def initialized_value(self) -> Any:
        """What to make another variable of, so that both begin alike: the initial value, as a tensor in a graph."""
        return self.numpy() if self._nodes is None else self.initial_value

    def begin_with(self, initial_value: Tensor, initializer: Operation, value: NDArray[Any]) -> None:
        """Have another initial value, which becomes its own value, too.

        Args:
            initial_value: a tensor of its graph that TensorFlow computes, and a `Session` takes for `value`.
            initializer: the operation that assigns it.
            value: of the variable's dtype and shape; nobody may write to it any more.

        Raises:
            RuntimeError: it is in no graph.
        """
        nodes = self._known("initializer", self._nodes)
        self.take_over(value)
        initial_value.graph.values_beside[initial_value.op.name] = self.own_value
        self._nodes = replace(nodes, initial_value=initial_value, initializer=initializer)

    @property
    def snapshot(self) -> Tensor:
        """The tensor that reads it, "scope/w/read:0".

        Raises:
            RuntimeError: it is in no graph, or in an imported one that doesn't say.
        """
        return self._known("snapshot", None if self._nodes is None else self._nodes.snapshot)

    def _known(self, part: str, node: _Node | None) -> _Node:
        if node is None:
            place = "no graph" if self._nodes is None else "an imported graph that doesn't name it"
            raise RuntimeError(f"variable {self.name!r} has no {part}: it is in {place}")
        return node

    def _as_graph_element(self) -> Tensor:
        if self._nodes is None:
            raise ValueError(f"variable {self.name!r} is in no graph, so no session has a value of it")
        return Tensor(self._nodes.variable, 0)

    def __repr__(self) -> str:
        value = "" if self._nodes is not None else f", numpy={self.own_value!r}"
        return f"<cloudckpt.Variable {self.name!r} shape={self._shape} dtype={self.dtype.name}{value}>"
