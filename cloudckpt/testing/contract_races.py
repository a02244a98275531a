"""Threads against each other: what a capability claims is claimed for these."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from crc32c import crc32c

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from cloudckpt.storage.store import IfAbsent, IfVersion
from cloudckpt.testing.contract_fixtures import ContractFixtures, keys, pattern, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.storage.store import Store

RACERS = 8
ROUNDS = 5


def race(run: Callable[[int], object], racers: int = RACERS) -> list[int]:
    """Let threads run at the same moment; the numbers of those that were not refused."""
    start = threading.Barrier(racers)

    def one(number: int) -> bool:
        start.wait()
        try:
            run(number)
        except (PreconditionFailedError, UnsupportedOperationError):
            return False
        return True

    with ThreadPoolExecutor(racers) as pool:
        return [number for number, won in enumerate(pool.map(one, range(racers))) if won]


class RaceContract(ContractFixtures):
    """Exactly one wins, where that is claimed; and never does anybody see a mixture."""

    def test_one_of_many_creates(self, store: Store, key: str) -> None:
        for round_ in range(ROUNDS):
            name = f"{key}-{round_}"
            winners = race(partial(self._put, store, name))
            if store.capabilities.create_if_absent:
                assert len(winners) == 1
            assert int(store.get(name)[0]) in winners

    def test_one_of_many_uploads_creates(self, store: Store, key: str) -> None:
        for round_ in range(ROUNDS):
            name = f"{key}-{round_}"
            winners = race(partial(self._upload, store, name))
            if store.capabilities.create_if_absent:
                assert len(winners) == 1
            assert store.get(name)[0] in [pattern(1000, number) for number in winners]

    def _put(self, store: Store, key: str, number: int) -> None:
        put(store, key, b"%d" % number, IfAbsent())

    def _upload(self, store: Store, key: str, number: int) -> None:
        data = pattern(1000, number)
        with store.create(key, len(data), IfAbsent()) as upload:
            upload.write(0, [data], crc32c(data))
            upload.complete(crc32c(data))

    def test_one_of_many_replaces(self, store: Store, key: str) -> None:
        version = put(store, key, b"0 old").version
        for round_ in range(ROUNDS):

            def replace(number: int, round_: int = round_, version: str = version) -> None:
                put(store, key, b"%d of round %d" % (number, round_), IfVersion(version))

            winners = race(replace)
            if not store.capabilities.replace_if_version:
                assert (winners, store.get(key)[0]) == ([], b"0 old")
                return
            assert len(winners) == 1
            assert store.get(key)[0] == b"%d of round %d" % (winners[0], round_)
            version = store.stat(key).version

    def test_a_version_is_replaced_or_deleted_not_both(self, store: Store, key: str) -> None:
        if not store.capabilities.delete_if_version:
            put(store, key, b"x")
            assert race(lambda _: store.delete_if_version(key, "no version")) == []
            assert store.get(key)[0] == b"x"
            return
        for _ in range(ROUNDS):
            version = put(store, key, b"old").version

            def replace_or_delete(number: int, version: str = version) -> None:
                if number % 2:
                    put(store, key, b"new", IfVersion(version))
                else:
                    store.delete_if_version(key, version)

            winners = race(replace_or_delete)
            if any(number % 2 for number in winners):
                assert len(winners) == 1
                assert store.get(key)[0] == b"new"
            else:
                assert keys(store, key) == []

    def test_a_reader_sees_whole_objects_only(self, store: Store, key: str) -> None:
        put(store, key, pattern(70_000, 0))
        valid = {pattern(70_000 + number, number) for number in range(RACERS)}
        seen: list[bytes] = []

        def write_or_read(number: int) -> None:
            if number % 2:
                put(store, key, pattern(70_000 + number, number))
                return
            for _ in range(ROUNDS):
                with suppress(ObjectChangedError):  # a store may give up, but not give a mixture
                    seen.append(store.get(key)[0])

        race(write_or_read)
        seen.append(store.get(key)[0])
        assert set(seen) <= valid

    def test_deleting_side_by_side(self, store: Store, key: str) -> None:
        put(store, key, b"x")
        assert len(race(lambda _: store.delete([key]))) == RACERS
        try:
            store.stat(key)
        except ObjectNotFoundError:
            return
        raise AssertionError("the object is there after it was deleted")
