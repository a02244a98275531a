"""OpDefs: what the ops of a graph take and give, and which attributes they have by default.

A MetaGraphDef says them of all its ops, so that a program with another version of TensorFlow can tell which attributes
it may leave out.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.attr_values import set_attr
from cloudckpt.graph.encoding.op_specs import NUMBERS, OP_SPECS
from cloudckpt.variables.dtypes import DataType, python_name
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["known_op_def", "used_op_defs"]

_DATA_TYPES = {python_name(data_type): data_type for data_type in DataType}
_ARGUMENT = re.compile(r"(\w+): (?:(\w+) \* )?(?:Ref\((\w+)\)|(\w+))")
_ATTRIBUTE = re.compile(r"(\w+): ([\w()]+|\{.*\})(?: >= (\d+))?(?: = (.+))?")


def known_op_def(name: str) -> Any:
    """The OpDef of an op that our own nodes may be of, as TensorFlow 2.21 has it; None of any other.

    The same message at every call: not to be changed.
    """
    return _op_def(name) if name in OP_SPECS else None


def used_op_defs(graph_def: Any, imported: Mapping[str, Any]) -> dict[str, Any]:
    """The OpDefs of the ops that a graph's nodes and functions use, by name, in order of the names.

    Ops that nobody has described are left out, as are functions.

    Args:
        graph_def: the graph.
        imported: OpDefs by name that came with the graph; they go before ours, because they may be newer.
    """
    nodes = chain(graph_def.node, *(function.node_def for function in graph_def.library.function))
    found = ((name, imported.get(name) or known_op_def(name)) for name in sorted({node.op for node in nodes}))
    return {name: op_def for name, op_def in found if op_def is not None}


@cache
def _op_def(name: str) -> Any:
    spec = OP_SPECS[name]
    message = message_class("tensorflow.OpDef")(
        name=name,
        is_stateful=spec.is_stateful,
        is_commutative=spec.is_commutative,
        is_aggregate=spec.is_aggregate,
        allows_uninitialized_input=spec.allows_uninitialized_input,
    )
    for attribute in spec.attrs:
        _set_attribute(message.attr.add(), attribute)
    lists = {attr.name for attr in message.attr if attr.type == "list(type)"}
    for arguments, described in ((message.input_arg, spec.inputs), (message.output_arg, spec.outputs)):
        for argument in described:
            _set_argument(arguments.add(), argument, lists)
    return message


def _set_argument(message: Any, described: str, lists: set[str]) -> None:
    name, number, reference, value = _parts(_ARGUMENT, described)
    message.name, message.number_attr, message.is_ref = name, number or "", reference is not None
    dtype = reference or value
    if dtype in _DATA_TYPES:
        message.type = _DATA_TYPES[dtype]
    elif dtype in lists:
        message.type_list_attr = dtype
    else:
        message.type_attr = dtype


def _set_attribute(message: Any, described: str) -> None:
    name, kind, least, default = _parts(_ATTRIBUTE, described)
    message.name = name
    allowed = NUMBERS if kind == "number" else re.findall(r"\w+", kind) if kind.startswith("{") else ()
    message.type = "type" if allowed else kind
    if allowed:
        set_attr(message.allowed_values, [_DATA_TYPES[each] for each in allowed])
    if least is not None:
        message.has_minimum, message.minimum = True, int(least)
    if default is not None:
        set_attr(message.default_value, _DEFAULTS[message.type](default))


_DEFAULTS: dict[str, Callable[[str], object]] = {
    "bool": "true".__eq__,
    "int": int,
    "list(string)": lambda _: [],
    "shape": lambda _: UNKNOWN_RANK,
    "string": lambda text: text.strip("'"),
    "type": _DATA_TYPES.__getitem__,
}
"""From the text of a default to its value, by the kind of the attribute."""


def _parts(pattern: re.Pattern[str], text: str) -> tuple[Any, ...]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not in the notation of op_specs")
    return match.groups()
