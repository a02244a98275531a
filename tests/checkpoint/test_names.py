"""Names of data files: TensorFlow's own where nothing is there, else ones that nothing has or had."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.entry_columns import NamedEntries
from cloudckpt.bundle.index import BundleIndex
from cloudckpt.bundle.naming import data_filename, parse_data_filename
from cloudckpt.checkpoint import names
from cloudckpt.checkpoint.names import choose_names, needed_data_files, tensor_key
from cloudckpt.errors import StructureError
from cloudckpt.variables.dtypes import DataType


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_fresh_prefix_gets_tensorflows_names(count: int) -> None:
    chosen = choose_names("run/ckpt", count, taken=(), fresh=True)
    assert chosen.keys == tuple(f"run/ckpt.data-0000{shard}-of-0000{count}" for shard in range(count))
    assert (chosen.first, chosen.num_shards) == (0, count)


@given(st.integers(0, 4))
def test_a_prefix_in_use_gets_a_random_block_of_many(count: int) -> None:
    chosen = choose_names("run/ckpt", count, taken=(), fresh=False)
    assert 10_000 <= chosen.num_shards <= 99_999
    assert len(chosen.keys) == count
    for shard, key in enumerate(chosen.keys, chosen.first):
        assert parse_data_filename(key) == ("run/ckpt", shard, chosen.num_shards)


def test_names_are_split_among_processes() -> None:
    chosen = choose_names("run/ckpt", 6, taken=(), fresh=False)
    shares = chosen.split([1, 0, 3, 2])
    assert [len(share.keys) for share in shares] == [1, 0, 3, 2]
    assert [key for share in shares for key in share.keys] == [*chosen.keys]
    for share in shares:
        assert share.num_shards == chosen.num_shards
        assert [parse_data_filename(key)[1] for key in share.keys] == [
            *range(share.first, share.first + len(share.keys))
        ]


def test_random_names_do_not_repeat() -> None:
    assert len({choose_names("ckpt", 1, taken=(), fresh=False).keys for _ in range(200)}) == 200


def test_more_data_files_than_five_digits_count() -> None:
    chosen = choose_names("ckpt", 150_000, taken=(), fresh=False)
    assert len(set(chosen.keys)) == 150_000 <= chosen.num_shards - chosen.first


def test_a_taken_name_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Repeating(random.Random):
        draws = iter([10_000, 5, 10_000, 4, 20_000, 5])

        def randint(self, a: int, b: int) -> int:
            return next(self.draws)

        def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
            return next(self.draws)

    monkeypatch.setattr(names, "SystemRandom", Repeating)
    taken = {data_filename("ckpt", 5, 10_000)}
    assert choose_names("ckpt", 2, taken=taken, fresh=False).keys == (
        "ckpt.data-00005-of-20000",
        "ckpt.data-00006-of-20000",
    )


def index(*entries: BundleEntry, num_shards: int = 3) -> BundleIndex:
    named = NamedEntries.of({str(name): entry for name, entry in enumerate(entries)})
    return BundleIndex(BundleHeader(num_shards), named)


def entry(shard: int, offset: int, size: int) -> BundleEntry:
    return BundleEntry(DataType.UINT8, (size,), shard, offset, size, 0)


def test_only_shards_that_entries_refer_to_are_needed() -> None:
    found = needed_data_files("ckpt", index(entry(2, 0, 5), entry(0, 10, 20), entry(2, 5, 6)))
    assert found == {"ckpt.data-00000-of-00003": 30, "ckpt.data-00002-of-00003": 11}
    assert needed_data_files("ckpt", index()) == {}


def test_entries_that_share_bytes_need_a_file_that_can_not_be() -> None:
    assert needed_data_files("ckpt", index(entry(0, 0, 10), entry(0, 0, 10))) == {"ckpt.data-00000-of-00003": 20}


def test_slices_need_their_files_and_the_whole_does_not() -> None:
    whole = BundleEntry(DataType.UINT8, (4,), 0, 0, 0, 0, (((0, 2),), ((2, 2),)))
    sliced = BundleIndex(
        BundleHeader(2), NamedEntries.of({"a": whole}), {b"\0a": entry(1, 0, 2), b"\0b": entry(1, 2, 2)}
    )
    assert needed_data_files("ckpt", sliced) == {"ckpt.data-00001-of-00002": 4}


@pytest.mark.parametrize("name", ["a", "/", "a\0", "é", "\udcff", " "])
def test_names_that_an_index_can_hold(name: str) -> None:
    assert tensor_key(name).decode("utf-8", "surrogateescape") == name


@pytest.mark.parametrize("name", ["", "\0", "\0a", "\ud800", "a\udfff"])
def test_names_that_no_index_can_hold(name: str) -> None:
    with pytest.raises(StructureError) as caught:
        tensor_key(name)
    assert caught.value.tensor == name
