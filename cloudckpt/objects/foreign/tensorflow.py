"""TensorFlow's own objects: modules, checkpoints, data structures, and Keras's models, layers and optimizers over them.

Sources: python/trackable/base.py; python/checkpoint/{trackable_view,util,restore}.py.
"""

# ruff: noqa: SLF001 - TensorFlow's objects answer its checkpoints by such names only

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.objects.foreign.deferred import Deferred, DeferredByName
from cloudckpt.objects.foreign.keras_containers import untold_containers
from cloudckpt.objects.foreign.tensorflow_attributes import attributes_of
from cloudckpt.objects.object_graph.node import SlotVariable
from cloudckpt.objects.object_graph.own_nodes import VariableNode, holder_node
from cloudckpt.variables.foreign.imported import imported, is_instance
from cloudckpt.variables.foreign.keras import KerasHolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloudckpt.objects.object_graph.node import Attribute, Node

__all__ = ["tensorflow_node"]


@dataclass(frozen=True, slots=True)
class TensorFlowNode:
    """A `Trackable` of TensorFlow's that is no variable."""

    thing: Any

    def children(self) -> Mapping[str, Any]:
        """What TensorFlow's checkpoints find in it; of a layer of Keras 3 also what it hides in lists and dicts."""
        self.thing._maybe_initialize_trackable()
        children = {name: _trackable(child, self.thing) for name, child in self.thing._trackable_children().items()}
        return {**children, **untold_containers(self.thing, children)}

    def attributes(self) -> Mapping[str, Attribute]:
        """Its own tensors.

        Raises:
            TypeError: only TensorFlow can save it.
        """
        return attributes_of(self.thing)

    def slots(self, variables: Sequence[Any]) -> Iterator[SlotVariable]:
        """Those of an optimizer that has any: of tf_keras's legacy ones, and of `tf.compat.v1.train`."""
        # dir, so that no __getattr__ of the user's is asked.
        if "get_slot_names" not in dir(self.thing):
            return
        for name in self.thing.get_slot_names():
            for variable in variables:
                if (slot := self.slot(variable, name)) is not None:
                    yield SlotVariable(variable, name, slot)

    def slot(self, variable: Any, name: str) -> Any:
        """A slot variable; None if there is none."""
        try:
            return self.thing.get_slot(variable, name)
        except (AttributeError, KeyError):  # how optimizers say of what they have none
            return None

    def adopt(self, name: str, restore: Callable[[Any], None]) -> bool:
        """Where TensorFlow's own restores wait for what an object tracks later, as when a layer is built."""
        self.thing._maybe_initialize_trackable()
        self.thing._deferred_dependencies.setdefault(name, []).append(Deferred.of(restore))
        return True

    def adopt_any(self, restore: Callable[[Any], None]) -> bool:
        """Where TensorFlow's own restores by name wait."""
        self.thing._maybe_initialize_trackable()
        self.thing._name_based_restores.add(DeferredByName.of(restore))
        return True


class TensorFlowOptimizerNode(TensorFlowNode):
    """An optimizer that makes its slot variables when it first needs them."""

    __slots__ = ()

    def adopt_slot(self, variable: Any, name: str, restore: Callable[[Any], None]) -> bool:
        """Make it, where the optimizer has a method for that, and restore it; or let it wait."""
        slot = self.slot(variable, name)
        if slot is None and hasattr(self.thing, "add_slot"):
            slot = self.thing.add_slot(variable, name)
        if slot is None:
            slot = self.thing._create_or_restore_slot_variable(
                slot_variable_position=Deferred.of(restore), slot_name=name, variable=variable
            )
        if slot is not None:
            restore(slot)
        return True


class _KerasVariable(KerasHolder):
    """A variable of Keras 3's, by the name of its `tf.Variable`, which may have a number more than Keras's own path."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name of the `tf.Variable`."""
        return self._value().name


def tensorflow_node(thing: Any) -> Node | None:
    """The node of a `Trackable` of TensorFlow's; None for anything else.

    Raises:
        TypeError: it is a variable of a TensorFlow graph.
    """
    if not is_instance(thing, "tensorflow.python.trackable.base", "Trackable"):
        return None
    if is_instance(thing, "keras", "Variable"):
        return VariableNode(_KerasVariable(thing))
    if (variable := holder_node(thing)) is not None:
        return variable
    if hasattr(type(thing), "_create_or_restore_slot_variable"):
        return TensorFlowOptimizerNode(thing)
    return TensorFlowNode(thing)


def _trackable(child: Any, parent: Any) -> Any:
    """A child as TensorFlow tracks it: some are wrapped only when it looks at them."""
    return imported("tensorflow.python.trackable.converter").convert_to_trackable(child, parent=parent)
