"""Random trees of objects, described once and built over TensorFlow's classes or ours, and their restores."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt import train
from cloudckpt.errors import CloudckptError
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from pathlib import Path

Spec = tuple[str, Any]
"""("variable", value), ("state", text), ("module", {name: spec}), ("list", [spec]), ("dict", {name: spec}), or
("shared", number): the object that was built as that number."""

NAMES = ("a", "b", "c", "layers", "w")
ASSERTIONS = ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match")


def theirs(tf: Any) -> SimpleNamespace:
    """TensorFlow's classes."""
    return SimpleNamespace(
        Variable=tf.Variable,
        Module=tf.Module,
        State=_state_class(tf.train.experimental.PythonState),
        refusals=(tf.errors.OpError, TypeError),
        **_names_of(tf.train),
    )


def ours() -> SimpleNamespace:
    """The same of ours."""
    return SimpleNamespace(
        Variable=Variable,
        Module=Module,
        State=_state_class(train.experimental.PythonState),
        refusals=(CloudckptError, TypeError),
        **_names_of(train),
    )


def _names_of(module: Any) -> dict[str, Any]:
    names = ("Checkpoint", "CheckpointOptions", "latest_checkpoint", "list_variables")
    return {name: getattr(module, name) for name in names}


def _state_class(base: type) -> type:
    class State(base):
        def __init__(self, text: str) -> None:
            self.text = text

        def serialize(self) -> str:
            return self.text

        def deserialize(self, string_value: bytes) -> None:
            if not isinstance(string_value, bytes):  # TensorFlow hands over whatever is stored
                raise TypeError("this is no state")
            self.text = string_value.decode()

    return State


def random_spec(random: Random, depth: int = 3) -> Spec:
    """A module with some children."""
    return "module", {name: _random_child(random, depth) for name in NAMES if random.random() < 0.6}


def _random_child(random: Random, depth: int) -> Spec:
    kind = random.choice(["variable"] * 4 + ["state", "shared"] + (["module", "list", "dict"] * 2 if depth else []))
    if kind == "variable":
        return kind, random.randrange(1000)
    if kind == "state":
        return kind, f"text {random.randrange(1000)}"
    if kind == "shared":
        return kind, random.randrange(8)
    if kind == "list":
        return kind, [_random_child(random, depth - 1) for _ in range(random.randrange(4))]
    children = {name: _random_child(random, depth - 1) for name in NAMES if random.random() < 0.5}
    return kind, children


def changed(random: Random, spec: Spec, share: float) -> Spec:
    """The same tree of a later program: children are missing, more, of other kinds, or in another order."""
    kind, content = spec
    if kind in {"module", "dict"}:
        children = {name: changed(random, child, share) for name, child in content.items() if random.random() >= share}
        for name in NAMES:
            if random.random() < share / 4:
                children[name] = _random_child(random, 1)
        names = [*children]
        random.shuffle(names)
        return kind, {name: children[name] for name in names}
    if kind == "list":
        children = [changed(random, child, share) for child in content]
        return kind, children[: random.randrange(len(children) + 1)] if random.random() < share else children
    return spec


@dataclass
class Built:
    """A tree that was built.

    Attributes:
        root: its module.
        leaves: variables and states, in the order of building.
        late: what is left to do: assignments that come after the restore.
    """

    root: Any
    leaves: list[Any]
    late: list[Any]

    def values(self) -> list[Any]:
        """Of the leaves that there are by now."""
        return [leaf.text if hasattr(leaf, "text") else np.asarray(leaf.numpy()).item() for leaf in self.leaves]

    def make_the_rest(self) -> None:
        """Do what is late."""
        while self.late:
            self.late.pop(0)()


def build(api: Any, spec: Spec, *, zeroed: bool = False, late: Random | None = None) -> Built:
    """A tree's objects.

    Args:
        api: `theirs` or `ours`.
        spec: which tree.
        zeroed: whether leaves get no value of their own.
        late: says which attributes of modules are assigned only by `make_the_rest`.
    """
    built = Built(api.Module(), [], [])
    made: list[Any] = [built.root]

    def make(child: Spec) -> Any:
        kind, content = child
        if kind == "shared":
            return made[content % len(made)]
        if kind == "list":
            return [make(each) for each in content]
        if kind == "dict":
            return {name: make(each) for name, each in content.items()}
        if kind == "variable":
            made.append(api.Variable(-1 if zeroed else content))
            built.leaves.append(made[-1])
        elif kind == "state":
            made.append(api.State("" if zeroed else content))
            built.leaves.append(made[-1])
        else:
            made.append(api.Module())
            fill(made[-1], content)
        return made[-1]

    def fill(module: Any, children: dict[str, Spec]) -> None:
        for name, child in children.items():
            if late is not None and late.random() < 0.3:
                built.late.append(lambda name=name, child=child: setattr(module, name, make(child)))
            else:
                setattr(module, name, make(child))

    fill(built.root, spec[1])
    return built


def saved(api: Any, specs: list[Spec], folder: Path, *, as_root: bool) -> list[str]:
    """Save trees, each as the first checkpoint of its own; the paths."""
    trees = [build(api, spec) for spec in specs]
    checkpoints = [api.Checkpoint(tree.root) if as_root else api.Checkpoint(tree=tree.root) for tree in trees]
    return [each.save(str(folder / f"tree{number}")) for number, each in enumerate(checkpoints)]


def verdicts(status: Any) -> list[str]:
    """What a status says."""
    found = []
    for name in ASSERTIONS:
        try:
            getattr(status, name)()
        except AssertionError:
            found.append("no")
        else:
            found.append("yes")
    return found


def restored(api: Any, spec: Spec, paths: list[str], *, as_root: bool, late: int | None) -> list[Any]:
    """Restore checkpoints one after the other into a tree, and tell all that can be seen of it."""
    built = build(api, spec, zeroed=True, late=None if late is None else Random(late))
    checkpoint = api.Checkpoint(built.root) if as_root else api.Checkpoint(tree=built.root)
    statuses = []
    try:
        statuses += [checkpoint.restore(path) for path in paths]
        seen: list[Any] = [built.values(), *map(verdicts, statuses)]
        built.make_the_rest()
    except api.refusals:  # a variable where there was a state, or the other way round
        return ["refused"]
    seen += [built.values(), *map(verdicts, statuses), int(checkpoint.save_counter.numpy())]
    for status in statuses:
        status.expect_partial()
    return seen
