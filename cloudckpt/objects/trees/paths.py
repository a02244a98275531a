"""Where something is in a tree: the name of its tensor, and how Python reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.errors import StructureError
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH
from cloudckpt.objects.trees.leaves import MAX_DIGITS
from cloudckpt.objects.trees.structure import Field

if TYPE_CHECKING:
    from cloudckpt.objects.trees.structure import Key

    Keys = tuple[Key, ...]
    """the keys on the way from the root"""

__all__ = ["RESERVED_STARTS", "check_key", "check_name", "is_reserved", "python_path"]

RESERVED_PREFIX = "_CLOUDCKPT_"
RESERVED_STARTS = "_\0"
"""What every name that `check_name` may refuse begins with, unless it is empty."""


def python_path(keys: Keys, root: str = "the root") -> str:
    """How Python reaches what is there, such as `['layer1'].kernel[0]`; `root` where there are no keys."""
    return "".join([f".{key}" if isinstance(key, Field) else f"[{key!r}]" for key in keys]) or root


def check_key(key: object, keys: Keys) -> None:
    """See that a name can be made of a key of what is at `keys`.

    Raises:
        TypeError: it is neither str nor int.
        StructureError: it has no UTF-8, or too many digits.
    """
    kind = type(key)
    if kind is not str and kind is not int and kind is not Field:
        raise TypeError(f"the key {key!r} at {python_path(keys)} is a {kind.__name__}: keys are str or int")
    try:
        str(key).encode()
    except UnicodeEncodeError as error:
        path = python_path(keys)
        raise StructureError(f"the key {key!r} at {path} is not valid UTF-8: {error.reason}") from error
    except ValueError as error:
        path = python_path(keys)
        raise StructureError(f"a key at {path} is an int of more than {MAX_DIGITS} decimal digits") from error


def check_name(name: str, keys: Keys) -> None:
    """See that a tensor of the leaf at `keys` can have this name, which is empty or begins as reserved ones do.

    Raises:
        StructureError: it is empty, or belongs to a format.
    """
    path = python_path(keys)
    if not name:
        raise StructureError(
            f"the leaf at {path} has no tensor name, since names are the keys on the way to it; "
            "put it into a dict, under a key that is not empty"
        )
    if is_reserved(name):
        raise StructureError(f"the tensor name {name!r} at {path} is reserved; use another key", tensor=name)
    if name.startswith("\0"):
        raise StructureError(
            f"the tensor name {name!r} at {path} begins with a null character, as only the format's own "
            "keys do; use another key",
            tensor=name,
        )


def is_reserved(name: str) -> bool:
    """Whether a tensor of that name belongs to a format, not to a user's tree."""
    return name == OBJECT_GRAPH or name.startswith(RESERVED_PREFIX)
