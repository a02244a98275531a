"""Writing the files of one save: one V2 checkpoint, a V1 file, or a V1 file for each device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.commit import save_groups, save_tensors
from cloudckpt.checkpoint.delete import discard
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.ops.refusals import refusals_as_invalid
from cloudckpt.ops.sharded_names import ShardedFilespec
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.storage.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
    from cloudckpt.saver.builder import BaseSaverBuilder
    from cloudckpt.saver.saveable_object import SaveableObject
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Writer", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """What a save wrote."""

    path: str
    """which a restore takes: the prefix, or the pattern of all files of a sharded V1 checkpoint"""
    version: str | None
    """of the index, or of the first V1 file; None if the builder wrote it"""


@dataclass(frozen=True, slots=True)
class Writer:
    """How a saver writes.

    Attributes:
        builder: says what is written of the saveables.
        sharded: whether each group gets a file of its own, whose name says which of several it is.
        write_version: `SaverDef.V1` or `SaverDef.V2`.
        unsafe_overwrite: as for `save_tensors` and `save_v1`.
    """

    builder: BaseSaverBuilder
    sharded: bool
    write_version: int
    unsafe_overwrite: bool

    def write(self, prefix: Location, path: str, groups: Sequence[Sequence[SaveableObject]]) -> Written:
        """Write a checkpoint.

        Args:
            prefix: where, open.
            path: the same, as the user wrote it.
            groups: of saveables with arrays as their specs' tensors; one group a file.

        Raises:
            InvalidArgumentError: the tensors don't fit together, or the format can't hold one.
            CommitConflictError: another writer saved there meanwhile.
            CloudckptError: and what `save_tensors`, `save_groups` and `save_v1` raise.
        """
        with refusals_as_invalid(prefix.url):
            if self.write_version == SaverDef.V1:
                return self._write_v1(prefix, path, groups)
            return self._write_v2(prefix, path, groups)

    def _write_v2(self, prefix: Location, path: str, groups: Sequence[Sequence[SaveableObject]]) -> Written:
        contents = [self.builder.save_op(path, group) for group in groups]
        if contents == [None]:
            return Written(path, None)
        if None in contents:
            raise TypeError(
                f"{type(self.builder).__name__}.save_op returned None: of a sharded saver it must return the tensors, "
                "so that all shards become one checkpoint at once"
            )
        if self.sharded:
            saved = save_groups(prefix, contents, alignment=1, unsafe_overwrite=self.unsafe_overwrite)
        else:
            saved = save_tensors(prefix, contents[0], alignment=1, unsafe_overwrite=self.unsafe_overwrite)
        return Written(path, saved.index.version)

    def _write_v1(self, prefix: Location, path: str, groups: Sequence[Sequence[SaveableObject]]) -> Written:
        if not self.sharded:
            info = self._write_file(prefix, path, groups[0])
            return Written(path, info.version if info else None)
        written: list[ObjectInfo | None] = []
        try:
            for shard, group in enumerate(groups):
                filename = self.builder.sharded_filename(path, shard, len(groups))
                file = Location(prefix.store, f"{prefix.key}{filename.removeprefix(path)}")
                written.append(self._write_file(file, filename, group))
        except BaseException:
            # Readers that find all files would take these for those of one save.
            discard(prefix, [info for info in written if info is not None])
            raise
        first = written[0]
        return Written(ShardedFilespec(basename=path, num_shards=len(groups)), first.version if first else None)

    def _write_file(self, file: Location, path: str, saveables: Sequence[SaveableObject]) -> ObjectInfo | None:
        content: Mapping[str, NDArray[Any] | SlicedTensor] | None = self.builder.save_op(path, saveables)
        return None if content is None else save_v1(file, content, unsafe_overwrite=self.unsafe_overwrite)
