"""Restoring objects from a checkpoint by name, and what they get later."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import CheckpointNotFoundError, InvalidArgumentError
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CLOUDCKPT_FSYNC", "0")
    return ckpt.save(tmp_path / "named", {"a": np.float32(1), "b": np.arange(2.0), "c": np.float32(3)})


def named(name: str, value: Any = 0.0) -> Variable:
    return Variable(value, name=name)


def test_what_a_late_object_holds_is_restored_too(path: str) -> None:
    tree = Module()
    status = Checkpoint(tree=tree).restore(path)
    sub = Module()
    sub.many, sub.up = [named("a"), {"k": named("c")}], tree
    tree.sub = sub
    assert (sub.many[0].numpy(), sub.many[1]["k"].numpy()) == (1.0, 3.0)
    sub.many.append(named("c"))
    assert sub.many[2].numpy() == 3.0
    status.assert_consumed()


def test_a_late_variable_that_does_not_fit(path: str) -> None:
    tree, sub = Module(), Module()
    Checkpoint(tree=tree).restore(path)
    sub.a, sub.b = named("a"), named("b")
    with pytest.raises(InvalidArgumentError, match=r"'b' .*of float64, and the object's is of float32"):
        tree.sub = sub
    assert not hasattr(tree, "sub")
    assert sub.a.numpy() == 0.0
    sub.b = named("b", np.zeros(2))
    tree.sub = sub
    assert (sub.a.numpy(), sub.b.numpy().tolist()) == (1.0, [0.0, 1.0])


def test_the_checkpoint_must_be_there_for_what_comes_late_and_is_in_it(path: str, tmp_path: Path) -> None:
    tree = Module()
    Checkpoint(tree=tree).restore(path)
    for file in tmp_path.iterdir():
        file.unlink()
    tree.other = named("other", 5.0)
    with pytest.raises(CheckpointNotFoundError, match="restore again"):
        tree.a = named("a")
    assert tree.other.numpy() == 5.0


def test_a_later_restore_has_the_last_word(path: str, tmp_path: Path) -> None:
    saved, tree = Module(), Module()
    saved.a = named("a", 10.0)
    by_object = Checkpoint(tree=saved).save(tmp_path / "ckpt")
    checkpoint = Checkpoint(tree=tree)
    checkpoint.restore(path)
    checkpoint.restore(by_object)
    tree.a, tree.c = named("a"), named("c")
    assert (tree.a.numpy(), tree.c.numpy()) == (10.0, 3.0)
    checkpoint.restore(path)
    assert tree.a.numpy() == 1.0


def test_nothing_is_held_that_the_program_has_let_go(path: str) -> None:
    tree = Module()
    tree.lacking = named("nowhere")
    status = Checkpoint(tree=tree).restore(path)
    gone = weakref.ref(tree.lacking)
    with pytest.raises(AssertionError, match="lacks 1 names: 'nowhere'"):
        status.assert_consumed()
    del tree.lacking
    gc.collect()
    assert gone() is None
    status.assert_consumed()
