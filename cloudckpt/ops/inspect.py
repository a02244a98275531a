"""TensorFlow's functions that look into checkpoints, without TensorFlow.

Sources: python/training/checkpoint_utils.py; python/checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.errors import CheckpointPathError
from cloudckpt.ops.checkpoint_reader import CheckpointReader
from cloudckpt.state.latest import has_checkpoint, latest_in
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.storage.location import Location

__all__ = ["checkpoint_exists", "list_variables", "load_checkpoint", "load_variable", "locate_checkpoint"]


def load_checkpoint(
    ckpt_dir_or_file: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
) -> CheckpointReader:
    """A reader of a checkpoint, or of the latest one that a directory's state file names, whole or not.

    Args:
        ckpt_dir_or_file: a checkpoint's prefix, a V1 file or pattern of files, or a directory: on any store.
        storage_options: options of the store, as fsspec takes them.

    Raises:
        CheckpointPathError: a ValueError, as TensorFlow's: the directory has no state file, or one that names nothing
            that is there; or the path names one file of a checkpoint.
        StateFileError: the directory's state file is there and can't be read.
        CheckpointNotFoundError: it is no directory, and there is no checkpoint of that name.
        CloudckptError: and what `CheckpointReader` raises.

    Cost: that of `CheckpointReader`; a LIST on remote stores, to see whether it is a directory; and for a directory
    a GET of its state and a HEAD of the index.
    """
    return CheckpointReader.at(locate_checkpoint(ckpt_dir_or_file, storage_options))


def locate_checkpoint(path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None) -> Location:
    """The prefix of a checkpoint, or of the latest one that a directory's state file names, in its open store.

    Args:
        path: as `load_checkpoint` takes it.
        storage_options: options of the store, as fsspec takes them.

    Raises: what `load_checkpoint` raises before it looks for the checkpoint itself.
    """
    with ExitStack() as opened:
        place = opened.enter_context(open_location(path, storage_options))
        is_directory = os.fspath(path).endswith("/") or _is_directory(place)
        prefix = _latest(place) if is_directory else place
        opened.pop_all()
    return prefix


def load_variable(
    ckpt_dir_or_file: str | os.PathLike[str], name: str, *, storage_options: Mapping[str, Any] | None = None
) -> Any:
    """One tensor of a checkpoint, as `CheckpointReader.get_tensor` gives it.

    Args:
        ckpt_dir_or_file: as `load_checkpoint` takes it.
        name: the tensor's; ":0" at its end is left out.
        storage_options: options of the store, as fsspec takes them.

    Raises: what `load_checkpoint` and `CheckpointReader.get_tensor` raise.
    """
    with load_checkpoint(ckpt_dir_or_file, storage_options=storage_options) as reader:
        return reader.get_tensor(name.removesuffix(":0"))


def list_variables(
    ckpt_dir_or_file: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
) -> list[tuple[str, list[int]]]:
    """The names and shapes of all tensors of a checkpoint, sorted by name. No tensor is read.

    Args:
        ckpt_dir_or_file: as `load_checkpoint` takes it.
        storage_options: options of the store, as fsspec takes them.

    Raises: what `load_checkpoint` raises.
    """
    with load_checkpoint(ckpt_dir_or_file, storage_options=storage_options) as reader:
        return sorted(reader.get_variable_to_shape_map().items())


def checkpoint_exists(
    checkpoint_prefix: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
) -> bool:
    """Whether there is a checkpoint of that prefix: the index of version 2, or a file of version 1.

    It looks no further: whether the checkpoint is whole, `cloudckpt.verify` says. Unlike TensorFlow's it is False for
    a directory, and knows patterns for the files of version 1 only.

    Args:
        checkpoint_prefix: the checkpoint's prefix, or a pattern of V1 files such as "run/ckpt-?????-of-00002".
        storage_options: options of the store, as fsspec takes them.

    Raises:
        CheckpointPathError: the path names a folder or one file of a V2 checkpoint.
        StorageError: the store failed.

    Cost: a HEAD; one or two requests more where there is no index.
    """
    with open_prefix(checkpoint_prefix, storage_options) as prefix:
        return has_checkpoint(prefix)


def _is_directory(place: Location) -> bool:
    """Whether it is a folder; on stores that have none, whether objects stand as if in one."""
    if place.store.capabilities.local_files:
        return os.path.isdir(place.url)
    return not place.key or next(place.store.list(f"{place.key}/"), None) is not None


def _latest(directory: Location) -> Location:
    found = latest_in(directory)
    if found is None:
        raise CheckpointPathError(
            f"{directory.url} is a directory without a latest checkpoint: it has no state file named 'checkpoint', or "
            "one that names nothing that is there; pass the prefix of a checkpoint in it",
            path=directory.url,
        )
    return found
