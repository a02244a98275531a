"""The names in a SaverDef, which follow when its graph is put into a scope, or leaves one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cloudckpt.descriptors import message_class
from cloudckpt.graph.names import in_scope, prepend_scope, strip_scope

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["moved_into", "moved_out_of"]

_NAMES: Final = ("filename_tensor_name", "save_tensor_name", "restore_op_name")
"""The fields that name nodes."""


def moved_into(saver_def: Any, scope: str) -> Any:
    """A copy of a SaverDef, ours or TensorFlow's, whose names are within a scope, as those of an imported graph are."""
    return _renamed(saver_def, lambda name: prepend_scope(name, scope))


def moved_out_of(saver_def: Any, scope: str | None) -> Any | None:
    """A copy whose names have lost a scope; None if one of them is not in it."""
    if not all(in_scope(getattr(saver_def, field), scope) for field in _NAMES):
        return None
    return _renamed(saver_def, lambda name: strip_scope(name, scope))


def _renamed(saver_def: Any, rename: Callable[[str], str]) -> Any:
    renamed = message_class("tensorflow.SaverDef").FromString(saver_def.SerializeToString())
    for field in _NAMES:
        setattr(renamed, field, rename(getattr(renamed, field)))
    return renamed
