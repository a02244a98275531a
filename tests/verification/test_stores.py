"""Verifying what others write to, and stores that fail: a report is about one save, or there is none."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.checksums import crc32c
from cloudckpt.errors import CheckpointNotFoundError, ObjectChangedError, TransientStorageError
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.verification import data as verify_data
from cloudckpt.verification.report import FindingKind
from cloudckpt.verification.verify import verify, verify_prefix

ARRAYS: dict[str, Any] = {"a": np.arange(10), "s": np.array([b"x", b"yz"], object), "w": np.ones((3, 100))}


@pytest.fixture
def place() -> Location:
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    save_tensors(place, ARRAYS)
    return place


class Meddling(FaultyStore):
    """A store in which something happens before each of the first reads."""

    def __init__(self, inner: Any, act: Any, times: int) -> None:
        super().__init__(inner, 0)
        self._act, self._times = act, times

    def read(self, *args: Any, **options: Any) -> None:
        """See `Store.read`."""
        if self._times:
            self._times -= 1
            self._act()
        super().read(*args, **options)


def meddled(place: Location, act: Any, times: int = 1) -> Location:
    return Location(Meddling(place.store, act, times), place.key)


def rewrite(place: Location) -> None:
    """Write the data file again, as it is: another version of the same bytes."""
    (key,) = list_prefix(place).data
    data, _ = place.store.get(key)
    place.store.put(key, data, Always(), crc32c=crc32c(data))


def test_the_requests(place: Location) -> None:
    store = FaultyStore(place.store, 0)
    assert verify_prefix(Location(store, place.key)).ok
    assert store.operations == ["get ckpt.index", "list ckpt.", "read ckpt.data-00000-of-00001", "stat ckpt.index"]


def test_a_checkpoint_that_is_replaced_meanwhile(place: Location) -> None:
    replaced = meddled(place, lambda: save_tensors(place, {"new": np.ones(7)}))
    report = verify_prefix(replaced)
    assert report.findings == ()
    assert (report.tensors_checked, report.bytes_checked) == (1, 56)


def test_one_that_is_replaced_again_and_again(place: Location) -> None:
    with pytest.raises(ObjectChangedError, match="replaced 5 times"):
        verify_prefix(meddled(place, lambda: save_tensors(place, ARRAYS), times=100))


def test_one_that_is_deleted_meanwhile(place: Location) -> None:
    with pytest.raises(CheckpointNotFoundError):
        verify_prefix(meddled(place, lambda: place.store.delete([f"{place.key}.index"])))


def test_a_data_file_that_is_written_over_meanwhile(place: Location) -> None:
    report = verify_prefix(meddled(place, lambda: rewrite(place)))
    (finding,) = report.findings
    assert finding.kind is FindingKind.FILE_CHANGED
    assert report.damaged_tensors == ("a", "s", "w")
    assert report.tensors_checked == 0


def test_a_data_file_that_is_deleted_meanwhile(place: Location) -> None:
    report = verify_prefix(meddled(place, lambda: place.store.delete([*list_prefix(place).data])))
    assert [finding.kind for finding in report.findings] == [FindingKind.FILE_CHANGED]


def test_a_v1_file_that_is_replaced_meanwhile(place: Location) -> None:
    place = place.child("v1")
    save_v1(place, {"old": np.ones(3)})
    report = verify_prefix(meddled(place, lambda: save_v1(place, {"new": np.ones(7, np.int8)})))
    assert report.findings == ()
    assert (report.format, report.tensors_checked) == ("V1", 1)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_store_that_fails(place: Location, number: int) -> None:
    with pytest.raises(TransientStorageError):
        verify_prefix(Location(FaultyStore(place.store, number), place.key))


def test_requests_are_bounded_and_each_byte_is_read_once(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_data, "READ_BYTES", 100)
    sizes: list[int] = []
    store = FaultyStore(place.store, 0)
    inner = store.read

    def counted(key: str, offset: int, into: Any, version: str | None = None) -> None:
        sizes.append(sum(view.nbytes for view in into))
        inner(key, offset, into, version)

    store.read = counted  # type: ignore[method-assign]
    assert verify_prefix(Location(store, place.key)).ok
    (info,) = list_prefix(place).data.values()
    assert max(sizes) <= 100
    assert sum(sizes) == info.size


def test_on_servers(object_server: Any, bucket_url: str) -> None:
    with open_location(f"{bucket_url}/ckpt", object_server.storage_options) as place:
        save_tensors(place, ARRAYS)
    report = verify(f"{bucket_url}/ckpt", storage_options=object_server.storage_options)
    assert report.findings == ()
    assert report.tensors_checked == 3
    assert report.path == f"{bucket_url}/ckpt"
