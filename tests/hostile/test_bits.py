"""Every bit of a checkpoint flipped in turn, and every length it can be cut to: never a wrong value, always our error.

TensorFlow accepts a third of all flips in an index: it looks at neither the metaindex's checksum nor the padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.bundle.index import decode_index
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.verification.report import FindingKind
from cloudckpt.verification.verify import verify
from tests.hostile.readers import READERS, assert_refused, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Case = tuple["Path", dict[str, Any]]

IN_INDEX = {FindingKind.INDEX_DAMAGED}
IN_DATA = {FindingKind.CHECKSUM_MISMATCH, FindingKind.CONTENT_DAMAGED, FindingKind.PADDING_NOT_ZERO}


def index_of(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def data_of(prefix: Path) -> list[Path]:
    return sorted(prefix.parent.glob(f"{prefix.name}.data-*"))


def flips(whole: bytes) -> Iterator[bytes]:
    """The bytes with one bit changed, for each bit."""
    content = bytearray(whole)
    for position in range(len(content)):
        for bit in range(8):
            content[position] ^= 1 << bit
            yield bytes(content)
            content[position] ^= 1 << bit


def test_a_whole_one_is_read_by_all(case: Case) -> None:
    prefix, tensors = case
    assert refusals(prefix, tensors) == {}
    assert verify(prefix).findings == ()


def test_every_bit_of_an_index(case: Case) -> None:
    prefix, _ = case
    whole, path = index_of(prefix).read_bytes(), str(index_of(prefix))
    for flipped in flips(whole):
        with pytest.raises(CheckpointDamagedError) as caught:
            decode_index(flipped, path)
        assert caught.value.path == path
        assert path in str(caught.value)


def test_a_bit_of_every_byte_of_an_index_through_every_reader(case: Case) -> None:
    prefix, tensors = case
    whole = index_of(prefix).read_bytes()
    for position, flipped in enumerate(flips(whole)):
        if position % 8 == position // 8 % 8:
            index_of(prefix).write_bytes(flipped)
            found = refusals(prefix, tensors)
            assert {*found} == {*READERS, "verify"}
            assert {finding.kind for finding in verify(prefix).problems} <= IN_INDEX


def test_every_bit_of_the_data(case: Case) -> None:
    """Told by `verify`, all of them; by readers, those that are in a tensor."""
    prefix, tensors = case
    for file in data_of(prefix):
        whole = file.read_bytes()
        for position, flipped in enumerate(flips(whole)):
            file.write_bytes(flipped)
            (finding,) = verify(prefix).findings
            assert finding.kind in IN_DATA
            assert finding.file == str(file)
            assert finding.offset is not None
            assert finding.size is not None
            assert finding.offset <= position // 8 < finding.offset + finding.size
            if position % 8 == position // 8 % 8:
                padding = finding.kind is FindingKind.PADDING_NOT_ZERO
                assert not refusals(prefix, tensors) if padding else assert_refused(prefix, tensors)
        file.write_bytes(whole)


def test_every_length_of_an_index(case: Case) -> None:
    prefix, tensors = case
    whole = index_of(prefix).read_bytes()
    for length in range(len(whole)):
        index_of(prefix).write_bytes(whole[:length])
        found = refusals(prefix, tensors)
        assert {*found} == {*READERS, "verify"}
        assert "can't be read" in found["load"] or "is no index" in found["load"]


def test_every_length_of_the_data(case: Case) -> None:
    prefix, tensors = case
    for file in data_of(prefix):
        whole = file.read_bytes()
        for length in range(len(whole)):
            file.write_bytes(whole[:length])
            found = refusals(prefix, tensors)
            assert {*found} == {*READERS, "verify"}
            assert f"has {length} bytes where the index needs {len(whole)}" in found["load"]
            assert [finding.kind for finding in verify(prefix).problems] == [FindingKind.FILE_TOO_SHORT]
        file.unlink()
        assert {*refusals(prefix, tensors)} == {*READERS, "verify"}
        file.write_bytes(whole)
