"""The same promises over real servers: MinIO, moto's S3 and fake-gcs-server."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.prefix import list_prefix, open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import PermissionDeniedError, StorageError
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.golden.tree import golden_tree
from tests.objects.trees.equality import assert_same

if TYPE_CHECKING:
    from tests.servers import ObjectServer

LARGE = {
    "w": np.random.default_rng(1).integers(0, 255, 20 << 20, np.uint8),
    "s": np.array(["x" * 200_000] * 100, object),
}


def files(prefix: Location) -> int:
    found = list_prefix(prefix)
    return len(found.data) + (found.index is not None)


def test_a_tree_comes_back(object_server: ObjectServer) -> None:
    prefix, options = f"{object_server.fresh_url()}/run/ckpt", object_server.storage_options
    assert ckpt.save(prefix, golden_tree(), storage_options=options) == prefix
    assert_same(ckpt.load(prefix, storage_options=options), golden_tree())
    assert_same(ckpt.load(prefix, storage_options=options, like=golden_tree()), golden_tree())


def test_a_large_state_is_replaced(object_server: ObjectServer) -> None:
    prefix, options = f"{object_server.fresh_url()}/ckpt", object_server.storage_options
    for number in range(2):
        tree = {**LARGE, "step": number}
        ckpt.save(prefix, tree, storage_options=options)
        assert_same(ckpt.load(prefix, storage_options=options), tree)
    with open_prefix(prefix, options) as location:
        assert files(location) == 2


def test_parts_are_merged_by_the_server(object_server: ObjectServer) -> None:
    """Of the data no byte passes through this process: its requests read nothing but indexes."""
    with open_prefix(f"{object_server.fresh_url()}/run/ckpt", object_server.storage_options) as place:
        store = FaultyStore(place.store, 0)
        parts = [Location(store, f"{place.key}_temp/part-{number}") for number in range(2)]
        for _ in range(2):
            for number, part in enumerate(parts):
                save_tensors(part, {f"w{number}": LARGE["w"], f"s{number}": LARGE["s"][:number]}, shards=2)
            store.operations.clear()
            merge_checkpoints(parts, Location(store, place.key), delete_old=True, allow_missing=False)
            assert {step.partition(" ")[0] for step in store.operations} & {"read", "create", "write"} == set()
            found = open_checkpoint(place).read_named(["w0", "w1", "s0", "s1"])
            assert all(np.array_equal(found[f"w{number}"], LARGE["w"]) for number in range(2))
            assert [found[f"s{number}"].tolist() for number in range(2)] == [[], [b"x" * 200_000]]
            assert [files(part) for part in parts] == [0, 0]
        assert files(place) == 5


@pytest.mark.parametrize("name", ["a b", "100%", "a+b", "#1", "ü", "a?b", "[x]"])
def test_odd_names(object_server: ObjectServer, name: str) -> None:
    prefix, options = f"{object_server.fresh_url()}/{name}", object_server.storage_options
    for number in range(2):
        ckpt.save(prefix, {name: number}, storage_options=options)
        assert ckpt.load(prefix, storage_options=options) == {name: number}


def test_a_crash_at_every_operation(object_server: ObjectServer) -> None:
    with open_prefix(f"{object_server.fresh_url()}/ckpt", object_server.storage_options) as prefix:
        for number in count(1):
            save_tree(prefix, {"step": number, "w": np.full(100, number)})
            store = FaultyStore(prefix.store, number, "after", forever=True, error=Crash())
            with suppress(Crash):
                save_tree(Location(store, prefix.key), {"step": -number, "w": np.full(100, -number)})
            loaded = load_tree(prefix)
            assert abs(loaded["step"]) == number
            assert set(loaded["w"].tolist()) == {loaded["step"]}
            if not store.failed:
                break


def test_nothing_there(object_server: ObjectServer) -> None:
    with pytest.raises(ckpt.CheckpointNotFoundError):
        ckpt.load(f"{object_server.fresh_url()}/ckpt", storage_options=object_server.storage_options)


def test_a_wrong_bucket(object_server: ObjectServer) -> None:
    prefix, options = f"{object_server.scheme}://no-such-bucket-here/ckpt", object_server.storage_options
    with pytest.raises(StorageError, match="no-such-bucket-here"):
        ckpt.save(prefix, {"a": 1}, storage_options=options)
    with pytest.raises((StorageError, ckpt.CheckpointNotFoundError), match="no-such-bucket-here"):
        ckpt.load(prefix, storage_options=options)
    with pytest.raises(StorageError, match="no-such-bucket-here"):
        ckpt.latest_checkpoint(prefix, storage_options=options)


def test_no_credentials(minio: ObjectServer) -> None:
    """Moto and fake-gcs-server ask for none."""
    prefix = f"{minio.fresh_url()}/ckpt"
    anonymous: dict[str, Any] = {
        key: value for key, value in minio.storage_options.items() if key not in {"key", "secret"}
    }
    wrong = {**minio.storage_options, "secret": "wrong-secret-of-mine"}
    for options in (anonymous, wrong):
        for act in (
            lambda options=options: ckpt.save(prefix, {"a": 1}, storage_options=options),
            lambda options=options: ckpt.load(prefix, storage_options=options),
        ):
            with pytest.raises(PermissionDeniedError) as caught:
                act()
            assert "wrong-secret-of-mine" not in repr(caught.value)
    with pytest.raises(ckpt.CheckpointNotFoundError):
        ckpt.load(prefix, storage_options=minio.storage_options)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001", "/"])
def test_a_path_that_is_no_prefix(object_server: ObjectServer, suffix: str) -> None:
    path, options = f"{object_server.fresh_url()}/ckpt{suffix}", object_server.storage_options
    with pytest.raises(ckpt.CheckpointPathError):
        ckpt.save(path, {"a": 1}, storage_options=options)
    with pytest.raises(ckpt.CheckpointPathError):
        ckpt.load(path, storage_options=options)
