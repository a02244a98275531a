"""Which files a path of a V1 checkpoint stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudckpt.checkpoint.v1_files import find_files, is_one_of_several, missing_shards, suggest_pattern
from cloudckpt.storage.open import open_location

NAMES = ["m", "m-00000-of-00003", "m-00001-of-00003", "m-00002-of-00003", "m[1]", "m*", ".m-hidden", "ma", "mb", "mc"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "md").mkdir()
    return tmp_path


def found(folder: Path, pattern: str) -> list[str]:
    with open_location(folder / pattern, None) as location:
        return [Path(info.key).name for info in find_files(location)]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("m", ["m"]),
        ("n", []),
        ("m-?????-of-00003", NAMES[1:4]),
        ("m-?????-of-?????", NAMES[1:4]),
        ("m-*", NAMES[1:4]),
        ("m-0000[02]-of-00003", [NAMES[1], NAMES[3]]),
        ("m-0000[!0]-of-00003", NAMES[2:4]),
        ("m-0000[^0]-of-00003", NAMES[2:4]),
        ("m-0000[1-2]-of-00003", NAMES[2:4]),
        ("m[1]", ["m[1]"]),  # the very name comes first, as nowhere in TensorFlow
        ("m[ab]", ["ma", "mb"]),
        (r"m\[1]", ["m[1]"]),
        (r"m\-00000-of-00003", [NAMES[1]]),
        (r"m\*", ["m*"]),
        ("m?", ["m*", "ma", "mb", "mc"]),  # a folder is no file
        ("*-hidden", [".m-hidden"]),
        ("?", ["m"]),
    ],
)
def test_names_and_patterns(folder: Path, pattern: str, names: list[str]) -> None:
    assert found(folder, pattern) == names


def test_a_folder_on_the_way_is_taken_as_it_is(folder: Path) -> None:
    (folder / "run[1]").mkdir()
    (folder / "run[1]" / "x-1").write_bytes(b"")
    assert found(folder, "run[1]/x-?") == ["x-1"]
    assert found(folder, "run?1?/x-?") == []


def test_a_folder_that_is_not_there_has_no_files(folder: Path) -> None:
    assert found(folder, "nowhere/m-*") == []


def test_shards_that_lack(folder: Path) -> None:
    with open_location(folder / "m-?????-of-00003", None) as location:
        infos = find_files(location)
    assert missing_shards("m-?????-of-00003", infos) is None
    assert missing_shards("m-?????-of-00003", infos[1:]) == "it lacks 1 of its 3 files, the first being number 0"
    assert missing_shards("m-?????-of-00005", infos) == "it lacks 2 of its 5 files, the first being number 3"


@pytest.mark.parametrize("pattern", ["m", "m-*", "m-0000?-of-00003", "m-?????-of-*", "m-?????-of-003"])
def test_other_patterns_say_nothing_of_how_many_there_are(pattern: str) -> None:
    assert missing_shards(pattern, []) is None


@pytest.mark.parametrize(
    ("name", "several"),
    [
        ("m-00000-of-00003", True),
        ("m-00000-of-00001", False),
        ("m", False),
        ("m-0-of-3", False),
        ("m-00000-of-00003x", False),
    ],
)
def test_which_names_are_of_one_of_several(name: str, several: bool) -> None:
    assert is_one_of_several(name) is several


def test_the_pattern_that_was_meant(folder: Path) -> None:
    with open_location(folder / "m", None) as location:
        assert suggest_pattern(location) == str(folder / "m-?????-of-00003")
        assert suggest_pattern(open_location(folder / "ma", None)) is None
