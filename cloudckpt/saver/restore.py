"""Reading a checkpoint into what a saver holds: everything is read and checked before anything is assigned."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.errors import CheckpointNotFoundError, InvalidArgumentError, InvalidSavePathError
from cloudckpt.objects.object_graph.stored import is_object_based
from cloudckpt.saver.builder import is_plain
from cloudckpt.saver.filename import OpenFilename
from cloudckpt.saver.fitting import Fitting
from cloudckpt.saver.object_based import keys_by_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.saver.builder import BaseSaverBuilder
    from cloudckpt.saver.memory import Memory
    from cloudckpt.saver.saveable_object import SaveableObject

__all__ = ["Restorer"]


@dataclass(frozen=True, slots=True)
class Restorer:
    """How a saver restores.

    Attributes:
        builder: reads the tensors.
        saveables: that take them.
        memory: where their values are.
        reshape: whether tensors take their variables' shapes, if they have as many elements.
        sequentially: whether one saveable after the other is read and assigned.
    """

    builder: BaseSaverBuilder
    saveables: Sequence[SaveableObject]
    memory: Memory
    reshape: bool
    sequentially: bool

    def restore(self, path: str, storage_options: Mapping[str, Any] | None) -> None:
        """Read a checkpoint, V2 or V1, and assign what was read, all from one and the same save.

        If anything is missing, damaged or does not fit, nothing is assigned; with `sequentially`, where data is damaged
        what comes before it is.

        Raises:
            TypeError: a variable can't be assigned to.
            InvalidSavePathError: there is no checkpoint at the path.
            CheckpointPathError: the path names a folder, or one file of a checkpoint.
            TensorNotFoundError: it lacks a tensor, under that name and as an object's.
            InvalidArgumentError: a tensor has another dtype or shape than its variable.
            CloudckptError: and what `read_consistently` and `OpenCheckpoint.read` raise.
        """
        self.memory.check_assignable(self.saveables)
        with open_prefix(path, storage_options) as prefix:
            try:
                arrays = read_consistently(prefix, partial(self._read, path), whole=False)
            except CheckpointNotFoundError as error:
                message = f"save_path is not a valid checkpoint: {error.message}"
                raise InvalidSavePathError(message, path=error.path) from error
        if not self.sequentially:
            self._assign(self.saveables, arrays)

    def _read(self, path: str, checkpoint: OpenCheckpoint) -> list[NDArray[Any]]:
        """Read all arrays; where this goes sequentially, assign them, too, and return none."""
        filename, stored = OpenFilename(path, checkpoint), self.saveables
        if is_plain(self.builder):
            fitting = Fitting(checkpoint.prefix.url, self.memory, reshape=self.reshape)
            stored = _as_stored(checkpoint, stored)
            fitting.check_index(checkpoint, self.saveables, stored)
        if not self.sequentially:
            return self._bulk(filename, stored)
        for saveable, named in zip(self.saveables, stored, strict=True):
            self._assign([saveable], self._bulk(filename, [named]))
        return []

    def _bulk(self, filename: OpenFilename, saveables: Sequence[SaveableObject]) -> list[NDArray[Any]]:
        url, wanted = filename.checkpoint.prefix.url, sum(len(saveable.specs) for saveable in saveables)
        arrays = [*map(np.asanyarray, self.builder.bulk_restore(filename, saveables, -1, self.sequentially))]
        if len(arrays) != wanted:
            raise InvalidArgumentError(
                f"{type(self.builder).__name__} returned {len(arrays)} tensors of {url!r} where {wanted} are wanted",
                path=url,
            )
        Fitting(url, self.memory, reshape=self.reshape).check_arrays(saveables, arrays)
        return arrays

    def _assign(self, saveables: Sequence[SaveableObject], arrays: list[NDArray[Any]]) -> None:
        """Hand the arrays over, keeping none of those that are."""
        arrays.reverse()
        for saveable in saveables:
            taken = [arrays.pop() for _ in saveable.specs]
            shapes = [self.memory.shape(saveable, spec) for spec in saveable.specs] if self.reshape else None
            self.memory.restore(saveable, taken, shapes)


def _as_stored(checkpoint: OpenCheckpoint, saveables: Sequence[SaveableObject]) -> Sequence[SaveableObject]:
    """The saveables under the names that their tensors have in the checkpoint, which may be those of objects.

    Raises:
        TensorNotFoundError: it is a checkpoint by object that lacks one of the variables.
    """
    names = [spec.name for saveable in saveables for spec in saveable.specs]
    if not is_object_based(checkpoint) or all(name in checkpoint.tensors for name in names):
        return saveables
    keys = keys_by_object(checkpoint, names)
    return [_renamed(saveable, keys) for saveable in saveables]


def _renamed(saveable: SaveableObject, keys: Mapping[str, str]) -> SaveableObject:
    renamed = copy(saveable)
    renamed.specs = [*map(copy, saveable.specs)]
    for spec in renamed.specs:
        spec.name = keys[spec.name]
    return renamed
