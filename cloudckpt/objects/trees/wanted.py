"""What of a checkpoint a restore is to take, and how strictly."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.structure import ContainerNode, join_name

if TYPE_CHECKING:
    from cloudckpt.objects.trees.structure import Key, Node

__all__ = ["EVERYTHING", "Only", "Wanted", "prune"]

Only = str | Collection[str] | Callable[[str], bool] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of a partial restore: see `load`."""

    only: Only = None
    strict: bool = True
    cast: bool = False

    @property
    def selects(self) -> Callable[[str], bool] | None:
        """Whether something of a name is wanted; None where all is."""
        if self.only is None or callable(self.only):
            return self.only
        return _below(self._prefixes())

    def check(self, path: str, names: Collection[str], structure: Node = None) -> None:
        """See that every prefix is of something: a slip of the pen must not pass for a state that is restored.

        Args:
            path: the checkpoint's prefix, for messages.
            names: tensors that are there.
            structure: a tree of which it may also be a part without tensors, such as the state of a plain optimizer.

        Raises:
            StructureError: one is not, and that matters.
        """
        if not self.strict or self.only is None or callable(self.only):
            return
        for prefix in self._prefixes():
            selects = _below([prefix])
            if not any(map(selects, names)) and (structure is None or not prune(structure, selects)[0]):
                raise StructureError(
                    f"only={prefix!r} is the beginning of no tensor's name in {path!r}: mend it, or pass strict=False "
                    "where there may be none",
                    path=path,
                )

    def _prefixes(self) -> list[str]:
        given = [self.only] if isinstance(self.only, str) else self.only
        # No iterator: a second look, at another checkpoint, would find it empty.
        if not isinstance(given, Collection) or not all(isinstance(prefix, str) for prefix in given):
            raise TypeError(
                "only= takes a tensor's name or a beginning of it, a list of some, or a function that is asked for "
                f"every name; got {self.only!r}"
            )
        return [prefix.removesuffix("/") for prefix in given]


def _below(prefixes: Collection[str]) -> Callable[[str], bool]:
    """Whether a name is one of these, or below one."""
    whole, inner = frozenset(prefixes), tuple(f"{prefix}/" for prefix in prefixes)
    return lambda name: name in whole or name.startswith(inner)


EVERYTHING = Wanted()


def prune(structure: Node, selects: Callable[[str], bool], name: str | None = None) -> tuple[bool, Node]:
    """Whether anything of a structure is wanted, and the structure without the rest.

    A list or tuple that loses items becomes a dict by index, so that every name stays what it was.
    """
    if not isinstance(structure, ContainerNode) or not structure.children:
        return selects(name or ""), structure
    kept: dict[Key, Node] = {}
    for key, child in zip(structure.keys, structure.children, strict=True):
        wanted, pruned = prune(child, selects, join_name(name, key))
        if wanted:
            kept[key] = pruned
    kind = structure.kind if len(kept) == len(structure.children) else "dict"
    return bool(kept), ContainerNode(kind, list(kept), list(kept.values()))
