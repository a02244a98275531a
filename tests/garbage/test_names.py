"""Which names may be garbage, and which are never looked at."""

from __future__ import annotations

import pytest

from cloudckpt.garbage.names import (
    BaseName,
    is_tensorflow_part,
    tensorflow_folder,
    tensorflow_temporary,
    upload_of,
)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("ckpt-1.data-00000-of-00001.tempstate12345", "ckpt-1"),
        ("ckpt-1.index.tempstate18446744073709551615", "ckpt-1"),
        ("model.ckpt-5.tempstate7", "model.ckpt-5"),
        ("model.ckpt-5-00000-of-00002.tempstate7", "model.ckpt-5"),
        ("ckpt-1.meta.tmp0123456789abcdef0123456789abcdef", "ckpt-1"),
        ("ckpt-1.index.tempstate", None),
        ("ckpt-1.index.tempstate123456789012345678901", None),
        ("ckpt-1.index.tempstate1.bak", None),
        (".tempstate1", None),
        ("ckpt-1.meta.tmp0123", None),
        ("checkpoint", None),
        ("ckpt-1.index", None),
    ],
)
def test_temporaries_of_tensorflow(name: str, prefix: str | None) -> None:
    assert tensorflow_temporary(name) == prefix


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("ckpt-1_temp/part-00000-of-00001.index", ("ckpt-1_temp/", "ckpt-1")),
        (f"ckpt-1_temp_{'0a' * 16}/part-00000-of-00001.index", (f"ckpt-1_temp_{'0a' * 16}/", "ckpt-1")),
        ("ckpt-1_temp/deeper/x", ("ckpt-1_temp/", "ckpt-1")),
        ("ckpt-1_temp_1/part-00000-of-00001.index", None),
        ("ckpt-1_temp", None),
        ("ckpt-1_temporary/part-00000-of-00001.index", None),
        ("deeper/ckpt-1_temp/part-00000-of-00001.index", None),
        ("_temp/part-00000-of-00001.index", None),
    ],
)
def test_folders_of_tensorflow(path: str, found: tuple[str, str] | None) -> None:
    assert tensorflow_folder(path) == found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("part-00000-of-00002.index", True),
        ("part-00000-of-00002.data-00000-of-00001", True),
        ("part-00000-of-00002.data-00000-of-00001.tempstate99", True),
        ("part-0.index", False),
        ("part-00000-of-00002.meta", False),
        ("deeper/part-00000-of-00002.index", False),
        ("notes", False),
    ],
)
def test_parts_of_tensorflow(name: str, expected: bool) -> None:
    assert is_tensorflow_part(name) is expected


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("checkpoint", ""),
        ("ckpt-1.index", "ckpt-1"),
        ("ckpt-1.meta", "ckpt-1"),
        ("ckpt-1.data-00003-of-12345", "ckpt-1"),
        ("ckpt-1", None),
        (".index", None),
        ("video.mp4", None),
    ],
)
def test_uploads(name: str, prefix: str | None) -> None:
    assert upload_of(name, is_ours=False) == prefix


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("ckpt-1.index", "ckpt-1"),
        ("checkpoint", ""),
        ("model.ckpt-5", "model.ckpt-5"),
        ("model.ckpt-5-00000-of-00002", "model.ckpt-5"),
        (".cloudckpt-probe-0123456789abcdef", ""),
    ],
)
def test_uploads_that_no_other_program_begins(name: str, prefix: str) -> None:
    assert upload_of(name, is_ours=True) == prefix


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("ckpt-1", True),
        ("ckpt", True),
        ("ckpt-1.part-00000-of-00002", True),
        ("ckpt-best-1", False),
        ("ckpt-01", False),
        ("ckpt2-1", False),
        ("other-1", False),
    ],
)
def test_one_base_name(prefix: str, expected: bool) -> None:
    assert BaseName("ckpt").covers(prefix) is expected
    assert BaseName(None).covers(prefix)
