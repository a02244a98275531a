"""What an index says of slices: each that is listed is there, fits its tensor, and shares nothing with the others."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cloudckpt.bundle.slice_keys import decode_slice_key, encode_slice_key
from cloudckpt.variables.dtypes import python_name
from cloudckpt.variables.overlap import Budget, find_overlap
from cloudckpt.variables.tensor_slice import format_shape_and_slice, region_shape, resolve
from cloudckpt.verification.log import Claim
from cloudckpt.verification.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.bundle.index import BundleIndex
    from cloudckpt.variables.tensor_slice import Region, TensorSlice
    from cloudckpt.verification.log import VerifyLog

__all__ = ["RegionChecks", "claims_of", "slice_text"]


def claims_of(index: BundleIndex, file: str, log: VerifyLog) -> list[Claim]:
    """What the entries of an index store: whole tensors, slices, and slices that no tensor lists.

    Args:
        index: of the checkpoint.
        file: its path, for messages.
        log: takes what is found.
    """
    claims, unlisted = list[Claim](), dict(index.slice_entries)
    regions = RegionChecks(file, log)
    for name, entry in index.entries.items():
        if entry.is_sliced:
            regions.check(name, entry.shape, entry.slices)
            claims += _slices_of(name, entry, unlisted, file, log)
        else:
            claims.append(Claim(name, None, entry))
    return claims + _unlisted(unlisted, file, log)


class RegionChecks:
    """Compares the slices of a checkpoint's tensors; what that may take is for all of them together.

    Args:
        file: the checkpoint's index or pattern, for messages.
        log: takes what is found.
    """

    def __init__(self, file: str, log: VerifyLog) -> None:
        self._file, self._log = file, log
        self._budget = Budget()

    def check(self, name: str, shape: tuple[int, ...], slices: Iterable[TensorSlice]) -> None:
        """See that the slices of a tensor share no elements, and whether they are all of it."""
        regions = [resolve(each, shape) for each in slices]
        if (found := self._overlap(regions)) is not None:
            message = f"tensor {name!r}: {found}"
            self._log.add(Finding(FindingKind.SLICES_OVERLAP, message, self._file, tensor=name))
            return
        total, there = prod(shape), sum(prod(region_shape(region)) for region in regions)
        if there < total:
            message = (
                f"tensor {name!r}: its slices are {there} of its {total} elements; the others are not in this "
                "checkpoint"
            )
            kind = FindingKind.TENSOR_PARTIAL
            self._log.add(Finding(kind, message, self._file, tensor=name, found=there, expected=total))

    def _overlap(self, regions: Sequence[Region]) -> str | None:
        """What is wrong with slices, in words; None if they share nothing."""
        try:
            pair = find_overlap(regions, self._budget)
        except ValueError as error:
            return str(error)
        if pair is None:
            return None
        one, other = (slice_text(regions[each]) for each in pair)
        return f"its slices {one} and {other} share elements"


def slice_text(tensor_slice: TensorSlice) -> str:
    """A slice as TensorFlow writes it, such as "0,2:-"."""
    return format_shape_and_slice((), tensor_slice)


def _slices_of(
    name: str, entry: BundleEntry, unlisted: dict[bytes, BundleEntry], file: str, log: VerifyLog
) -> list[Claim]:
    """What is stored of a tensor in slices; the entries of those that it lists are taken out of `unlisted`."""
    claims = []
    for each in dict.fromkeys(entry.slices):
        stored, text = unlisted.pop(encode_slice_key(name, each), None), slice_text(each)
        finding = _misfit(Claim(name, text, entry), region_shape(resolve(each, entry.shape)), stored, file)
        if finding is not None:
            log.add(finding)
            log.lose([name])
        elif stored is not None:
            claims.append(Claim(name, text, stored))
    return claims


def _misfit(listed: Claim, shape: tuple[int, ...], stored: BundleEntry | None, file: str) -> Finding | None:
    """Why an entry can't be that of a slice of such a shape; None if it can."""

    def finding(kind: FindingKind, message: str) -> Finding:
        return Finding(kind, f"{listed}: {message}", file, tensor=listed.tensor, slice_spec=listed.slice_spec)

    if stored is None:
        return finding(FindingKind.SLICE_MISSING, "its tensor lists it, and the index has no entry of it")
    if stored.is_sliced:
        return finding(FindingKind.SLICE_MISFIT, "its entry says that it is stored in slices itself")
    if (stored.dtype, stored.shape) != (listed.entry.dtype, shape):
        return finding(
            FindingKind.SLICE_MISFIT,
            f"its entry has dtype {python_name(stored.dtype)} and shape {stored.shape}, where its tensor takes "
            f"{python_name(listed.entry.dtype)} and {shape}",
        )
    return None


def _unlisted(slice_entries: Mapping[bytes, BundleEntry], file: str, log: VerifyLog) -> list[Claim]:
    claims = []
    for key, entry in slice_entries.items():
        try:
            name, tensor_slice = decode_slice_key(key)
        except ValueError:
            claim = Claim(repr(key), None, entry)
            message = f"the key {key!r} begins as those of slices do, and is none"
        else:
            claim = Claim(name, slice_text(tensor_slice), entry)
            message = f"{claim}: it has an entry, and its tensor does not list it"
        log.add(Finding(FindingKind.SLICE_UNLISTED, message, file, tensor=claim.tensor, slice_spec=claim.slice_spec))
        if not entry.is_sliced:
            claims.append(claim)
    return claims
