"""Whatever a program makes, in whatever scopes, is node for node what real TensorFlow makes of it."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt.compat.v1 as ours
from cloudckpt.graph.encoding.graph_def import encode_graph
from tests.tensorflow.test_graph_tensorflow import nodes, their_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

Action = tuple[str, str, int, list[Any]]
NAMES = ["w", "w_1", "W", "w_1_1", "a", "a/b", "a/", "a//b", "w", "a"]
DEVICES = ["/cpu:0", "/job:ps/task:0", "/gpu:1", "/task:3", None, "/device:CPU:*"]
COLLECTIONS = ["variables", "trainable_variables", "local_variables", "mine"]


def initial(shape: Any, dtype: Any = None, partition_info: Any = None, *, tf: Any) -> Any:
    return tf.constant(1.0, dtype, list(shape))


@dataclass
class Program:
    """One run of a program over one of the modules, and what it saw."""

    tf: Any
    seen: list[Any] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)
    name_scopes: list[str] = field(default_factory=list)
    variable_scopes: list[Any] = field(default_factory=list)

    def run(self, actions: list[Action]) -> None:
        for kind, name, number, inner in actions:
            try:
                if kind in BLOCKS:
                    self.block(BLOCKS[kind](self, name, number), inner)
                elif kind == "thread":
                    self.in_a_thread(self.tf.get_default_graph(), inner)
                else:
                    self.see(MAKERS[kind](self, name, number))
            except Exception as error:  # noqa: BLE001 - whichever it is, it is compared
                self.seen.append(next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"))

    def block(self, block: AbstractContextManager[Any], inner: list[Action]) -> None:
        with block as scope:
            if isinstance(scope, str):
                self.name_scopes.append(scope)
                self.seen.append(scope)
            elif hasattr(scope, "original_name_scope"):
                self.variable_scopes.append(scope)
                self.seen.append((scope.name, scope.original_name_scope))
            self.run(inner)

    def in_a_thread(self, graph: Any, inner: list[Action]) -> None:
        def within() -> None:
            with graph.as_default():
                self.run(inner)

        thread = threading.Thread(target=within)
        thread.start()
        thread.join()

    def see(self, result: Any) -> None:
        self.seen.append(getattr(result, "name", result))
        if hasattr(result, "initializer"):
            self.variables.append(result)
        if hasattr(result, "name"):
            self.made.append(result)

    def one_of(self, known: list[Any], number: int) -> Any:
        return known[number % len(known)] if known else None

    def variable(self, number: int) -> Any:
        return self.one_of(self.variables, number) or self.tf.Variable(1.0)

    def scope_again(self, number: int, **options: Any) -> Any:
        scope = self.one_of(self.variable_scopes, number)
        return nullcontext() if scope is None else self.tf.variable_scope(scope, **options)

    def initializer(self) -> Callable[..., Any]:
        return lambda *args, **kwargs: initial(*args, **kwargs, tf=self.tf)


BLOCKS: dict[str, Callable[[Program, str, int], Any]] = {
    "name scope": lambda program, name, _: program.tf.name_scope(name),
    "name scope again": lambda program, _, number: program.tf.name_scope(program.one_of(program.name_scopes, number)),
    "no name scope": lambda program, _, __: program.tf.name_scope(None),
    "variable scope": lambda program, name, _: program.tf.variable_scope(name),
    "empty variable scope": lambda program, _, __: program.tf.variable_scope(""),
    "automatic": lambda program, name, _: program.tf.variable_scope(name, reuse=program.tf.AUTO_REUSE),
    "reusing": lambda program, name, _: program.tf.variable_scope(name, reuse=True),
    "without name scope": lambda program, name, _: program.tf.variable_scope(name, auxiliary_name_scope=False),
    "default name": lambda program, name, _: program.tf.variable_scope(None, default_name=name),
    "variable scope again": lambda program, _, number: program.scope_again(number),
    "again, without": lambda program, _, number: program.scope_again(number, auxiliary_name_scope=False),
    "device": lambda program, _, number: program.tf.device(DEVICES[number % len(DEVICES)]),
    "device function": lambda program, _, __: program.tf.device(lambda node: f"/job:{node.type.lower()}/cpu:0"),
    "after": lambda program, _, number: program.tf.control_dependencies([program.variable(number)]),
    "after what was made": lambda program, _, number: program.tf.control_dependencies(program.made[: number % 4]),
    "after nothing": lambda program, _, __: program.tf.control_dependencies(None),
}
MAKERS: dict[str, Callable[[Program, str, int], Any]] = {
    "variable": lambda program, name, _: program.tf.Variable([1.0, 2.0], name=name),
    "deferred": lambda program, name, _: program.tf.Variable(lambda: program.tf.constant([1.0, 2.0]), name=name),
    "cached": lambda program, name, number: program.tf.Variable(1.0, name=name, caching_device=DEVICES[number % 3]),
    "integers": lambda program, name, _: program.tf.Variable([1, 2], name=name, collections=["mine"], trainable=None),
    "like another": lambda program, name, number: program.tf.Variable(
        program.variable(number).initial_value, name=name
    ),
    "got": lambda program, name, _: program.tf.get_variable(name, [2], initializer=program.initializer()),
    "local": lambda program, name, _: program.tf.get_local_variable(name, [2], initializer=program.initializer()),
    "parts": lambda program, name, number: [
        part.name
        for part in program.tf.get_variable(
            name,
            [4, 2],
            initializer=program.initializer(),
            partitioner=program.tf.fixed_size_partitioner(1 + number % 4),
        )
    ],
    "assigned": lambda program, name, number: program.variable(number).assign([3.0, 4.0], name=name),
    "added": lambda program, _, number: program.variable(number).assign_add([3.0, 4.0]),
    "assigned a variable": lambda program, _, number: program.variable(number).assign(program.variable(number // 7)),
    "assigned integers": lambda program, _, number: program.variable(number).assign(program.tf.constant([1, 2])),
    "read": lambda program, _, number: program.variable(number).read_value(),
    "constant": lambda program, name, _: program.tf.constant([1.0, 2.0], name=name),
    "placeholder": lambda program, name, _: program.tf.placeholder(program.tf.float32, [None, 2], name),
    "group": lambda program, name, number: program.tf.group(*program.made[: number % 5], name=name),
    "nothing": lambda program, name, _: program.tf.no_op(name),
    "initializer": lambda program, _, __: program.tf.global_variables_initializer(),
    "unique name": lambda program, name, number: program.tf.get_default_graph().unique_name(name, number % 2 == 0),
    "scopes": lambda program, _, __: program.tf.get_default_graph().get_name_scope(),
}


def any_program(random: Random, depth: int = 0) -> list[Action]:
    """Actions of a program, most of whose names collide; deeper blocks have fewer blocks in them."""
    actions: list[Action] = []
    for _ in range(random.randint(1, 5)):
        is_block = random.random() < 0.6 - depth / 8
        kind = random.choice([*BLOCKS, "thread"] if is_block else [*MAKERS])
        inner = any_program(random, depth + 1) if is_block else []
        actions.append((kind, random.choice(NAMES), random.randrange(100), inner))
    return actions


@pytest.fixture(scope="module")
def theirs(tf: Any) -> Iterator[Any]:
    """TensorFlow with reference variables in graphs, as its first version had them."""
    tf.compat.v1.disable_resource_variables()
    yield tf.compat.v1
    tf.compat.v1.enable_resource_variables()


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_any_program_makes_tensorflows_graph(theirs: Any, seed: int) -> None:
    for each in range(seed, seed + 40):
        actions = any_program(Random(each))
        assert observed(ours, actions) == observed(theirs, actions), each


def observed(tf: Any, actions: list[Action]) -> list[Any]:
    with tf.Graph().as_default() as graph:
        program = Program(tf)
        program.run(actions)
        named = {key: [each.name for each in graph.get_collection(key)] for key in COLLECTIONS}
    graph_def = their_message(encode_graph(graph)) if tf is ours else graph.as_graph_def()
    return [program.seen, named, nodes(graph_def)]
