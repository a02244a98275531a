"""A graph: operations by name, with what surrounds them when they are made, and collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.variables.graphs.graph_scopes import GraphScopes, valid_operation_name
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.graphs.stack import entered
from cloudckpt.variables.graphs.traceback import Frame, user_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from numpy.random import SeedSequence
    from numpy.typing import NDArray

__all__ = ["Graph"]


class Graph(GraphScopes):
    """What variables, savers and imported meta graphs put their operations into; it computes nothing itself.

    Within `with graph.as_default():` variables are made in it, with names made unique as TensorFlow makes them, name
    scopes, devices, control dependencies and collections. Several threads may add to it: scopes are each thread's own.

    Attributes:
        producer: the GraphDef version of the imported operations, 0 if there are none.
        min_consumer: the least GraphDef version of a program that can read them.
        library: the FunctionDefLibrary message of imported graphs, or None.
        op_defs: the OpDef messages of imported operations, by the name of the op.
        values_beside: what nodes of the graph's own give that is too large for a graph's file, or is there in a
            shorter form, by the operation's name: a `Session` takes them where nothing is fed.
        variable_scopes: what `get_variable` knows of this graph; None until it is asked.
        seeds: what random initial values without a seed of their own are drawn from; None for other ones in each run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._operations: dict[str, Operation] = {}
        self._tracebacks: dict[tuple[Frame, ...], tuple[Frame, ...]] = {}
        self.producer = 0
        self.min_consumer = 0
        self.library: Any = None
        self.op_defs: dict[str, Any] = {}
        self.values_beside: dict[str, NDArray[Any]] = {}
        self.variable_scopes: Any = None
        self.seeds: SeedSequence | None = None

    def as_default(self) -> AbstractContextManager[Graph]:
        """A `with` block within which this is the thread's default graph, and nothing executes eagerly."""
        return entered(self)

    def add_operation(
        self,
        type: str,
        name: str,
        *,
        inputs: Iterable[str | Tensor] = (),
        attrs: Mapping[str, object] | None = None,
        device: str | None = None,
    ) -> Operation:
        """Add an operation.

        Args:
            type: the name of TensorFlow's op.
            name: made unique within the current name scope; taken whole and as it is if it ends with a slash, as the
                prefix of a name scope does.
            inputs: names of operations ("w"), of their outputs ("w:1") and of control inputs ("^w"), or tensors.
            attrs: as `Operation.attrs`.
            device: as a NodeDef has it; None for that of the `device` blocks around.

        Raises:
            ValueError: it is not a name that an operation can have, or an operation has it.
            RuntimeError: the graph is finalized.
        """
        with self._lock:
            self._changing()
            name = name[:-1] if name.endswith("/") else self.unique_name(name)
            operation = Operation(
                name=name,
                type=type,
                inputs=self._with_control_inputs(tuple(map(_input_name, inputs))),
                device=device or "",
                attrs=self._stacks.attributes | dict(attrs or {}),
                graph=self,
                traceback=self._shared_traceback(),
            )
            if device is None:
                self._place(operation)
            self._added(operation)
            self._made_here(name)
            return operation

    def import_operation(
        self,
        definition: Any,
        *,
        name: str,
        inputs: Iterable[str],
        device: str,
        attrs: Mapping[str, object] | None = None,
    ) -> Operation:
        """Add an operation that another program made: nothing is made unique, and no name scope applies.

        Args:
            definition: its NodeDef message, kept as it is.
            name: its name here.
            inputs: its inputs by their names here.
            device: its device here, within the `device` blocks around.
            attrs: as `Operation.attrs`, for a `Session` that is to run it; may be decoded lazily.

        Raises:
            ValueError: an operation has that name, or none can have it.
            RuntimeError: the graph is finalized.
        """
        with self._lock:
            self._changing()
            operation = Operation(
                name=name,
                type=definition.op,
                inputs=tuple(inputs),
                device=device,
                attrs={} if attrs is None else attrs,
                definition=definition,
                graph=self,
            )
            self._place(operation)
            self._names_in_use.setdefault(name.lower(), 1)
            return self._added(operation)

    def __getstate__(self) -> object:
        raise TypeError("a graph can't be copied or pickled, nor what is in it: export_meta_graph writes it to a file")

    def _added(self, operation: Operation) -> Operation:
        name = operation.name
        if not valid_operation_name(name):
            raise ValueError(f"{name!r} is not a valid operation name: letters, digits and any of _.\\/>- are")
        if name in self._operations:
            raise ValueError(f"the graph has an operation {name!r} already, of type {self._operations[name].type}")
        self._operations[name] = operation
        return operation

    def _shared_traceback(self) -> tuple[Frame, ...]:
        frames = user_frames()
        return self._tracebacks.setdefault(frames, frames)

    def get_operations(self) -> list[Operation]:
        """All operations, in the order in which they were added."""
        return list(self._operations.values())

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of that name.

        Raises:
            KeyError: there is none.
            ValueError: it is the name of a tensor, such as "w:0".
            TypeError: it is no string.
        """
        if not isinstance(name, str):
            raise TypeError(f"operations have names that are strings, not {name!r}")
        if ":" in name:
            raise ValueError(f"{name!r} is the name of a tensor, not of an operation")
        if name not in self._operations:
            raise KeyError(f"the graph has no operation {name!r}")
        return self._operations[name]

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor of that name, such as "w:0".

        Raises:
            KeyError: there is no such operation, or it has no such output.
            ValueError: it is not a tensor's name: an operation's name, a colon and a number.
            TypeError: it is no string.
        """
        if not isinstance(name, str):
            raise TypeError(f"tensors have names that are strings, not {name!r}")
        operation, colon, index = name.rpartition(":")
        if not colon or not index.isdecimal():
            raise ValueError(f"{name!r} is not the name of a tensor, such as 'w:0': an operation, a colon and a number")
        if operation not in self._operations:
            raise KeyError(f"the graph has no tensor {name!r}: it has no operation {operation!r}")
        return self._output(self._operations[operation], int(index))

    def _output(self, operation: Operation, index: int) -> Tensor:
        outputs = operation.outputs
        # What an imported operation of a type that is none of ours gives is not known here.
        if index >= len(outputs) and operation.definition is None:
            raise KeyError(f"operation {operation.name!r} has {len(outputs)} outputs, and no output {index}")
        return Tensor(operation, index)

    def as_graph_element(self, obj: Any) -> Operation | Tensor:
        """The operation or tensor of this graph that something names or is: a string, one of these, or a variable.

        Raises:
            KeyError: the graph has none of that name.
            ValueError: it is one of another graph.
            TypeError: it is nothing of the kind.
        """
        if isinstance(obj, str):
            return self.get_tensor_by_name(obj) if ":" in obj else self.get_operation_by_name(obj)
        convert = getattr(obj, "_as_graph_element", None)
        element = obj if convert is None else convert()
        if not isinstance(element, Operation | Tensor):
            raise TypeError(f"{obj!r} is neither a tensor nor an operation, nor the name of one")
        if element.graph is not self:
            raise ValueError(f"{obj!r} is not an element of this graph")
        return element


def _input_name(source: str | Tensor) -> str:
    return (source.name if isinstance(source, Tensor) else source).removesuffix(":0")
