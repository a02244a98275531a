"""The frozen tree format: the golden files are what is written, and what is read."""

from __future__ import annotations

from pathlib import Path

import cloudckpt as ckpt
from cloudckpt.bundle.naming import data_filename, index_filename
from tests.golden.tree import PREFIX, STRUCTURE, golden_tree, save_golden
from tests.objects.trees.equality import assert_same

FILES = index_filename(""), data_filename("", 0, 1)


def test_the_golden_files_are_read() -> None:
    assert_same(ckpt.load(PREFIX), golden_tree())


def test_the_same_tree_makes_the_same_files(tmp_path: Path) -> None:
    save_golden(str(tmp_path / "tree"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"tree{suffix}" for suffix in FILES)
    for suffix in FILES:
        assert Path(f"{tmp_path}/tree{suffix}").read_bytes() == Path(f"{PREFIX}{suffix}").read_bytes()


def test_the_structure_to_the_letter() -> None:
    assert STRUCTURE.encode() in Path(f"{PREFIX}{FILES[1]}").read_bytes()


def test_every_kind_of_node_and_tag_is_there() -> None:
    for part in (
        "dict",
        "list",
        "tuple",
        "bool",
        "int",
        "bigint",
        "float",
        "complex",
        "str",
        "bytes",
        "array",
        "scalar",
    ):
        assert f'"{part}"' in STRUCTURE
    for tag in ("array:U5", "array:S3", "scalar:U3", "scalar:S2", "array:str", "array:bytes", "null"):
        assert tag in STRUCTURE
