"""The contents of a checkpoint as TensorFlow prints them.

Sources: core/util/tensor_bundle/tensor_bundle.cc, BundleReader::DebugString; core/util/tensor_slice_reader.cc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.bundle.tensor_names import encode_name
from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorInfo

__all__ = ["debug_string"]


def debug_string(checkpoint: OpenCheckpoint) -> bytes:
    """A line for every tensor: its name, dtype and shape."""
    if isinstance(checkpoint, BundleCheckpoint):
        lines = _bundle_lines(checkpoint)
    else:
        lines = [_line(encode_name(name), info, _count(info)) for name, info in checkpoint.tensors.items()]
    return b"".join(lines)


def _bundle_lines(checkpoint: BundleCheckpoint) -> list[bytes]:
    """Those of V2: whatever entry has bytes, by its key, so that a slice stands for itself and not for its tensor."""
    index = checkpoint.index
    whole = [_line(encode_name(name), entry) for name, entry in index.entries.items() if not entry.slices]
    return [_line(key, entry) for key, entry in index.slice_entries.items()] + whole


def _line(key: bytes, info: TensorInfo, remark: str = "") -> bytes:
    name = info.dtype.name if isinstance(info.dtype, DataType) else str(info.dtype)
    return key + f" (DT_{name}) [{','.join(map(str, info.shape))}]{remark}\n".encode()


def _count(info: TensorInfo) -> str:
    return f", {len(info.slices)} slices" if len(info.slices) > 1 else ""
