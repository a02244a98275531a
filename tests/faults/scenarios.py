"""What programs do to a disk, and what must be true whenever they are cut short: the old checkpoint, or the new one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.errors import CheckpointNotFoundError
from cloudckpt.manager.checkpoint_manager import CheckpointManager
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.local.hidden import HiddenFile
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from tests.faults.states import delete, held, number_of, state

if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[[str], object]


class Scenario:
    """What a program does, and what must be true of every tree that a power cut at any moment of it leaves."""

    first: str | None = None
    """what had been said before it began"""
    since: str | None = None
    """what is said where the power may go for the first time, if not at the beginning"""

    def prepare(self, folder: str, fsync: bool) -> None:
        """Make what is there before, for good."""

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        """Write, and say what may be relied on."""
        raise NotImplementedError

    def check(self, folder: str, said: str | None) -> str | None:
        """Raise unless the tree is right; returns which of the right ones it is.

        Args:
            folder: with what the power cut left.
            said: the last that the program said.
        """
        raise NotImplementedError

    def go_on(self, folder: str) -> None:
        """What who comes after a killed process does; the end of it must be the same."""
        self.act(folder, False, str)


def place(folder: str, fsync: bool, name: str = "ckpt") -> Location:
    return Location(LocalStore(fsync=fsync), os.path.join(folder, name))


class Save(Scenario):
    """The first save, into folders that are not there."""

    where = "runs/one/ckpt"

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        save_tree(place(folder, fsync, self.where), state(2))
        say("2")

    def check(self, folder: str, said: str | None) -> str | None:
        found = held(place(folder, False, self.where))
        assert str(found) == said if said == "2" else str(found) in {str(said), "2"}
        return None if found is None else str(found)


class SaveIntoFoldersOfAnother(Save):
    """The same, where the user has just made the folder, or another process that was killed."""

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        os.mkdir(os.path.join(folder, "runs"))
        os.mkdir(os.path.join(folder, "runs", "one"))
        super().act(folder, fsync, say)


class SaveWithoutLinks(Save):
    """The first save on a file system without links."""

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        with patch.object(os, "link", side_effect=OSError(errno.EPERM, os.strerror(errno.EPERM))):
            super().act(folder, fsync, say)


class Overwrite(Save):
    """A save over another checkpoint."""

    first = "1"

    def prepare(self, folder: str, fsync: bool) -> None:
        save_tree(place(folder, fsync, self.where), state(1))


class SaveInSeveralFiles(Overwrite):
    """The same with three data files."""

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        tensors = {name: np.full(700, 2.0) for name in "abc"}
        save_tensors(place(folder, fsync, self.where), tensors, shards=3)
        say("2")

    def check(self, folder: str, said: str | None) -> str | None:
        prefix = place(folder, False, self.where)
        checkpoint = open_checkpoint(prefix)
        checkpoint.check_whole()
        if "a" not in checkpoint.tensors:
            return super().check(folder, said)
        assert all(set(array.tolist()) == {2.0} for array in checkpoint.read_named("abc").values())
        return "2"


class SaveV1(Scenario):
    """A V1 file in the place of another."""

    first = "1"

    def prepare(self, folder: str, fsync: bool) -> None:
        save_v1(place(folder, fsync), {"w": np.full(2000, 1.0)})

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        save_v1(place(folder, fsync), {"w": np.full(2000, 2.0)})
        say("2")

    def check(self, folder: str, said: str | None) -> str | None:
        (value,) = set(open_checkpoint(place(folder, False)).read_named(["w"])["w"].tolist())
        assert value == 2.0 or said == "1"
        return str(int(value))


class Delete(Scenario):
    """The deletion of a checkpoint, and a save under its name."""

    first = "1"

    def prepare(self, folder: str, fsync: bool) -> None:
        save_tree(place(folder, fsync), state(1))

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        delete(place(folder, fsync))
        say("None")
        save_tree(place(folder, fsync), state(2))
        say("2")

    def check(self, folder: str, said: str | None) -> str | None:
        found = str(held(place(folder, False)))
        assert found in {"1": {"1", "None"}, "None": {"None", "2"}, "2": {"2"}}[said or ""]
        return found


class Merge(Scenario):
    """Two checkpoints made one, and deleted."""

    def prepare(self, folder: str, fsync: bool) -> None:
        for number in range(2):
            save_tensors(self.part(folder, fsync, number), {f"w{number}": np.full(1000, number)})

    def part(self, folder: str, fsync: bool, number: int) -> Location:
        return place(folder, fsync, f"part-{number}/ckpt")

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        destination = place(folder, fsync)
        parts = [Location(destination.store, self.part(folder, fsync, number).key) for number in range(2)]
        merge_checkpoints(parts, destination, delete_old=True, allow_missing=False)
        say("merged")

    def check(self, folder: str, said: str | None) -> str | None:
        found = [self.read(self.part(folder, False, number)) for number in range(2)]
        merged = self.read(place(folder, False))
        if merged is None:
            assert said is None
            assert found == [{"w0"}, {"w1"}]
            return None
        assert merged == {"w0", "w1"}
        assert not any(found) or said is None
        return "merged"

    def go_on(self, folder: str) -> None:
        if self.check(folder, None) is None:
            super().go_on(folder)

    def read(self, prefix: Location) -> set[str] | None:
        try:
            checkpoint = open_checkpoint(prefix)
        except CheckpointNotFoundError:
            return None
        checkpoint.check_whole()
        for name, array in checkpoint.read_named(checkpoint.tensors).items():
            assert array.tolist() == [int(name[-1])] * 1000
        return set(checkpoint.tensors)


class MergeWithoutLinks(Merge):
    """The same on a file system that has no links, or from another."""

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        with patch.object(HiddenFile, "link", return_value=False):
            super().act(folder, fsync, say)


class Manage(Scenario):
    """A manager's run: three of its steps stay, and once it goes back in time."""

    steps = ((1, 10), (2, 20), (3, 30), (4, 40), (3, 31), (4, 41), (5, 51))

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        with self.manager(folder, fsync) as manager:
            for step, number in self.steps:
                manager.save(step, state(number))
                say(str(number))

    def manager(self, folder: str, fsync: bool) -> CheckpointManager:
        return CheckpointManager(os.path.join(folder, "run"), max_to_keep=3, storage_options={"fsync": fsync})

    def check(self, folder: str, said: str | None) -> str | None:
        numbers = [None, *(str(number) for _, number in self.steps)]
        right = numbers[numbers.index(said) :][:2]
        if said == "40":
            right.append("20")  # going back to 3: the newest below counts until 3 is saved
        with self.manager(folder, False) as manager:
            tree, step = manager.restore_latest(default=(None, None))
            found = None if tree is None else str(number_of(tree))
            assert found in right
            assert step == (None if found is None else int(found[0]))
            for other in manager.all_steps():
                assert number_of(manager.restore(other)) // 10 == other
        return found

    def go_on(self, folder: str) -> None:
        with self.manager(folder, False) as manager:
            _, step = manager.restore_latest(default=(None, 0))
            manager.save(step + 1, state(10 * (step + 1) + 9))
            assert manager.restore_latest()[1] == step + 1


class Resume(Manage):
    """The same from a job that died when it had committed a step and not named it."""

    first = "40"
    steps = ((4, 40), (5, 50), (6, 60))

    def prepare(self, folder: str, fsync: bool) -> None:
        with self.manager(folder, fsync) as manager:
            for step in range(1, 4):
                manager.save(step, state(10 * step))
        save_tree(place(folder, fsync, "run/ckpt-4"), state(40))

    def act(self, folder: str, fsync: bool, say: Say) -> None:
        with self.manager(folder, fsync) as manager:
            assert manager.restore_latest()[1] == 4
            for step, number in self.steps[1:]:
                manager.save(step, state(number))
                say(str(number))
