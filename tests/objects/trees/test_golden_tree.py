"""The frozen tree format: the golden files are what is written, and what is read."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import numpy as np

import cloudckpt as ckpt
from cloudckpt.bundle.naming import data_filename, index_filename
from tests.golden.tree import OBJECTS, PREFIX, STRUCTURE, Job, golden_objects, golden_tree, save_golden
from tests.objects.trees.equality import assert_same

FILES = index_filename(""), data_filename("", 0, 1)


def test_the_golden_files_are_read() -> None:
    assert_same(ckpt.load(PREFIX), golden_tree())


def test_the_same_tree_makes_the_same_files(tmp_path: Path) -> None:
    for golden, tree in ((PREFIX, golden_tree()), (OBJECTS, golden_objects())):
        save_golden(str(tmp_path / golden.name), tree)
        for suffix in FILES:
            assert Path(f"{tmp_path}/{golden.name}{suffix}").read_bytes() == Path(f"{golden}{suffix}").read_bytes()
    assert len([*tmp_path.iterdir()]) == 2 * len(FILES)


def test_golden_objects_are_read_without_their_classes() -> None:
    plain = ckpt.load(OBJECTS)
    assert {**plain["job"], "moments": None} == {"step": 3, "moments": None}
    assert plain["job"]["moments"]["mu"]["w"].astype(float).tolist() == [1, 1]
    assert [*plain["ordered"].items()] == [("b", 1), ("a", 2)]
    assert plain["recent"] == [1.5, 2.5]
    assert plain["generator"]["state"] == {"state": 3 << 100, "inc": 5}
    assert plain["python"] == random.Random(1).getstate()


def test_golden_objects_are_read_into_a_template() -> None:
    restored, expected = ckpt.load(OBJECTS, like=golden_objects(blank=True)), golden_objects()
    assert type(restored["job"]) is Job
    assert type(restored["job"].moments) is type(expected["job"].moments)
    assert (restored["job"].step, restored["job"].moments.count) == (3, np.int32(4))
    assert restored["ordered"] == expected["ordered"]
    assert restored["recent"] == deque([1.5, 2.5], 2)
    assert restored["generator"].random() == expected["generator"].random()
    assert restored["python"].random() == expected["python"].random()


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
