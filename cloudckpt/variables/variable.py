"""Variables: named arrays that savers save, in a graph or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.computed_nodes import add_computed
from cloudckpt.variables.conversion import converted, sealed_copy
from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import DataType, data_type_of
from cloudckpt.variables.graphs.default_graph import default_graph, executing_eagerly
from cloudckpt.variables.graphs.default_scopes import eager_device, eager_name
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.handle_nodes import add_handle_read, is_handle, value_after
from cloudckpt.variables.initial_value import DeclaredShape, InitialValue
from cloudckpt.variables.sessions.default_session import session_for
from cloudckpt.variables.shape import PartialShape, compatible
from cloudckpt.variables.variable_nodes import VariableNodes, add_variable_nodes
from cloudckpt.variables.variable_properties import EagerOperation, VariableProperties
from cloudckpt.variables.variable_updates import add_update

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

__all__ = ["Variable"]


class Variable(VariableProperties):
    """A named array, which savers save and restore.

    Made within a graph (`with Graph().as_default():`) it is the four nodes there that a reference variable is in
    TensorFlow (of the dtypes that TensorFlow assigns by handle only, those of a resource variable), under a name made
    unique; a `Session` holds values of it. Made elsewhere it is in no graph, and its
    name is what it is given. In both cases it has a value of its own, at first its initial value, which operators and
    NumPy's functions take in its place.

    Within a graph's block `assign` and its kin, `value`, `read_value` and the operators `+ - * /` give what a session
    runs, and a variable is equal to itself alone, and true, as in TensorFlow; what else NumPy would compute is refused
    there. Elsewhere all of them act at once, on the variable's own value.

    Args:
        initial_value: an array or what `numpy.array` takes: numbers of Python's become float32 or int32, texts bytes;
            an array is copied. A callable is called for it. A tensor of the graph must be a constant, and a variable
            gives its own value.
        name: without name scopes; "Variable" if None.
        dtype: a dtype as TensorFlow, NumPy or this package has them, or its name; None for the initial value's.
        shape: declared, with None for dimensions that may change; that of the initial value if None.
        trainable: whether it is one of the collection of trainable variables; None for True.
        device: where it is, such as "/job:ps/task:0" or "/cpu:1", within the `device` blocks around.
        collections: the names of the graph's collections to be in; the global variables' if None.
        validate_shape: whether the shape is that of the initial value; False leaves it unknown.
        caching_device: where a graph is to read it, if not where it is.
        use_resource: taken for the sake of programs that give it; the dtype alone decides what a variable is in a
            graph.

    Raises:
        ValueError: there is no initial value, or not of the declared shape; or `collections` is no list, tuple or set.
        TypeError: the initial value is no tensor, or not of that dtype; or `name` is no string, as where TensorFlow 1's
            second argument is meant.
        RuntimeError: the graph is finalized.
    """

    def __init__(  # noqa: PLR0917 - what a variable is, in the order in which it is said
        self,
        initial_value: Any = None,
        name: str | None = None,
        dtype: Any = None,
        shape: Any = None,
        trainable: bool | None = None,
        device: str = "",
        *,
        collections: Collection[str] | None = None,
        validate_shape: bool = True,
        caching_device: str | None = None,
        use_resource: bool | None = None,  # noqa: ARG002  # documented
    ) -> None:
        if initial_value is None:
            raise ValueError("a variable needs an initial value")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string, got {name!r}: give other arguments by their names")
        if collections is not None and not isinstance(collections, list | tuple | set):
            raise ValueError(f"collections must be a list of names, got {collections!r}")
        trainable = trainable is None or bool(trainable)
        initial = InitialValue(initial_value, None if dtype is None else data_type_argument(dtype, "dtype"))
        declared = DeclaredShape(shape, validate_shape)
        name = "Variable" if name is None else name
        graph = default_graph()
        nodes: VariableNodes | EagerOperation
        if graph is None:
            value = initial.array()
            nodes = EagerOperation(eager_name(name), eager_device(device))
        else:
            nodes, value = add_variable_nodes(
                graph, name, initial, declared, device=device, caching_device=caching_device
            )
        super().__init__(nodes, data_type_of(value), declared.of(value), trainable, value)
        if graph is not None:
            keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else list(collections)
            graph.add_to_collections([*keys, GraphKeys.TRAINABLE_VARIABLES] if trainable else keys, self)

    @staticmethod
    def of_operation(
        operation: Operation,
        *,
        data_type: DataType,
        shape: PartialShape,
        trainable: bool = True,
        initial_value: Tensor | None = None,
        initializer: Operation | None = None,
        snapshot: Tensor | None = None,
        save_slice_info: SaveSliceInfo | None = None,
    ) -> Variable:
        """The variable that an operation of an imported graph is; it is put into no collection.

        It has no value of its own before one is restored or assigned.

        Args:
            operation: a VariableV2, Variable or VarHandleOp.
            data_type: the dtype of its elements.
            shape: with None for what is unknown.
            trainable: as the graph says.
            initial_value: what its initializer assigns, where the graph says so.
            initializer: what sets it to that.
            snapshot: its value, read once.
            save_slice_info: the slice of a larger tensor that it is.
        """
        nodes = VariableNodes(operation, initial_value, initializer, snapshot)
        return ImportedVariable(nodes, data_type, shape, trainable, save_slice_info)

    @property
    def _symbolic(self) -> bool:
        return self._nodes is not None and not executing_eagerly()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        symbolic = not executing_eagerly() and any(isinstance(each, Variable) and each.graph for each in inputs)
        if symbolic and method == "__call__" and not kwargs:
            return add_computed(ufunc, inputs)
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __eq__(self, other: object) -> Any:
        return self is other if self._symbolic else super().__eq__(other)

    def __ne__(self, other: object) -> Any:
        return self is not other if self._symbolic else super().__ne__(other)

    __hash__ = VariableProperties.__hash__

    def __bool__(self) -> bool:
        return self._symbolic or super().__bool__()

    def value(self) -> Any:
        """Its own value, read only; within a graph's block the tensor "scope/w/read:0"."""
        return self.snapshot if self._symbolic else self.own_value

    def read_value(self) -> Any:
        """Its own value, read only; within a graph's block a new tensor that reads it."""
        if self._nodes is None or not self._symbolic:
            return self.own_value
        variable, attrs = self._nodes.variable, {"T": self._data_type}
        if is_handle(variable):
            return add_handle_read(variable, self._data_type)
        return Tensor(variable.graph.add_operation("Identity", "read", inputs=(variable.name,), attrs=attrs), 0)

    def eval(self, session: Any = None) -> Any:
        """Its value in a session, the default one if none is given; in no graph a copy of its own.

        Raises:
            ValueError: there is no default session, or the session's graph is another one.
            InvalidArgumentError: it is not initialized there.
        """
        if self.graph is None:
            return self.numpy()
        return session_for(self.graph, session, f"evaluate variable {self.name!r}").run(self)

    def load(self, value: Any, session: Any = None) -> None:
        """Set its value in a session, the default one if none is given; in no graph its own.

        Raises:
            ValueError: there is no default session, or its graph is another one; or the shape is not the variable's.
            TypeError: it can't be of the variable's dtype.
        """
        array = self._checked(value)
        if self.graph is None:
            self._own = array
        else:
            session_for(self.graph, session, f"load variable {self.name!r}").assign(self.op.name, array)

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
        validate_shape: bool = True,
    ) -> Any:
        """Set the value.

        Args:
            value: as `initial_value`, or within a graph a tensor or a variable of it.
            use_locking: said in the node.
            name: of the node.
            read_value: whether a graph gives the tensor of the new value, or the operation.
            validate_shape: whether the value must be of the variable's shape.

        Returns:
            The variable; within a graph's block what a session runs to do it.

        Raises:
            ValueError: the value is not of the variable's shape, or one of another graph.
            TypeError: it can't be of the variable's dtype.
        """
        if self._nodes is not None and self._symbolic:
            update = add_update(
                self,
                self._nodes.variable,
                "Assign",
                value,
                use_locking=use_locking,
                name=name,
                validate_shape=validate_shape,
            )
            return value_after(update, self._data_type) if read_value else update
        self._own = self._checked(value, validate_shape=validate_shape)
        return self

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Add to the value; otherwise as `assign`.

        Where it acts at once, updates by several threads follow one another, and none is lost.

        Raises:
            TypeError: as `assign`; or it is a variable of strings or of bools.
            ValueError: as `assign`; where it acts at once an InvalidArgumentError.
        """
        return self._updated(np.add, delta, read_value, type="AssignAdd", use_locking=use_locking, name=name)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtract from the value; otherwise as `assign`."""
        return self._updated(np.subtract, delta, read_value, type="AssignSub", use_locking=use_locking, name=name)

    def _updated(self, change: np.ufunc, delta: Any, read_value: bool, **node: Any) -> Any:
        if self._data_type in (DataType.STRING, DataType.BOOL):
            raise TypeError(f"variable {self.name!r} is of {self.dtype.name}: nothing can be added to it, so assign")
        if self._nodes is not None and self._symbolic:
            update = add_update(self, self._nodes.variable, value=delta, **node)
            return value_after(update, self._data_type) if read_value else update
        array = converted(delta, self._data_type)

        def changed(own: NDArray[Any]) -> NDArray[Any]:
            if array.shape != own.shape:
                raise InvalidArgumentError(
                    f"variable {self.name!r} has a value of shape {own.shape}, and can't be changed by {array.shape}",
                    tensor=self.op.name,
                )
            return np.asarray(change(own, array))

        self.update(changed)
        return self

    def _checked(self, value: Any, *, validate_shape: bool = True) -> NDArray[Any]:
        array = sealed_copy(value, self._data_type)
        if validate_shape and not compatible(self._shape, array.shape):
            raise ValueError(f"variable {self.name!r} has shape {self._shape}, the value {array.shape}")
        return array


class ImportedVariable(Variable):
    """A variable over operations that were imported."""

    def __init__(
        self,
        nodes: VariableNodes,
        data_type: DataType,
        shape: PartialShape,
        trainable: bool,
        save_slice_info: SaveSliceInfo | None,
    ) -> None:
        VariableProperties.__init__(self, nodes, data_type, shape, trainable, own=None)
        self.save_slice_info = save_slice_info
