"""Objects of other frameworks that hold state, and which of them are variables."""

from __future__ import annotations

from cloudckpt.variables.foreign.imported import is_instance

__all__ = ["is_foreign_trackable", "is_foreign_variable"]

_VARIABLES = (
    ("tensorflow", "Variable"),
    ("keras", "Variable"),
    ("torch.nn", "Parameter"),
)
_TRACKABLES = (
    *_VARIABLES,
    ("tensorflow.python.trackable.base", "Trackable"),  # modules, checkpoints, iterators; layers of tf_keras
    ("keras.src.saving.keras_saveable", "KerasSaveable"),  # layers, optimizers and metrics of Keras 3
    ("torch.nn", "Module"),
    ("torch.optim", "Optimizer"),
)


def is_foreign_variable(thing: object) -> bool:
    """Whether a thing is what its framework calls a variable or parameter."""
    return any(is_instance(thing, module, name) for module, name in _VARIABLES)


def is_foreign_trackable(thing: object) -> bool:
    """Whether a thing is such a variable; or a module, layer, model, optimizer or the like."""
    return any(is_instance(thing, module, name) for module, name in _TRACKABLES)
