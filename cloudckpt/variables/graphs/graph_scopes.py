"""What surrounds an operation when it is made: its name scope, its device, what must run before it."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cloudckpt.variables.graphs.collections import GraphCollections
from cloudckpt.variables.graphs.device import DeviceSpec, device_string, merged_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["GraphScopes", "valid_operation_name"]

_ROOT_NAME: Final = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_INNER_NAME: Final = re.compile(r"[A-Za-z0-9_.\\/>-]*")


def valid_operation_name(name: str) -> bool:
    """Whether an operation may have this whole name, scopes included (framework/ops.py)."""
    return _ROOT_NAME.fullmatch(name) is not None


class _Controller:
    """One block of control dependencies: what must run first, and what was made within it."""

    def __init__(self, control_inputs: tuple[str, ...]) -> None:
        self.control_inputs = control_inputs
        self.made_within: set[str] = set()


class _Stacks(threading.local):
    def __init__(self) -> None:
        self.name = ""
        self.devices: tuple[Any, ...] = ()
        self.controllers: tuple[_Controller, ...] = ()
        self.attributes: dict[str, object] = {}


class GraphScopes(GraphCollections):
    """The scopes of a graph, each thread its own, and the names that are in use, all threads together."""

    def __init__(self) -> None:
        super().__init__()
        self._stacks = _Stacks()
        self._names_in_use: dict[str, int] = {}
        self._lock = threading.RLock()

    def get_name_scope(self) -> str:
        """The current name scope without a slash at its end; "" outside all."""
        return self._stacks.name

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """The name that an operation would get that is made here with this one: "s/w", or "s/w_1" if there is one.

        Names that differ in case alone count as the same.

        Args:
            name: without the current name scope.
            mark_as_used: whether it is taken now.
        """
        scope = self._stacks.name
        name = f"{scope}/{name}" if scope else name
        key = name.lower()
        with self._lock:
            used = self._names_in_use.get(key, 0)
            number, unique_key = used, key
            while used and unique_key in self._names_in_use:
                unique_key = f"{key}_{number}"
                number += 1
            if mark_as_used:
                self._names_in_use[key] = used + 1
                self._names_in_use.setdefault(unique_key, 1)
        return f"{name}_{number - 1}" if used else name

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """A `with` block that puts "name/" before the names of what is made within it, and gives that prefix.

        Args:
            name: made unique; the prefix that another block gave, slash and all, enters that one's scope again; None
                or "" leaves all scopes.

        Raises:
            ValueError: it can't begin an operation's name.
        """
        outer = self._stacks.name
        if name and not (_INNER_NAME if outer else _ROOT_NAME).fullmatch(name):
            raise ValueError(f"{name!r} is not a valid name scope: letters, digits and any of _.\\/>- are")
        self._stacks.name = inner = self._inner_scope(name)
        try:
            yield f"{inner}/" if inner else ""
        finally:
            self._stacks.name = outer

    def _inner_scope(self, name: str | None) -> str:
        if not name:
            return ""
        return name[:-1] if name.endswith("/") else self.unique_name(name)

    @contextmanager
    def device(self, device_name_or_function: str | DeviceSpec | Callable[[Operation], str] | None) -> Iterator[None]:
        """A `with` block that says on which device the operations made within it are to be.

        Args:
            device_name_or_function: a device's name, of which inner blocks may say other parts again; or a function
                from the operation to one; None leaves all blocks.

        Raises:
            ValueError: it can't be a device's name.
            TypeError: it is none of these.
        """
        outer = self._stacks.devices
        self._stacks.devices = _with_device(outer, device_name_or_function)
        try:
            yield
        finally:
            self._stacks.devices = outer

    def _place(self, operation: Operation) -> None:
        """Set an operation's device from the blocks around: the innermost first, what is said already counts."""
        for device in reversed(self._stacks.devices):
            if isinstance(device, str):
                operation.device = merged_device(device, operation.device)
            else:
                operation.device = device_string(device(operation))

    @contextmanager
    def attributes(self, attributes: dict[str, object]) -> Iterator[None]:
        """A `with` block that gives attributes to the operations made within it that don't have them."""
        outer = self._stacks.attributes
        self._stacks.attributes = outer | attributes
        try:
            yield
        finally:
            self._stacks.attributes = outer

    @contextmanager
    def control_dependencies(self, control_inputs: Iterable[Any] | None) -> Iterator[None]:
        """A `with` block within which operations run after the given ones.

        Args:
            control_inputs: operations, tensors or variables; None leaves all such blocks.

        Raises:
            TypeError: one is none of these.
            ValueError: one is of another graph.
        """
        outer = self._stacks.controllers
        self._stacks.controllers = () if control_inputs is None else (*outer, self._controller(control_inputs))
        try:
            yield
        finally:
            self._stacks.controllers = outer

    def _controller(self, control_inputs: Iterable[Any]) -> _Controller:
        elements = [self.as_graph_element(element) for element in control_inputs]
        operations = dict.fromkeys(getattr(element, "op", element).name for element in elements)
        known = {name for controller in self._stacks.controllers for name in controller.control_inputs}
        return _Controller(tuple(name for name in operations if name not in known))

    def as_graph_element(self, obj: Any) -> Any:
        """The operation or tensor of this graph that something names or is."""
        raise NotImplementedError

    def _with_control_inputs(self, inputs: tuple[str, ...]) -> tuple[str, ...]:
        """The inputs of an operation with those of the blocks around, as a NodeDef orders them.

        A block adds none to what takes an input that was made within it: that came after them already; and never what
        is an input anyway.
        """
        control = {each for each in inputs if each.startswith("^")}
        sources = {each.removeprefix("^").partition(":")[0] for each in inputs}
        for controller in self._stacks.controllers:
            if controller.made_within.isdisjoint(sources):
                control.update(f"^{each}" for each in controller.control_inputs if each not in sources)
        if not control:
            return inputs
        return *(each for each in inputs if not each.startswith("^")), *sorted(control)

    def _made_here(self, name: str) -> None:
        """Let the blocks around know of an operation, once it is in the graph."""
        for controller in self._stacks.controllers:
            controller.made_within.add(name)


def _with_device(outer: tuple[Any, ...], device: Any) -> tuple[Any, ...]:
    if device is None:
        return ()
    if callable(device):
        return (*outer, device)
    name = merged_device("", device_string(device))
    return (*outer, name) if name else outer
