"""What real TensorFlow writes is verified whole, and every byte of it that is altered is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.verification.report import FindingKind
from cloudckpt.verification.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NOT_WHOLE = {"resnet50"}
"""Real checkpoints of which the data is not in the folder."""


def save(tf: Any, prefix: Path, tensors: dict[str, Any]) -> None:
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=[*tensors], shape_and_slices=[""] * len(tensors), tensors=[*tensors.values()]
    )


def variants(tf: Any) -> Any:
    short, long = (np.arange(2 * rows, dtype=np.float32).reshape(rows, 2) for rows in (3, 100))
    lists = [tf.raw_ops.TensorListFromTensor(tensor=rows, element_shape=[2]) for rows in (short, long)]
    return tf.stack(lists)


def test_every_byte_that_tensorflow_writes(tf: Any, tmp_path: Path) -> None:
    tensors = {
        "numbers": tf.constant(np.arange(6.0)),
        "strings": tf.constant([b"one", b"", b"three" * 40]),
        "variants": variants(tf),
        "no variants": variants(tf)[:0],
        "no strings": tf.constant([], tf.string),
    }
    save(tf, tmp_path / "ckpt", tensors)
    report = verify(tmp_path / "ckpt")
    assert report.findings == ()
    assert report.tensors_checked == 5
    file = tmp_path / "ckpt.data-00000-of-00001"
    whole = file.read_bytes()
    assert report.bytes_checked == len(whole)
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 0x10
        file.write_bytes(altered)
        (finding,) = verify(tmp_path / "ckpt").findings
        assert finding.kind in {FindingKind.CHECKSUM_MISMATCH, FindingKind.CONTENT_DAMAGED}
        assert finding.tensor in tensors


def test_slices_that_tensorflow_writes(tf: Any, tmp_path: Path) -> None:
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "ckpt"),
        tensor_names=["w", "w"],
        shape_and_slices=["4 2 0,2:-", "4 2 2,2:-"],
        tensors=[rows[:2], rows[2:]],
    )
    assert verify(tmp_path / "ckpt").findings == ()


@pytest.mark.parametrize("op", ["Save", "SaveSlices"])
def test_v1_files_that_tensorflow_writes(tf: Any, tmp_path: Path, op: str) -> None:
    arrays = [np.arange(6, dtype=np.float32), np.array([b"x", b""])]
    options = {"shapes_and_slices": ["6 0,6", ""]} if op == "SaveSlices" else {}
    getattr(tf.raw_ops, op)(filename=str(tmp_path / "v1"), tensor_names=["a", "s"], data=arrays, **options)
    report = verify(tmp_path / "v1")
    assert report.findings == ()
    assert (report.format, report.tensors_checked) == ("V1", 2)


def test_checkpoints_of_real_programs(real_checkpoints: Path) -> None:
    prefixes = [path.with_suffix("") for path in sorted(real_checkpoints.rglob("*.index"))]
    assert len(prefixes) > 50
    for prefix in prefixes:
        report = verify(prefix)
        if prefix.parent.name in NOT_WHOLE:
            assert [finding.kind for finding in report.findings] == [FindingKind.FILE_MISSING]
        else:
            assert report.findings == (), str(report)
            assert report.tensors_checked > 0
