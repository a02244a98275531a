"""What of a checkpoint a restore is to take, and how strictly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.structure import ContainerNode, join_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cloudckpt.objects.trees.structure import Key, Node

__all__ = ["EVERYTHING", "Only", "Wanted", "prune"]

Only = str | Sequence[str] | Callable[[str], bool] | None


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
        prefixes = self._prefixes()
        whole, inner = frozenset(prefixes), tuple(f"{prefix}/" for prefix in prefixes)
        return lambda name: name in whole or name.startswith(inner)

    def check(self, path: str, names: Collection[str]) -> None:
        """See that every prefix is of a tensor: a slip of the pen must not pass for a state that is restored.

        Raises:
            StructureError: one is not, and that matters.
        """
        if not self.strict or self.only is None or callable(self.only):
            return
        for prefix in self._prefixes():
            selects = Wanted(prefix).selects
            if selects is not None and not any(map(selects, names)):
                raise StructureError(
                    f"only={prefix!r} is the beginning of no tensor's name in {path!r}: mend it, or pass strict=False "
                    "where there may be none",
                    path=path,
                )

    def _prefixes(self) -> list[str]:
        given: Iterable[str] = [self.only] if isinstance(self.only, str) else self.only  # type: ignore[assignment]  # no callable gets here
        return [prefix.removesuffix("/") for prefix in given]


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
