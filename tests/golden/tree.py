"""The tree format, frozen: makes `tree.index`, `objects.index` and their data files, and says what they hold.

Run by `python -m tests.golden.tree`. The files are read by every later version. Never make them anew from a changed
`golden_tree` or `golden_objects`: add another file beside.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.objects.trees.save import save_tree

PREFIX = Path(__file__).with_name("tree")
OBJECTS = Path(__file__).with_name("objects")

STRUCTURE = (
    '{"version":1,"tree":{"dict":[["none",null],["bool",{"list":["bool","bool"]}],["int",{"list":["int","int"]}],'
    '["bigint",{"tuple":["bigint","bigint"]}],["float",{"list":["float","float","float"]}],["complex","complex"],'
    '["str",{"list":["str","str"]}],["bytes",{"list":["bytes","bytes"]}],["arrays",{"dict":[["float32","array"],'
    '["bfloat16","array"],["qint8","array"],["empty","array"],["zero-dimensional","array"],["U5","array:U5"],'
    '["S3","array:S3"],["str","array:str"],["bytes","array:bytes"]]}],["scalars",{"tuple":["scalar","scalar",'
    '"scalar:U3","scalar:S2"]}],["empty",{"tuple":[{"dict":[]},{"list":[]},{"tuple":[]}]}],[7,"int"],[-1,{"dict":'
    '[[1180591620717411303424,"bool"]]}],["ключ/a.b","int"],["",{"dict":[["x","int"]]}]]}}'
)


def golden_tree() -> dict[Any, Any]:
    """Every kind of node, key and tag."""
    return {
        "none": None,
        "bool": [True, False],
        "int": [-(2**63), 2**63 - 1],
        "bigint": (2**63, -(10**30)),
        "float": [0.1, -0.0, float("-inf")],
        "complex": 1 - 2j,
        "str": ["", "żółw\0"],
        "bytes": [b"", b"\xff\0"],
        "arrays": {
            "float32": np.array([[1, 2.5], [-0.0, np.inf]], np.float32),
            "bfloat16": np.array([1.5, -2], ml_dtypes.bfloat16),
            "qint8": np.array([(1,), (-1,)], [("qint8", np.int8)]),
            "empty": np.empty((2, 0), np.int16),
            "zero-dimensional": np.array(3, np.uint8),
            "U5": np.array([["a", "żółwi"]]),
            "S3": np.array([b"\xff\0x", b""]),
            "str": np.array(["a\0", "日本"], object),
            "bytes": np.array([b"a\0", b""], object),
        },
        "scalars": (np.float16(1.5), ml_dtypes.int4(-3), np.str_("ab\0"), np.bytes_(b"\xff\0")),
        "empty": ({}, [], ()),
        7: 70,
        -1: {2**70: True},
        "ключ/a.b": 1,
        "": {"x": 2},
    }


class Moments(NamedTuple):
    """A named tuple, such as optimizers' states are."""

    count: Any
    mu: Any


@dataclass
class Job:
    """A dataclass."""

    step: int
    moments: Moments


def golden_objects(*, blank: bool = False) -> dict[Any, Any]:
    """What is no plain tree; `blank` is the same with other values, as a template."""
    bits = {"bit_generator": "PCG64", "state": {"state": 3 << 100, "inc": 5}, "has_uint32": 1, "uinteger": 7}
    generator = np.random.default_rng(0)
    if not blank:
        generator.bit_generator.state = bits
    one = 0 if blank else 1
    return {
        "job": Job(3 * one, Moments(np.int32(4 * one), {"w": np.full(2, one, ml_dtypes.bfloat16)})),
        "ordered": OrderedDict([("b", one), ("a", 2 * one)]),
        "recent": deque([1.5 * one, 2.5 * one], 2),
        "generator": generator,
        "python": random.Random(one),
    }


def save_golden(prefix: str, tree: object) -> None:
    """Write golden files; the same bytes every time."""
    with open_prefix(prefix, None) as location:
        save_tree(location, tree)


if __name__ == "__main__":
    save_golden(str(PREFIX), golden_tree())
    save_golden(str(OBJECTS), golden_objects())
