"""A template taken apart: what a checkpoint must have to be restored into its structure and types."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.paths import python_path
from cloudckpt.objects.trees.random_states import MaybeFloat
from cloudckpt.objects.trees.structure import ContainerNode
from cloudckpt.objects.trees.tree import FlatTree, TreeWalk, holder_of, leaves_of, read_held, unsaveable
from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.foreign.jax import is_jax_struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cloudckpt.objects.trees.containers import Container
    from cloudckpt.objects.trees.paths import Keys
    from cloudckpt.objects.trees.structure import Node
    from cloudckpt.variables.holder import Holder

__all__ = ["Template", "flatten_template"]


@dataclass(slots=True)
class Template(FlatTree):
    """A template taken apart; of other frameworks' arrays, those in `arrays` have only the dtype and the shape."""

    others: dict[str, Any] = field(default_factory=dict)
    """the leaves that are other frameworks' arrays and variables, by tensor name"""
    weak: set[str] = field(default_factory=set)
    """those of JAX's among them that stand for Python scalars, so that their dtype is only a kind: of a weak type"""
    optional: dict[str, float | None] = field(default_factory=dict)
    """the leaves that are None where the checkpoint has no tensor of their name"""

    def leaves(self) -> dict[str, Any]:
        """The leaves themselves, by tensor name. Searches for them."""
        found = {name: leaf for name, _, leaf in leaves_of(self.tree)}
        return found | self.optional | self.others


def flatten_template(tree: object) -> Template:
    """Take a template apart. Nothing is read from a device.

    Raises:
        TypeError, StructureError: as `flatten`.
    """
    template = Template(tree)
    template.structure = _TemplateWalk(template).node(tree, None, ())
    return template


class _TemplateWalk(TreeWalk):
    """As for a save, but leaves need no elements, and containers know how to make others like them."""

    def __init__(self, template: Template) -> None:
        super().__init__(template)
        self._template = template

    def _container(self, container: Container, name: str | None, keys: Keys) -> Node:
        node = super()._container(container, name, keys)
        return node._replace(make=partial(_make, container.make, keys)) if isinstance(node, ContainerNode) else node

    def _other(self, value: Any, name: str, keys: Keys) -> Node:
        template = self._template
        if isinstance(value, MaybeFloat):
            template.optional[name] = value.value
            return self._plain(0.0, name, keys)
        if is_jax_struct(value):
            stand_in = _stand_in(value.dtype, value.shape)
        elif (holder := holder_of(value, keys)) is not None:
            stand_in = _stand_in_of(holder, keys)
        else:
            return self._plain(value, name, keys)
        template.others[name] = value
        if getattr(value, "weak_type", False):
            template.weak.add(name)
        return self._plain(stand_in, name, keys)


def _stand_in_of(holder: Holder, keys: Keys) -> NDArray[Any]:
    """What stands in for a holder's array; that itself where it holds strings, or only it knows the shape."""
    try:
        data_type = holder.data_type
    except TypeError as error:
        raise unsaveable(error, keys) from error
    if holder.shape is None or data_type == DataType.STRING:
        return read_held(holder, keys)
    return _stand_in(to_numpy(data_type), holder.shape)


def _stand_in(dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array that takes no memory, whatever its shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _make(make: Callable[[list[Any]], Any], keys: Keys, children: list[Any]) -> Any:
    try:
        return make(children)
    except (TypeError, ValueError) as error:
        raise StructureError(f"{python_path(keys, 'the tree')} can't be made of what was saved: {error}") from error
