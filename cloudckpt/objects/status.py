"""What `Checkpoint.read` and `restore` return: what was restored, and whether that was all.

Source of the behaviour: python/checkpoint/checkpoint.py, _LoadStatus and its subclasses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn, Self

from cloudckpt.objects.object_graph.last_restored import last_restored
from cloudckpt.objects.object_graph.walk import list_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudckpt.objects.object_graph.by_name import RestorationByName
    from cloudckpt.objects.object_graph.node import Node
    from cloudckpt.objects.object_graph.restoration import Restoration

__all__ = ["CheckpointLoadStatus", "InitializationOnlyStatus", "LoadStatus", "NameBasedSaverStatus"]

MOST = 10
"""How many objects a message names."""


class LoadStatus(ABC):
    """What became of a restore. Its assertions return it, so that they can be chained."""

    @abstractmethod
    def assert_consumed(self) -> Self:
        """See that everything matched: every value of the checkpoint an object, and every object a value.

        Raises:
            AssertionError: something did not; the message names it.
        """

    @abstractmethod
    def assert_existing_objects_matched(self) -> Self:
        """See that all objects that are there now have got a value; the checkpoint may have more.

        Raises:
            AssertionError: some have not; the message names them.
        """

    @abstractmethod
    def assert_nontrivial_match(self) -> Self:
        """See that anything below the root matched at all.

        Raises:
            AssertionError: nothing did.
        """

    def expect_partial(self) -> Self:
        """Know that not all values are wanted: no warning names those that no object has taken."""
        return self

    def initialize_or_restore(self, session: Any = None) -> None:  # noqa: B027  # there is nothing to do in any of them
        """Nothing: variables were initialized when they were made, and restored since. For programs that call it."""

    def run_restore_ops(self, session: Any = None) -> None:  # noqa: B027  # as above
        """Nothing, as `initialize_or_restore`."""


class CheckpointLoadStatus(LoadStatus):
    """Of a checkpoint that was written by object.

    Args:
        restoration: of what.
        root: into what.
    """

    def __init__(self, restoration: Restoration, root: Node) -> None:
        self._restoration, self._root = restoration, root
        self._matching = restoration.matching

    def assert_consumed(self) -> Self:
        """See `LoadStatus.assert_consumed`; an optimizer's slot variables count as values."""
        self.assert_existing_objects_matched()
        graph, matching = self._matching.graph, self._matching
        skipped = {slot.variable for slot in graph.slots()} if matching.skip_slots else set()
        unresolved = [
            number
            for number, stored in enumerate(graph.objects)
            if stored.attributes and number not in skipped and matching.bound(number) is None
        ]
        if unresolved:
            raise AssertionError(
                f"{len(unresolved)} values of the checkpoint {self._restoration.url!r} have no object here: "
                f"{_listed([repr(graph.path(number)) for number in unresolved[:MOST]], len(unresolved))}"
            )
        if matching.unused:
            shown = [f"{graph.path(number)!r} {names}" for number, names in [*matching.unused.items()][:MOST]]
            raise AssertionError(
                f"{len(matching.unused)} objects lack attributes that the checkpoint {self._restoration.url!r} has: "
                f"{_listed(shown, len(matching.unused))}"
            )
        return self

    def assert_existing_objects_matched(self) -> Self:
        """See `LoadStatus.assert_existing_objects_matched`."""
        stale = [
            self._matching.graph.path(number)
            for number, _ in self._matching.all_bound()
            if number not in self._matching.settled
        ]
        if stale:
            raise AssertionError(f"objects were not assigned values: {_listed([*map(repr, stale[:MOST])], len(stale))}")
        if unmatched := self._unmatched():
            raise AssertionError(
                f"{len(unmatched)} objects have no value in the checkpoint {self._restoration.url!r}, as where the "
                f"program has changed since: {_listed([*map(_described, unmatched[:MOST])], len(unmatched))}"
            )
        return self

    def assert_nontrivial_match(self) -> Self:
        """See `LoadStatus.assert_nontrivial_match`."""
        if sum(1 for _ in self._matching.all_bound()) > 1:
            return self
        if unmatched := self._unmatched():
            raise AssertionError(
                f"nothing but the root has a value in the checkpoint {self._restoration.url!r}, which is probably "
                f"another program's; here are {_listed([*map(_described, unmatched[:MOST])], len(unmatched))}"
            )
        raise AssertionError("there is nothing to restore: the root has no objects yet")

    def expect_partial(self) -> Self:
        """Know that not all values are wanted: no warning names those that no object has taken.

        What was read for objects that may come yet is let go; should they come, it is read again, while the checkpoint
        is there.
        """
        self._restoration.unused.expected = True
        self._restoration.let_go()
        return self

    def _unmatched(self) -> list[Node]:
        """Objects that have values of their own, and are none of the checkpoint's."""
        bound = {id(thing) for _, thing in self._matching.all_bound()}
        nodes = list_nodes(self._root, skip_slots=self._matching.skip_slots)
        return [node for node in nodes if id(node.thing) not in bound and node.attributes()]


class InitializationOnlyStatus(LoadStatus):
    """Of no checkpoint: the path was None, as `latest_checkpoint` gives it at the first start."""

    def assert_consumed(self) -> Self:
        """Always raise an AssertionError."""
        self._refuse()

    def assert_existing_objects_matched(self) -> Self:
        """Always raise an AssertionError."""
        self._refuse()

    def assert_nontrivial_match(self) -> Self:
        """Always raise an AssertionError."""
        self._refuse()

    def run_restore_ops(self, session: Any = None) -> None:  # noqa: ARG002 - TensorFlow's argument
        """Always raise an AssertionError; `initialize_or_restore` is for either case."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise AssertionError("no checkpoint was given (the path is None), so nothing was restored")


class NameBasedSaverStatus(LoadStatus):
    """Of a checkpoint that was written by name, as by a `Saver`: it says nothing of objects.

    Args:
        restoration: of what.
        root: into what.
        optional: objects that need not have been restored.
    """

    def __init__(self, restoration: RestorationByName, root: Node, optional: Iterable[Any] = ()) -> None:
        self._restoration, self._root, self._optional = restoration, root, [*optional]

    def add_to_optionally_restored(self, var: Any) -> None:
        """Let a variable be missing from the checkpoint."""
        self._optional.append(var)

    def assert_consumed(self) -> Self:
        """See that all objects that are there now have got a value; the checkpoint may have more.

        Raises:
            AssertionError: some have not; the message names them.
        """
        optional = {id(thing) for thing in self._optional}
        missing = [name for thing, name in self._restoration.missing() if id(thing) not in optional]
        if missing:
            raise AssertionError(
                f"the checkpoint {self._restoration.url!r}, which goes by name, lacks {len(missing)} names: "
                f"{_listed([*map(repr, missing[:MOST])], len(missing))}"
            )
        for node in list_nodes(self._root):
            if node.attributes() and last_restored(node.thing) < self._restoration.number:
                raise AssertionError(f"an object was not restored: {_described(node)}")
        return self

    def assert_existing_objects_matched(self) -> Self:
        """As `assert_consumed`: such a checkpoint says nothing of objects."""
        return self.assert_consumed()

    def assert_nontrivial_match(self) -> Self:
        """As `assert_consumed`."""
        return self.assert_consumed()


def _described(node: Node) -> str:
    names = [attribute.full_name for attribute in node.attributes().values() if attribute.full_name]
    return f"{type(node.thing).__name__} {names[0]!r}" if names else type(node.thing).__name__


def _listed(shown: Sequence[str], count: int) -> str:
    return ", ".join(shown) + (f" and {count - len(shown)} others" if count > len(shown) else "")
