"""The state file's text, both ways, and what odd files come to."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.errors import StateFileError
from cloudckpt.state.state_file import CheckpointState, decode_state, encode_state, last_component

NAMES = st.text(st.characters(exclude_categories=["Cs"]))
TIMES = st.floats(allow_nan=False)


@st.composite
def states(draw: st.DrawFn) -> CheckpointState:
    paths = tuple(draw(st.lists(NAMES, max_size=4)))
    return CheckpointState(
        latest=draw(NAMES),
        paths=paths,
        timestamps=tuple(draw(TIMES) for _ in paths),
        last_preserved=draw(TIMES),
        retired=tuple(draw(st.lists(NAMES, max_size=3))),
        left=tuple(draw(st.lists(NAMES, max_size=3))),
        metrics=draw(st.dictionaries(NAMES, st.dictionaries(NAMES, TIMES, max_size=2), max_size=3)),
        passed=tuple(draw(st.lists(NAMES, max_size=3))),
    )


@given(states())
def test_what_is_written_is_read_back(state: CheckpointState) -> None:
    assert decode_state(encode_state(state), "checkpoint") == state


def test_the_text() -> None:
    state = CheckpointState("ckpt-3", ("ckpt-2", "ckpt-3"), (1.5, 1728082747.943192), 1.5, ("ckpt-1",), ("ckpt-9",))
    assert encode_state(state).decode() == (
        '# cloudckpt: {"retired": ["ckpt-1"], "left": ["ckpt-9"]}\n'
        'model_checkpoint_path: "ckpt-3"\n'
        'all_model_checkpoint_paths: "ckpt-2"\n'
        'all_model_checkpoint_paths: "ckpt-3"\n'
        "all_model_checkpoint_timestamps: 1.5\n"
        "all_model_checkpoint_timestamps: 1728082747.943192\n"
        "last_preserved_timestamp: 1.5\n"
    )


def test_nothing_to_remark_no_comment_line() -> None:
    assert encode_state(CheckpointState("ckpt-3", ("ckpt-3",))) == (
        b'model_checkpoint_path: "ckpt-3"\nall_model_checkpoint_paths: "ckpt-3"\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        b'model_checkpoint_path: "ckpt-1"\r\nall_model_checkpoint_paths: "ckpt-1"\r\n',
        b'model_checkpoint_path: "ckpt-1" all_model_checkpoint_paths: "ckpt-1"',
        b"model_checkpoint_path: 'ckpt-1', all_model_checkpoint_paths: ['ckpt-1'];",
        b'# by hand\nmodel_checkpoint_path: "ckpt" "-1" # joined\n\nall_model_checkpoint_paths: "ckpt-\\061"\n',
        b'model_checkpoint_path: "ckpt-1" all_model_checkpoint_paths: "ckpt-1" later_field { a: 1 b: "x" }',
        b'#cloudckpt: {"retired": 5}\nmodel_checkpoint_path: "ckpt-1" all_model_checkpoint_paths: "ckpt-1"',
        b'# cloudckpt: {"of_later_versions": 9}\nmodel_checkpoint_path: "ckpt-1" all_model_checkpoint_paths: "ckpt-1"',
    ],
    ids=["crlf", "one line", "lists", "escapes", "unknown field", "almost our comment", "unknown remark"],
)
def test_other_ways_to_write_the_same(text: bytes) -> None:
    assert decode_state(text, "checkpoint") == CheckpointState("ckpt-1", ("ckpt-1",))


def test_how_long_saves_may_take() -> None:
    state = CheckpointState("ckpt-1", ("ckpt-1",), max_save_time=90000.0)
    assert decode_state(encode_state(state), "checkpoint") == state
    assert encode_state(state).startswith(b'# cloudckpt: {"retired": [], "left": [], "max_save_time": 90000.0}\n')
    assert decode_state(b'# cloudckpt: {"max_save_time": null}', "checkpoint") == CheckpointState()


def test_metrics() -> None:
    losses = {"ckpt-1": {"loss": 0.25}, "ckpt-2": {"loss": float("inf"), "kl": float("-inf")}, "ckpt-3": {}}
    state = CheckpointState("ckpt-3", ("ckpt-1", "ckpt-2", "ckpt-3"), metrics=losses, passed=("ckpt-1",))
    assert decode_state(encode_state(state), "checkpoint") == state
    assert encode_state(state).decode().partition("\n")[0] == (
        '# cloudckpt: {"retired": [], "left": [], "metrics": {"ckpt-1": {"loss": 0.25}, '
        '"ckpt-2": {"loss": "inf", "kl": "-inf"}, "ckpt-3": {}}, "passed": ["ckpt-1"]}'
    )
    nan = decode_state(b'# cloudckpt: {"metrics": {"ckpt-1": {"loss": "nan"}}}', "checkpoint").metrics["ckpt-1"]["loss"]
    assert math.isnan(nan)


@pytest.mark.parametrize(
    "remarks",
    [
        '{"metrics": []}',
        '{"metrics": {"ckpt-1": 3}}',
        '{"metrics": {"ckpt-1": {"loss": "low"}}}',
        '{"metrics": {"ckpt-1": {"loss": true}}}',
        '{"metrics": {"ckpt-1": {"loss": 1' + "0" * 400 + "}}}",
        '{"passed": "ckpt-1"}',
        '{"passed": [3]}',
    ],
)
def test_remarks_that_are_none(remarks: str) -> None:
    with pytest.raises(StateFileError):
        decode_state(f"# cloudckpt: {remarks}\n".encode(), "checkpoint")


def test_an_empty_file_is_an_empty_state() -> None:
    assert decode_state(b"", "checkpoint") == CheckpointState()


def test_of_a_field_that_stands_twice_the_last_counts() -> None:
    text = b'model_checkpoint_path: "a" model_checkpoint_path: "b"'
    assert decode_state(text, "checkpoint") == CheckpointState(latest="b")


DEEP = 100_000
RUBBISH = {
    "binary": bytes(range(256)),
    "zeros": bytes(1000),
    "not UTF-8": b'model_checkpoint_path: "\xff"',
    "byte order mark": b'\xef\xbb\xbfmodel_checkpoint_path: "a"',
    "truncated": b'model_checkpoint_path: "ckpt-',
    "no value": b"model_checkpoint_path:",
    "wrong type": b"model_checkpoint_path: 5",
    "extension": b"[a.b] { c: 1 }",
    "deep text": b"a {" * DEEP,
    "deep unknown field": b"a {" * DEEP + b"}" * DEEP,
    "an index": b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
}
HOSTILE_COMMENTS = {
    "no JSON": "{",
    "no object": "[]",
    "null": "null",
    "a number for a list": '{"retired": 5}',
    "null for a list": '{"left": null}',
    "a string for a list": '{"retired": "ckpt-1"}',
    "numbers in the list": '{"retired": [1]}',
    "lists in the list": '{"left": [["ckpt-1"]]}',
    "a string for a number": '{"max_save_time": "90000"}',
    "true for a number": '{"max_save_time": true}',
    "no time": '{"max_save_time": 0}',
    "a negative time": '{"max_save_time": -1}',
    "not a number": '{"max_save_time": NaN}',
    "an endless time": '{"max_save_time": Infinity}',
    "a time of centuries": '{"max_save_time": 1e10}',
    "a time of many digits": f'{{"max_save_time": {"9" * 400}}}',
    "deep": "[" * DEEP,
    "a long number": "9" * 5000,
}


@pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_a_state_file_error(data: bytes) -> None:
    with pytest.raises(StateFileError, match="run/checkpoint"):
        decode_state(data, "run/checkpoint")


@pytest.mark.parametrize("remarks", HOSTILE_COMMENTS.values(), ids=HOSTILE_COMMENTS)
def test_a_hostile_comment_line_is_a_state_file_error(remarks: str) -> None:
    with pytest.raises(StateFileError, match="run/checkpoint"):
        decode_state(f'# cloudckpt: {remarks}\nmodel_checkpoint_path: "ckpt-1"'.encode(), "run/checkpoint")


@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with suppress(StateFileError):
        decode_state(data, "checkpoint")


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x1c", "\x0b", "\x0c"])
def test_only_a_newline_begins_a_comment_line(separator: str) -> None:
    """A path is no place to smuggle in a list of checkpoints to delete."""
    path = f"x{separator}# cloudckpt: " + json.dumps({"retired": ["ckpt-1"]})
    state = CheckpointState(path, (path,), (1.0,))
    assert decode_state(encode_state(state), "checkpoint") == state


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("ckpt-1", "ckpt-1"),
        ("/a/ckpt-1", "ckpt-1"),
        ("C:\\a\\ckpt-1", "ckpt-1"),
        ("s3://b/a/ckpt-1", "ckpt-1"),
        ("a/", ""),
    ],
)
def test_last_component(path: str, name: str) -> None:
    assert last_component(path) == name
