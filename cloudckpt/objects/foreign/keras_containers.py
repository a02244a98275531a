"""Lists, dicts and tuples in attributes of Keras 3's objects, which are objects of the graph as in TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.objects.foreign.holding import HoldingNode
from cloudckpt.variables.foreign.imported import is_instance
from cloudckpt.variables.foreign.trackables import is_foreign_trackable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Container", "children_in", "container_node", "told_values", "untold_containers"]

KEPT_IN = "_cloudckpt_containers"
"""The attribute in which an object of Keras's keeps what stands for its lists and dicts."""

_LISTED = frozenset(
    {"_trainable_variables", "_non_trainable_variables", "_layers", "_metrics", "_seed_generators", "_jax_state"}
)
"""Lists in which a layer keeps, once more, what it finds in its attributes."""

_OF_TORCH = frozenset({"_parameters", "_buffers", "_modules", "_torch_params"})
"""Where a layer that is a module of PyTorch's keeps, once more, its variables' tensors."""


class Container:
    """Stands for a list, dict or tuple of a Keras object, whose identity the graph could not rely on.

    Args:
        value: the list, dict or tuple.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self._inner = Containers()

    def children(self) -> dict[str, Any]:
        """The elements that are objects of the graph, or contain any, by their places or keys."""
        children = {}
        for name, value in _items(self.value):
            if (child := self._inner.child(str(name), value)) is not None:
                children[str(name)] = child
        return children


class Containers:
    """What stands for the lists, dicts and tuples that an object holds, the same each time as long as they are."""

    def __init__(self) -> None:
        self._kept: dict[str, Container] = {}

    def child(self, name: str, value: Any) -> Any:
        """What a value is in the graph: itself, what stands for it, or None if it is, and has, nothing to be saved."""
        if _is_child(value):
            return value
        if not isinstance(value, list | dict | tuple) or not any(_has_child(each) for _, each in _items(value)):
            return None
        kept = self._kept.get(name)
        if kept is None or kept.value is not value:
            kept = self._kept[name] = Container(value)
        return kept


class ContainerNode(HoldingNode):
    """A list, dict or tuple."""

    __slots__ = ()

    def children(self) -> Mapping[str, Any]:
        """See `Container.children`."""
        container: Container = self.thing
        return container.children()


def container_node(thing: Any) -> ContainerNode | None:
    """The node of a `Container`; None for anything else."""
    return ContainerNode(thing) if isinstance(thing, Container) else None


def children_in(thing: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The objects of the graph among the values of an object's attributes.

    What stands for its lists, dicts and tuples the object keeps, so that it lives as long as the object does.
    """
    containers: Containers = vars(thing).setdefault(KEPT_IN, Containers())
    found = ((name, containers.child(name, value)) for name, value in values.items())
    return {name: child for name, child in found if child is not None}


def told_values(thing: Any) -> dict[str, Any]:
    """The attributes of an object of Keras 3 that may hold what is to be saved, without what it lists once more."""
    listed = _LISTED if is_instance(thing, "keras", "Layer") else ()
    values = vars(thing)
    if is_instance(thing, "torch.nn", "Module"):  # over PyTorch it keeps the layers in its attributes elsewhere
        values = {name: value for name, value in (values | values["_modules"]).items() if name not in _OF_TORCH}
    # Names with "_self_" are TensorFlow's tracking itself.
    return {name: value for name, value in values.items() if name not in listed and not name.startswith("_self_")}


def _is_child(value: Any) -> bool:
    """Whether it is tracked where it is assigned to an attribute; as in TensorFlow no metric is."""
    return is_foreign_trackable(value) and not is_instance(value, "keras", "Metric")


def untold_containers(thing: Any, told: Mapping[str, Any]) -> dict[str, Any]:
    """Lists, dicts and tuples of a Keras 3 layer that hold layers or variables, and of which TensorFlow is not told.

    Keras wraps them before TensorFlow sees them: what is in them alone is missing from checkpoints of TensorFlow's.

    Args:
        thing: whatever it is.
        told: its children as TensorFlow knows them.
    """
    if not is_instance(thing, "keras", "Layer"):
        return {}
    values = told_values(thing).items()
    return children_in(thing, {name: value for name, value in values if name not in told and _is_tracked(value)})


def _is_tracked(value: Any) -> bool:
    return any(is_instance(value, "keras.src.utils.tracking", name) for name in ("TrackedList", "TrackedDict"))


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _has_child(value: Any) -> bool:
    if isinstance(value, list | dict | tuple):
        return any(_has_child(each) for _, each in _items(value))
    return _is_child(value)
