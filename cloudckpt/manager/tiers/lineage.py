"""Of two directories that hold one run: which checkpoint of the one goes on from which of the other.

A step's number does not tell: after a rollback, or on another machine, there are other checkpoints of the same steps.
So a local checkpoint says in a reserved tensor from which checkpoints of the bucket it has come, each by its content,
which is the same whatever store it lies in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cloudckpt.checkpoint.bundle_reader import open_bundle
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.storage.location import Location

__all__ = ["LINE_TENSOR", "Line", "Version", "content_of", "opened", "read_line"]

LINE_TENSOR = "_CLOUDCKPT_LINE"
MOST_VERSIONS = 1000
"""How many checkpoints of the bucket a line remembers: more than anyone lets uploads fail in a row."""
MOST_BYTES = 1 << 20
"""Of a line's tensor; a longer one is none of ours."""


class Version(NamedTuple):
    """One checkpoint of a step, to be told from others of that step."""

    step: int
    content: str
    """`content_of` it"""


@dataclass(frozen=True, slots=True)
class Line:
    """Where a local checkpoint comes from."""

    bucket: str
    """the URL of the bucket's directory"""
    versions: tuple[Version, ...] = ()
    """its checkpoints that were restored, or sent there, on the way, by ascending step; some may not have arrived"""

    def has(self, version: Version) -> bool:
        """Whether the line comes from that checkpoint."""
        return version in self.versions

    def with_version(self, version: Version) -> Line:
        """The line after that checkpoint."""
        before = [known for known in self.versions if known.step < version.step]
        return replace(self, versions=(*before, version)[-MOST_VERSIONS:])

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The tensor that holds it, by its name."""
        text = json.dumps({"bucket": self.bucket, "versions": self.versions})
        return {LINE_TENSOR: np.array(text.encode(), object)}


def read_line(checkpoint: BundleCheckpoint) -> Line | None:
    """The line that a checkpoint says it is of; None if it says nothing.

    Raises:
        CheckpointDamagedError: what it says is no line.
        StorageError: the store failed.
    """
    entry = checkpoint.tensors.get(LINE_TENSOR)
    if entry is None:
        return None
    try:
        if entry.dtype != DataType.STRING or entry.shape != () or entry.size > MOST_BYTES:
            raise ValueError("it is no text of moderate length")
        said = json.loads(checkpoint.read_named([LINE_TENSOR])[LINE_TENSOR].item())
        versions = tuple(Version(int(step), str(content)) for step, content in said["versions"])
        return Line(str(said["bucket"]), versions)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        url = checkpoint.prefix.url
        raise CheckpointDamagedError(
            f"the tensor {LINE_TENSOR!r} of {url!r} does not say where it comes from: {error}",
            path=url,
            tensor=LINE_TENSOR,
        ) from error


def opened(prefix: Location, files: PrefixFiles | None) -> BundleCheckpoint:
    """Open a checkpoint that has an index. A GET, and a LIST where `files` does not do.

    Raises:
        CheckpointNotFoundError: it has none.
        CheckpointDamagedError: it does not parse.
    """
    checkpoint = open_bundle(prefix, files)
    if checkpoint is None:
        raise CheckpointNotFoundError(f"there is no checkpoint {prefix.url!r}", path=prefix.url)
    return checkpoint


def content_of(checkpoint: BundleCheckpoint) -> str:
    """What tells a checkpoint's tensors from all others: a hash of names, dtypes, shapes and checksums. No request.

    Where in which files they lie does not matter, and the line does not belong to them.
    """
    digest = hashlib.sha256()
    for name, entry in checkpoint.index.entries.items():
        if name != LINE_TENSOR:
            shape, slices = tuple(entry.shape), tuple(entry.slices)
            digest.update(
                repr((name, int(entry.dtype), shape, entry.size, entry.crc32c, slices)).encode("utf-8", "replace")
            )
    for key, entry in checkpoint.index.slice_entries.items():
        digest.update(repr((key, int(entry.dtype), tuple(entry.shape), entry.size, entry.crc32c)).encode())
    return digest.hexdigest()[:32]
