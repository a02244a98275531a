"""The tensors that TensorFlow's own objects are saved as."""

# ruff: noqa: SLF001 - TensorFlow's objects answer its checkpoints by such names only

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudckpt.objects.object_graph.node import PYTHON_STATE
from cloudckpt.objects.object_graph.own_nodes import State
from cloudckpt.variables.foreign.imported import imported, is_instance
from cloudckpt.variables.foreign.tensorflow import tensor_elements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.objects.object_graph.node import Attribute
    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.shape import PartialShape

__all__ = ["attributes_of"]


@dataclass(slots=True)
class _Serialized:
    """An object that is saved as tensors by names, and restored from all of them at once."""

    thing: Any
    tensors: Mapping[str, Any]
    restored: dict[str, Any] = field(default_factory=dict)

    def assign(self, name: str, array: NDArray[Any]) -> None:
        """Take one of them; the last one that comes restores the object."""
        self.restored[name] = imported("tensorflow").constant(array)
        if self.restored.keys() == self.tensors.keys():
            self.thing._restore_from_tensors(self.restored)
            self.restored = {}


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One of the tensors of an object."""

    owner: _Serialized
    name: str
    full_name: str = ""
    data_type: DataType | None = None
    shape: PartialShape = None

    def read(self) -> NDArray[Any]:
        tensor = self.owner.tensors[self.name]
        return tensor_elements(tensor() if callable(tensor) else tensor)

    def assign(self, array: NDArray[Any]) -> None:
        self.owner.assign(self.name, array)


def attributes_of(thing: Any) -> Mapping[str, Attribute]:
    """The tensors of a TensorFlow object itself, by their names.

    Raises:
        TypeError: it is one whose tensors only TensorFlow can write: an iterator, a table, and others that are saved by
            saveable objects.
    """
    if is_instance(thing, "tensorflow.python.trackable.python_state", "PythonState"):
        return {PYTHON_STATE: State(thing)}
    if getattr(thing, "_LEGACY_SAVEABLE_NAME", None) or thing._gather_saveables_for_checkpoint():
        raise TypeError(
            f"only TensorFlow can save a {type(thing).__name__}: keep it out of the objects that are saved here, in a "
            "tf.train.Checkpoint of its own; of a dataset the number of elements that were taken may do"
        )
    if not _is_serialized(thing):
        return {}
    serialized = _Serialized(thing, thing._serialize_to_tensors())
    return {name: _Tensor(serialized, name) for name in serialized.tensors}


def _is_serialized(thing: Any) -> bool:
    """Whether it is saved as tensors, as its class says."""
    base = imported("tensorflow.python.trackable.base").Trackable
    method = thing._serialize_to_tensors
    return getattr(method, "__func__", method) is not base._serialize_to_tensors
