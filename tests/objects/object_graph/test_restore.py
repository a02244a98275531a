"""Restoring objects: all at once or not at all, and what waits for objects that come later."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.checkpoint.opened import OpenCheckpoint
from cloudckpt.compat.v1 import fixed_size_partitioner, get_variable, variable_scope
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    InvalidArgumentError,
    TensorNotFoundError,
)
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.objects.object_graph.save import tensors_of_objects
from cloudckpt.objects.options import CheckpointOptions
from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.shape import UNKNOWN_RANK
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDCKPT_FSYNC", "0")


def module(**values: Any) -> Module:
    made = Module()
    for name, value in values.items():
        setattr(made, name, Variable(value))
    return made


class Momentum(Trackable):
    """An optimizer with slot variables, made for the variables that it is given."""

    def __init__(self, *variables: Variable) -> None:
        self.rate = Variable(0.1)
        self._slots = NoDependency({id(each): Variable(np.zeros_like(each.numpy())) for each in variables})

    def get_slot_names(self) -> list[str]:
        return ["momentum"]

    def get_slot(self, variable: Any, name: str) -> Variable:
        slot: Variable = self._slots[id(variable)]
        return slot


class Text(PythonState):
    def __init__(self, text: str) -> None:
        self.text = text

    def serialize(self) -> str:
        return self.text

    def deserialize(self, string_value: bytes) -> None:
        if string_value == b"refused":
            raise RuntimeError("not this one")
        self.text = string_value.decode()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Of a model with two variables, and a step."""
    return Checkpoint(model=module(a=[1.0, 2.0], b=3.0), step=Variable(7)).save(tmp_path / "ckpt")


def damage(path: str) -> None:
    with open(f"{path}.data-00000-of-00001", "r+b") as file:
        file.seek(1)
        file.write(b"\xff")


def test_damage_assigns_nothing(path: str) -> None:
    damage(path)
    model, step = module(a=[0.0, 0.0], b=0.0), Variable(0)
    checkpoint = Checkpoint(model=model, step=step)
    with pytest.raises(CheckpointDamagedError):
        checkpoint.restore(path)
    assert (model.a.numpy().tolist(), model.b.numpy(), step.numpy()) == ([0.0, 0.0], 0.0, 0)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([0.0, 0.0, 0.0], r"of shape \(2,\), and the object's is of shape \(3,\)"),
        (np.zeros(2), "of float32, and the object's is of float64"),
    ],
)
def test_a_value_that_does_not_fit(path: str, value: Any, found: str) -> None:
    model, step = module(a=value, b=0.0), Variable(0)
    with pytest.raises(InvalidArgumentError, match=f"object 'model.a' .*{found}") as raised:
        Checkpoint(model=model, step=step).restore(path)
    assert isinstance(raised.value, ValueError)
    assert (raised.value.path, raised.value.tensor) == (path, "model/a/.ATTRIBUTES/VARIABLE_VALUE")
    assert (model.b.numpy(), step.numpy()) == (0.0, 0)


def test_a_value_of_another_kind(path: str) -> None:
    with pytest.raises(TensorNotFoundError, match=r"object 'step' .* it takes 'VARIABLE_VALUE'.* is 'py_state'"):
        state = Checkpoint(step=Text("x")).write(f"{path}-state")
        Checkpoint(step=Variable(0)).restore(state)
    with pytest.raises(InvalidArgumentError, match=r"object 'step' .* of int32, and the object's is of string"):
        Checkpoint(step=Text("x")).restore(path)


def test_python_state_that_is_refused_comes_first(tmp_path: Path) -> None:
    path = Checkpoint(text=Text("refused"), a=Variable(1.0)).save(tmp_path / "ckpt")
    a = Variable(0.0)
    with pytest.raises(RuntimeError, match="not this one"):
        Checkpoint(text=Text(""), a=a).restore(path)
    assert a.numpy() == 0.0


def test_what_waits_needs_no_checkpoint_any_more(path: str, tmp_path: Path) -> None:
    model = Module()
    checkpoint = Checkpoint(model=model)
    status = checkpoint.restore(path)
    for file in tmp_path.iterdir():
        file.unlink()
    model.a = Variable([0.0, 0.0])
    checkpoint.step = Variable(0)
    model.b = Variable(0.0)
    assert (model.a.numpy().tolist(), model.b.numpy(), checkpoint.step.numpy()) == ([1.0, 2.0], 3.0, 7)
    status.assert_consumed()


def test_a_late_object_that_does_not_fit_is_named(path: str) -> None:
    model = Module()
    Checkpoint(model=model).restore(path).expect_partial()
    with pytest.raises(InvalidArgumentError, match=r"object 'model.a' .*shape \(2,\)"):
        model.a = Variable(0.0)


def test_what_did_not_fit_can_be_assigned_again(path: str) -> None:
    """The assignment that failed has changed nothing, and what fits gets the value."""
    model = Module()
    checkpoint = Checkpoint(model=model)
    status = checkpoint.restore(path)
    bad = Variable(0.0)
    with pytest.raises(InvalidArgumentError):
        model.a = bad
    assert not hasattr(model, "a")
    assert not [name for name in tensors_of_objects(as_node(checkpoint)) if "model" in name]
    model.a, model.b, checkpoint.step = Variable([0.0, 0.0]), Variable(0.0), Variable(0)
    assert model.a.numpy().tolist() == [1.0, 2.0]
    status.assert_consumed()
    assert bad.numpy() == 0.0


def test_an_object_with_a_part_that_does_not_fit_can_be_mended(path: str) -> None:
    checkpoint = Checkpoint()
    status = checkpoint.restore(path)
    model = module(a=[0.0, 0.0], b=[0.0])
    with pytest.raises(InvalidArgumentError, match=r"model\.b"):
        checkpoint.model = model
    assert model.a.numpy().tolist() == [0.0, 0.0]
    model.b = Variable(0.0)
    checkpoint.model, checkpoint.step = model, Variable(0)
    assert (model.a.numpy().tolist(), model.b.numpy()) == ([1.0, 2.0], 3.0)
    status.assert_consumed()


def test_an_element_that_does_not_fit_is_not_in_the_list(tmp_path: Path) -> None:
    path = Checkpoint(many=[Variable([1.0, 2.0])], named={"x": Variable([3.0])}).save(tmp_path / "ckpt")
    checkpoint = Checkpoint(many=[], named={})
    checkpoint.restore(path)
    with pytest.raises(InvalidArgumentError):
        checkpoint.many.append(Variable(0.0))
    with pytest.raises(InvalidArgumentError):
        checkpoint.named["x"] = Variable(0.0)
    assert (len(checkpoint.many), len(checkpoint.named)) == (0, 0)
    checkpoint.many.append(Variable([0.0, 0.0]))
    checkpoint.named["x"] = Variable([0.0])
    assert (checkpoint.many[0].numpy().tolist(), checkpoint.named["x"].numpy().tolist()) == ([1.0, 2.0], [3.0])


def test_late_python_state_that_was_refused_is_given_again(tmp_path: Path) -> None:
    class Moody(Text):
        is_refusing = True

        def deserialize(self, string_value: bytes) -> None:
            if self.is_refusing:
                raise RuntimeError("not now")
            super().deserialize(string_value)

    path = Checkpoint(text=Text("stored"), a=Variable(1.0)).save(tmp_path / "ckpt")
    checkpoint, state = Checkpoint(a=Variable(0.0)), Moody("")
    status = checkpoint.restore(path)
    with pytest.raises(RuntimeError, match="not now"):
        checkpoint.text = state
    state.is_refusing = False
    checkpoint.text = state
    assert state.text == "stored"
    status.assert_consumed()


def test_a_late_read_that_failed_is_tried_again(path: str, tmp_path: Path) -> None:
    model = Module()
    Checkpoint(model=model).restore(path, keep_pending=False).expect_partial()
    os.rename(f"{path}.index", tmp_path / "away")
    os.rename(f"{path}.data-00000-of-00001", tmp_path / "data")
    with pytest.raises(CheckpointNotFoundError):
        model.a = Variable([0.0, 0.0])
    os.rename(tmp_path / "away", f"{path}.index")
    os.rename(tmp_path / "data", f"{path}.data-00000-of-00001")
    model.a = Variable([0.0, 0.0])
    assert model.a.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("declared", "fits"),
    [((None,), True), ((2,), True), (UNKNOWN_RANK, True), ((3,), False), ((None, None), False), ((None, 2), False)],
)
def test_shapes_that_are_declared_in_part(path: str, declared: Any, fits: bool) -> None:
    known = () if declared is UNKNOWN_RANK else declared
    a = Variable(np.zeros([1 if size is None else size for size in known], np.float32), shape=declared)
    model = Module()
    model.a = a
    if fits:
        Checkpoint(model=model).restore(path).expect_partial()
        assert a.numpy().tolist() == [1.0, 2.0]
    else:
        with pytest.raises(InvalidArgumentError, match=r"of shape \(2,\), and the object's is of shape \("):
            Checkpoint(model=model).restore(path)
        assert not a.numpy().any()


@pytest.mark.parametrize("how", ["keep_pending", "expect_partial", "the next restore"])
def test_what_is_not_kept_is_read_when_it_is_wanted(path: str, tmp_path: Path, how: str) -> None:
    model = Module()
    checkpoint = Checkpoint(model=model)
    status = checkpoint.restore(path, keep_pending=how != "keep_pending")
    if how == "expect_partial":
        status.expect_partial()
    elif how == "the next restore":
        other = Checkpoint(model=module(c=1.0)).save(tmp_path / "other")
        checkpoint.restore(other)
    model.a = Variable([0.0, 0.0])
    assert model.a.numpy().tolist() == [1.0, 2.0]
    for file in tmp_path.glob("ckpt*"):
        file.unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"deleted or replaced since.*keep_pending=True"):
        model.b = Variable(0.0)


def test_what_is_not_kept_is_of_the_very_save(path: str) -> None:
    model = Module()
    Checkpoint(model=model).restore(path, keep_pending=False).expect_partial()
    Checkpoint(model=module(a=[8.0, 9.0], b=10.0), step=Variable(11)).write(path)
    with pytest.raises(CheckpointNotFoundError, match="deleted or replaced since"):
        model.b = Variable(0.0)


def test_a_later_restore_has_the_last_word_whatever_comes_when(tmp_path: Path) -> None:
    first = Checkpoint(model=module(a=1.0, b=2.0)).save(tmp_path / "first")
    second = Checkpoint(model=module(a=10.0)).save(tmp_path / "second")
    model = Module()
    checkpoint = Checkpoint(model=model)
    statuses = [checkpoint.restore(path) for path in (first, second)]
    shutil.rmtree(tmp_path)  # the later one keeps what it has, and the value of the earlier is not needed
    model.a = Variable(0.0)
    assert model.a.numpy() == 10.0
    for status in statuses:
        status.expect_partial()


def test_restores_again_and_again_keep_one_copy_of_what_waits(tmp_path: Path) -> None:
    size = 4 << 20
    path = Checkpoint(a=Variable(1.0), big=Variable(np.ones(size // 4, np.float32))).save(tmp_path / "ckpt")
    checkpoint = Checkpoint(a=Variable(0.0))
    checkpoint.restore(path)
    tracemalloc.start()
    try:
        for _ in range(10):
            checkpoint.restore(path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * size


def test_only_what_waits_is_kept(tmp_path: Path) -> None:
    """Objects under names that nothing can come to are not."""
    size = 4 << 20
    array = np.zeros(size // 4, np.float32)
    path = Checkpoint(a=Variable(array), b=module(x=array)).save(tmp_path / "ckpt")
    tracemalloc.start()
    try:
        checkpoint = Checkpoint(b=Variable(0.0))  # of a variable no children come
        checkpoint.a = Variable(np.ones_like(array))
        status = checkpoint.restore(path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * size
    status.expect_partial()


def test_slot_variables(tmp_path: Path) -> None:
    v, w = Variable([1.0, 2.0], name="v"), Variable(3.0, name="w")
    optimizer = Momentum(v, w)
    optimizer.get_slot(v, "momentum").assign([4.0, 5.0])
    optimizer.get_slot(w, "momentum").assign(6.0)
    path = Checkpoint(v=v, w=w, optimizer=optimizer).save(tmp_path / "ckpt")

    fresh = [Variable([0.0, 0.0]), Variable(0.0)]
    again = Momentum(*fresh)
    Checkpoint(v=fresh[0], w=fresh[1], optimizer=again).restore(path).assert_consumed()
    slots = [again.get_slot(each, "momentum").numpy().tolist() for each in fresh]
    assert slots == [[4.0, 5.0], 6.0]


@pytest.mark.parametrize("order", [["v", "w", "optimizer"], ["optimizer", "v", "w"], ["v", "optimizer", "w"]])
def test_slot_variables_come_with_the_later_of_both(tmp_path: Path, order: list[str]) -> None:
    v, w = Variable([1.0, 2.0]), Variable(3.0)
    optimizer = Momentum(v, w)
    optimizer.get_slot(v, "momentum").assign([4.0, 5.0])
    optimizer.get_slot(w, "momentum").assign(6.0)
    path = Checkpoint(v=v, w=w, optimizer=optimizer).save(tmp_path / "ckpt")

    parts: dict[str, Any] = {"v": Variable([0.0, 0.0]), "w": Variable(0.0)}
    parts["optimizer"] = Momentum(parts["v"], parts["w"])
    checkpoint = Checkpoint()
    status = checkpoint.restore(path)
    shutil.rmtree(tmp_path)
    for name in order:
        setattr(checkpoint, name, parts[name])
    status.assert_consumed()
    assert [parts["optimizer"].get_slot(parts[name], "momentum").numpy().tolist() for name in "vw"] == [[4.0, 5.0], 6.0]


@pytest.mark.parametrize("is_late", [False, True])
def test_an_optimizer_that_can_makes_its_slot_variables(tmp_path: Path, is_late: bool) -> None:
    class Making(Momentum):
        def add_slot(self, variable: Any, name: str) -> None:
            assert name == "momentum"
            self._slots[id(variable)] = Variable(np.zeros_like(variable.numpy()))

    a, b = Variable([1.0, 2.0]), Variable(3.0)
    optimizer = Momentum(a)
    optimizer.get_slot(a, "momentum").assign([4.0, 5.0])
    path = Checkpoint(a=a, b=b, optimizer=optimizer).save(tmp_path / "ckpt")
    a, making = Variable([0.0, 0.0]), Making()
    checkpoint = Checkpoint(a=a, b=Variable(0.0), **({} if is_late else {"optimizer": making}))
    status = checkpoint.restore(path)
    if is_late:
        checkpoint.optimizer = making
    assert making.get_slot(a, "momentum").numpy().tolist() == [4.0, 5.0]
    assert len(making._slots) == 1
    status.assert_consumed()


def test_slot_variables_are_skipped_on_request(tmp_path: Path) -> None:
    v = Variable(1.0)
    optimizer = Momentum(v)
    optimizer.get_slot(v, "momentum").assign(6.0)
    path = Checkpoint(v=v, optimizer=optimizer).save(tmp_path / "ckpt")
    again = Momentum(v)
    options = CheckpointOptions(experimental_skip_slot_variables=True)
    Checkpoint(v=v, optimizer=again).restore(path, options).assert_consumed()
    assert again.get_slot(v, "momentum").numpy() == 0.0
    Checkpoint(v=v).restore(path).expect_partial()


def test_arrays_are_objects_too(tmp_path: Path) -> None:
    a, b = np.array([1.0, 2.0]), np.array([[3]])
    path = Checkpoint(a=a, b=b).save(tmp_path / "ckpt")
    a[:], b[:] = 0, 0
    Checkpoint(a=a, b=b).restore(path).assert_consumed()
    assert (a.tolist(), b.tolist()) == ([1.0, 2.0], [[3]])


def test_a_partitioned_variable_is_saved_whole(tmp_path: Path) -> None:
    def made(value: float) -> Any:
        with variable_scope(str(value), partitioner=fixed_size_partitioner(2)):
            return get_variable("v", initializer=np.full((4, 2), value, np.float32))

    model, other, whole = Module(), Module(), Module()
    model.v, other.v, whole.v = made(1.0), made(2.0), Variable(np.zeros((4, 2), np.float32))
    assert len(model.v) == 2
    path = Checkpoint(model=model).save(tmp_path / "ckpt")
    for each in (other, whole):
        Checkpoint(model=each).restore(path).assert_consumed()
        np.testing.assert_array_equal(np.asarray(each.v.numpy()), np.ones((4, 2)))


def test_a_restore_reads_twice_whatever_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {f"v{number}": Variable(float(number)) for number in range(50)}
    path = Checkpoint(**values).save(tmp_path / "ckpt")
    stores: list[FaultyStore] = []

    def opened(path: Any, options: Any) -> Location:
        location = open_location(path, options)
        stores.append(FaultyStore(location.store, 0))
        return Location(stores[-1], location.key)

    monkeypatch.setattr("cloudckpt.objects.object_graph.restore.open_prefix", opened)
    half = {name: Variable(-1.0) for name in [*values][::2]}
    checkpoint = Checkpoint(**half)
    status = checkpoint.restore(path)
    (store,) = stores
    operations = [each.split("/")[-1] for each in store.operations]
    for name in [*values][1::2]:
        setattr(checkpoint, name, Variable(-1.0))
    status.assert_consumed()
    data = "ckpt-1.data-00000-of-00001"
    assert [each for each in operations if not each.endswith(data)] == operations[:2] + operations[-1:]
    assert sum(each.endswith(data) for each in operations) == 2
    assert [float(getattr(checkpoint, name).numpy()) for name in values] == [float(number) for number in range(50)]


def test_objects_that_are_gone_are_not_held(path: str) -> None:
    model = module(a=[0.0, 0.0], b=0.0)
    checkpoint = Checkpoint(model=model)
    status = checkpoint.restore(path)
    checkpoint.model = Module()
    del model
    gc.collect()
    with pytest.raises(AssertionError, match=r"have no object here: 'step', 'model.a', 'model.b'"):
        status.assert_consumed()
    status.expect_partial()


def test_values_that_nobody_took_are_logged_once_nothing_can_take_them(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cloudckpt")
    checkpoint = Checkpoint(model=module(a=[0.0, 0.0]))
    status = checkpoint.restore(path)
    del status
    assert caplog.messages == []
    del checkpoint
    (message,) = caplog.messages
    assert "restored to no object: 'step', 'model.b'. Call expect_partial()" in message


def test_attributes_that_nobody_took_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Checkpoint(a=Variable(1.0)).write(tmp_path / "ckpt")
    status = Checkpoint(a=Module()).read(path)
    with pytest.raises(AssertionError, match=r"lack attributes .*'a' \['VARIABLE_VALUE'\]"):
        status.assert_consumed()
    del status
    assert "attribute 'VARIABLE_VALUE' of 'a'" in caplog.text


def test_expect_partial_is_silent(path: str, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = Checkpoint(model=Module())
    checkpoint.restore(path).expect_partial()
    del checkpoint
    assert caplog.messages == []


def test_a_restore_that_failed_gives_nothing_later(path: str) -> None:
    model = module(b=[0.0])
    checkpoint = Checkpoint(model=model)
    with pytest.raises(InvalidArgumentError):
        checkpoint.restore(path)
    model.a = Variable([0.0, 0.0])
    checkpoint.step = Variable(0)
    assert (model.a.numpy().tolist(), checkpoint.step.numpy()) == ([0.0, 0.0], 0)


def test_a_checkpoint_that_is_replaced_under_the_restore(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of the save before is thrown away, and nothing of it comes later."""
    before, replaced = OpenCheckpoint.read_named, []

    def read_named(self: OpenCheckpoint, *arguments: Any) -> Any:
        if not replaced:
            replaced.append(path)
            Checkpoint(model=module(a=[8.0, 9.0], b=10.0), step=Variable(11)).write(path)
        return before(self, *arguments)

    monkeypatch.setattr(OpenCheckpoint, "read_named", read_named)
    model = module(a=[0.0, 0.0])
    Checkpoint(model=model).restore(path).expect_partial()
    model.b = Variable(0.0)
    assert (model.a.numpy().tolist(), model.b.numpy()) == ([8.0, 9.0], 10.0)


def test_one_object_that_becomes_two_late(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    v = Variable(1.0)
    path = Checkpoint(a=v, b=v).save(tmp_path / "ckpt")
    checkpoint = Checkpoint()
    checkpoint.restore(path)
    checkpoint.a, checkpoint.b = Variable(0.0), Variable(0.0)
    assert (checkpoint.a.numpy(), checkpoint.b.numpy()) == (1.0, 0.0)
    assert "is two objects here, of which only the first was restored" in caplog.text
