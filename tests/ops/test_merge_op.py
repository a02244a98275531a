"""`MergeV2Checkpoints`: what becomes of the old checkpoints, their directories, and the destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import raw_ops
from cloudckpt.checkpoint.prefix import PrefixFiles, list_prefix, open_prefix
from cloudckpt.errors import CheckpointDamagedError, InvalidArgumentError
from cloudckpt.storage.retry import RetryingStore
from tests.ops.misuses import HALVES, floats
from tests.ops.places import Place
from tests.ops.test_v2_ops import assert_equal, restore

if TYPE_CHECKING:
    from pathlib import Path

    from cloudckpt.storage.store import Store


def save(place: Place, name: str, names: list[str], specs: list[str], tensors: list[Any]) -> str:
    raw_ops.SaveV2(
        prefix=place / name,
        tensor_names=names,
        shape_and_slices=specs,
        tensors=tensors,
        storage_options=place.storage_options,
    )
    return place / name


def save_parts(place: Place) -> list[str]:
    """Two checkpoints that share a tensor by slices, each with strings of its own; the second was saved twice."""
    for number in (0, 1, 1):
        names = ["p", f"s{number}"]
        save(place, f"parts/{number}/ckpt", names, [HALVES[number], ""], [floats(2, 4) + 8 * number, str(number)])
    return [place / f"parts/{number}/ckpt" for number in (0, 1)]


def merge(place: Place, prefixes: list[str], to: str, **options: Any) -> str:
    raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes,
        destination_prefix=place / to,
        storage_options=place.storage_options,
        **options,
    )
    return place / to


def files(place: Place, prefix: str) -> PrefixFiles:
    with open_prefix(prefix, place.storage_options) as location:
        return list_prefix(location)


def in_use(place: Place, prefix: str) -> bool:
    """Whether any file of the prefix is there."""
    return files(place, prefix) != PrefixFiles()


def assert_merged(place: Place, prefix: str) -> None:
    assert_equal(restore(place, prefix, "p", "", "float32"), floats(4, 4))
    assert_equal(restore(place, prefix, "p", "4 4 1,2:-", "float32"), floats(4, 4)[1:3])
    for number in (0, 1):
        assert restore(place, prefix, f"s{number}", "", "string") == str(number).encode()


@pytest.mark.parametrize("delete_old_dirs", [True, False])
def test_the_new_one_is_there_and_the_old_ones_are_gone(place: Place, delete_old_dirs: bool) -> None:
    parts = save_parts(place)
    merged = merge(place, parts, "merged", delete_old_dirs=delete_old_dirs)
    assert_merged(place, merged)
    assert len(files(place, merged).data) == 2
    assert not any(in_use(place, prefix) for prefix in parts)


def test_the_store_copies_where_it_can(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = save_parts(place)
    with open_prefix(parts[0], place.storage_options) as location:
        assert location.store.capabilities.server_side_copy
        opened = type(location.store._store if isinstance(location.store, RetryingStore) else location.store)
    copied: list[str] = []
    copy = opened.copy

    def counted(self: Store, source: Any, key: str, *arguments: Any, **options: Any) -> Any:
        copied.append(key)
        return copy(self, source, key, *arguments, **options)

    monkeypatch.setattr(opened, "copy", counted)
    merged = merge(place, parts, "merged")
    assert len(copied) == 2
    assert_merged(place, merged)


def test_what_is_at_the_destination_is_replaced(place: Place) -> None:
    save(place, "merged", ["other"], [""], [floats(3)])
    merged = merge(place, save_parts(place), "merged")
    assert_merged(place, merged)
    assert len(files(place, merged).data) == 2
    merge(place, [merged, save(place, "third", ["t"], [""], [floats(2)])], "again")
    assert_merged(place, place / "again")
    assert_equal(restore(place, place / "again", "t", "", "float32"), floats(2))


def test_missing_ones_are_left_out_if_they_may(place: Place) -> None:
    prefix = save(place, "a", ["a"], [""], [floats(3)])
    with pytest.raises(InvalidArgumentError, match="gone"):
        merge(place, [prefix, place / "gone"], "merged")
    assert in_use(place, prefix)
    merge(place, [place / "gone", prefix], "merged", allow_missing_files=True)
    assert_equal(restore(place, place / "merged", "a", "", "float32"), floats(3))


def test_one_that_is_not_whole_is_never_left_out(place: Place) -> None:
    parts = save_parts(place)
    with open_prefix(parts[1], place.storage_options) as location:
        location.store.delete(list(list_prefix(location).data))
    with pytest.raises(CheckpointDamagedError):
        merge(place, parts, "merged", allow_missing_files=True)
    assert in_use(place, parts[0])
    assert not in_use(place, place / "merged")


def test_from_one_store_to_another(place: Place) -> None:
    save(place, "0", ["a"], [""], [floats(3)])
    raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[place / "0"],
        destination_prefix="memory://merged-elsewhere/ckpt",
        storage_options=place.storage_options,
    )
    (found,) = raw_ops.RestoreV2(
        prefix="memory://merged-elsewhere/ckpt", tensor_names=["a"], shape_and_slices=[""], dtypes=["float32"]
    )
    assert_equal(found, floats(3))
    assert not in_use(place, place / "0")


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
def test_a_store_of_which_a_url_says_only_a_part(tmp_path: Path) -> None:
    # Each of these URLs stands for a filesystem of its own, whose root is the path that it names.
    place = Place(f"dir::file://{tmp_path}")
    parts = [save(place, str(number), [f"a{number}"], [""], [floats(number + 1)]) for number in (0, 1)]
    merged = merge(place, parts, "merged")
    for number in (0, 1):
        assert_equal(restore(place, merged, f"a{number}", "", "float32"), floats(number + 1))


class TestDirectories:
    """On a local disk."""

    @pytest.fixture(autouse=True)
    def parts(self, tmp_path: Path) -> None:
        for number in (0, 1):
            raw_ops.SaveV2(
                prefix=tmp_path / "parts" / str(number) / "ckpt",
                tensor_names=[str(number)],
                shape_and_slices=[""],
                tensors=[np.float32(number)],
            )

    def merge(self, folder: Path, to: str, **options: Any) -> list[str]:
        """The folders that are left."""
        raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[folder / "parts" / name / "ckpt" for name in "01"],
            destination_prefix=folder / to,
            **options,
        )
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir())

    def test_empty_ones_are_removed(self, tmp_path: Path) -> None:
        assert self.merge(tmp_path, "merged") == ["parts"]

    def test_none_is_removed_if_that_is_asked_for(self, tmp_path: Path) -> None:
        assert self.merge(tmp_path, "merged", delete_old_dirs=False) == ["parts", "parts/0", "parts/1"]

    def test_what_holds_more_stays(self, tmp_path: Path) -> None:
        (tmp_path / "parts" / "1" / "notes").touch()
        assert self.merge(tmp_path, "merged") == ["parts", "parts/1"]

    def test_the_one_that_the_process_is_in_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path / "parts" / "1")
        assert self.merge(tmp_path, "merged") == ["parts", "parts/1"]

    def test_the_destination_s_own_stays(self, tmp_path: Path) -> None:
        assert self.merge(tmp_path, "parts/0/merged") == ["parts", "parts/0"]
