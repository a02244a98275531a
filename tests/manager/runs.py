"""Directories of checkpoints for the tests of the manager, in memories of their own or wherever they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.manager.checkpoint_manager import CheckpointManager
from cloudckpt.state.state_file import CheckpointState, decode_state
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store


def tree(step: int, line: str = "first") -> dict[str, Any]:
    """What a job would save at a step: other values in every step and line of training."""
    rng = np.random.default_rng([step, *line.encode()])
    return {"w": rng.normal(size=(3, 5)).astype(np.float32), "line": line, "step": step}


def same(left: Any, right: Any) -> bool:
    """Whether two of those trees are equal, bit for bit."""
    return left["w"].tobytes() == right["w"].tobytes() and (left["line"], left["step"]) == (
        right["line"],
        right["step"],
    )


def manager_at(location: Location, **options: Any) -> CheckpointManager:
    """A manager of a directory in a store that no URL leads to."""
    with patch("cloudckpt.manager.checkpoint_manager.open_location", return_value=location):
        return CheckpointManager(location.url, **options)


class MemoryRun:
    """One directory, `run`, in a memory that nothing else uses; it can be set back to what it was."""

    def __init__(self) -> None:
        self.filesystem = MemoryFileSystem(skip_instance_cache=True)
        self.filesystem.store = {}

    @property
    def store(self) -> MemoryStore:
        return MemoryStore(self.filesystem)

    def manager(self, store: Store | None = None, **options: Any) -> CheckpointManager:
        """A manager of the directory, on another store than the memory itself if one is given."""
        return manager_at(Location(store or self.store, "run"), **options)

    def copy(self) -> MemoryRun:
        """The same files in another memory. Objects are replaced, never changed."""
        other = MemoryRun()
        other.filesystem.store = dict(self.filesystem.store)
        return other

    @property
    def files(self) -> list[str]:
        return sorted(path.removeprefix("/run/") for path in self.filesystem.store)

    @property
    def indexed(self) -> list[int]:
        """The steps that have an index."""
        return sorted(int(found[1]) for name in self.files if (found := re.fullmatch(r"ckpt-(\d+)\.index", name)))

    @property
    def state(self) -> CheckpointState:
        """What the state file says; empty without one."""
        file = self.filesystem.store.get("/run/checkpoint")
        return CheckpointState() if file is None else decode_state(file.getvalue(), "checkpoint")

    @property
    def named(self) -> list[int]:
        """The steps that the state names."""
        return [int(path.removeprefix("ckpt-")) for path in self.state.paths]
