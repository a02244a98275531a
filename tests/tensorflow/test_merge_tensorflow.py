"""Merging, ours beside real TensorFlow's MergeV2Checkpoints, each on the other's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.storage.open import open_location
from cloudckpt.variables.dtypes import DataType, from_numpy
from tests.golden.cases import tensors
from tests.tensorflow.test_save_load import assert_equal, restore_with_tensorflow
from tests.tensorflow.test_save_slices_tensorflow import restore, save, save_with_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

MATRIX = np.arange(24, dtype=np.float32).reshape(4, 6)
TOP, BOTTOM = ((0, 2), (0, None)), ((2, 2), (0, None))
PARTS: list[dict[str, Any]] = [
    {"a": np.arange(3), "w": SlicedTensor((4, 6), {BOTTOM: MATRIX[2:]})},
    {"w": SlicedTensor((4, 6), {TOP: MATRIX[:2]}), "texts": np.array([b"x", b"", b"yz"], object)},
    {f"dtypes/{name}": array for name, array in tensors("dtypes").items()},
]
WHOLE = {name: array for part in PARTS for name, array in part.items() if isinstance(array, np.ndarray)}


def merge(prefixes: list[str], destination: Path, **options: Any) -> str:
    with open_prefix(destination, None) as place:
        options = {"delete_old": True, "allow_missing": False} | options
        merge_checkpoints([open_location(prefix) for prefix in prefixes], place, **options)
    return str(destination)


def merge_with_tensorflow(tf: Any, prefixes: list[str], destination: Path, **options: Any) -> str:
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=str(destination), **options)
    return str(destination)


def check(tf: Any, prefix: str) -> None:
    for name, found in restore_with_tensorflow(tf, prefix, WHOLE).items():
        assert_equal(found, WHOLE[name])
    assert_equal(restore(tf, prefix, "w", "", DataType.FLOAT), MATRIX)
    assert_equal(restore(tf, prefix, "w", "4 6 2,2:-", DataType.FLOAT), MATRIX[2:])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_tensorflow_restores_what_was_merged(tf: Any, tmp_path: Path) -> None:
    prefixes = [save(tmp_path / "parts" / str(number), part) for number, part in enumerate(PARTS)]
    check(tf, merge(prefixes, tmp_path / "ckpt"))
    assert files(tmp_path / "parts") == {}


def test_random_numbers_of_data_files_are_merged(tf: Any, tmp_path: Path) -> None:
    """Sources that replaced others, and a destination that is replaced."""
    for _ in range(2):
        prefixes = [
            save(tmp_path / "parts" / str(number), part, shards=2, reuse_names=False)
            for number, part in enumerate(PARTS)
        ]
    save(tmp_path / "ckpt", {"old": np.zeros(3)})
    count = len([*(tmp_path / "parts").glob("*.data-*")])
    check(tf, merge(prefixes, tmp_path / "ckpt"))
    assert count > 3
    assert len(files(tmp_path)) == count + 1


def test_tensorflows_parts_are_merged_as_tensorflow_does(tf: Any, tmp_path: Path) -> None:
    """The same names, the same bytes."""
    prefixes = {
        kind: [
            save_with_tensorflow(tf, tmp_path / f"{kind}-parts" / str(number), part)
            for number, part in enumerate(PARTS)
        ]
        for kind in ("ours", "theirs")
    }
    for kind in prefixes:
        (tmp_path / kind).mkdir()
    check(tf, merge(prefixes["ours"], tmp_path / "ours" / "ckpt"))
    merge_with_tensorflow(tf, prefixes["theirs"], tmp_path / "theirs" / "ckpt")
    assert files(tmp_path / "ours") == files(tmp_path / "theirs")


def test_tensorflow_merges_ours_that_are_numbered_from_0(tf: Any, tmp_path: Path) -> None:
    prefixes = [save(tmp_path / "parts" / str(number), part, shards=2) for number, part in enumerate(PARTS)]
    check(tf, merge_with_tensorflow(tf, prefixes, tmp_path / "ckpt"))


def test_tensorflow_can_not_merge_ours_that_replaced_others(tf: Any, tmp_path: Path) -> None:
    """It names the merged data files by how many there are, and the header by the sum of what the sources' say."""
    for _ in range(2):
        prefix = save(tmp_path / "parts" / "0", {"a": np.arange(3)})
    merged = merge_with_tensorflow(tf, [prefix], tmp_path / "ckpt")
    with pytest.raises(tf.errors.NotFoundError, match=r"ckpt\.data-00000-of-"):
        restore(tf, merged, "a", "", from_numpy(np.arange(3).dtype))


def test_missing_parts_are_passed_over_where_tensorflow_does(tf: Any, tmp_path: Path) -> None:
    for kind in ("ours", "theirs"):
        prefixes = [save(tmp_path / kind / "0", {"a": np.arange(3)}), str(tmp_path / kind / "1")]
        with pytest.raises((InvalidArgumentError, tf.errors.InvalidArgumentError)):
            run(tf, kind, prefixes, tmp_path / f"{kind}-ckpt")
        run(tf, kind, prefixes, tmp_path / f"{kind}-ckpt", True)
        assert tf.train.load_checkpoint(str(tmp_path / f"{kind}-ckpt")).get_tensor("a").tolist() == [0, 1, 2]
        for missing in ([], prefixes):
            with pytest.raises((InvalidArgumentError, tf.errors.InvalidArgumentError)):
                run(tf, kind, missing, tmp_path / "none", True)


@pytest.mark.parametrize(
    "parts",
    [
        [{"a": np.zeros(2)}, {"a": np.zeros(2)}],
        [{"w": SlicedTensor((4, 6), {TOP: MATRIX[:2]})}, {"w": SlicedTensor((4, 6), {TOP: MATRIX[:2]})}],
        [{"w": SlicedTensor((4, 6), {TOP: MATRIX[:2]})}, {"w": MATRIX}],
        [{"w": MATRIX}, {"w": SlicedTensor((4, 6), {TOP: MATRIX[:2]})}],
    ],
    ids=["tensor", "slice", "slice and tensor", "tensor and slice"],
)
def test_what_two_parts_have_is_refused_where_tensorflow_does(tf: Any, tmp_path: Path, parts: list[Any]) -> None:
    prefixes = [save(tmp_path / "parts" / str(number), part) for number, part in enumerate(parts)]
    before = files(tmp_path / "parts")
    with pytest.raises(InvalidArgumentError, match="can't be merged"):
        merge(prefixes, tmp_path / "ckpt")
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.InternalError)):
        merge_with_tensorflow(tf, prefixes, tmp_path / "ckpt")
    assert files(tmp_path / "parts") == before
    assert files(tmp_path) == {}


def test_slices_that_overlap_are_merged_by_tensorflow_into_what_it_can_not_restore(tf: Any, tmp_path: Path) -> None:
    """Ours refuses them while the parts are still there, each of which can be restored."""
    middle = {"w": SlicedTensor((4, 6), {((1, 2), (0, None)): MATRIX[1:3]})}
    parts = [{"w": SlicedTensor((4, 6), {TOP: MATRIX[:2]})}, middle]
    prefixes = [save(tmp_path / "parts" / str(number), part) for number, part in enumerate(parts)]
    before = files(tmp_path / "parts")
    with pytest.raises(InvalidArgumentError, match="'4 6 0,2:-' and '4 6 1,2:-', which overlap"):
        merge(prefixes, tmp_path / "ckpt")
    assert files(tmp_path / "parts") == before
    assert_equal(restore(tf, prefixes[1], "w", "4 6 1,2:-", DataType.FLOAT), MATRIX[1:3])
    merged = merge_with_tensorflow(tf, prefixes, tmp_path / "ckpt")
    assert not (tmp_path / "parts").exists()
    for spec in ("4 6 0,2:-", "4 6 1,2:-", "4 6 0,3:-"):
        with pytest.raises(tf.errors.InternalError, match=r"[Oo]verlap"):
            restore(tf, merged, "w", spec, DataType.FLOAT)


def run(tf: Any, kind: str, prefixes: list[str], destination: Path, allow_missing: bool = False) -> None:
    if kind == "ours":
        merge(prefixes, destination, allow_missing=allow_missing)
    else:
        prefixes = tf.constant(prefixes, tf.string)
        merge_with_tensorflow(tf, prefixes, destination, allow_missing_files=allow_missing)
