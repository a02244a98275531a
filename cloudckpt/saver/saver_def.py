"""`SaverDef`: what a graph says about how its variables are saved."""

from __future__ import annotations

from typing import Any

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError

__all__ = ["SaverDef", "check_complete", "saver_def_argument"]

SaverDef = message_class("tensorflow.SaverDef")
SaverDef.__doc__ = "How a saver saves, and the nodes that do it; `V1` and `V2` are the formats that it writes."


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
