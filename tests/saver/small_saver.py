"""A saver of one number, around the list that savers keep of their checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.checksums import crc32c
from cloudckpt.saver.last_checkpoints import LastCheckpoints
from cloudckpt.state.deletions import Files
from cloudckpt.state.places import SaveDirectory
from cloudckpt.storage.location import Location
from cloudckpt.storage.store import Always

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudckpt.storage.store import Store


class SmallSaver:
    """Saves checkpoints as `cloudckpt.train.Saver` does, and keeps `last`.

    Args:
        max_to_keep: as a saver takes it, as the next.
        keep_every_n_hours: see there.
        latest_filename: of its state file.
        options: of the stores.
        format_version: 2, or 1.
        shards: of a checkpoint of version 1; 0 for a single file of the checkpoint's own name.
        relative: whether its state file has relative paths.
    """

    def __init__(
        self,
        max_to_keep: int | None = 2,
        keep_every_n_hours: float | None = 10000.0,
        *,
        latest_filename: str = "checkpoint",
        options: Mapping[str, Any] | None = None,
        format_version: int = 2,
        shards: int = 0,
        relative: bool = False,
    ) -> None:
        self.last = LastCheckpoints(max_to_keep, keep_every_n_hours, storage_options=options)
        self._latest_filename, self._options = latest_filename, options
        self._format_version, self._shards, self._relative = format_version, shards, relative
        self.through: Callable[[Store], Store] = lambda store: store
        """what its requests go through"""

    def save(self, path: str, value: float = 0.0) -> str:
        """Save a number under a path; returns the path to restore."""
        with open_prefix(path, self._options) as opened:
            prefix = Location(self.through(opened.store), opened.key)
            name, version = self._write(prefix, path, {"w": np.full(2, value)})
            meta = f"{prefix.key}.meta"
            prefix.store.put(meta, b"graph", Always(), crc32c=crc32c(b"graph"))
            directory = SaveDirectory.of(path, prefix)
            self.last.record(name, version)
            self.last.write_state(
                directory, name, latest_filename=self._latest_filename, save_relative_paths=self._relative
            )
            self.last.delete_dropped(directory, Files(self._latest_filename, self._format_version))
        return name

    def _write(self, prefix: Location, path: str, tensors: dict[str, Any]) -> tuple[str, str | None]:
        if self._format_version == 2:
            return path, save_tensors(prefix, tensors, unsafe_overwrite=True).index.version
        names = [f"-{shard:05d}-of-{self._shards:05d}" for shard in range(self._shards)] or [""]
        for name in names:
            save_v1(Location(prefix.store, prefix.key + name), {f"w{name}": tensors["w"]}, unsafe_overwrite=True)
        first = prefix.store.stat(prefix.key + names[0])
        return (f"{path}-?????-of-{self._shards:05d}" if self._shards else path), first.version
