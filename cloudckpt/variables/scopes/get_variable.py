"""Variables by name: made in the current variable scope, or got again.

Source: python/ops/variable_scope.py; create_partitioned_variables is of python/ops/partitioned_variables.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import DataType, data_type_of, python_name
from cloudckpt.variables.graphs.default_graph import executing_eagerly, get_default_graph
from cloudckpt.variables.graphs.default_scopes import name_scope
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.scopes.request import Reuse, VariableRequest, value_given
from cloudckpt.variables.scopes.variable_scope import get_variable_scope, scopes_of, variable_scope
from cloudckpt.variables.shape import partial_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.variables.partitions.partitioners import Partitioner
    from cloudckpt.variables.variable import Variable

__all__ = ["create_partitioned_variables", "get_local_variable", "get_variable"]


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    *,
    regularizer: Any = None,  # noqa: ARG001  # documented
    trainable: bool | None = None,
    collections: Sequence[str] | None = None,
    caching_device: str | None = None,
    partitioner: Partitioner | None = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    constraint: Any = None,  # noqa: ARG001  # documented
) -> Any:
    """The variable of a name in the current variable scope: made, or got again if the scope is one that reuses.

    Args:
        name: after the scope's; name scopes have no part in it. It is made unique only where a variable that was not
            made by this function has it.
        shape: of the variable; None where the initial value has one. A variable that is got again must fit it.
        dtype: of its elements, likewise; None for the scope's, which is float32 by default.
        initializer: the initial value; or a callable that gives it: without arguments, or of a shape (a list) and
            `dtype`, and `partition_info` if it has such an argument, which for parts of a variable is their
            `SaveSliceInfo`. None for the scope's; if that has none, for `glorot_uniform_initializer` where the dtype is
            of fractions, zeros where it is of integers, and False or empty texts.
        regularizer: taken for the sake of programs that give it, as `constraint` is: there is no loss here to add to.
        trainable: whether it is trainable; None for True.
        collections: the names of the graph's collections that it is added to; None for that of global variables.
        caching_device: as `Variable` takes it.
        partitioner: into how many parts to cut it, a function of `shape` (a tuple) and `dtype`; None for the scope's.
            Scalars are not cut.
        validate_shape: as `Variable` takes it.
        use_resource: as `Variable` takes it.
        constraint: taken for the sake of programs that give it: there is no optimizer here to obey it.

    Returns:
        A `Variable`; a `PartitionedVariable` where there is a partitioner.

    Raises:
        ValueError: the scope doesn't reuse and the variable exists (the message says where it was made), or it does and
            it doesn't; or the one there has another shape, dtype or partition; or the initial value has another dtype
            than is asked for; or there is no default initializer for the dtype.
    """
    scope = get_variable_scope()
    request = _request(
        f"{scope.name}/{name}" if scope.name else name,
        shape,
        dtype,
        initializer,
        partitioner,
        trainable=trainable is not False,
        collections=collections,
        caching_device=caching_device,
        validate_shape=validate_shape,
        use_resource=use_resource,
    )
    with name_scope(None):
        return scopes_of(get_default_graph()).store.get_variable(request)


def get_local_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    *,
    collections: Sequence[str] | None = None,
    **options: Any,
) -> Any:
    """As `get_variable`, but of a local variable, which is neither trainable nor saved unless it is asked for.

    Args:
        name: as `get_variable` takes it, and so the next.
        shape: of the variable.
        dtype: of its elements.
        initializer: of its value.
        collections: those that it is added to beside that of the local variables.
        options: what `get_variable` takes beside these, but for `trainable`.
    """
    keys = [*(collections or ()), GraphKeys.LOCAL_VARIABLES]
    return get_variable(name, shape, dtype, initializer, trainable=False, collections=keys, **options)


def create_partitioned_variables(
    shape: Sequence[int],
    slicing: Sequence[int],
    initializer: Any,
    dtype: Any = DataType.FLOAT,
    *,
    trainable: bool = True,
    collections: Sequence[str] | None = None,
    name: str | None = None,
    reuse: Reuse | None = None,
) -> list[Variable]:
    """The parts of a variable, as a list.

    Args:
        shape: of the whole.
        slicing: the number of parts along each dimension, at most one of them more than 1.
        initializer: an array of the whole, or a callable as `get_variable` takes it, which is called for each part.
        dtype: of the elements.
        trainable: whether the parts are trainable.
        collections: as `get_variable` takes it.
        name: of the whole; None for "PartitionedVariable", made unique.
        reuse: as `variable_scope` takes it.

    Raises:
        ValueError: as `get_variable`; or the slicing has another length than the shape, or both have none.
    """
    if len(shape) != len(slicing) or not shape:
        raise ValueError(f"shape and slicing must be of one length, and not empty: got {shape} and {slicing}")
    with variable_scope(name, "PartitionedVariable", reuse=reuse) as scope:
        request = _request(
            scope.name,
            shape,
            dtype,
            initializer,
            lambda *, shape, dtype: slicing,  # noqa: ARG005 - as Partitioner
            trainable=trainable,
            collections=collections,
        )
        with name_scope(None):
            return list(scopes_of(get_default_graph()).store.get_partitioned_variable(request))


def _request(
    name: str, shape: Any, dtype: Any, initializer: Any, partitioner: Partitioner | None, **options: Any
) -> VariableRequest:
    scope = get_variable_scope()
    if dtype is not None and initializer is not None and not callable(initializer):
        _check_dtype(name, initializer, data_type_argument(dtype, "dtype"))
    return VariableRequest(
        name=name,
        shape=None if shape is None else partial_shape(shape),
        data_type=data_type_argument(scope.dtype if dtype is None else dtype, "dtype"),
        initializer=scope.initializer if initializer is None else initializer,
        reuse=not executing_eagerly() and scope.reuse,
        partitioner=scope.partitioner if partitioner is None else partitioner,
        options=options,
    )


def _check_dtype(name: str, value: Any, data_type: DataType) -> None:
    found = data_type_of(value_given(value, None))
    if found is not data_type:
        raise ValueError(
            f"variable {name!r} is to be of {python_name(data_type)}, and its initial value is of {python_name(found)}"
        )
