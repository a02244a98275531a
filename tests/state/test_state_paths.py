"""What a state file says for a path, and where that leads when it is read."""

from __future__ import annotations

import pytest

from cloudckpt.state.state_paths import is_absolute, joined, written_path


@pytest.mark.parametrize(
    ("directory", "path", "written"),
    [
        ("run", "run/m-1", "m-1"),
        ("run/", "run/m-1", "m-1"),
        ("", "m-1", "m-1"),
        ("run", "other/m-1", "../other/m-1"),
        ("run", "/runs/m-1", "/runs/m-1"),
        ("/runs", "/runs/m-1", "/runs/m-1"),
        ("/runs", "m-1", "m-1"),
        ("s3://bucket/run", "s3://bucket/run/m-1", "m-1"),
        ("s3://bucket", "s3://bucket/m-1", "m-1"),
        ("memory://run", "memory://run/below/m-1", "below/m-1"),
        # No path of TensorFlow's leads from one of these to the other.
        ("s3://bucket/run", "s3://bucket/other/m-1", "s3://bucket/other/m-1"),
        ("s3://bucket/run", "s3://bucket/runs/m-1", "s3://bucket/runs/m-1"),
        ("s3://bucket/run", "gs://bucket/run/m-1", "gs://bucket/run/m-1"),
        ("s3://bucket/run", "s3://bucket/run//m-1", "s3://bucket/run//m-1"),
        ("s3://bucket/run", "s3://bucket/run/../m-1", "../m-1"),
        ("run", "s3://bucket/run/m-1", "s3://bucket/run/m-1"),
        ("s3://bucket/run", "/runs/m-1", "/runs/m-1"),
        ("s3://bucket/run", "m-1", "m-1"),
        ("abfss://one@account/run", "abfss://two@account/m-1", "abfss://two@account/m-1"),
        # No credentials in it.
        ("sftp://me:secret@host/run", "sftp://me:secret@host/run/m-1", "m-1"),
        ("sftp://me:secret@host/run", "sftp://me:secret@host/other/m-1", "sftp://host/other/m-1"),
        ("run", "sftp://me:secret@host/run/m-1", "sftp://host/run/m-1"),
    ],
)
def test_what_is_written(directory: str, path: str, written: str) -> None:
    assert written_path(directory, path) == written


@pytest.mark.parametrize(
    ("directory", "path", "written"),
    [
        ("/runs/one", "/runs/one/m-1", "m-1"),
        ("/runs/one", "/runs/two/m-1", "../two/m-1"),
        ("run", "run/m-1", "m-1"),
        ("s3://bucket/run", "s3://bucket/run/m-1", "m-1"),
        ("s3://bucket/run", "/runs/m-1", "/runs/m-1"),
    ],
)
def test_what_is_written_where_all_are_to_be_relative(directory: str, path: str, written: str) -> None:
    assert written_path(directory, path, relative=True) == written


def test_an_absolute_path_becomes_relative_to_a_relative_directory(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert written_path("run", f"{tmp_path}/run/m-1", relative=True) == "m-1"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m-1", "run/m-1"),
        ("../m-1", "run/../m-1"),
        ("/runs/m-1", "/runs/m-1"),
        ("s3://bucket/m-1", "s3://bucket/m-1"),
        ("C:\\runs\\m-1", "run/C:\\runs\\m-1"),
        ("m-?????-of-00002", "run/m-?????-of-00002"),
    ],
)
def test_where_it_leads(path: str, expected: str) -> None:
    assert joined("run", path) == expected
    assert is_absolute(path) is (path == expected)
