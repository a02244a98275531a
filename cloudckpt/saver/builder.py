"""How a saver writes and reads tensors: the methods to override for savers that do something on the way.

Source of the names: python/training/saver.py, BaseSaverBuilder and BulkSaverBuilder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.ops.named_tensors import named_tensors
from cloudckpt.ops.requests import tensor_request
from cloudckpt.ops.restore_v2 import RestoreV2
from cloudckpt.ops.sharded_names import ShardedFilename
from cloudckpt.saver.filename import OpenFilename
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec, VariableSaveable
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.sliced_tensor import SlicedTensor

    Saveable = SaveableObject

__all__ = ["BaseSaverBuilder", "BulkSaverBuilder", "is_plain"]


class BaseSaverBuilder:
    """Writes and reads the tensors of saveables; the saver does all else: names, commit, retention, assignment.

    To be subclassed. TensorFlow calls these methods once, to make operations of a graph; here they are called whenever
    a save or a restore runs, with values: `filename_tensor` is the checkpoint's path as a `str`, `spec.tensor` of the
    saveables that a save passes gives an array (the value in the session that is saved), and what a restore returns
    are arrays. So a saver that keeps halves on disk is::

        class HalfBuilder(BaseSaverBuilder):
            def save_op(self, filename_tensor, saveables):
                return super().save_op(filename_tensor, [halved(each) for each in saveables])

            def restore_op(self, filename_tensor, saveable, preferred_shard):
                arrays = super().restore_op(filename_tensor, halved(saveable), preferred_shard)
                return [array.astype(np.float32) for array in arrays]

    where `halved` makes a `SaveableObject` with the same names and a `SaveSpec` of dtype float16 for each of its specs.

    Args:
        write_version: `SaverDef.V1` or `SaverDef.V2`, which a saver with this builder writes.

    Raises:
        InvalidArgumentError: it is neither.
    """

    SaveSpec: ClassVar = SaveSpec
    SaveableObject: ClassVar = SaveableObject
    VariableSaveable: ClassVar = VariableSaveable
    ResourceVariableSaveable: ClassVar = VariableSaveable

    def __init__(self, write_version: int = SaverDef.V2) -> None:
        if write_version not in (SaverDef.V1, SaverDef.V2):
            raise InvalidArgumentError(f"write_version must be SaverDef.V1 or SaverDef.V2, got {write_version!r}")
        self._write_version = write_version

    @property
    def write_version(self) -> int:
        """The format that savers with this builder write."""
        return self._write_version

    def save_op(self, filename_tensor: str, saveables: Sequence[Saveable]) -> Any:
        """What to write of some saveables, all of one shard.

        Args:
            filename_tensor: the path of the checkpoint, or of a shard's file in the V1 format.
            saveables: with arrays as their specs' tensors.

        Returns:
            Arrays, or slices of tensors, by name, which the saver then writes and commits together with those of the
            other shards. None from a builder that has written the file itself, with `raw_ops.SaveV2` for instance.

        Raises:
            InvalidArgumentError: a slice spec is not its array's; a name comes twice.
        """
        names, slices, arrays = [], [], []
        for spec in _specs(saveables):
            if (array := spec.tensor) is not None:
                names.append(spec.name)
                slices.append(spec.slice_spec)
                arrays.append(np.asanyarray(array))
        tensors: Mapping[str, NDArray[Any] | SlicedTensor] = named_tensors(names, slices, arrays, filename_tensor)
        return tensors

    def bulk_restore(
        self,
        filename_tensor: str,
        saveables: Sequence[Saveable],
        preferred_shard: int,
        restore_sequentially: bool,  # noqa: ARG002 - TensorFlow's
    ) -> list[NDArray[Any]]:
        """The tensors of some saveables: here by one `restore_op` for each.

        Args:
            filename_tensor: the path of the checkpoint.
            saveables: whose tensors to read; one at a time where the saver restores sequentially.
            preferred_shard: -1; kept for builders that were written for TensorFlow.
            restore_sequentially: whether the saver does.

        Returns:
            An array for each spec of each saveable, in order.

        Raises: what `restore_op` raises.
        """
        return [
            array for saveable in saveables for array in self.restore_op(filename_tensor, saveable, preferred_shard)
        ]

    def restore_op(
        self,
        filename_tensor: str,
        saveable: Saveable,
        preferred_shard: int,  # noqa: ARG002 - TensorFlow's
    ) -> list[NDArray[Any]]:
        """The tensors of one saveable, by the names, slices and dtypes of its specs.

        Args:
            filename_tensor: the path of the checkpoint.
            saveable: whose tensors to read.
            preferred_shard: as for `bulk_restore`.

        Returns:
            A new array for each of its specs.

        Raises:
            TensorNotFoundError: the checkpoint has no tensor of that name, or not the whole slice.
            InvalidArgumentError: the tensor is of another dtype, or a slice spec does not fit it.
            CloudckptError: and what `OpenCheckpoint.read` raises.
        """
        return _read(filename_tensor, saveable.specs)

    def sharded_filename(self, filename_tensor: str, shard: int, num_shards: int) -> str:
        """The file of one shard in the V1 format.

        Args:
            filename_tensor: the path of the checkpoint.
            shard: which, counted from 0.
            num_shards: of how many.
        """
        return ShardedFilename(basename=str(filename_tensor), shard=shard, num_shards=num_shards)


class BulkSaverBuilder(BaseSaverBuilder):
    """What a saver takes by default: reads all tensors at once, neighbours in one request and several in flight."""

    def bulk_restore(
        self,
        filename_tensor: str,
        saveables: Sequence[Saveable],
        preferred_shard: int,  # noqa: ARG002 - TensorFlow's
        restore_sequentially: bool,  # noqa: ARG002 - TensorFlow's
    ) -> list[NDArray[Any]]:
        """The tensors of all saveables, by the names, slices and dtypes of their specs; `restore_op` is not called.

        Raises: what `BaseSaverBuilder.restore_op` raises; then nothing was read.
        """
        return _read(filename_tensor, _specs(saveables))


def is_plain(builder: BaseSaverBuilder) -> bool:
    """Whether it reads what the specs say and nothing else, so that the index tells beforehand what will come."""
    cls = type(builder)
    return cls.restore_op is BaseSaverBuilder.restore_op and cls.bulk_restore in (
        BaseSaverBuilder.bulk_restore,
        BulkSaverBuilder.bulk_restore,
    )


def _specs(saveables: Iterable[Saveable]) -> list[SaveSpec]:
    return [spec for saveable in saveables for spec in saveable.specs]


def _read(filename: str, specs: Sequence[SaveSpec]) -> list[NDArray[Any]]:
    """Read what specs name, from the open checkpoint if the file name has it."""
    dtypes = [DataType(spec.dtype.as_datatype_enum) for spec in specs]
    if not isinstance(filename, OpenFilename):
        names, slices = [spec.name for spec in specs], [spec.slice_spec for spec in specs]
        return RestoreV2(prefix=filename, tensor_names=names, shape_and_slices=slices, dtypes=dtypes)
    checkpoint = filename.checkpoint
    return checkpoint.read(
        [
            tensor_request(checkpoint, spec.name, spec.slice_spec, dtype)
            for spec, dtype in zip(specs, dtypes, strict=True)
        ]
    )
