"""Modules: names, name scopes, and what is found in their attributes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from cloudckpt.variables.graphs.default_scopes import name_scope
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable


class Dense(Module):
    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        with self.name_scope:
            self.w = Variable(1.0, name="w")

    @Module.with_name_scope
    def build(self, name: str) -> Variable:
        """Make a variable."""
        return Variable(2.0, name=name)


def found(variables: tuple[Any, ...]) -> list[str]:
    return [variable.op.name for variable in variables]


def variable(name: str, trainable: bool = True) -> Variable:
    return Variable(1.0, name=name, trainable=trainable)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Dense", "dense"), ("MyHTTPLayer2D", "my_http_layer2_d"), ("RNN", "rnn"), ("Ab_Cd", "ab__cd"), ("_Own", "__own")],
)
def test_it_is_named_after_its_class(kind: str, name: str) -> None:
    assert type(kind, (Module,), {})().name == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "1a", "ä", "a\n"])
def test_names_are_identifiers(name: str) -> None:
    with pytest.raises(ValueError, match="can't be a module's name"):
        Module(name)


def test_names_of_variables_begin_with_those_of_the_scopes_around() -> None:
    with name_scope("outer"):
        dense = Dense("inner")
    assert (dense.name, dense.name_scope.name, dense.w.op.name) == ("inner", "outer/inner/", "outer/inner/w")
    with name_scope("elsewhere"):
        assert dense.build("b").op.name == "outer/inner/b"
        assert variable("c").op.name == "elsewhere/c"
    assert dense.build.__doc__ == "Make a variable."
    with dense.name_scope as scope, dense.name_scope:
        assert scope == "outer/inner/"
        assert variable("d").op.name == "outer/inner/d"
    assert variable("e").op.name == "e"


def test_in_a_graph_the_names_are_made_unique() -> None:
    with Graph().as_default():
        assert [Dense().w.op.name for _ in range(2)] == ["dense/w", "dense_1/w"]


def test_a_scope_is_left_by_an_error() -> None:
    with pytest.raises(KeyError), Dense().name_scope:
        raise KeyError
    assert variable("v").op.name == "v"


def test_variables_are_found_at_any_depth_by_the_names_of_attributes() -> None:
    module, inner, last = Module(), Module("inner"), Module("last")
    module.z = variable("z")
    module.b = inner
    module.c = [last, {"k": variable("k"), "a": variable("a")}, (variable("t"),), 3]
    module.a = NoDependency({1: variable("kept_out"), "x": 2})
    inner.again, inner.deeper = module.z, Module("deeper")
    inner.deeper.v, inner.deeper.up = variable("deeper", trainable=False), module
    last.v = variable("last")
    assert found(module.variables) == ["kept_out", "a", "k", "t", "z", "deeper", "last"]
    assert found(module.trainable_variables) == ["kept_out", "a", "k", "t", "z", "last"]
    assert found(module.non_trainable_variables) == ["deeper"]
    assert [each.name for each in module.submodules] == ["inner", "last", "deeper"]
    assert [each.name for each in inner.deeper.submodules] == ["module", "inner", "last"]


def test_what_is_no_module_is_not_looked_into() -> None:
    module = Module()
    module.other = Trackable()
    module.other.v = variable("v")
    module.text, module.bytes, module.range = "text", b"bytes", range(3)
    assert module.variables == module.submodules == ()


def test_very_deep_modules() -> None:
    module = at = Module()
    for _ in range(5000):
        at.inner = at = Module()
    at.v = variable("v")
    assert found(module.variables) == ["v"]
    assert len(module.submodules) == 5000


def test_a_class_that_does_not_call_init_tracks_all_the_same() -> None:
    class Careless(Module):
        def __init__(self) -> None:
            self.v = variable("v")

    assert found(Careless().variables) == ["v"]
    assert [*Careless().__children__()] == ["v"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_are_modules_by_themselves(copied: Any) -> None:
    dense = Dense("d")
    new = copied(dense)
    assert new.w is not dense.w
    assert new.build("b").op.name == "d/b"
    assert found(new.variables) == ["d/w"]
