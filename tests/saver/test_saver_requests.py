"""What a saver asks of the store, counted there: these numbers are in the page of costs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import FaultyStore
from tests.saver.graphs import session_with, variable

if TYPE_CHECKING:
    from collections.abc import Callable


class Requests:
    """Opens prefixes through stores that count what is asked of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = f"memory://{uuid.uuid4().hex}/run"
        self._stores: list[FaultyStore] = []
        for module in ("saver", "restore"):
            monkeypatch.setattr(f"cloudckpt.saver.{module}.open_prefix", self._opened)

    def _opened(self, path: Any, options: Any) -> Location:
        location = open_location(path, options)
        self._stores.append(FaultyStore(location.store, 0))
        return Location(self._stores[-1], location.key)

    def of(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> list[str]:
        """The operations of one call, in their order, each with the name of its file."""
        self._stores.clear()
        call(*arguments, **options)
        return [each for store in self._stores for each in store.operations]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(monkeypatch)


def saved(name: str) -> list[str]:
    data = f"{name}.data-00000-of-00001"
    return [f"list {name}.", f"create {data}", f"write {data}", f"complete {data}", f"put {name}.index"]


def test_a_save_adds_the_meta_graph_and_the_state(requests: Requests) -> None:
    with session_with(w=1.0) as (session, _):
        asked = requests.of(Saver().save, session, f"{requests.run}/model", 1)
    assert asked == [*saved("model-1"), "put model-1.meta", "get checkpoint", "put checkpoint"]


def test_without_a_graph_there_is_no_meta_graph(requests: Requests) -> None:
    asked = requests.of(Saver([variable("w", 1.0)]).save, None, f"{requests.run}/model")
    assert asked == [*saved("model"), "get checkpoint", "put checkpoint"]


def test_debug_info_is_one_more_and_no_state_two_less(requests: Requests) -> None:
    with session_with(w=1.0) as (session, _):
        path = f"{requests.run}/model"
        asked = requests.of(Saver().save, session, path, write_state=False, save_debug_info=True)
    assert len(asked) == len(saved("model")) + 2


def test_what_drops_out_of_the_list(requests: Requests) -> None:
    with session_with(w=1.0) as (session, _):
        saver, path = Saver(max_to_keep=1), f"{requests.run}/model"
        saver.save(session, path, 1)
        later = requests.of(saver.save, session, path, 2)
    written = [*saved("model-2"), "put model-2.meta", "get checkpoint", "put checkpoint"]
    assert later[: len(written)] == written
    assert later[len(written) :] == [
        "list ",
        "get model-1.index",
        "delete_if_version model-1.index",
        "delete model-1.data-00000-of-00001",  # and with it, as one batch, the meta graph
    ]


def test_a_sharded_save_of_version_1_is_a_put_a_device(requests: Requests) -> None:
    variables = [variable(f"w{number}", 1.0, device=f"/device:CPU:{number}") for number in range(3)]
    saver = Saver(variables, sharded=True, write_version=SaverDef.V1)
    asked = requests.of(saver.save, None, f"{requests.run}/model", write_state=False)
    assert len([each for each in asked if each.startswith("complete ")]) == 3


def test_a_restore(requests: Requests) -> None:
    saver = Saver([variable("w", 1.0)])
    path = saver.save(None, f"{requests.run}/model")
    asked = requests.of(saver.restore, None, path)
    assert asked == ["get model.index", "list model.", "read model.data-00000-of-00001", "stat model.index"]


def test_a_restore_of_one_variable_after_the_other_is_a_read_for_each(requests: Requests) -> None:
    variables = [variable(f"w{number}", 1.0) for number in range(3)]
    path = Saver(variables).save(None, f"{requests.run}/model")
    asked = requests.of(Saver(variables, restore_sequentially=True).restore, None, path)
    assert len([each for each in asked if each.startswith("read ")]) == 3
    assert latest_checkpoint(requests.run) == path
