"""Slices that lie: listed and not there, there and not listed, of another tensor, overlapping, leaving elements out."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import raw_ops
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checksums import crc32c
from cloudckpt.errors import CloudckptError, TensorNotFoundError
from cloudckpt.variables import overlap
from cloudckpt.verification.report import FindingKind
from cloudckpt.verification.verify import verify
from tests.hostile.forgery import Forgery, elements, entry_proto
from tests.hostile.readers import READERS, assert_refused, refusals

if TYPE_CHECKING:
    from pathlib import Path

    from cloudckpt.variables.tensor_slice import TensorSlice

pytestmark = pytest.mark.usefixtures("small_memory")

MATRIX = elements((4, 3))
TOP: TensorSlice = ((0, 2), (0, None))
BOTTOM: TensorSlice = ((2, 2), (0, None))
WANTED = {"w": MATRIX}


@pytest.fixture
def forgery() -> Forgery:
    whole = Forgery()
    whole.sliced("w", MATRIX, [TOP, BOTTOM])
    return whole


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "ckpt"


def test_a_listed_slice_that_is_not_there(forgery: Forgery, prefix: Path) -> None:
    del forgery.rows[encode_slice_key("w", BOTTOM)]
    refused = assert_refused(forgery.write(prefix), WANTED)
    assert FindingKind.SLICE_MISSING in refused["verify"]


@pytest.mark.parametrize(
    "lie", [{"dtype": 3}, {"dtype": 7, "shape": (1,)}, {"shape": (3, 2)}, {"shape": (6,)}], ids=str
)
def test_a_slice_of_another_kind_than_its_tensor(lie: dict[str, Any], forgery: Forgery, prefix: Path) -> None:
    forgery.slice("w", BOTTOM, MATRIX, **lie)
    assert FindingKind.SLICE_MISFIT in assert_refused(forgery.write(prefix), WANTED)["verify"]


def test_a_slice_that_is_in_slices_itself(forgery: Forgery, prefix: Path) -> None:
    key = encode_slice_key("w", BOTTOM)
    forgery.rows[key] = entry_proto(1, (2, 3), slices=[((0, 1), (0, None))])
    assert FindingKind.SLICE_MISFIT in assert_refused(forgery.write(prefix), WANTED)["verify"]


def test_a_tensor_that_lists_itself(forgery: Forgery, prefix: Path) -> None:
    """The slice is the whole tensor, and its entry again in slices, of which each is the whole."""
    whole: TensorSlice = ((0, 4), (0, 3))
    forgery.listed("w", 1, (4, 3), [whole])
    forgery.rows[encode_slice_key("w", whole)] = entry_proto(1, (4, 3), slices=[whole])
    assert_refused(forgery.write(prefix), WANTED)


def test_slices_that_leave_elements_out(prefix: Path) -> None:
    """Not damage: a part of a checkpoint is so. Whoever asks for what is not there is told."""
    forgery = Forgery()
    forgery.sliced("w", MATRIX, [BOTTOM])
    refused = refusals(forgery.write(prefix), WANTED)
    assert {*refused} == {*READERS}
    assert all(text.startswith(TensorNotFoundError.__name__) for text in refused.values())
    assert [finding.kind for finding in verify(prefix).notes] == [FindingKind.TENSOR_PARTIAL]


@pytest.mark.parametrize(
    "slices",
    [
        [((0, 3), (0, None)), ((2, 2), (0, None))],
        [((0, 2), (0, 3)), ((2, 2), (0, None)), ((1, 1), (1, 1))],
        [((0, 2), (0, None)), ((0, 2), (0, 3)), ((2, 2), (0, None))],
    ],
    ids=str,
)
def test_slices_that_share_elements(slices: list[TensorSlice], prefix: Path) -> None:
    """Refused as TensorFlow refuses them, though all say the same: as many elements would hide that others lack."""
    forgery = Forgery()
    forgery.sliced("w", MATRIX, slices)
    refused = refusals(forgery.write(prefix), WANTED)
    assert {*refused} >= {*READERS, "verify"} - {"slices"}
    assert FindingKind.SLICES_OVERLAP in refused["verify"]


def test_a_slice_that_is_all_of_the_tensor_beside_another(prefix: Path) -> None:
    """What is asked for is stored as one slice, and read as it is; `verify` says that another shares its elements."""
    forgery = Forgery()
    forgery.sliced("w", MATRIX, [((0, None), (0, None)), BOTTOM])
    refused = refusals(forgery.write(prefix), WANTED)
    assert {*refused} <= {"verify", "slices"}
    assert FindingKind.SLICES_OVERLAP in refused["verify"]


def test_a_slice_that_is_listed_twice(forgery: Forgery, prefix: Path) -> None:
    forgery.listed("w", 1, (4, 3), [TOP, TOP])
    assert FindingKind.SLICES_OVERLAP in assert_refused(forgery.write(prefix), WANTED)["verify"]


@pytest.mark.parametrize(
    "where",
    [((0, 5), (0, None)), ((4, 1), (0, None)), ((-1, 2), (0, None)), ((0, -2), (0, None)), ((0, 0), (0, None)),
     ((0, 2),), ((0, 2), (0, None), (0, None)), (), ((2**62, 2**62), (0, None)), ((1, None), (0, None))],
    ids=str,
)  # fmt: skip
def test_a_slice_that_is_not_in_its_tensor(where: TensorSlice, forgery: Forgery, prefix: Path) -> None:
    forgery.listed("w", 1, (4, 3), [TOP, where])
    if where == ((1, None), (0, None)):
        forgery.listed("w", 1, (4, 3), [TOP, ((0, 0), (0, None))])
    assert "'w'" in assert_refused(forgery.write(prefix), WANTED)["load"]


def test_slices_that_nobody_lists(forgery: Forgery, prefix: Path) -> None:
    forgery.slice("w", ((0, 1), (0, None)), MATRIX)
    forgery.slice("nobody", TOP, MATRIX)
    refused = refusals(forgery.write(prefix), WANTED)
    assert {*refused} == {"verify"}
    assert refused["verify"].count(FindingKind.SLICE_UNLISTED) == 2


@pytest.mark.parametrize(
    "key",
    [b"\0", b"\0\0", b"\0w", b"\0w\0\1", b"\0w\0\1\1\xff", b"\0w\0\1\x01\x02" + b"\x80" * 3, b"\0" * 50,
     b"\0w\0\1" + b"\x08" + b"\xff" * 8 + b"\x80" * 4, encode_slice_key("w", TOP) + b"\x80"],
    ids=repr,
)  # fmt: skip
def test_a_key_that_is_none_of_a_slice(key: bytes, forgery: Forgery, prefix: Path) -> None:
    forgery.rows[key] = entry_proto(1, (), size=4, offset=len(forgery.data[0]))
    forgery.store(bytes(4))
    refused = refusals(forgery.write(prefix), WANTED)
    assert "verify" in refused
    assert all("TypeError" not in text for text in refused.values())


def test_the_key_of_one_slice_with_the_content_of_another(forgery: Forgery, prefix: Path) -> None:
    """Nothing in the format ties a key to its bytes; both have their right checksums. `verify` can't see it either."""
    top, bottom = encode_slice_key("w", TOP), encode_slice_key("w", BOTTOM)
    forgery.rows[top], forgery.rows[bottom] = forgery.rows[bottom], forgery.rows[top]
    assert verify(forgery.write(prefix)).ok


def test_thousands_of_slices(prefix: Path) -> None:
    side = 60
    array = elements((side, side))
    slices: list[TensorSlice] = [((row, 1), (column, 1)) for row, column in product(range(side), range(side))]
    forgery = Forgery()
    forgery.sliced("w", array, slices)
    forgery.write(prefix)
    (found,) = raw_ops.RestoreV2(prefix=str(prefix), tensor_names=["w"], shape_and_slices=[""], dtypes=["float32"])
    assert found.tolist() == array.tolist()
    report = verify(prefix)
    assert report.findings == ()
    assert report.bytes_checked == array.nbytes


def test_many_tensors_that_are_badly_cut_take_no_longer_than_one(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No straight cut separates these slices, so they are compared pair by pair: for one tensor, not for each."""
    compared = list[int]()
    pinwheel = [((0, 1), (0, 2)), ((0, 2), (2, 1)), ((2, 1), (1, 2)), ((1, 2), (0, 1))]
    compare = overlap._compare

    def counted(starts: Any, stops: Any) -> Any:
        compared.append(len(starts))
        return compare(starts, stops)

    monkeypatch.setattr(overlap, "_compare", counted)
    monkeypatch.setattr(overlap, "MOST_WORK", 100)
    forgery = Forgery()
    for number in range(20):
        forgery.listed(f"w{number}", 1, (3, 3), pinwheel)
    refused = [finding.message for finding in verify(forgery.write(prefix)).findings if "too long" in finding.message]
    assert compared == [4] * 6
    assert len(refused) == 20 - len(compared)


def in_halves(rank: int) -> tuple[Forgery, dict[str, Any]]:
    """Two elements in two slices, of as many dimensions."""
    slices = [((start, 1), *((0, None),) * (rank - 1)) for start in (0, 1)]
    forgery = Forgery()
    forgery.listed("w", 1, (2,) + (1,) * (rank - 1), slices)
    for each in slices:
        offset = forgery.store(bytes(4))
        key = encode_slice_key("w", each)
        forgery.rows[key] = entry_proto(1, (1,) * rank, offset=offset, size=4, crc=crc32c(bytes(4)))
    return forgery, {"w": np.zeros((2,) + (1,) * min(rank - 1, 31), np.float32)}


@pytest.mark.parametrize("rank", [1, 2, 8, 32])
def test_slices_of_many_dimensions(rank: int, prefix: Path) -> None:
    forgery, tensors = in_halves(rank)
    assert refusals(forgery.write(prefix), tensors) == {}
    assert verify(prefix).findings == ()


@pytest.mark.parametrize("rank", [65, 254])
def test_more_dimensions_than_an_array_can_have(rank: int, prefix: Path) -> None:
    """TensorFlow writes up to 254, NumPy has 64: each reader says so, and the bytes are verified all the same."""
    forgery, tensors = in_halves(rank)
    refused = refusals(forgery.write(prefix), tensors)
    assert {*refused} | {"slices"} == {*READERS}
    assert verify(prefix).findings == ()


def test_a_checkpoint_with_lies_is_not_merged(forgery: Forgery, prefix: Path) -> None:
    forgery.rows[b"\0nonsense"] = entry_proto(1, (), size=0)
    forgery.rows[encode_slice_key("nobody", TOP)] = entry_proto(1, (), size=0)
    forgery.write(prefix)
    other = Forgery(dict(forgery.rows), dict(forgery.data)).write(prefix.with_name("other"))
    with pytest.raises(CloudckptError):
        raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[str(prefix), str(other)], destination_prefix=str(prefix.with_name("merged"))
        )
