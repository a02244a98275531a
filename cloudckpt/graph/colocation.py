"""Colocation: operations that run where another one does.

Source: python/framework/ops.py, colocate_with; the attribute is core/graph/graph.h's kColocationAttrName.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["CLASS_ATTR", "CLASS_PREFIX", "add_colocated", "colocation_groups"]

CLASS_ATTR = "_class"
CLASS_PREFIX = b"loc:@"


def colocation_groups(operation: Operation) -> list[bytes]:
    """What an operation is placed with, as its `_class` says: itself, where that says nothing."""
    groups = [group for group in _classes(operation) if group.startswith(CLASS_PREFIX)]
    return groups or [CLASS_PREFIX + operation.name.encode()]


def add_colocated(
    graph: Graph, beside: Operation, kind: str, name: str, *, inputs: Sequence[str], attrs: Mapping[str, Any]
) -> Operation:
    """An operation on the device of another one, whatever device is asked for around it."""
    return graph.add_operation(
        kind,
        name,
        inputs=inputs,
        attrs={**attrs, CLASS_ATTR: colocation_groups(beside)},
        device=beside.device,
    )


def _classes(operation: Operation) -> Sequence[bytes]:
    if operation.definition is None:
        classes: Any = operation.attrs.get(CLASS_ATTR, ())
        return [name.encode() if isinstance(name, str) else name for name in classes]
    # A map of protobuf's makes an entry for a key that is only looked up.
    attrs = operation.definition.attr
    return attrs[CLASS_ATTR].list.s if CLASS_ATTR in attrs else ()
