"""The report by itself: how findings are sorted, told and handed to programs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from cloudckpt.verification.log import VerifyLog
from cloudckpt.verification.report import Finding, FindingKind, Severity

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "verify.md"

PROBLEM = Finding(FindingKind.CHECKSUM_MISMATCH, "tensor 'w': other bytes", "b", tensor="w", offset=8, size=4)
NOTE = Finding(FindingKind.FILE_TOO_LONG, "it goes on", "a", offset=99)
EARLIER = Finding(FindingKind.CONTENT_DAMAGED, "tensor 's': lengths", "b", tensor="s", offset=0)


@pytest.fixture
def log() -> VerifyLog:
    log = VerifyLog()
    for finding in (PROBLEM, NOTE, EARLIER):
        log.add(finding)
    return log


def test_findings_are_in_the_order_of_files_and_places(log: VerifyLog) -> None:
    report = log.report("run/ckpt", "V2", {"w", "s", "x"}, 12)
    assert report.findings == (NOTE, EARLIER, PROBLEM)
    assert report.problems == (EARLIER, PROBLEM)
    assert report.notes == (NOTE,)
    assert not report.ok
    assert report.damaged_tensors == ("s", "w")
    assert str(report).splitlines() == [
        "note: file-too-long: a: it goes on",
        "problem: content-damaged: b: tensor 's': lengths",
        "problem: checksum-mismatch: b: tensor 'w': other bytes",
        "run/ckpt: damaged: 2 problems, 2 tensors lost or doubtful, 1 note; 3 tensors and 12 bytes checked",
    ]


def test_lost_tensors_are_not_counted_as_checked(log: VerifyLog) -> None:
    log.lose(["x"])
    report = log.report("run/ckpt", "V2", {"w", "s", "x"}, 12)
    assert report.damaged_tensors == ("s", "w", "x")
    assert report.tensors_checked == 2


def test_notes_alone_leave_it_ok() -> None:
    log = VerifyLog()
    log.add(NOTE)
    report = log.report("run/ckpt", "V1", {"w"}, 1)
    assert report.ok
    assert report.summary == "run/ckpt: ok, 1 note; 1 tensor and 1 byte checked"


def test_as_json_it_says_the_same(log: VerifyLog) -> None:
    report = log.report("run/ckpt", "V2", {"w"}, 12)
    data = json.loads(json.dumps(report.as_dict()))
    assert data["path"] == "run/ckpt"
    assert data["ok"] is False
    assert data["damaged_tensors"] == ["s", "w"]
    assert [finding["kind"] for finding in data["findings"]] == [str(finding.kind) for finding in report.findings]
    assert data["findings"][2] == {
        "severity": "problem",
        "kind": "checksum-mismatch",
        "message": "tensor 'w': other bytes",
        "file": "b",
        "tensor": "w",
        "slice_spec": None,
        "offset": 8,
        "size": 4,
        "found": None,
        "expected": None,
    }


def test_it_can_be_handed_to_another_process(log: VerifyLog) -> None:
    report = log.report("run/ckpt", "V2", {"w"}, 12)
    assert pickle.loads(pickle.dumps(report)) == report


@pytest.mark.parametrize("kind", FindingKind)
def test_every_kind_is_in_the_guide_under_its_severity(kind: FindingKind) -> None:
    problems, notes = GUIDE.read_text().split("| note | meaning |")
    assert f"`{kind}`" in (problems if kind.severity is Severity.PROBLEM else notes)
