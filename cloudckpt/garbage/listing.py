"""A listed directory, sorted into what may be garbage: pure functions of what was seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import parse_data_filename
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.prefix import INDEX_SUFFIX
from cloudckpt.garbage.names import tensorflow_folder, tensorflow_temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudckpt.bundle.index import BundleIndex
    from cloudckpt.garbage.names import BaseName
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Listing", "newest", "saves_of", "sort_listing", "unnamed"]


@dataclass(slots=True)
class Listing:
    """What may be garbage in one directory; everything else is not looked at any further."""

    data: defaultdict[str, list[ObjectInfo]] = field(default_factory=lambda: defaultdict(list))
    """data files by the key of their prefix"""
    indexes: set[str] = field(default_factory=set)
    """the keys of the prefixes that have one"""
    temporaries: list[ObjectInfo] = field(default_factory=list)
    """TensorFlow's, each by itself"""
    folders: defaultdict[str, list[ObjectInfo]] = field(default_factory=lambda: defaultdict(list))
    """all files of TensorFlow's temporary folders, by the key of the folder"""


def sort_listing(folder: str, objects: Iterable[ObjectInfo], base_name: BaseName) -> Listing:
    """Sort what lies in a directory, and in the folders below it.

    Args:
        folder: how the keys of the directory's files begin.
        objects: of keys that begin so.
        base_name: whose files are looked at.
    """
    listing = Listing()
    for info in objects:
        _sort(listing, folder, info, base_name)
    return listing


def _sort(listing: Listing, folder: str, info: ObjectInfo, base_name: BaseName) -> None:
    path = info.key.removeprefix(folder)
    if (temporary := tensorflow_folder(path)) is not None and base_name.covers(temporary[1]):
        listing.folders[folder + temporary[0]].append(info)
    elif "/" in path:
        return
    elif (parsed := parse_data_filename(path)) is not None:
        if base_name.covers(parsed[0]):
            listing.data[folder + parsed[0]].append(info)
    elif path.endswith(INDEX_SUFFIX):
        listing.indexes.add(info.key.removesuffix(INDEX_SUFFIX))
    elif (prefix := tensorflow_temporary(path)) is not None and base_name.covers(prefix):
        listing.temporaries.append(info)


def saves_of(files: Iterable[ObjectInfo]) -> list[list[ObjectInfo]]:
    """The data files of one prefix, by the save that they are of as far as names tell: "of" how many they are."""
    saves: defaultdict[int, list[ObjectInfo]] = defaultdict(list)
    for info in files:
        if (parsed := parse_data_filename(info.key)) is not None:
            saves[parsed[2]].append(info)
    return list(saves.values())


def newest(files: Iterable[ObjectInfo]) -> float:
    """When the last of some files was changed; endless where the store does not know that of one."""
    return max(info.modified or float("inf") for info in files)


def unnamed(prefix: str, index: BundleIndex | None, files: Iterable[ObjectInfo]) -> Sequence[ObjectInfo]:
    """Those data files of a prefix that its index does not name; all without one.

    An empty file with a place among the checkpoint's own counts as named: TensorFlow makes one for a shard that has no
    tensors, and no entry tells of it.
    """
    if index is None:
        return list(files)
    needed, own_end = needed_data_files(prefix, index), f"-of-{index.header.num_shards:05d}"
    return [info for info in files if info.key not in needed and (info.size or not info.key.endswith(own_end))]
