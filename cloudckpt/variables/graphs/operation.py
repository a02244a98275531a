"""The nodes of a graph, as plain records, and the tensors that they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.sessions.default_session import session_for
from cloudckpt.variables.shape import UNKNOWN_RANK, UnknownRank, declared_shape, known_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.traceback import Frame
    from cloudckpt.variables.shape import Shape

__all__ = ["UNKNOWN_RANK", "Operation", "Tensor", "UnknownRank"]

_SHAPED_AS_INPUT = frozenset({"Assign", "AssignAdd", "AssignSub", "Identity", "ReadVariableOp"})


@dataclass(slots=True, eq=False)
class Operation:
    """One node of a graph: what its NodeDef says. It computes nothing; a `Session` knows what some types do.

    Attributes:
        name: unique in its graph, with its name scopes, such as "scope/w".
        type: the name of TensorFlow's op, such as "VariableV2".
        inputs: as a NodeDef has them: "w" or "w:0", "w:1", "^init" for a control dependency.
        device: as TensorFlow's NodeDef has it, such as "/job:ps/task:0/device:CPU:1"; "" where none was asked for.
        attrs: by name, as Python values: a `DataType` is a type, a tuple of integers and None or `UNKNOWN_RANK` is a
            shape, a NumPy array is a tensor, str and bytes are strings, bool, int and float themselves, a list is a
            list of those.
        graph: the graph that it is a node of.
        definition: of an imported operation its NodeDef message, which says all and which `name`, `inputs` and
            `device` are kept in step with; None for our own.
        traceback: the user's frames that made it, innermost last.
    """

    name: str
    type: str
    inputs: tuple[str, ...] = ()
    device: str = ""
    attrs: Mapping[str, object] = field(default_factory=dict, repr=False)
    definition: Any = field(default=None, repr=False)
    graph: Graph = field(kw_only=True, repr=False)
    traceback: tuple[Frame, ...] = field(default=(), kw_only=True, repr=False)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors that it gives, as far as that is known here: none of a NoOp, one of any other of ours."""
        return () if self.type == "NoOp" else (Tensor(self, 0),)

    @property
    def control_inputs(self) -> tuple[Operation, ...]:
        """The operations that must run before it, though it takes no tensor from them."""
        names = (name[1:] for name in self.inputs if name.startswith("^"))
        return tuple(self.graph.get_operation_by_name(name) for name in names)

    def run(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> None:
        """Run it in a session: the default one if none is given.

        Raises:
            ValueError: there is no default session, or the session's graph is another one.
        """
        session_for(self.graph, session, f"execute operation {self.name!r}").run(self, feed_dict)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output of an operation."""

    op: Operation
    value_index: int

    @property
    def name(self) -> str:
        """The operation's name and the number of the output, such as "w:0"."""
        return f"{self.op.name}:{self.value_index}"

    @property
    def graph(self) -> Graph:
        """The graph of its operation."""
        return self.op.graph

    @property
    def dtype(self) -> DType | None:
        """Of its elements; None where the attributes of its operation don't say it."""
        data_type = self.op.attrs.get("dtype", self.op.attrs.get("T"))
        return DType(data_type) if isinstance(data_type, DataType) else None

    @property
    def device(self) -> str:
        """The device of its operation."""
        return self.op.device

    def get_shape(self) -> Shape | None:
        """`shape`, by TensorFlow's older name."""
        return self.shape

    @property
    def shape(self) -> Shape | None:
        """What is known of its shape: None for a dimension, or all of it, that is not."""
        operation, seen = self.op, {self.op.name}
        while operation.type in _SHAPED_AS_INPUT and operation.inputs:
            operation = self.graph.get_operation_by_name(operation.inputs[0].partition(":")[0])
            if operation.name in seen:
                return None  # an imported graph may have any edges
            seen.add(operation.name)
        return known_shape(declared_shape(operation))

    def eval(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> Any:
        """Its value in a session: the default one if none is given.

        Raises:
            ValueError: there is no default session, or the session's graph is another one.
        """
        return session_for(self.graph, session, f"evaluate tensor {self.name!r}").run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<cloudckpt.Tensor {self.name!r} of {self.op.type}>"
