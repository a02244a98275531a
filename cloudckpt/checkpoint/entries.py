"""The entries of one checkpoint, put together from those of several parts of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudckpt.bundle.index import encode_rows
from cloudckpt.bundle.slice_keys import tensor_of_key
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.dtypes import python_name
from cloudckpt.variables.overlap import Budget, find_overlap
from cloudckpt.variables.tensor_slice import format_shape_and_slice, resolve

if TYPE_CHECKING:
    from cloudckpt.bundle.entry import BundleEntry, BundleHeader

__all__ = ["Entries"]


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries on their way to an index, by key: there may be a million, so they are kept as the bytes they become."""

    stored: dict[bytes, bytes] = field(default_factory=dict)
    """encoded entries of tensors and slices whose bytes are in a data file"""
    sliced: dict[bytes, BundleEntry] = field(default_factory=dict)
    """of tensors that are stored in slices, which have no bytes themselves"""

    def add(self, others: Entries, origin: str) -> None:
        """Take in the entries of another part of the checkpoint, as TensorFlow merges them.

        Source: core/util/tensor_bundle/tensor_bundle.cc, MergeOneBundle.

        Args:
            others: what to add. A tensor that both store in slices has those of both.
            origin: where they come from, for messages.

        Raises:
            InvalidArgumentError: both have one tensor, or one slice; or slices of one tensor that differ in dtype or
                shape.
        """
        for mine, theirs in ((self.stored, others.stored), (self.stored, others.sliced), (self.sliced, others.stored)):
            for key in mine.keys() & theirs.keys():
                raise _refusal(key, origin, "has what another part of the checkpoint has already")
        united = {
            key: _united(key, self.sliced[key], others.sliced[key], origin)
            for key in self.sliced.keys() & others.sliced.keys()
        }
        self.stored.update(others.stored)
        self.sliced.update(others.sliced)
        self.sliced.update(united)

    def check_overlaps(self, destination: str) -> None:
        """See that no two slices of one tensor share elements: nobody could read that tensor any more.

        Args:
            destination: the checkpoint that all parts together are to be, for messages.

        Raises:
            InvalidArgumentError: two do, or they are so cut that it would take too long to tell.
        """
        budget = Budget()
        for key, entry in self.sliced.items():
            try:
                pair = find_overlap([resolve(piece, entry.shape) for piece in entry.slices], budget)
            except ValueError as error:
                raise _refusal(key, destination, f"would have {error}") from error
            if pair is not None:
                one, other = (format_shape_and_slice(entry.shape, entry.slices[position]) for position in pair)
                raise _refusal(key, destination, f"would have its slices {one!r} and {other!r}, which overlap")

    def encode(self, header: BundleHeader) -> bytes:
        """The bytes of the `.index`."""
        sliced = {key: entry.encode() for key, entry in self.sliced.items()}
        return encode_rows(header, self.stored | sliced if sliced else self.stored)


def _united(key: bytes, entry: BundleEntry, other: BundleEntry, origin: str) -> BundleEntry:
    if (entry.dtype, entry.shape) != (other.dtype, other.shape):
        raise _refusal(
            key,
            origin,
            f"has slices of dtype {python_name(other.dtype)} and shape {other.shape}, another part of the checkpoint "
            f"of dtype {python_name(entry.dtype)} and shape {entry.shape}",
        )
    return entry._replace(slices=entry.slices + other.slices)


def _refusal(key: bytes, origin: str, found: str) -> InvalidArgumentError:
    name = tensor_of_key(key)
    return InvalidArgumentError(
        f"tensor {name!r} can't be merged: {origin!r} {found}. Give each tensor, and each element of one in slices, to "
        "one part only",
        path=origin,
        tensor=name,
    )
