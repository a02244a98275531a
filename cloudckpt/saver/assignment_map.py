"""What TensorFlow calls an assignment map: which tensors of a checkpoint are for which variables.

Source: python/training/checkpoint_utils.py, init_from_checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.saver.saveable_object import VariableSaveable
from cloudckpt.variables.dtype import DType
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.partitions.partitioned import PartitionedVariable
from cloudckpt.variables.shape import compatible
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudckpt.checkpoint.opened import OpenCheckpoint

__all__ = ["AssignmentMap"]

logger = logging.getLogger(__name__)

PART = "/part_"
"""What stands in a part's name between that of the whole and its number."""


class AssignmentMap:
    """Pairs of what is in a checkpoint and what in memory, checked for their types.

    Args:
        pairs: a mapping, or a sequence of pairs: see `init_from_checkpoint`.
        variables: by name, those that a name or scope may mean.

    Raises:
        TypeError: it is neither, a key is no string, or a value is neither name, scope nor something to assign to.
    """

    def __init__(self, pairs: Mapping[str, Any] | Iterable[tuple[str, Any]], variables: Mapping[str, Any]) -> None:
        items = [*(pairs.items() if isinstance(pairs, Mapping) else pairs)]
        for key, _ in items:
            if not isinstance(key, str):
                raise TypeError(f"the keys of assignment_map must be names of tensors or scopes, got {key!r}")
        self._variables = variables
        self._pairs = [(key, self._target(target)) for key, target in sorted(items, key=lambda item: item[0])]

    def saveables(self, checkpoint: OpenCheckpoint) -> list[VariableSaveable]:
        """Each variable, or part of one, with the name of its tensor in the checkpoint, and what of it it is.

        Raises:
            InvalidArgumentError: the checkpoint has no such tensor, or one of another dtype or shape; a scope stands
                for no scope, or a name for no variable; parts are of several variables.
        """
        return [
            saveable
            for key, target in self._pairs
            for name, variable in ([(key, target)] if not isinstance(target, str) else self._in_scope(key, target))
            for saveable in _saveables(checkpoint, name, variable)
        ]

    def _target(self, target: Any) -> Any:
        """A variable, a list of parts, or the scope that a string is if no variable has that name."""
        if isinstance(target, str):
            found = self._named(target)
            return target if found is None else found
        if isinstance(target, PartitionedVariable):
            return [*target]
        for variable in target if isinstance(target, list | tuple) else [target]:
            holder = as_holder(variable)
            if holder is None or not holder.assignable:
                raise TypeError(
                    f"the values of assignment_map must be variables, lists of parts of one, names or scopes, got "
                    f"{variable!r}, a {type(variable).__module__}.{type(variable).__qualname__}"
                )
        return target

    def _named(self, name: str) -> Any:
        """The variable of that name, a list of its parts if it is partitioned; None if there is none."""
        if name in self._variables:
            return self._variables[name]
        parts: list[Any] = []
        while (part := self._variables.get(f"{name}{PART}{len(parts)}")) is not None:
            parts.append(part)
        return parts or None

    def _in_scope(self, key: str, scope: str) -> list[tuple[str, Any]]:
        """The variables of a scope by the names that their tensors must have in another one; "/" is the root."""
        if not key.endswith("/") or not scope.endswith("/"):
            raise InvalidArgumentError(
                f"assignment_map has {key!r}: {scope!r}, and there is no variable {scope!r} in the graph. A scope of "
                "the checkpoint stands for a scope of the graph, both with a slash at the end: 'scope/': 'other/'",
                tensor=key,
            )
        prefix, root = ("" if scope == "/" else scope), ("" if key == "/" else key)
        names = {name.partition(PART)[0]: None for name in sorted(self._variables) if name.startswith(prefix)}
        if not names:
            logger.warning("no variable is in the scope %r, which %r of a checkpoint was to initialize", scope, key)
        return [(root + name.removeprefix(prefix), self._named(name)) for name in names]


def _saveables(checkpoint: OpenCheckpoint, name: str, target: Any) -> list[VariableSaveable]:
    if name not in checkpoint.tensors:
        raise _misfit(checkpoint, name, "is not there", "see what is with cloudckpt.train.list_variables")
    if isinstance(target, list | tuple):
        saveables = _parts(checkpoint, name, target)
    else:
        saveables = [VariableSaveable(target, "", name)]
        shape = checkpoint.tensors[name].shape
        expected = target.shape if isinstance(target, Variable) else saveables[0].holder.shape
        if not compatible(expected, shape):
            raise _misfit(checkpoint, name, f"has the shape {shape}", f"the variable {_shown(target)} has {expected}")
    for saveable in saveables:
        found, dtype = DType(checkpoint.tensors[name].dtype), saveable.specs[0].dtype
        if found != dtype:
            raise _misfit(
                checkpoint, name, f"is of {found.name}", f"the variable {_shown(saveable.op)} of {dtype.name}"
            )
    return saveables


def _parts(checkpoint: OpenCheckpoint, name: str, parts: Sequence[Any]) -> list[VariableSaveable]:
    shape = checkpoint.tensors[name].shape
    saveables, whole = [], None
    for part in parts:
        holder = as_holder(part)
        info = None if holder is None else holder.save_slice_info
        if info is None:
            raise _misfit(checkpoint, name, "is for a list", f"{_shown(part)} in it is no part of a variable")
        if info.full_name != (whole := whole or info.full_name):
            raise _misfit(checkpoint, name, "is for one variable", f"there are parts of {whole} and {info.full_name}")
        if tuple(info.full_shape) != shape:
            raise _misfit(checkpoint, name, f"has the shape {shape}", f"the variable {whole!r} has {info.full_shape}")
        saveables.append(VariableSaveable(part, info.spec, name))
    return saveables


def _shown(variable: Any) -> str:
    return repr(getattr(variable, "name", "") or type(variable).__name__)


def _misfit(checkpoint: OpenCheckpoint, name: str, found: str, expected: str) -> InvalidArgumentError:
    url = checkpoint.prefix.url
    return InvalidArgumentError(
        f"tensor {name!r} of {url!r} can't be assigned as assignment_map says: it {found}, {expected}",
        path=url,
        tensor=name,
    )
