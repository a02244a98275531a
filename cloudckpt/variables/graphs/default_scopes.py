"""Scopes and collections of the default graph, by TensorFlow's names; without a graph, scopes of eager variables."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.graphs.default_graph import default_graph, get_default_graph
from cloudckpt.variables.graphs.device import device_string, merged_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "add_to_collection",
    "add_to_collections",
    "control_dependencies",
    "current_name_scope",
    "device",
    "eager_device",
    "eager_name",
    "get_collection",
    "get_collection_ref",
    "name_scope",
]


class _EagerScopes(threading.local):
    def __init__(self) -> None:
        self.name = ""
        self.device = ""


_EAGER = _EagerScopes()


def eager_name(name: str) -> str:
    """The name of a variable that is made here without a graph: with the scopes around, not made unique."""
    return f"{_EAGER.name}{name}"


def eager_device(device: str) -> str:
    """The device of a variable that is made here without a graph, on this one within the blocks around.

    Raises:
        ValueError: it can't be a device's name.
    """
    return merged_device(_EAGER.device, device)


def current_name_scope() -> str:
    """The prefix of names that the name scopes around here are, with a slash at its end; "" outside of all."""
    graph = default_graph()
    if graph is None:
        return eager_name("")
    return f"{name}/" if (name := graph.get_name_scope()) else ""


@contextmanager
def name_scope(name: str | None, default_name: str | None = None, values: Any = None) -> Iterator[str]:  # noqa: ARG001
    """`Graph.name_scope` of the default graph; without one, a prefix for the names of variables.

    Args:
        name: the scope's; None for `default_name`.
        default_name: what a function takes if its caller gives no name.
        values: taken for the sake of programs that give it.
    """
    name = default_name if name is None else name
    graph = default_graph()
    if graph is not None:
        with graph.name_scope(name) as scope:
            yield scope
        return
    outer = _EAGER.name
    _EAGER.name = "" if not name else name if name.endswith("/") else f"{outer}{name}/"
    try:
        yield _EAGER.name
    finally:
        _EAGER.name = outer


@contextmanager
def device(device_name_or_function: Any) -> Iterator[None]:
    """`Graph.device` of the default graph; without one, the device of variables.

    Raises:
        TypeError: a function is given, and there is no graph; or it is no device.
        ValueError: it can't be a device's name.
    """
    graph = default_graph()
    if graph is not None:
        with graph.device(device_name_or_function):
            yield
        return
    if callable(device_name_or_function):
        raise TypeError("a device function is for the operations of a graph, and there is none here")
    outer = _EAGER.device
    _EAGER.device = "" if device_name_or_function is None else eager_device(device_string(device_name_or_function))
    try:
        yield
    finally:
        _EAGER.device = outer


@contextmanager
def control_dependencies(control_inputs: Iterable[Any] | None) -> Iterator[None]:
    """`Graph.control_dependencies` of the default graph; without one nothing, as what is written runs in order."""
    graph = default_graph()
    if graph is None:
        yield
        return
    with graph.control_dependencies(control_inputs):
        yield


def add_to_collection(name: str, value: Any) -> None:
    """`Graph.add_to_collection` of the default graph."""
    get_default_graph().add_to_collection(name, value)


def add_to_collections(names: str | Iterable[str], value: Any) -> None:
    """`Graph.add_to_collections` of the default graph."""
    get_default_graph().add_to_collections(names, value)


def get_collection(key: str, scope: str | None = None) -> list[Any]:
    """`Graph.get_collection` of the default graph."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key: str) -> list[Any]:
    """`Graph.get_collection_ref` of the default graph."""
    return get_default_graph().get_collection_ref(key)
