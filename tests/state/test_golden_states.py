"""Odd state files that TensorFlow wrote: what they say, and where their checkpoints are found."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.state.state_file import CheckpointState, decode_state, encode_state, last_component
from tests.golden.states import FOLDER, PATHS, TIMES

if TYPE_CHECKING:
    from pathlib import Path


def expected(name: str) -> CheckpointState:
    times, last_preserved = TIMES.get(name, ([], 0.0))
    return CheckpointState(PATHS[name][-1], tuple(PATHS[name]), tuple(times), last_preserved)


@pytest.mark.parametrize("name", PATHS)
def test_they_say_what_was_written_and_ours_are_the_same_bytes(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    assert decode_state(data, name) == expected(name)
    assert encode_state(expected(name)) == data


@pytest.mark.parametrize("name", PATHS)
def test_an_unknown_field_is_passed_over(name: str) -> None:
    data = (FOLDER / name).read_bytes() + b'an_unknown_field: "x"\nanother { a: 1 }\n'
    assert decode_state(data, name) == expected(name)


@pytest.mark.parametrize("name", PATHS)
def test_get_checkpoint_state_joins_what_is_relative(name: str) -> None:
    state = train.get_checkpoint_state(FOLDER, name)
    absolute = name in {"absolute", "absolute_pattern", "url"}
    joined = PATHS[name] if absolute else [f"{FOLDER}/{path}" for path in PATHS[name]]
    assert list(state.all_model_checkpoint_paths) == joined
    assert state.model_checkpoint_path == joined[-1]


@pytest.mark.parametrize("name", sorted(set(PATHS) - {"pattern", "absolute_pattern"}))
def test_the_latest_checkpoint_is_found_where_the_directory_was_copied_to(tmp_path: Path, name: str) -> None:
    shutil.copy(FOLDER / name, tmp_path / "checkpoint")
    ckpt.save(tmp_path / last_component(PATHS[name][-1]), {"w": np.ones(1)})
    found = ckpt.latest_checkpoint(tmp_path)
    assert found == str(tmp_path / last_component(PATHS[name][-1]))
    assert ("w", [1]) in train.list_variables(tmp_path)
