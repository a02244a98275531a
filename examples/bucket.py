"""What a directory of checkpoints on a bucket holds."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def sizes(bucket: AbstractFileSystem, directory: str) -> dict[str, int]:
    """The size in bytes of every object below the directory, by name."""
    bucket.invalidate_cache()
    found = bucket.find(directory, detail=True)
    return {posixpath.basename(name): entry["size"] for name, entry in found.items()}


def what_is_left(bucket: AbstractFileSystem, directory: str) -> str:
    """The directory in words: the steps that are whole, those with only data, and the one that the state file names."""
    names = sizes(bucket, directory)
    index, data = steps(names, ".index"), steps(names, ".data-")
    state = bucket.cat_file(f"{directory}/checkpoint").decode() if "checkpoint" in names else ""
    latest = re.search(r'^model_checkpoint_path: ".*ckpt-(\d+)"', state, re.MULTILINE)
    words = {
        "whole": index & data,
        "only data": data - index,
        "state names": {int(latest[1])} if latest else set(),
    }
    said = [f"{what} {' '.join(map(str, sorted(which)))}" for what, which in words.items() if which]
    return "; ".join(said) or "nothing"


def steps(names: dict[str, int], part: str) -> set[int]:
    """The steps that have a file of this kind."""
    return {int(found[1]) for name in names if (found := re.match(rf"ckpt-(\d+){re.escape(part)}", name))}
