"""`SaverDef`: what a graph says about how its variables are saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.scopes import in_scope, prepend_scope, strip_scope

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SaverDef", "check_complete", "moved_into", "moved_out_of", "saver_def_argument"]

SaverDef = message_class("tensorflow.SaverDef")
SaverDef.__doc__ = "How a saver saves, and the nodes that do it; `V1` and `V2` are the formats that it writes."

_NAMES = ("filename_tensor_name", "save_tensor_name", "restore_op_name")


def saver_def_argument(value: Any) -> Any:
    """A copy of a SaverDef, ours or TensorFlow's own.

    Raises:
        InvalidArgumentError: it is none.
    """
    descriptor = getattr(value, "DESCRIPTOR", None)
    if getattr(descriptor, "full_name", None) != SaverDef.DESCRIPTOR.full_name:
        raise InvalidArgumentError(f"saver_def must be a SaverDef, got {value!r}, a {type(value).__name__}")
    return SaverDef.FromString(value.SerializeToString())


def check_complete(saver_def: Any) -> None:
    """See that a SaverDef names the nodes that save and restore.

    Raises:
        InvalidArgumentError: it does not.
    """
    for field in ("save_tensor_name", "restore_op_name"):
        if not getattr(saver_def, field):
            raise InvalidArgumentError(
                f"saver_def must say its {field}: pass what as_saver_def() of the graph's saver returned, got "
                f"{saver_def!r}"
            )


def moved_into(saver_def: Any, scope: str) -> Any:
    """A copy whose names are within a name scope, as those of an imported graph are."""
    return _renamed(saver_def, lambda name: prepend_scope(name, scope))


def moved_out_of(saver_def: Any, scope: str) -> Any | None:
    """A copy whose names have lost a name scope; None if one of them is not in it."""
    if not all(in_scope(getattr(saver_def, field), scope) for field in _NAMES):
        return None
    return _renamed(saver_def, lambda name: strip_scope(name, scope))


def _renamed(saver_def: Any, rename: Callable[[str], str]) -> Any:
    renamed = saver_def_argument(saver_def)
    for field in _NAMES:
        setattr(renamed, field, rename(getattr(renamed, field)))
    return renamed
