"""`cloudckpt.train.Checkpoint` beside real `tf.train.Checkpoint`: each restores what the other has saved."""

from __future__ import annotations

import os
import weakref
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.train import Checkpoint
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.variable import Variable
from tests.objects.object_graph.random_objects import changed, ours, random_spec, restored, saved, theirs, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDCKPT_FSYNC", "0")


@pytest.mark.parametrize("group", range(6))
def test_random_objects_restored_by_both(tf: Any, tmp_path: Path, group: int) -> None:
    """Values, verdicts and late values are the same, whoever saved and whoever restores, whatever has changed."""
    apis = {"theirs": theirs(tf), "ours": ours()}
    all_verdicts: set[str] = set()
    for seed in range(25 * group, 25 * group + 25):
        random = Random(seed)
        spec, as_root = random_spec(random), random.random() < 0.5
        specs = [spec, changed(random, spec, 0.2)][: random.choice([1, 1, 2])]
        later, late = changed(random, spec, random.choice([0, 0.1, 0.4])), random.choice([None, seed])
        paths = {name: saved(api, specs, tmp_path / name / str(seed), as_root=as_root) for name, api in apis.items()}
        seen = {
            (reader, writer): restored(api, later, paths[writer], as_root=as_root, late=late)
            for reader, api in apis.items()
            for writer in apis
        }
        expected = seen["theirs", "theirs"]
        assert {who: found for who, found in seen.items() if found != expected} == {}, f"seed {seed}"
        all_verdicts |= {str(each) for each in expected if "yes" in str(each) or "no" in str(each)}
    assert len(all_verdicts) > 2


def over_both(program: Callable[[Any, Path], Any]) -> Callable[..., None]:
    """Make a test of a program over an api and a folder: what it returns must be the same over both."""

    def test(tf: Any, tmp_path: Path) -> None:
        folders = [tmp_path / "theirs", tmp_path / "ours"]
        for folder in folders:
            folder.mkdir()
        expected = program(theirs(tf), folders[0])
        assert program(ours(), folders[1]) == expected

    test.__name__, test.__doc__ = program.__name__, program.__doc__
    return test


def state_file(folder: Path) -> str:
    """Without the times, and without what only one of the two writes."""
    lines = (folder / "checkpoint").read_text().splitlines()
    return "\n".join(line for line in lines if "timestamp" not in line and not line.startswith("#"))


def what_is_raised(call: Callable[[], Any]) -> str:
    """The builtin class that a handler would catch, which for TensorFlow's own errors stands beside it."""
    builtins = {"NotFoundError": "FileNotFoundError", "InvalidArgumentError": "ValueError"}
    try:
        call()
    except Exception as error:  # noqa: BLE001  # whatever it is, both must raise it
        name = type(error).__name__
        if type(error).__module__.startswith("tensorflow"):
            return builtins.get(name, name)
        return next(
            each.__name__ for each in type(error).__mro__ if each.__module__ == "builtins" and each is not OSError
        )
    return "nothing"


@over_both
def test_saves_and_their_state_file(api: Any, folder: Path) -> Any:
    v = api.Variable([1.0, 2.0], name="v")
    checkpoint = api.Checkpoint(v=v)
    first = checkpoint.save(str(folder / "ckpt"))
    v.assign([3.0, 4.0])
    second = checkpoint.save(folder / "ckpt")
    state = state_file(folder)
    written = checkpoint.write(folder / "other")
    kept = state == state_file(folder)
    found = [os.path.relpath(path, folder) for path in (first, second, written, api.latest_checkpoint(str(folder)))]
    files = sorted(os.listdir(folder))
    one = checkpoint.restore(first).assert_consumed()
    one.initialize_or_restore()
    one.run_restore_ops()
    return (
        found,
        files,
        state,
        kept,
        v.numpy().tolist(),
        int(checkpoint.save_counter.numpy()),
        api.list_variables(first),
    )


@over_both
def test_the_save_counter(api: Any, folder: Path) -> Any:
    """When there is a save counter, of which type, and what `read` makes of it."""
    checkpoint = api.Checkpoint(v=api.Variable(1.0))
    path = checkpoint.write(str(folder / "written"))
    keys = [name for name, _ in api.list_variables(path)]
    fresh = api.Checkpoint(v=api.Variable(0.0))
    read = verdicts(fresh.read(path))
    restored = verdicts(fresh.restore(path))
    counter = fresh.save_counter
    saved = fresh.save(str(folder / "saved"))
    late = api.Checkpoint(v=api.Variable(0.0))
    status = late.read(saved)
    before = verdicts(status)
    after = int(late.save_counter.numpy()), verdicts(status)
    status.expect_partial()
    again = late.save(str(folder / "saved"))
    return keys, read, restored, counter.name, counter.dtype.name, counter.trainable, before, after, again[-2:]


@over_both
def test_roots_and_what_is_attached(api: Any, folder: Path) -> Any:
    """A root, with others attached; the same without one; and a counter that the root has already."""
    seen = []
    root = api.Module()
    root.v = api.Variable(1.0)
    checkpoint = api.Checkpoint(root, extra=api.Variable(2.0), others=[api.Variable(3.0)])
    path = checkpoint.save(str(folder / "root"))
    seen.append([name for name, _ in api.list_variables(path)])
    again = api.Module()
    again.v = api.Variable(0.0)
    partly = api.Checkpoint(again, extra=api.Variable(0.0))
    status = partly.restore(path)
    seen.append([float(again.v.numpy()), float(partly.extra.numpy()), verdicts(status)])
    again.others = [api.Variable(0.0)]
    seen.append([float(again.others[0].numpy()), int(partly.save_counter.numpy()), verdicts(status)])
    alone = api.Module()
    alone.v = api.Variable(0.0)
    status = api.Checkpoint(alone).restore(path)
    seen.append([float(alone.v.numpy()), verdicts(status)])
    status.expect_partial()
    weak = api.Checkpoint(weakref.ref(root))
    seen.append(verdicts(weak.restore(path).expect_partial()))
    counted = api.Module()
    counted.save_counter = api.Variable(6, dtype="int64")
    seen.append(os.path.basename(api.Checkpoint(counted).save(str(folder / "counted"))))
    seen.append(what_is_raised(lambda: api.Checkpoint(root, v=api.Variable(9.0))))
    seen.append(what_is_raised(lambda: api.Checkpoint(root, v=root.v)))
    return seen


@over_both
def test_refusals(api: Any, folder: Path) -> Any:
    v = api.Variable([1.0, 2.0])
    path = api.Checkpoint(v=v).save(str(folder / "ckpt"))
    return [
        what_is_raised(lambda: api.Checkpoint(v=3)),
        what_is_raised(lambda: api.Checkpoint(v="text")),
        what_is_raised(lambda: api.Checkpoint(5)),
        what_is_raised(lambda: api.Checkpoint(v=v).restore(str(folder / "none"))),
        what_is_raised(lambda: api.Checkpoint(v=api.Variable([1.0])).restore(path)),
        what_is_raised(lambda: api.Checkpoint(v=api.Variable([1.0])).restore(None).assert_consumed()),
        what_is_raised(lambda: api.Checkpoint(v=v).restore(None).initialize_or_restore()),
        what_is_raised(lambda: api.Checkpoint(v=v).restore(None).run_restore_ops()),
        what_is_raised(lambda: api.Checkpoint(v=v).restore(None).assert_existing_objects_matched()),
        what_is_raised(lambda: api.Checkpoint(v=v).restore(None).assert_nontrivial_match()),
        what_is_raised(lambda: api.CheckpointOptions(experimental_write_callbacks=[os.path.join, os.symlink])),
    ]


@over_both
def test_objects_that_come_late(api: Any, folder: Path) -> Any:
    """Values wait for objects that come later; of two restores the later one counts; and what came too late waits."""
    seen = []
    first, second = api.Module(), api.Module()
    first.a, first.b = api.Variable(1.0), api.Variable(2.0)
    second.a = api.Variable(10.0)
    paths = [
        api.Checkpoint(m=module, top=api.Variable(value)).save(str(folder / name))
        for module, value, name in ((first, 3.0, "first"), (second, 30.0, "second"))
    ]
    module = api.Module()
    checkpoint = api.Checkpoint(m=module)
    statuses = [checkpoint.restore(path) for path in paths]
    module.a, module.b = api.Variable(0.0), api.Variable(0.0)
    checkpoint.top = api.Variable(0.0)
    seen.append([float(each.numpy()) for each in (module.a, module.b, checkpoint.top)])
    seen += [verdicts(status) for status in statuses]
    module.a = api.Variable(5.0)  # no restore waits for a second one of that name
    seen.append(float(module.a.numpy()))
    whole = api.Module()
    whole.a = api.Variable(0.0)
    other = api.Checkpoint()
    status = other.restore(paths[0])
    seen.append(verdicts(status))
    other.m = whole
    seen += [float(whole.a.numpy()), verdicts(status)]
    whole.b = api.Variable(0.0)
    other.top = api.Variable(0.0)
    seen += [float(whole.b.numpy()), float(other.top.numpy()), verdicts(status)]
    return seen


@over_both
def test_containers_that_are_filled_late(api: Any, folder: Path) -> Any:
    """Elements that are put into lists and dicts after the restore."""
    tree = api.Module()
    tree.list = [api.Variable(1.0), {"x": api.Variable(2.0)}, (api.Variable(3.0), api.Variable(4.0))]
    tree.dict = {"y": [api.Variable(5.0)]}
    tree.state = api.State("hello")
    path = api.Checkpoint(tree=tree).save(str(folder / "ckpt"))
    fresh = api.Module()
    fresh.list, fresh.dict, fresh.state = [], {}, api.State("")
    status = api.Checkpoint(tree=fresh).restore(path)
    seen = [fresh.state.text, verdicts(status)]
    fresh.list.append(api.Variable(0.0))
    fresh.list.append({})
    fresh.list[1]["x"] = api.Variable(0.0)
    fresh.list.append((api.Variable(0.0), api.Variable(0.0)))
    fresh.dict["y"] = [api.Variable(0.0)]
    found = [fresh.list[0], fresh.list[1]["x"], *fresh.list[2], fresh.dict["y"][0]]
    return seen, [float(each.numpy()) for each in found], verdicts(status)


@over_both
def test_one_object_under_several_names(api: Any, folder: Path) -> Any:
    """What was one is two, and what were two is one."""
    one, two = api.Variable(1.0), api.Variable(2.0)
    paths = [
        api.Checkpoint(a=one, b=one).save(str(folder / "one")),
        api.Checkpoint(a=one, b=two).save(str(folder / "two")),
    ]
    seen = []
    for path in paths:
        shared = api.Variable(0.0)
        for a, b in ((shared, shared), (api.Variable(0.0), api.Variable(0.0))):
            status = api.Checkpoint(a=a, b=b).restore(path)
            seen.append([float(a.numpy()), float(b.numpy()), verdicts(status)])
            status.expect_partial()
    return seen


@over_both
def test_circles(api: Any, folder: Path) -> Any:
    """Objects that hold each other."""

    def pair() -> Any:
        left, right = api.Module(), api.Module()
        left.other, right.other = right, left
        left.v, right.v = api.Variable(0.0), api.Variable(0.0)
        return left

    left = pair()
    left.v.assign(1.0)
    left.other.v.assign(2.0)
    path = api.Checkpoint(left).save(str(folder / "ckpt"))
    again = pair()
    status = api.Checkpoint(again).restore(path)
    return float(again.v.numpy()), float(again.other.v.numpy()), verdicts(status)


@over_both
def test_checkpoints_by_name(api: Any, folder: Path) -> Any:
    """A checkpoint of a Saver, restored by object."""
    path = str(folder / "named")
    ckpt.save(path, {"a": np.float32(1), "b": np.float32(2), "unused": np.float32(3)})
    tree = api.Module()
    tree.x, tree.y = api.Variable(0.0, name="a"), [api.Variable(0.0, name="b")]
    checkpoint = api.Checkpoint(tree=tree)
    status = checkpoint.restore(path)
    seen = [float(tree.x.numpy()), float(tree.y[0].numpy()), int(checkpoint.save_counter.numpy()), verdicts(status)]
    lacking = api.Checkpoint(v=api.Variable(7.0, name="other"), a=api.Variable(0.0, name="a"))
    status = lacking.restore(path)
    seen += [float(lacking.v.numpy()), float(lacking.a.numpy()), verdicts(status)]
    read = api.Checkpoint(a=api.Variable(0.0, name="a")).read(path)
    state = api.Checkpoint(state=api.State("mine"), a=api.Variable(0.0, name="a")).restore(path)
    return [*seen, verdicts(read), verdicts(state)]


@over_both
def test_variables_that_come_late_to_a_checkpoint_by_name(api: Any, folder: Path) -> Any:
    path = str(folder / "named")
    ckpt.save(path, {"a": np.float32(1), "b": np.float32(2)})
    tree = api.Module()
    tree.x, tree.list = api.Variable(0.0, name="a"), []
    checkpoint = api.Checkpoint(tree=tree)
    status = checkpoint.restore(path)
    seen = [verdicts(status)]
    tree.y = api.Variable(0.0, name="b")
    tree.list.append(api.Variable(0.0, name="b"))
    tree.sub = api.Module()
    tree.sub.deep = api.Variable(0.0, name="a")
    checkpoint.top = api.Variable(0.0, name="a")
    found = [tree.y, tree.list[0], tree.sub.deep, checkpoint.top]
    seen += [[float(each.numpy()) for each in found], verdicts(status)]
    tree.x = api.Variable(0.0, name="a")  # nothing waits for a second one of that name
    seen += [float(tree.x.numpy()), verdicts(status)]
    tree.lacking = api.Variable(9.0, name="c")
    del status
    tree.more = api.Variable(0.0, name="b")
    return [*seen, float(tree.lacking.numpy()), float(tree.more.numpy())]


@over_both
def test_write_callbacks(api: Any, folder: Path) -> Any:
    called = []
    options = api.CheckpointOptions(
        experimental_write_callbacks=[
            lambda: called.append("nothing"),
            lambda path: called.append([os.path.basename(path), os.path.exists(folder / "checkpoint")]),
        ]
    )
    checkpoint = api.Checkpoint(v=api.Variable(1.0))
    checkpoint.save(str(folder / "ckpt"), options=options)
    checkpoint.write(str(folder / "other"), options)
    checkpoint.sync()
    return called, len(options.experimental_write_callbacks)


class Optimizer(Module):
    """One of ours, with slot variables under the names that TensorFlow's optimizers have for them."""

    def __init__(self, variables: list[Any], *names: str) -> None:
        self._slots = NoDependency({(id(v), n): Variable(np.zeros_like(v.numpy())) for v in variables for n in names})
        self._names = NoDependency([*names])

    def get_slot_names(self) -> list[str]:
        return list(self._names)

    def get_slot(self, variable: Any, name: str) -> Any:
        return self._slots[id(variable), name]


def stepped(tf_keras: Any, optimizer: Any, variables: list[Any]) -> Any:
    optimizer.apply_gradients([(variable * 0 + 1.0, variable) for variable in variables])
    return optimizer


def test_slot_variables_of_ours_in_an_optimizer_of_theirs(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    v, w = Variable([1.0, 2.0]), Variable(3.0)
    optimizer = Optimizer([v, w], "momentum")
    optimizer.get_slot(v, "momentum").assign([4.0, 5.0])
    optimizer.get_slot(w, "momentum").assign(6.0)
    path = Checkpoint(v=v, w=w, optimizer=optimizer).save(tmp_path / "ckpt")

    theirs_v, theirs_w = tf.Variable([0.0, 0.0]), tf.Variable(0.0)
    sgd = stepped(tf_keras, tf_keras.optimizers.legacy.SGD(0.1, momentum=0.9), [theirs_v, theirs_w])
    status = tf.train.Checkpoint(v=theirs_v, w=theirs_w, optimizer=sgd).restore(path)
    slots = [sgd.get_slot(each, "momentum").numpy().tolist() for each in (theirs_v, theirs_w)]
    assert (theirs_v.numpy().tolist(), theirs_w.numpy(), slots) == ([1.0, 2.0], 3.0, [[4.0, 5.0], 6.0])
    status.expect_partial()  # it has hyperparameters of its own


def test_slot_variables_of_theirs_in_an_optimizer_of_ours(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    theirs_v, theirs_w = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    adam = stepped(tf_keras, tf_keras.optimizers.legacy.Adam(0.1), [theirs_v, theirs_w])
    path = tf.train.Checkpoint(v=theirs_v, w=theirs_w, optimizer=adam).save(str(tmp_path / "ckpt"))

    v, w = Variable([0.0, 0.0]), Variable(0.0)
    optimizer = Optimizer([v, w], "m", "v")
    for name in ("beta_1", "beta_2", "decay", "learning_rate"):
        setattr(optimizer, name, Variable(0.0))
    optimizer.iter = Variable(0, dtype="int64")
    Checkpoint(v=v, w=w, optimizer=optimizer).restore(path).assert_consumed()
    for name in ("m", "v"):
        for mine, original in ((v, theirs_v), (w, theirs_w)):
            assert optimizer.get_slot(mine, name).numpy().tolist() == adam.get_slot(original, name).numpy().tolist()
    assert optimizer.iter.numpy() == 1


def test_files_are_those_that_tensorflow_writes(tf: Any, tmp_path: Path) -> None:
    """Byte by byte, of the same objects."""
    for api, name in ((theirs(tf), "theirs"), (ours(), "ours")):
        tree = api.Module()
        tree.w, tree.list = api.Variable([[1.0, 2.0]], name="w"), [api.Variable(3, name="n"), {"x": api.State("text")}]
        api.Checkpoint(tree, extra=tree.w).save(str(tmp_path / name / "ckpt"))
    for file in ("ckpt-1.data-00000-of-00001", "ckpt-1.index"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes()


def test_a_saved_model_of_tensorflow(tf: Any, tmp_path: Path) -> None:
    tree = tf.Module()
    tree.w = tf.Variable([1.0, 2.0])
    tf.saved_model.save(tree, str(tmp_path / "model"))
    mine = Module()
    mine.w = Variable([0.0, 0.0])
    Checkpoint(mine).restore(tmp_path / "model").expect_partial()
    assert mine.w.numpy().tolist() == [1.0, 2.0]


def test_options_of_tensorflow(tf: Any, tmp_path: Path) -> None:
    called: list[str] = []
    options = tf.train.CheckpointOptions(experimental_write_callbacks=[called.append])
    path = Checkpoint(v=Variable(1.0)).save(tmp_path / "ckpt", options)
    assert called == [path]
