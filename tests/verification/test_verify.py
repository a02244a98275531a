"""What `verify` reports: every kind of damage by itself, with its place, and nothing where nothing is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.entry import BundleHeader
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.errors import CheckpointNotFoundError, CheckpointPathError
from cloudckpt.verification import data as verify_data
from cloudckpt.verification.report import Finding, FindingKind, Severity, VerifyReport
from cloudckpt.verification.verify import verify
from tests.hostile.forgery import Forgery, elements, strings_content

if TYPE_CHECKING:
    from pathlib import Path

ROWS = (((0, 2), (0, None)), ((2, 2), (0, None)))
MATRIX = elements((4, 3))


def data_file(prefix: Path, shard: int = 0, shards: int = 1) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


def index_file(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def only_finding(report: VerifyReport, kind: FindingKind) -> Finding:
    (finding,) = report.findings
    assert finding.kind is kind
    assert report.ok is (finding.severity is Severity.NOTE)
    assert (finding in report.problems) is not report.ok
    assert (finding in report.notes) is report.ok
    line, summary = str(report).splitlines()
    assert line == f"{finding.severity}: {kind}: {finding.file}: {finding.message}"
    assert summary.startswith(f"{report.path}: {'ok' if report.ok else 'damaged: 1 problem'}")
    assert json.loads(json.dumps(report.as_dict()))["findings"][0]["kind"] == str(kind)
    if finding.tensor is not None and not report.ok:
        assert report.damaged_tensors == (finding.tensor,)
    return finding


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "ckpt"


@pytest.fixture
def forgery() -> Forgery:
    whole = Forgery(num_shards=2)
    whole.tensor("a", elements((5,)))
    whole.tensor("b", elements((2, 2)), align=64)
    whole.strings("s", [b"one", b"", b"three"], shard_id=1)
    whole.sliced("w", MATRIX, ROWS, shards=(0, 1))
    return whole


def test_a_whole_checkpoint(forgery: Forgery, prefix: Path) -> None:
    report = verify(forgery.write(prefix))
    assert report.findings == ()
    assert report.ok
    assert report.format == "V2"
    assert report.tensors_checked == 4
    assert report.bytes_checked == 20 + 16 + (3 + 4 + 8) + 48
    assert str(report) == f"{prefix}: ok; 4 tensors and 99 bytes checked"
    assert report.as_dict()["ok"] is True


def test_what_is_saved_is_whole(tmp_path: Path) -> None:
    tree = {"w": np.ones((3, 100)), "labels": np.array(["x", ""]), "empty": np.empty((0, 2)), "step": 7}
    ckpt.save(tmp_path / "ckpt", tree)
    assert verify(tmp_path / "ckpt").findings == ()


def test_nothing_there(prefix: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="there is no checkpoint"):
        verify(prefix)


def test_a_path_that_is_no_prefix(forgery: Forgery, prefix: Path) -> None:
    forgery.write(prefix)
    with pytest.raises(CheckpointPathError):
        verify(index_file(prefix))


def test_altered_data(forgery: Forgery, prefix: Path) -> None:
    forgery.data[0][64] ^= 1
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.CHECKSUM_MISMATCH)
    assert (finding.tensor, finding.offset, finding.size) == ("b", 64, 16)
    assert finding.file == str(data_file(prefix, 0, 2))
    assert str(finding.found).startswith("0x")
    assert finding.found != finding.expected


def test_an_altered_slice(forgery: Forgery, prefix: Path) -> None:
    forgery.data[1][-1] ^= 1
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.CHECKSUM_MISMATCH)
    assert (finding.tensor, finding.slice_spec) == ("w", "2,2:-")


def test_every_damage_is_reported_in_one_run(forgery: Forgery, prefix: Path) -> None:
    for position in (0, 64, len(forgery.data[0]) - 1):
        forgery.data[0][position] ^= 1
    report = verify(forgery.write(prefix))
    assert [finding.tensor for finding in report.problems] == ["a", "b", "w"]
    assert report.damaged_tensors == ("a", "b", "w")
    assert report.tensors_checked == 4


def test_a_missing_file(forgery: Forgery, prefix: Path) -> None:
    data_file(forgery.write(prefix), 1, 2).unlink()
    report = verify(prefix)
    (finding,) = report.findings
    assert finding.kind is FindingKind.FILE_MISSING
    assert finding.file == str(data_file(prefix, 1, 2))
    assert report.damaged_tensors == ("s", "w")
    assert report.tensors_checked == 2


def test_a_short_file(forgery: Forgery, prefix: Path) -> None:
    length = len(forgery.data[0])
    del forgery.data[0][70:]
    report = verify(forgery.write(prefix))
    (finding,) = report.findings
    assert finding.kind is FindingKind.FILE_TOO_SHORT
    assert (finding.found, finding.expected) == (70, length)
    assert report.damaged_tensors == ("b", "w")
    assert report.tensors_checked == 2


def test_a_long_file(forgery: Forgery, prefix: Path) -> None:
    length = len(forgery.data[0])
    forgery.data[0] += bytes(5000)
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.FILE_TOO_LONG)
    assert (finding.offset, finding.size) == (length, 5000)


def test_a_file_of_another_save(forgery: Forgery, prefix: Path) -> None:
    data_file(forgery.write(prefix), 3, 7).write_bytes(b"left")
    finding = only_finding(verify(prefix), FindingKind.FILE_UNNAMED)
    assert (finding.file, finding.size) == (str(data_file(prefix, 3, 7)), 4)


def test_zeros_at_the_end_are_padding_as_tensorflow_pads(forgery: Forgery, prefix: Path) -> None:
    forgery.data[0] += bytes(64)
    assert verify(forgery.write(prefix)).findings == ()


def test_padding_that_is_not_zero(forgery: Forgery, prefix: Path) -> None:
    forgery.data[0][30] = 1
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.PADDING_NOT_ZERO)
    assert (finding.offset, finding.size) == (20, 44)


def test_a_large_gap(prefix: Path) -> None:
    forgery = Forgery()
    forgery.tensor("a", elements((2,)))
    forgery.store(bytes(4096))
    forgery.tensor("b", elements((2,)))
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.BYTES_UNCLAIMED)
    assert (finding.offset, finding.size) == (8, 4096)


def test_a_gap_is_not_read(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file may have any size."""
    forgery = Forgery()
    forgery.tensor("a", elements((2,)))
    with open(data_file(forgery.write(prefix)), "r+b") as file:
        file.truncate(1 << 40)
    assert only_finding(verify(prefix), FindingKind.FILE_TOO_LONG).size == (1 << 40) - 8


def test_tensors_that_share_bytes(forgery: Forgery, prefix: Path) -> None:
    forgery.tensor("c", elements((1,)), offset=12)
    finding = next(iter(verify(forgery.write(prefix)).problems))
    assert finding.kind is FindingKind.RANGES_OVERLAP
    assert (finding.tensor, finding.offset) == ("c", 12)
    assert "tensor 'a'" in finding.message


def test_bytes_are_read_once_however_often_they_are_claimed(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgery = Forgery()
    array = elements((1000,))
    for number in range(200):
        forgery.tensor(f"t{number}", array, offset=0)
    forgery.data[0] = bytearray(array.tobytes())
    report = verify(forgery.write(prefix))
    assert len(report.problems) == 199
    assert report.bytes_checked == 4000
    assert report.tensors_checked == 1


def test_an_entry_that_can_not_be_true(forgery: Forgery, prefix: Path) -> None:
    forgery.tensor("bad", elements((2,)), shape=(-1,))
    report = verify(forgery.write(prefix))
    finding = next(iter(report.problems))
    assert finding.kind is FindingKind.ENTRY_DAMAGED
    assert (finding.tensor, finding.file) == ("bad", str(index_file(prefix)))
    assert "'bad' has shape (-1,)" in finding.message
    assert report.damaged_tensors == ("bad",)
    assert report.tensors_checked == 4


def test_a_block_of_the_index_is_lost(prefix: Path) -> None:
    forgery = Forgery()
    names = [f"{number}-{'x' * 50_000}" for number in range(20)]
    for name in names:
        forgery.tensor(name, elements((2,)))
    forgery.write(prefix)
    content = bytearray(index_file(prefix).read_bytes())
    content[400_000] ^= 1
    index_file(prefix).write_bytes(content)
    report = verify(prefix)
    (finding,) = report.problems
    assert finding.kind is FindingKind.INDEX_DAMAGED
    assert finding.offset is not None
    assert finding.size is not None
    assert finding.offset < 400_000 < finding.offset + finding.size
    assert 10 <= report.tensors_checked < 20


@pytest.mark.parametrize("length", [0, 10, 100])
def test_an_index_cut_short(forgery: Forgery, prefix: Path, length: int) -> None:
    content = index_file(forgery.write(prefix)).read_bytes()
    index_file(prefix).write_bytes(content[:length])
    finding = only_finding(verify(prefix), FindingKind.INDEX_DAMAGED)
    assert finding.file == str(index_file(prefix))
    assert not finding.message.startswith(finding.file)


def test_an_index_without_a_header(forgery: Forgery, prefix: Path) -> None:
    forgery.header = b"\xff"
    only_finding(verify(forgery.write(prefix)), FindingKind.INDEX_DAMAGED)


def test_a_checkpoint_of_a_later_version(forgery: Forgery, prefix: Path) -> None:
    forgery.header = BundleHeader(2, min_consumer=99).encode()
    assert "upgrade cloudckpt" in only_finding(verify(forgery.write(prefix)), FindingKind.VERSION_UNSUPPORTED).message


def test_a_dtype_of_a_later_version(forgery: Forgery, prefix: Path) -> None:
    forgery.tensor("new", elements((2,)), dtype=77)
    report = verify(forgery.write(prefix))
    finding = only_finding(report, FindingKind.VERSION_UNSUPPORTED)
    assert (finding.tensor, finding.found) == ("new", "77")
    assert report.tensors_checked == 4


def test_a_slice_without_an_entry(forgery: Forgery, prefix: Path) -> None:
    del forgery.rows[encode_slice_key("w", ROWS[0])]
    report = verify(forgery.write(prefix))
    (finding,) = report.problems
    assert (finding.kind, finding.tensor, finding.slice_spec) == (FindingKind.SLICE_MISSING, "w", "0,2:-")
    assert report.damaged_tensors == ("w",)
    assert report.tensors_checked == 3


@pytest.mark.parametrize("lie", [{"dtype": 3}, {"shape": (3, 2)}, {"slices": [((0, 1), (0, None))]}])
def test_an_entry_that_does_not_fit_its_slice(forgery: Forgery, prefix: Path, lie: dict[str, object]) -> None:
    forgery.slice("w", ROWS[1], MATRIX, **lie)
    finding = next(iter(verify(forgery.write(prefix)).problems))
    assert (finding.kind, finding.tensor, finding.slice_spec) == (FindingKind.SLICE_MISFIT, "w", "2,2:-")


def test_slices_that_share_elements(forgery: Forgery, prefix: Path) -> None:
    slices = [((0, 3), (0, None)), ((2, 2), (0, None))]
    forgery.sliced("v", MATRIX, slices)
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.SLICES_OVERLAP)
    assert finding.tensor == "v"
    assert "0,3:0,3 and 2,2:0,3" in finding.message


def test_a_slice_that_is_listed_twice(forgery: Forgery, prefix: Path) -> None:
    forgery.listed("w", 1, MATRIX.shape, [ROWS[0], ROWS[1], ROWS[0]])
    only_finding(verify(forgery.write(prefix)), FindingKind.SLICES_OVERLAP)


def test_slices_that_leave_elements_out(forgery: Forgery, prefix: Path) -> None:
    forgery.sliced("v", MATRIX, [((1, 2), (0, None))])
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.TENSOR_PARTIAL)
    assert (finding.tensor, finding.found, finding.expected) == ("v", 6, 12)


def test_a_slice_that_nobody_lists(forgery: Forgery, prefix: Path) -> None:
    forgery.slice("nobody", ROWS[0], MATRIX)
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.SLICE_UNLISTED)
    assert (finding.tensor, finding.slice_spec) == ("nobody", "0,2:-")


def test_a_key_that_is_none_of_a_slice(forgery: Forgery, prefix: Path) -> None:
    forgery.rows[b"\0nonsense"] = forgery.rows[b"a"]
    kinds = {finding.kind for finding in verify(forgery.write(prefix)).problems}
    assert kinds == {FindingKind.SLICE_UNLISTED, FindingKind.RANGES_OVERLAP}


@pytest.mark.parametrize("read_bytes", [5, 64, 1 << 20])
def test_tensors_longer_than_a_request(
    forgery: Forgery, prefix: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int
) -> None:
    monkeypatch.setattr(verify_data, "READ_BYTES", read_bytes)
    forgery.strings("long", [b"x" * number for number in range(40)])
    forgery.tensor("numbers", elements((10, 10)), align=64)
    assert verify(forgery.write(prefix)).findings == ()
    forgery.data[0][-1] ^= 1
    assert only_finding(verify(forgery.write(prefix)), FindingKind.CHECKSUM_MISMATCH).tensor == "numbers"


@pytest.mark.parametrize("read_bytes", [3, 1 << 20])
@pytest.mark.parametrize("lengths", [[3, 10**6], [2**62, 2**62], [2**63 - 1, 2**63 - 1], [1, 1]])
def test_strings_whose_lengths_lie(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int], read_bytes: int
) -> None:
    monkeypatch.setattr(verify_data, "READ_BYTES", read_bytes)
    content, crc = strings_content(lengths, b"abcde")
    forgery = Forgery()
    forgery.strings("s", [b"", b""], offset=0, size=len(content), crc=crc)
    forgery.data[0] = bytearray(content)
    finding = only_finding(verify(forgery.write(prefix)), FindingKind.CONTENT_DAMAGED)
    assert "lengths of its strings" in finding.message


def test_lengths_whose_own_checksum_differs(prefix: Path) -> None:
    forgery = Forgery()
    forgery.strings("s", [b"ab", b"c"])
    forgery.data[0][2] ^= 1
    assert "their own checksum" in only_finding(verify(forgery.write(prefix)), FindingKind.CONTENT_DAMAGED).message


def test_an_altered_string(prefix: Path) -> None:
    forgery = Forgery()
    forgery.strings("s", [b"ab", b"c"])
    forgery.data[0][-1] ^= 1
    assert only_finding(verify(forgery.write(prefix)), FindingKind.CHECKSUM_MISMATCH).tensor == "s"


def test_names_that_are_no_text(prefix: Path) -> None:
    forgery = Forgery()
    forgery.tensor("a", elements((2,)), crc=1)
    forgery.rows = {b"\xff\n": forgery.rows[b"a"]}
    report = verify(forgery.write(prefix))
    assert "'\\udcff\\n'" in str(report)
    assert len(str(report).splitlines()) == 2
    json.dumps(report.as_dict())
