"""P11: every kind of reader while its prefix is replaced twice, or deleted and saved again under the same names, and a
DELETE of the first round arrives late: it gets one save or the other, or says that it was replaced; never a mixture."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.errors import CheckpointNotFoundError, ObjectChangedError, ObjectNotFoundError
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.ops.checkpoint_reader import CheckpointReader
from cloudckpt.ops.restore_v2 import RestoreV2
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location, open_location
from cloudckpt.stored.source import open_source
from tests.faults.scheduled import Choose, ScheduledStore, Task, interleave, some_schedules
from tests.faults.states import files, number_of, state
from tests.manager.runs import manager_at

if TYPE_CHECKING:
    from pathlib import Path

    from cloudckpt.storage.store import Store
    from tests.servers import ObjectServer

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.RecoveryWarning")

STEP = 7
NAMES = sorted(state(0))
Reader = Callable[[Location], int]
Writer = Callable[[Location], object]


def by_name(read: Callable[[str], Any]) -> int:
    """The number that the tensors tell, read one after the other."""
    loaded = {name: np.asarray(read(name)) for name in NAMES}
    return number_of({**loaded, "step": int(loaded["step"])})


def through_handles(place: Location, *, mmap: bool = False) -> int:
    source = open_source(place, mmap=mmap)
    return by_name(lambda name: source.read_whole([name])[name])


def through_a_checkpoint_reader(place: Location) -> int:
    reader = CheckpointReader.at(place)
    return by_name(reader.get_tensor)


def through_restore_v2(place: Location) -> int:
    dtypes = [np.float32, np.int64, np.float64]
    names = ["matrix", "step", "weights"]
    with patch("cloudckpt.ops.restore_v2.open_prefix", return_value=place):
        values = RestoreV2(prefix="-", tensor_names=names, shape_and_slices=["", "", "1500 10,1400"], dtypes=dtypes)
    (number,) = {int(value) for array in values for value in np.asarray(array).ravel()}
    return number


def by_a_manager(place: Location, restore: Callable[[Any], Any]) -> int:
    directory = Location(place.store, place.key.rpartition("/")[0])
    return number_of(restore(manager_at(directory)))


READERS: dict[str, Reader] = {
    "load": lambda place: number_of(load_tree(place)),
    "handles": through_handles,
    "mmap": partial(through_handles, mmap=True),
    "CheckpointReader": through_a_checkpoint_reader,
    "RestoreV2": through_restore_v2,
    "restore": partial(by_a_manager, restore=lambda manager: manager.restore(STEP)),
    "restore_latest": partial(by_a_manager, restore=lambda manager: manager.restore_latest()[0]),
}
PINNED = {"handles", "mmap", "CheckpointReader"}
"""These belong to the save that they opened, and say so when it is gone."""


def replace_twice(place: Location) -> None:
    first = [*list_prefix(place).data]
    save_tree(place, state(2))
    save_tree(place, state(3))
    place.store.delete(first)


def delete_and_save_again(place: Location) -> None:
    """The names of the data files come back."""
    doomed = find_doomed(place)
    assert doomed is not None
    delete_checkpoint(doomed)
    save_tree(place, state(2))
    assert list_prefix(place).data.keys() == set(doomed.data_files)


WRITERS: dict[str, Writer] = {"replaced": replace_twice, "deleted": delete_and_save_again}


@pytest.fixture(params=["memory", "local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """A step's prefix, with nothing there."""
    if request.param == "local":
        return Location(LocalStore(fsync=False), str(tmp_path / "run" / f"ckpt-{STEP}"))
    filesystem = MemoryFileSystem(skip_instance_cache=True)
    filesystem.store = {}
    return Location(MemoryStore(filesystem), f"{uuid.uuid4().hex}/ckpt-{STEP}")


def scheduled(place: Location) -> tuple[ScheduledStore, Location]:
    """The prefix as another process sees it."""
    inner: Store = LocalStore(fsync=False) if isinstance(place.store, LocalStore) else place.store
    store = ScheduledStore(inner)
    return store, Location(store, place.key)


def play(place: Location, kind: str, how: str, choose: Choose) -> int | None:
    """The number that the reader got, or None if it said that there is nothing any more."""
    place.store.delete(files(place))
    save_tree(place, state(1))
    (store, seen), (other_store, other) = scheduled(place), scheduled(place)
    reader = Task(store, partial(READERS[kind], seen))
    writer = Task(other_store, partial(WRITERS[how], other))
    interleave([reader, writer], choose)
    assert writer.outcome() is None
    gone = (CheckpointNotFoundError,) if how == "deleted" else ()
    if kind in PINNED:
        gone = (*gone, ObjectChangedError)
    if isinstance(reader.error, gone):
        return None
    assert not isinstance(reader.error, ObjectNotFoundError), kind
    number: int = reader.outcome()
    assert number in {1, 2, 3}
    return number


def supported(place: Location, kind: str) -> bool:
    return kind != "mmap" or isinstance(place.store, LocalStore)


CASES = [
    pytest.param(kind, how, id=f"{kind}-{how}")
    for kind, how in itertools.product(READERS, WRITERS)
    if not (kind == "restore_latest" and how == "deleted")  # it raises: nothing whole, of what was never named
]


@pytest.mark.parametrize(("kind", "how"), CASES)
def test_p11_a_reader_in_many_orders(place: Location, kind: str, how: str) -> None:
    if supported(place, kind):
        found = {play(place, kind, how, choose) for choose in some_schedules(40)}
        assert len(found - {None}) > 1


@pytest.fixture(params=["minio", "fake_gcs"])
def bucket_place(request: pytest.FixtureRequest) -> Iterator[Location]:
    """As `place`, on a real server."""
    server: ObjectServer = request.getfixturevalue(request.param)
    with open_location(f"{server.fresh_url()}/ckpt-{STEP}", server.storage_options) as location:
        yield location


@pytest.mark.parametrize(("kind", "how"), CASES)
def test_p11_a_reader_on_every_server(bucket_place: Location, kind: str, how: str) -> None:
    """Everything is replaced at once: before the reader has begun, and after each of its first requests."""
    if supported(bucket_place, kind):
        found = {play(bucket_place, kind, how, then_all_at_once(after)) for after in range(5)}
        assert found - {None, 1}
        assert kind not in PINNED or None in found


def then_all_at_once(after: int) -> Choose:
    """The reader does so many operations, then the writer all of its own."""
    order = itertools.chain(itertools.repeat(0, after), itertools.repeat(1))
    return lambda _: next(order)


def gaps(steps: int, most: int) -> Iterator[Choose]:
    """The writer does so many of its operations before each of the reader's in turn, and the rest at the end."""
    for at, count in itertools.product(range(steps), range(most)):
        order = itertools.chain(itertools.repeat(0, at), itertools.repeat(1, count), itertools.repeat(0))
        yield lambda _, order=order: next(order)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kind", "how"), CASES)
def test_p11_a_reader_in_every_gap(place: Location, kind: str, how: str) -> None:
    if supported(place, kind):
        found = {play(place, kind, how, choose) for choose in gaps(16, 40)}
        found |= {play(place, kind, how, choose) for choose in some_schedules(500)}
        assert found >= ({1, 2, 3} if how == "replaced" else {1, 2})
