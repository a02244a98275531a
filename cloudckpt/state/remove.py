"""`remove_checkpoint`: TensorFlow's function that deletes one checkpoint, and nothing else.

Source: python/checkpoint/checkpoint_management.py, remove_checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import meta_graph_filename
from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.v1_files import own_files

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cloudckpt.storage.location import Location

__all__ = ["VERSION_2", "remove_checkpoint"]

VERSION_2 = 2
"""`SaverDef.V2`; any other version of the format is 1."""


def remove_checkpoint(
    checkpoint_prefix: str | os.PathLike[str],
    checkpoint_format_version: int = VERSION_2,
    meta_graph_suffix: str = "meta",
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Delete a checkpoint: what makes it one goes first, so that what remains after a crash is never taken for one.

    In version 2 of the format that is the `.index`; then go the data files that the index names, then the meta graph.
    Files of the prefix that no index names stay: another writer may be about to commit them, and a collector takes them
    when they are old enough. In version 1 it is the file, or all shards of "ckpt-?????-of-00003"; then the meta graph.
    A checkpoint that is not there is no error.

    Unlike TensorFlow's it takes no pattern but that of the shards, and so never deletes what another prefix names.

    Args:
        checkpoint_prefix: the checkpoint's prefix, or its V1 file or pattern of shards.
        checkpoint_format_version: `SaverDef.V2`, or `SaverDef.V1` to delete the files of that version alone.
        meta_graph_suffix: what the file with the meta graph ends in, behind a ".".
        storage_options: options of the store, as fsspec takes them.

    Raises:
        CheckpointPathError: the path names a folder, or one file of a checkpoint.
        CheckpointVersionError: a newer program wrote the index; nothing was deleted.
        PreconditionFailedError: the checkpoint was replaced while it was looked at; nothing was deleted.
        StorageError: the store failed. What remains is no checkpoint if the index is gone.

    Cost: a GET, a DELETE and a batch of deletes; for V1 a HEAD or LIST and a batch.
    """
    with open_prefix(checkpoint_prefix, storage_options) as prefix:
        if checkpoint_format_version == VERSION_2:
            _remove_v2(prefix, meta_graph_suffix)
        else:
            _remove_v1(prefix, meta_graph_suffix)


def _remove_v2(prefix: Location, meta_graph_suffix: str) -> None:
    doomed = find_doomed(prefix, even_damaged=True)
    if doomed is None:
        prefix.store.delete([meta_graph_filename(prefix.key, meta_graph_suffix)])
    else:
        delete_checkpoint(doomed, meta_graph_suffix=meta_graph_suffix)


def _remove_v1(file: Location, meta_graph_suffix: str) -> None:
    files = [info.key for info in own_files(file)]
    file.store.delete([*files, meta_graph_filename(file.key, meta_graph_suffix)])
