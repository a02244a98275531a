"""The text of the structure: what it is, to the letter, and what becomes of one that lies."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt.objects.trees.structure import decode_structure, encode_structure
from cloudckpt.objects.trees.tree import flatten
from tests.objects.trees.rewriting import objects, written

TEXTS: dict[str, tuple[Any, str]] = {
    "none": (None, "null"),
    "empty dict": ({}, '{"dict":[]}'),
    "empty list": ([], '{"list":[]}'),
    "empty tuple": ((), '{"tuple":[]}'),
    "order": ({"b": None, "a": None, 1: None}, '{"dict":[["b",null],["a",null],[1,null]]}'),
    "keys": ({'é"\\\n': None, -(2**70): None}, '{"dict":[["é\\"\\\\\\n",null],[-1180591620717411303424,null]]}'),
    "nesting": ({"a": [(), None, {"b": 1}]}, '{"dict":[["a",{"list":[{"tuple":[]},null,{"dict":[["b","int"]]}]}]]}'),
    "bool": ([True], '{"list":["bool"]}'),
    "int": ([2**63 - 1], '{"list":["int"]}'),
    "bigint": ([2**63], '{"list":["bigint"]}'),
    "float": ([1.0], '{"list":["float"]}'),
    "complex": ([1j], '{"list":["complex"]}'),
    "str": (["a"], '{"list":["str"]}'),
    "bytes": ([b"a"], '{"list":["bytes"]}'),
    "array": ([np.zeros(2)], '{"list":["array"]}'),
    "scalar": ([np.float32(1)], '{"list":["scalar"]}'),
    "array of U": ([np.array(["ab", "c"])], '{"list":["array:U2"]}'),
    "array of S": ([np.array([b"abc"])], '{"list":["array:S3"]}'),
    "scalar of U": ([np.str_("ab\0")], '{"list":["scalar:U3"]}'),
    "scalar of S": ([np.bytes_(b"ab")], '{"list":["scalar:S2"]}'),
    "array of str": ([objects("a")], '{"list":["array:str"]}'),
    "array of bytes": ([objects(b"a")], '{"list":["array:bytes"]}'),
}


@pytest.mark.parametrize(("tree", "text"), TEXTS.values(), ids=TEXTS)
def test_the_text(tree: Any, text: str) -> None:
    flat = flatten(tree)
    encoded = encode_structure(flat.structure)
    assert encoded.decode() == f'{{"version":1,"tree":{text}}}'
    structure, tags = decode_structure(encoded, "ckpt", flat.arrays)
    assert encode_structure(structure) == encoded
    assert list(tags.items()) == list(flat.tags().items())


@pytest.mark.parametrize("version", [2, 3, 10**9])
def test_a_newer_version_is_refused_as_such(version: int) -> None:
    prefix = written(json.dumps({"version": version, "forest": []}).encode())
    with pytest.raises(ckpt.CheckpointVersionError, match=f"version {version} .* up to 1: upgrade") as caught:
        ckpt.load(prefix)
    assert caught.value.path == prefix
    assert caught.value.tensor == "_CLOUDCKPT_TREE"


def test_a_template_does_without_the_structure() -> None:
    prefix = written(b'{"version":2}', {"a": np.array(1)})
    assert ckpt.load(prefix, like={"a": 0}) == {"a": 1}


BAD_TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"tree",
    "cut short": b'{"version":1,"tree":',
    "no UTF-8": b'{"version":1,"tree":{"dict":[["\xff",null]]}}',
    "UTF-16": '{"version":1,"tree":null}'.encode("utf-16"),
    "no object": b"[1]",
    "a string": b'"version"',
    "null": b"null",
    "no version": b'{"tree":null}',
    "no tree": b'{"version":1}',
    "version 0": b'{"version":0,"tree":null}',
    "negative version": b'{"version":-1,"tree":null}',
    "version as text": b'{"version":"1","tree":null}',
    "version as float": b'{"version":1.0,"tree":null}',
    "version as bool": b'{"version":true,"tree":null}',
    "version as list": b'{"version":[1],"tree":null}',
    "version of too many digits": b'{"version":' + b"9" * 5000 + b',"tree":null}',
}

BAD_NODES: dict[str, str] = {
    "number": "1",
    "true": "true",
    "bare list": "[]",
    "empty object": "{}",
    "unknown kind": '{"set":[]}',
    "two kinds": '{"list":[],"tuple":[]}',
    "unknown tag": '{"list":["quaternion"]}',
    "unknown element": '{"list":["array:V3"]}',
    "no width": '{"list":["array:U"]}',
    "width with a zero in front": '{"list":["array:U05"]}',
    "negative width": '{"list":["array:U-5"]}',
    "width of many digits": '{"list":["array:U99999999999"]}',
    "width beyond NumPy's": '{"list":["array:U536870912"]}',
    "width of bytes beyond NumPy's": '{"list":["scalar:S2147483648"]}',
    "items of another type": '{"list":{"0":null}}',
    "items as text": '{"tuple":"ab"}',
    "pairs as text": '{"dict":["ab"]}',
    "pair of one": '{"dict":[["a"]]}',
    "pair of three": '{"dict":[["a",null,null]]}',
    "pair as object": '{"dict":[{"a":null,"b":null}]}',
    "float key": '{"dict":[[1.5,null]]}',
    "bool key": '{"dict":[[true,null]]}',
    "null key": '{"dict":[[null,null]]}',
    "list as key": '{"dict":[[[1],null]]}',
    "key twice": '{"dict":[["a",null],["a",null]]}',
    "tensor that is not there": '{"dict":[["b","int"]]}',
    "surrogate": '{"dict":[["\\ud800","int"]]}',
    "tensor twice": '{"dict":[["a","int"],["",{"dict":[]}],["x",{"list":[]}],["a","int"]]}',
    "root as leaf": '"int"',
    "too deep": '{"list":[' * 201 + "null" + "]}" * 201,
    "as deep as the text is long": "[" * 500_000,
    "deep and whole": '{"list":[' * 3000 + "]}" * 3000,
    "deep where no node is": '{"list":[' + "[" * 900 + "]" * 900 + "]}",
    "deep where no key is": '{"dict":[[' + "[" * 900 + "]" * 900 + ",null]]}",
    "long where no node is": '{"list":[[' + "0," * 100_000 + "0]]}",
}
BAD_TEXTS |= {name: f'{{"version":1,"tree":{node}}}'.encode() for name, node in BAD_NODES.items()}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_a_structure_that_is_none_is_damage(text: bytes) -> None:
    prefix = written(text, {"a": np.array(1)})
    with pytest.raises(ckpt.CheckpointDamagedError) as caught:
        ckpt.load(prefix)
    assert caught.value.path == prefix
    assert caught.value.tensor == "_CLOUDCKPT_TREE"
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("tensor", [np.zeros(3), np.array(1), np.empty(0, object), np.array(b"x")], ids=repr)
def test_a_structure_of_another_type_is_damage(tensor: Any) -> None:
    with pytest.raises(ckpt.CheckpointDamagedError):
        ckpt.load(written(tensor))


def test_two_names_of_one_tensor_are_damage() -> None:
    text = b'{"version":1,"tree":{"dict":[["a",{"dict":[["b","int"]]}],["a/b","int"]]}}'
    with pytest.raises(ckpt.CheckpointDamagedError, match="'a/b' twice"):
        ckpt.load(written(text, {"a/b": np.array(1)}))


def test_tensors_outside_the_structure_are_ignored() -> None:
    prefix = written(b'{"version":1,"tree":{"list":["int"]}}', {"0": np.array(5), "other": np.zeros(3)})
    assert ckpt.load(prefix) == [5]


def test_fields_beyond_the_known_ones_are_ignored() -> None:
    assert ckpt.load(written(b'{"writer":"x","version":1,"tree":null}')) is None


MISFITS: dict[str, tuple[str, np.ndarray]] = {
    "bool of float": ("bool", np.array(1.0)),
    "int of float": ("int", np.array(1.0)),
    "int of text": ("int", objects(b"5").reshape(())),
    "float of int": ("float", np.array(1)),
    "float of a quantised": ("float", np.zeros((), [("qint8", np.int8)])),
    "complex of float": ("complex", np.array(1.0)),
    "int of a vector": ("int", np.array([1])),
    "scalar of a vector": ("scalar", np.array([1])),
    "str of float": ("str", np.array(1.0)),
    "str of a vector": ("str", objects(b"a")),
    "str of no UTF-8": ("str", objects(b"\xff").reshape(())),
    "bigint of a word": ("bigint", objects(b"ten").reshape(())),
    "bigint of too many digits": ("bigint", objects(b"9" * 5000).reshape(())),
    "np.str_ of no UTF-8": ("scalar:U1", objects(b"\xff").reshape(())),
    "np.bytes_ of a vector": ("scalar:S1", objects(b"a")),
    "U of float": ("array:U1", np.array([1.0])),
    "U of no UTF-8": ("array:U1", objects(b"\xff")),
    "U that is longer": ("array:U1", objects(b"a", b"ab")),
    "S that is longer": ("array:S1", objects(b"ab")),
    "object of str of float": ("array:str", np.array([1.0])),
    "object of str of no UTF-8": ("array:str", objects(b"a", b"\xff")),
}


@pytest.mark.parametrize(("tag", "tensor"), MISFITS.values(), ids=MISFITS)
def test_a_tensor_that_is_not_what_the_structure_says_is_damage(tag: str, tensor: np.ndarray) -> None:
    prefix = written(f'{{"version":1,"tree":{{"list":["{tag}"]}}}}'.encode(), {"0": tensor})
    with pytest.raises(ckpt.CheckpointDamagedError, match="is not what its structure says") as caught:
        ckpt.load(prefix)
    assert caught.value.tensor == "0"


def test_a_width_that_nothing_bears_out_costs_no_memory() -> None:
    leaves = {str(number): objects(b"a", b"bc") for number in range(100)}
    tags = ",".join(['"array:U9999999"', '"array:S9999999"'] * 50)
    prefix = written(f'{{"version":1,"tree":{{"list":[{tags}]}}}}'.encode(), leaves)
    tracemalloc.start()
    try:
        loaded = ckpt.load(prefix)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert all([*array] == (["a", "bc"] if array.dtype == "U2" else [b"a", b"bc"]) for array in loaded)
    assert {array.dtype.str for array in loaded} == {"<U2", "|S2"}


@pytest.mark.parametrize("tag", ["array:U536870911", "array:S2147483647"])
def test_the_widest_that_numpy_has(tag: str) -> None:
    text = f'{{"version":1,"tree":{{"list":["{tag}","{tag}"]}}}}'.encode()
    empty, full = ckpt.load(written(text, {"0": np.empty(0, object), "1": objects(b"abc")}))
    assert (empty.shape, full.tolist()) == ((0,), ["abc"] if tag[6] == "U" else [b"abc"])


def test_elements_that_differ_too_much_in_length_stay_objects() -> None:
    prefix = written(b'{"version":1,"tree":{"list":["array:U9999999"]}}', {"0": objects(b"a" * 10_000, *[b"b"] * 9999)})
    (array,) = ckpt.load(prefix)
    assert array.dtype == object
    assert array.tolist() == ["a" * 10_000, *["b"] * 9999]


def test_an_honest_width_is_kept_though_the_elements_are_short(prefix: str) -> None:
    tree = {"labels": np.zeros(1000, "U5000"), "codes": np.zeros(1000, "S5000")}
    loaded = ckpt.load(ckpt.save(prefix, tree))
    assert {key: array.dtype for key, array in loaded.items()} == {
        "labels": np.dtype("U5000"),
        "codes": np.dtype("S5000"),
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "int", "array", "array:U3", "dict", "list"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["dict", "list", "tuple", "x"]), children, max_size=2)
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_a_structure_or_damage(value: Any) -> None:
    text = json.dumps({"version": 1, "tree": value}).encode()
    try:
        structure, _ = decode_structure(text, "ckpt", ["a", "0", "1", "a/a"])
    except ckpt.CheckpointDamagedError:
        return
    assert json.loads(encode_structure(structure)) == {"version": 1, "tree": value}
