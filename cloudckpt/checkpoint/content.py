"""What a save is given, as what a checkpoint holds: the sources of its bytes by the keys of its index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checkpoint.names import tensor_key
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.sources import Source, numeric_source
from cloudckpt.checkpoint.string_source import string_source
from cloudckpt.collection import collection_paused
from cloudckpt.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Content", "content_of", "source_of"]


@dataclass(frozen=True, slots=True)
class Content:
    """The tensors and slices of one save, in the order in which they will stand in the data files."""

    keys: list[bytes] = field(default_factory=list)
    """of the tensors and slices in the index"""
    sources: list[Source] = field(default_factory=list)
    """their bytes"""
    sliced: dict[bytes, BundleEntry] = field(default_factory=dict)
    """The entries of tensors whose slices are saved: they say what and where the slices are, and have no bytes."""

    def add(self, key: bytes, source: Source) -> None:
        """Add a tensor, or a slice of one."""
        self.keys.append(key)
        self.sources.append(source)

    def add_slices(self, name: str, tensor: SlicedTensor) -> None:
        """Add a tensor of which slices are saved.

        Raises:
            TypeError: a slice is of no type that TensorFlow has.
            InvalidArgumentError: they are none of such a tensor.
        """
        tensor.check(name)
        if (whole := tensor.whole) is not None:
            self.add(tensor_key(name), source_of(name, whole))
            return
        self.sliced[tensor_key(name)] = BundleEntry(tensor.dtype, tensor.shape, 0, 0, 0, 0, tuple(tensor.parts))
        for where, part in tensor.parts.items():
            self.add(encode_slice_key(name, where), source_of(name, part))


@collection_paused()
def content_of(tensors: Mapping[str, NDArray[Any] | SlicedTensor]) -> Content:
    """What a save of these tensors holds. No array is copied.

    Raises:
        TypeError: an array is of no type that TensorFlow has.
        StructureError: no checkpoint can hold a tensor of that name, or a string is not valid UTF-8.
        InvalidArgumentError: slices overlap, are not in their tensor, or don't have their arrays' shapes.
    """
    content = Content()
    for name, tensor in tensors.items():
        key = tensor_key(name)
        if isinstance(tensor, SlicedTensor):
            content.add_slices(name, tensor)
        else:
            content.add(key, source_of(name, tensor))
    return content


def source_of(name: str, array: NDArray[Any]) -> Source:
    """The source of the array that is saved as the tensor `name`, or as a slice of it.

    Raises:
        TypeError: TensorFlow has no such dtype.
        StructureError: a string in it is not valid UTF-8.
    """
    try:
        return string_source(array) if array.dtype.kind in "OSU" else numeric_source(array)
    except TypeError as error:
        raise TypeError(f"tensor {name!r} can't be saved: {error}") from error
    except UnicodeEncodeError as error:
        raise StructureError(
            f"tensor {name!r} can't be saved: a string in it is no valid text ({error})", tensor=name
        ) from error
