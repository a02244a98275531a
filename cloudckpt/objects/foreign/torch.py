"""PyTorch's modules: their parameters, their buffers, and the modules in them."""

# ruff: noqa: SLF001 - which buffers are saved, modules say by such names only

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.objects.foreign.holding import HoldingNode
from cloudckpt.variables.foreign.imported import is_instance

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["torch_node"]


class TorchModuleNode(HoldingNode):
    """A module."""

    __slots__ = ()

    def children(self) -> Mapping[str, Any]:
        """Parameters, the buffers that a `state_dict` has, and modules, by the names of attributes."""
        module = self.thing
        buffers = {
            name: buffer for name, buffer in module._buffers.items() if name not in module._non_persistent_buffers_set
        }
        held = {**module._parameters, **buffers, **module._modules}
        return {name: child for name, child in held.items() if child is not None}


def torch_node(thing: Any) -> TorchModuleNode | None:
    """The node of a module of PyTorch's; None for anything else."""
    return TorchModuleNode(thing) if is_instance(thing, "torch.nn", "Module") else None
