"""Containers of other classes: plain ones in the file, their own class again in a template."""

from __future__ import annotations

import dataclasses
import functools
import types
import uuid
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from typing import Any, NamedTuple, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt.objects.trees.save import tensors_of
from tests.objects.trees.equality import assert_same
from tests.objects.trees.strategies import leaves, nodes


class Point(NamedTuple):
    x: Any
    y: Any = None


class Single(NamedTuple):
    x: Any


class Checked(Single):
    __slots__ = ()

    def __new__(cls, *_: Any) -> Self:
        raise AssertionError("a named tuple is made without its constructor")


class Empty(NamedTuple):
    pass


@dataclasses.dataclass
class Plain:
    x: Any
    y: Any = None
    made: Any = dataclasses.field(default=None, init=False)


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True)
class Scaled:
    x: Any

    @functools.cached_property
    def inverse(self) -> Any:
        return 1 / self.x


@dataclasses.dataclass
class Doubling:
    x: Any
    beside: Any = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.x *= 2


@dataclasses.dataclass
class Late:
    x: Any
    late: Any = dataclasses.field(init=False)


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


CONTAINERS: dict[str, tuple[Any, Any]] = {
    "named tuple": (Point(1, Point("a")), {"x": 1, "y": {"x": "a", "y": None}}),
    "named tuple of no fields": (Empty(), {}),
    "dataclass": (Plain(1, [2]), {"x": 1, "y": [2], "made": None}),
    "frozen dataclass": (Frozen(Frozen(1)), {"x": {"x": 1}}),
    "dataclass with slots": (Slots(1, Slots(2)), {"x": 1, "y": {"x": 2, "y": 0}}),
    "OrderedDict": (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "defaultdict": (defaultdict(list, a=[1]), {"a": [1]}),
    "Counter": (Counter("aab"), {"a": 2, "b": 1}),
    "deque": (deque([1, 2], 5), [1, 2]),
    "read-only view": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "mapping that is no dict": (UserDict({"a": 1, 2: [3]}), {"a": 1, 2: [3]}),
    "int keys": (OrderedDict({0: 1, 1: 2}), {0: 1, 1: 2}),
}


@pytest.mark.parametrize(("container", "plain"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_is_a_plain_one_in_the_file_and_itself_in_a_template(container: Any, plain: Any) -> None:
    prefix = saved({"c": container})
    assert_same(ckpt.load(prefix), {"c": plain})
    restored = ckpt.load(prefix, like={"c": container})["c"]
    assert type(restored) is type(container)
    assert restored == container
    assert restored is not container


@pytest.mark.parametrize(("container", "plain"), CONTAINERS.values(), ids=CONTAINERS)
def test_it_is_saved_as_the_plain_one_to_the_last_byte(container: Any, plain: Any) -> None:
    ours, plains = tensors_of({"c": container}), tensors_of({"c": plain})
    assert [*ours] == [*plains]
    assert all(ours[name].tolist() == array.tolist() for name, array in plains.items())


def test_a_root_may_be_one() -> None:
    prefix = saved(Point(np.arange(3), {"a": 1}))
    assert [*tensors_of(Point(1, 2))] == ["x", "y", "_CLOUDCKPT_TREE"]
    restored = ckpt.load(prefix, like=Point(np.zeros(3, int), {"a": 0}))
    assert isinstance(restored, Point)
    assert restored.x.tolist() == [0, 1, 2]


def test_containers_are_made_without_their_constructors() -> None:
    prefix = saved({"t": tuple.__new__(Checked, [5]), "d": Doubling(3)})
    template = {"t": tuple.__new__(Checked, [0]), "d": Doubling(0)}
    restored = ckpt.load(prefix, like=template)
    assert restored["t"].x == 5
    assert restored["d"].x == 6


def test_what_a_template_has_beside_its_children_stays() -> None:
    factory = defaultdict(lambda: 7, a=0)
    state = OrderedDict(a=0)
    state._metadata = {"version": 1}
    bounded = deque([0], maxlen=3)
    holder = Plain(0)
    holder.cache = "beside"
    restored = ckpt.load(
        saved({"f": {"a": 1}, "s": {"a": 1}, "b": [1], "h": {"x": 1, "y": None, "made": None}}),
        like={"f": factory, "s": state, "b": bounded, "h": holder},
    )
    assert restored["f"]["other"] == 7
    assert restored["s"]._metadata == {"version": 1}
    assert restored["b"].maxlen == 3
    assert (restored["h"].cache, restored["h"].x) == ("beside", 1)
    assert (factory["a"], state["a"], bounded[0], holder.x) == (0, 0, 0, 0)


def test_what_a_template_has_computed_of_its_fields_is_computed_anew() -> None:
    template = Scaled(2.0)
    assert template.inverse == 0.5
    restored = ckpt.load(saved(Scaled(4.0)), like=template)
    assert (restored.inverse, template.inverse) == (0.25, 0.5)


def test_a_field_without_a_value_is_left_out() -> None:
    prefix = saved({"a": Late(1)})
    assert ckpt.load(prefix)["a"] == {"x": 1}
    assert not hasattr(ckpt.load(prefix, like={"a": Late(0)})["a"], "late")


def test_paths_say_how_python_reaches_a_leaf() -> None:
    template = {"layer1": Point(np.zeros(2), [Frozen(np.zeros(1))])}
    prefix = saved({"layer1": {"x": np.zeros(3), "y": [{"x": np.zeros(2)}]}})
    with pytest.raises(ckpt.StructureError) as caught:
        ckpt.load(prefix, like=template)
    assert "['layer1'].x has shape (2,), tensor 'layer1/x' (3,)" in str(caught.value)
    assert "['layer1'].y[0].x has shape (1,), tensor 'layer1/y/0/x' (2,)" in str(caught.value)
    with pytest.raises(TypeError, match=r"\['layer1'\]\.y\.x can't be saved: it is builtins\.set"):
        saved({"layer1": Point(1, Frozen({1}))})


def test_a_class_that_can_not_be_made_is_named() -> None:
    class Picky(UserDict):
        def __init__(self, first: dict[str, Any], second: str) -> None:
            super().__init__(first)

    prefix = saved({"p": {"a": 1}})
    with pytest.raises(ckpt.StructureError, match=r"\['p'\] can't be made of what was saved: .*second") as caught:
        ckpt.load(prefix, like={"p": Picky({"a": 0}, "")})
    assert caught.value.path == prefix


def test_a_class_itself_is_no_tree() -> None:
    with pytest.raises(TypeError, match=r"builtins\.type"):
        saved({"a": Plain})


def of_other_classes(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.dictionaries(st.sampled_from("abc"), children, max_size=3)
    return st.one_of(
        st.builds(Point, children, children),
        st.builds(Plain, children, children),
        st.builds(Frozen, children),
        st.builds(Slots, children, children),
        st.builds(OrderedDict, items),
        st.builds(UserDict, items),
        st.builds(deque, st.lists(children, max_size=3)),
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        items,
    )


rich = st.recursive(leaves | nodes, of_other_classes, max_leaves=6)


def plain(node: Any) -> Any:
    """What comes back without a template."""
    if dataclasses.is_dataclass(node):
        return {field.name: plain(getattr(node, field.name)) for field in dataclasses.fields(node)}
    if hasattr(node, "_asdict"):
        return {key: plain(value) for key, value in node._asdict().items()}
    if isinstance(node, dict | UserDict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, tuple):
        return tuple(map(plain, node))
    return [plain(item) for item in node] if isinstance(node, list | deque) else node


def classes(node: Any) -> Any:
    """The classes of a tree's containers, in order."""
    if isinstance(node, dict | UserDict):
        return [type(node), *[classes(value) for value in node.values()]]
    if isinstance(node, tuple | list | deque):
        return [type(node), *[classes(value) for value in node]]
    if dataclasses.is_dataclass(node):
        return [type(node), *[classes(getattr(node, field.name)) for field in dataclasses.fields(node)]]
    return type(node)


@given(rich)
def test_any_tree_of_such_containers(tree: Any) -> None:
    try:
        prefix = saved({"root": tree})
    except ckpt.StructureError as error:
        assert "two leaves come to the tensor name" in str(error)  # noqa: PT017 - that alone is allowed
        return
    assert_same(ckpt.load(prefix), {"root": plain(tree)})
    restored = ckpt.load(prefix, like={"root": tree})
    assert_same(plain(restored), {"root": plain(tree)})
    assert classes(restored["root"]) == classes(tree)
