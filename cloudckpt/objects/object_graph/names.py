"""Keys of tensors in a checkpoint by object: where in the graph their objects are.

Names on the way from the root are joined by "/". A name that begins with "." is one of the format itself, so in names
of the program's each "." is doubled, and "/" becomes ".S". Source: python/trackable/trackable_utils.py.
"""

from __future__ import annotations

__all__ = ["attribute_key", "child_path", "escaped", "slot_path"]


def escaped(name: str) -> str:
    """A name as it stands in a key."""
    return name.replace(".", "..").replace("/", ".S")


def child_path(names: list[str]) -> str:
    """The path of an object, from the names that lead to it from the root: "model/layers/0"; "" for the root."""
    return "/".join(map(escaped, names))


def slot_path(variable: str, optimizer: str, slot: str) -> str:
    """The path of a slot variable, from those of the variable that it is beside and of its optimizer."""
    return f"{variable}/.OPTIMIZER_SLOT/{optimizer}/{escaped(slot)}"


def attribute_key(path: str, attribute: str) -> str:
    """The key of an object's own tensor: "model/w/.ATTRIBUTES/VARIABLE_VALUE"."""
    return f"{path}/.ATTRIBUTES/{escaped(attribute)}"
