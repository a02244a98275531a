"""Calls that can't be right, made of cloudckpt.raw_ops and of tf.raw_ops alike, and what each says to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from cloudckpt.errors import (
    CheckpointNotFoundError,
    CheckpointPathError,
    InvalidArgumentError,
    TensorNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID, NOT_FOUND, INTERNAL, UNIMPLEMENTED = (
    "InvalidArgumentError",
    "NotFoundError",
    "InternalError",
    "UnimplementedError",
)
PRECONDITION = "FailedPreconditionError"
ACCEPTED, CRASHES = "accepted", "crashes"
"""What TensorFlow does instead of raising."""

Ops = Any
"""`cloudckpt.raw_ops` or `tf.raw_ops`."""


@dataclass(frozen=True)
class Misuse:
    """One wrong call."""

    case: str
    call: Callable[[Ops, str], object]
    """given the ops and a path: of a fresh place, or of the checkpoint that `prepare` makes"""
    theirs: str
    """the class of TensorFlow's error"""
    ours: type[Exception] = InvalidArgumentError
    tensor: str | None = "a"
    """which our message names"""


def floats(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def save_v2(
    names: Any = ("a",), specs: Any = ("",), tensors: Any = None, prefix: Any = None
) -> Callable[[Ops, str], Any]:
    given = [floats(4, 4)] if tensors is None else tensors
    return lambda ops, path: ops.SaveV2(
        prefix=path if prefix is None else prefix, tensor_names=names, shape_and_slices=specs, tensors=given
    )


def save_sliced(*specs: str, shape: tuple[int, ...] = (2, 4)) -> Callable[[Ops, str], Any]:
    return save_v2(["a"] * len(specs), specs, [floats(*shape)] * len(specs))


def save_slices(names: Any = ("a",), specs: Any = ("",), data: Any = None) -> Callable[[Ops, str], Any]:
    given = [floats(4, 4)] if data is None else data
    return lambda ops, path: ops.SaveSlices(filename=path, tensor_names=names, shapes_and_slices=specs, data=given)


def save_v1(names: Any = ("a",), data: Any = None) -> Callable[[Ops, str], Any]:
    given = [floats(4, 4)] if data is None else data
    return lambda ops, path: ops.Save(filename=path, tensor_names=names, data=given)


def restore_v2(names: Any = ("a",), specs: Any = ("",), dtypes: Any = ("float32",)) -> Callable[[Ops, str], Any]:
    return lambda ops, path: ops.RestoreV2(prefix=path, tensor_names=names, shape_and_slices=specs, dtypes=list(dtypes))


def restore_slice(name: Any = "a", spec: Any = "", dt: Any = "float32") -> Callable[[Ops, str], Any]:
    return lambda ops, path: ops.RestoreSlice(file_pattern=path, tensor_name=name, shape_and_slice=spec, dt=dt)


def restore_v1(name: Any = "a", dt: Any = "float32", **options: Any) -> Callable[[Ops, str], Any]:
    return lambda ops, path: ops.Restore(file_pattern=path, tensor_name=name, dt=dt, **options)


def merge(*names: str, to: str = "merged", **options: Any) -> Callable[[Ops, str], Any]:
    """Merge prefixes beside the path."""
    return lambda ops, path: ops.MergeV2Checkpoints(
        checkpoint_prefixes=[f"{path}-{name}" for name in names], destination_prefix=f"{path}-{to}", **options
    )


GRID = ("a", "a")
HALVES = ["4 4 0,2:-", "4 4 2,2:-"]

SPECS = [
    Misuse("no slice", save_sliced("4"), INVALID),
    Misuse("no extents", save_sliced("4 4"), INVALID),
    Misuse("an empty slice spec", save_sliced("4 4 "), INTERNAL),
    Misuse("fewer extents than dimensions", save_sliced("4 4 0,2"), INTERNAL),
    Misuse("more extents than dimensions", save_sliced("4 4 0,2:-:-"), INTERNAL),
    Misuse("a start alone", save_sliced("4 4 0:-"), INVALID),
    Misuse("three numbers", save_sliced("4 4 0,2,1:-"), INVALID),
    Misuse("two spaces", save_sliced("4  4 0,2:-"), INVALID),
    Misuse("a space at the end", save_sliced("4 4 0,2:- "), INVALID),
    Misuse("a space within", save_sliced("4 4 0, 2:-"), INVALID),
    Misuse("letters as a dimension", save_sliced("a 4 0,2:-"), INVALID),
    Misuse("letters as a length", save_sliced("4 4 0,b:-"), INVALID),
    Misuse("digits of another script", save_sliced("٤ 4 0,2:-"), INVALID),
    Misuse("a fraction", save_sliced("4.0 4 0,2:-"), INVALID),
    Misuse("a number beyond int64", save_sliced("9223372036854775808 4 0,2:-"), INVALID),
    Misuse("a negative start", save_sliced("4 4 -1,2:-"), INVALID),
    Misuse("a negative length", save_sliced("4 4 0,-1:-"), INVALID),
    Misuse("no elements", save_sliced("4 4 1,0:-", shape=(0, 4)), INVALID),
    Misuse("a slice that ends beyond its tensor", save_sliced("4 4 3,2:-"), INTERNAL),
    Misuse("a slice that begins beyond its tensor", save_sliced("4 4 4,1:-", shape=(1, 4)), INTERNAL),
    Misuse("a start near the end of int64", save_sliced("4 4 9223372036854775807,2:-"), ACCEPTED),
    Misuse("a negative dimension", save_sliced("-4 4 0,2:-"), CRASHES),
    Misuse("a shape beyond int64", save_sliced("9223372036854775807 4 0,2:-"), CRASHES),
    Misuse("an array of another shape", save_sliced("4 4 0,2:-", shape=(3, 4)), INVALID),
    Misuse("an array of another shape and as many elements", save_sliced("4 4 0,2:-", shape=(4, 2)), INVALID),
    Misuse("an array of another rank", save_sliced("4 4 0,2:-", shape=(8,)), INVALID),
]

SAVES = [
    *SPECS,
    Misuse("fewer names", save_v2(["a"], ["", ""], [floats(2)] * 2), INVALID, tensor=None),
    Misuse("fewer specs", save_v2(["a", "b"], [""], [floats(2)] * 2), INVALID, tensor=None),
    Misuse("fewer tensors", save_v2(["a", "b"], ["", ""], [floats(2)]), INVALID, tensor=None),
    Misuse("more tensors", save_v2(["a"], [""], [floats(2)] * 2), INVALID, tensor=None),
    Misuse("nothing", save_v2([], [], []), INVALID, tensor=None),
    Misuse("one name that is no list", save_v2("a", "", [floats(2)]), INVALID, tensor=None),
    Misuse("names of two dimensions", save_v2([["a"]], [""], [floats(2)]), INVALID, tensor=None),
    Misuse("specs of two dimensions", save_v2(["a"], [[""]], [floats(2)]), INVALID, tensor=None),
    Misuse("two prefixes", save_v2(prefix=["a", "b"]), INVALID, tensor=None),
    Misuse("names that are numbers", save_v2([3]), "TypeError", TypeError, tensor=None),
    Misuse("no tensor", save_v2(tensors=[None]), "ValueError", TypeError),
    Misuse("a dtype that TensorFlow has not", save_v2(tensors=[np.longdouble(3)]), "ValueError", TypeError),
    Misuse("a ragged list", save_v2(tensors=[[[1], [1, 2]]]), "ValueError", TypeError),
    Misuse("an empty prefix", save_v2(prefix=""), ACCEPTED, CheckpointPathError, tensor=None),
    Misuse("a prefix that is no text", save_v2(prefix=3), "TypeError", TypeError, tensor=None),
    Misuse("a name twice", save_v2(GRID, ["", ""], [floats(2)] * 2), INVALID),
    Misuse("a whole tensor and a slice of it", save_v2(GRID, ["", "4 0,2"], [floats(4), floats(2)]), ACCEPTED),
    Misuse("a slice and the whole tensor", save_v2(GRID, ["4 0,2", ""], [floats(2), floats(4)]), INVALID),
    Misuse("a whole tensor twice, as slices", save_sliced("2 4 -:-", "2 4 0,2:0,4"), INVALID),
    Misuse("a slice twice", save_sliced("4 4 0,2:-", "4 4 0,2:-"), INVALID),
    Misuse("a slice twice, written differently", save_sliced("4 4 0,2:-", "4 4 0,2:0,4"), ACCEPTED),
    Misuse("slices that overlap", save_sliced("4 4 0,2:-", "4 4 1,2:-"), ACCEPTED),
    Misuse("slices of different shapes", save_sliced("4 4 0,2:-", "5 4 2,2:-"), CRASHES),
    Misuse("slices of different ranks", save_v2(GRID, ["4 4 0,2:-", "4 2,2"], [floats(2, 4), floats(2)]), CRASHES),
    Misuse("slices of different dtypes", save_v2(GRID, HALVES, [floats(2, 4), np.ones((2, 4))]), CRASHES),
    Misuse("a name without characters", save_v2([""]), CRASHES, tensor=None),
    Misuse("a name that begins with a null character", save_v2(["\0a"]), ACCEPTED, tensor=None),
]

RESTORES = [
    Misuse("a name that is not there", restore_v2(["zz"]), NOT_FOUND, TensorNotFoundError, "zz"),
    Misuse(
        "one of two names", restore_v2(["a", "zz"], ["", ""], ["float32"] * 2), NOT_FOUND, TensorNotFoundError, "zz"
    ),
    Misuse("a slice of what is not there", restore_v2(["zz"], HALVES[:1]), NOT_FOUND, TensorNotFoundError, "zz"),
    Misuse("a wrong spec of what is not there", restore_v2(["zz"], ["4"]), NOT_FOUND, TensorNotFoundError, "zz"),
    Misuse("another dtype", restore_v2(dtypes=["int32"]), INVALID),
    Misuse("another dtype of the same size", restore_v2(dtypes=["uint32"]), INVALID),
    Misuse("strings where there are numbers", restore_v2(dtypes=["string"]), INVALID),
    Misuse("numbers where there are strings", restore_v2(["s"]), INVALID, tensor="s"),
    Misuse("another dtype of a slice", restore_v2(["p"], HALVES[:1], ["int32"]), INVALID, tensor="p"),
    Misuse("no dtype", restore_v2(dtypes=[None]), "TypeError", TypeError, None),
    Misuse("a dtype that is none", restore_v2(dtypes=["zzz"]), "TypeError", TypeError, None),
    Misuse("a number that is no dtype", restore_v2(dtypes=[999]), "TypeError", TypeError, None),
    Misuse("fewer dtypes", restore_v2(["a", "s"], ["", ""]), INVALID, tensor=None),
    Misuse("fewer specs", restore_v2(["a", "s"], [""], ["float32"] * 2), INVALID, tensor=None),
    Misuse("nothing", restore_v2([], [], []), INVALID, tensor=None),
    Misuse("names of no dimension", restore_v2("a", ""), INVALID, tensor=None),
    Misuse("a larger tensor", restore_v2(specs=["5 4 1,2:-"]), INVALID),
    Misuse("a larger tensor, whole", restore_v2(specs=["5 4 -:-"]), INVALID),
    Misuse("as many elements in another shape", restore_v2(specs=["2 8 1,1:-"]), INVALID),
    Misuse("another rank", restore_v2(specs=["16 1,2"]), INVALID),
    Misuse("a larger tensor than is stored in slices", restore_v2(["p"], ["5 4 1,2:-"]), INVALID, tensor="p"),
    Misuse("a slice that ends beyond", restore_v2(specs=["4 4 3,2:-"]), INTERNAL),
    Misuse("a malformed spec", restore_v2(specs=["4 x 0,2:-"]), INVALID),
    Misuse("too few extents", restore_v2(specs=["4 4 0,2"]), INTERNAL),
    Misuse("no elements", restore_v2(specs=["4 4 0,0:-"]), INVALID),
    Misuse("a negative dimension", restore_v2(specs=["-4 4 0,2:-"]), CRASHES),
    Misuse("a tensor of which slices lack", restore_v2(["g"]), INVALID, TensorNotFoundError, "g"),
    Misuse("a slice that is stored in part", restore_v2(["g"], ["4 4 1,2:-"]), INVALID, TensorNotFoundError, "g"),
    Misuse(
        "another prefix", lambda ops, path: restore_v2()(ops, f"{path}-other"), NOT_FOUND, CheckpointNotFoundError, None
    ),
    Misuse("an empty prefix", lambda ops, _: restore_v2()(ops, ""), NOT_FOUND, CheckpointPathError, None),
    Misuse("the index", lambda ops, path: restore_v2()(ops, f"{path}.index"), NOT_FOUND, CheckpointPathError, None),
]

V1_SAVES = [
    Misuse("fewer names", save_v1(["a"], [floats(2)] * 2), INVALID, tensor=None),
    Misuse("fewer tensors", save_v1(["a", "b"], [floats(2)]), INVALID, tensor=None),
    Misuse("fewer specs", save_slices(["a", "b"], [""], [floats(2)] * 2), INVALID, tensor=None),
    Misuse("nothing", save_v1([], []), INVALID, tensor=None),
    Misuse("a name twice", save_v1(GRID, [floats(2)] * 2), ACCEPTED),
    Misuse("a name twice, of other shapes", save_v1(GRID, [floats(2), floats(3)]), INTERNAL),
    Misuse("a name twice, of other dtypes", save_v1(GRID, [floats(2), np.ones(2)]), INTERNAL),
    Misuse("a dtype that V1 has not", save_v1(data=[np.ones(2, ml_dtypes.bfloat16)]), UNIMPLEMENTED),
    Misuse("a malformed spec", save_slices(specs=["4 4"]), INVALID),
    Misuse("a slice that ends beyond", save_slices(specs=["4 4 3,2:-"], data=[floats(2, 4)]), INTERNAL),
    Misuse("an array of another shape", save_slices(specs=["4 4 2,2:-"], data=[floats(4, 2)]), INVALID),
    Misuse("slices that overlap", save_slices(GRID, ["4 4 0,2:-", "4 4 1,2:-"], [floats(2, 4)] * 2), ACCEPTED),
    Misuse("a slice twice", save_slices(GRID, ["4 4 0,2:-"] * 2, [floats(2, 4)] * 2), ACCEPTED),
    Misuse("slices of different shapes", save_slices(GRID, ["4 4 0,2:-", "5 4 2,2:-"], [floats(2, 4)] * 2), INTERNAL),
    Misuse("slices of different dtypes", save_slices(GRID, HALVES, [floats(2, 4), np.ones((2, 4))]), INTERNAL),
    Misuse("a whole tensor and a slice of it", save_slices(GRID, ["", "4 0,2"], [floats(4), floats(2)]), ACCEPTED),
    Misuse("a negative dimension", save_slices(specs=["-4 4 0,2:-"], data=[floats(2, 4)]), CRASHES),
    Misuse("an empty file name", lambda ops, _: save_v1()(ops, ""), NOT_FOUND, CheckpointPathError, None),
]

V1_RESTORES = [
    Misuse("a name that is not there", restore_v1("zz"), NOT_FOUND, TensorNotFoundError, "zz"),
    Misuse("another dtype", restore_v1(dt="int32"), INVALID),
    Misuse("another dtype of the same size", restore_v1(dt="uint32"), INVALID),
    Misuse("no dtype", restore_v1(dt=None), "TypeError", TypeError, None),
    Misuse("two names", restore_v1(["a", "s"]), ACCEPTED, tensor=None),
    Misuse("two patterns", lambda ops, path: restore_v1()(ops, [path, path]), INVALID, tensor=None),
    Misuse("a shard below -1", restore_v1(preferred_shard=-2), INVALID, tensor=None),
    Misuse("a shard that is no number", restore_v1(preferred_shard="x"), "TypeError", TypeError, None),
    Misuse("a larger tensor", restore_slice(spec="5 4 1,2:-"), INVALID),
    Misuse("a slice that ends beyond", restore_slice(spec="4 4 3,2:-"), INTERNAL),
    Misuse("a malformed spec", restore_slice(spec="4 4"), INVALID),
    Misuse("a slice of what is not there", restore_slice("zz", "4"), NOT_FOUND, TensorNotFoundError, "zz"),
    Misuse("two specs", restore_slice(spec=["4 4 1,2:-"] * 2), ACCEPTED, tensor=None),
    Misuse("a negative dimension", restore_slice(spec="-4 4 1,2:-"), CRASHES),
    Misuse("a tensor of which slices lack", restore_v1("g"), INVALID, TensorNotFoundError, "g"),
    Misuse("a slice that is stored in part", restore_slice("g", "4 4 1,2:-"), INVALID, TensorNotFoundError, "g"),
    Misuse(
        "another file", lambda ops, path: restore_v1()(ops, f"{path}-other"), NOT_FOUND, CheckpointNotFoundError, None
    ),
    Misuse("RestoreV2: another dtype", restore_v2(dtypes=["int32"]), INVALID),
    Misuse("RestoreV2: a larger tensor", restore_v2(specs=["5 4 1,2:-"]), INVALID),
    Misuse("RestoreV2: a name that is not there", restore_v2(["zz"]), NOT_FOUND, TensorNotFoundError, "zz"),
]

MERGES = [
    Misuse("nothing", merge(), INVALID, tensor=None),
    Misuse("one that is not there", merge("0", "9"), INVALID, tensor=None),
    Misuse("none that is there", merge("8", "9", allow_missing_files=True), INVALID, tensor=None),
    Misuse("a name that both have", merge("0", "0-again"), INVALID),
    Misuse("one twice", merge("0", "0"), INVALID),
    Misuse("a slice that both have", merge("1", "1-again"), INVALID, tensor="p"),
    Misuse("a tensor and a slice of it", merge("whole", "1"), INVALID, tensor="p"),
    Misuse("a slice of a tensor, and the tensor", merge("1", "whole"), INTERNAL, tensor="p"),
    Misuse("slices of different shapes", merge("1", "larger"), CRASHES, tensor="p"),
    Misuse("slices of different dtypes", merge("1", "doubles"), CRASHES, tensor="p"),
    Misuse("the destination is one of them", merge("0", "1", to="0"), ACCEPTED, tensor=None),
    Misuse("a flag that is no bool", merge("0", delete_old_dirs="no"), "TypeError", TypeError, None),
    Misuse(
        "a prefix that is no list",
        lambda ops, path: ops.MergeV2Checkpoints(checkpoint_prefixes=f"{path}-0", destination_prefix=f"{path}-merged"),
        INVALID,
        tensor=None,
    ),
    Misuse(
        "two destinations",
        lambda ops, path: ops.MergeV2Checkpoints(
            checkpoint_prefixes=[f"{path}-0"], destination_prefix=[f"{path}-merged", "b"]
        ),
        INVALID,
        tensor=None,
    ),
]


def prepare_v2(ops: Ops, path: str) -> None:
    """What `RESTORES` restore from: a whole tensor, strings, one in two slices, one of which slices lack."""
    names = ["a", "s", "p", "p", "g"]
    strings = np.array(["x", "y"], object)
    tensors = [floats(4, 4), strings, floats(2, 4), floats(2, 4) + 8, floats(2, 4)]
    save_v2(names, ["", "", *HALVES, HALVES[0]], tensors)(ops, path)


def prepare_v1(ops: Ops, path: str) -> None:
    """As `prepare_v2`, in the V1 format."""
    names = ["a", "s", "p", "p", "g"]
    strings = np.array(["x", "y"], object)
    data = [floats(4, 4), strings, floats(2, 4), floats(2, 4) + 8, floats(2, 4)]
    save_slices(names, ["", "", *HALVES, HALVES[0]], data)(ops, path)


def prepare_merges(ops: Ops, path: str) -> None:
    """What `MERGES` merge."""
    half = floats(2, 4)
    for name, names, specs, tensors in (
        ("0", ["a"], [""], [floats(3)]),
        ("0-again", ["a", "b"], ["", ""], [floats(3), floats(2)]),
        ("1", ["p"], HALVES[:1], [half]),
        ("1-again", ["p"], HALVES[:1], [half]),
        ("whole", ["p"], [""], [floats(4, 4)]),
        ("larger", ["p"], ["5 4 2,2:-"], [half]),
        ("doubles", ["p"], HALVES[1:], [half.astype(np.float64)]),
    ):
        save_v2(names, specs, tensors)(ops, f"{path}-{name}")


def prepare_nothing(ops: Ops, path: str) -> None:
    """For calls that find an empty place."""


TABLES: dict[str, tuple[Callable[[Ops, str], None], list[Misuse]]] = {
    "SaveV2": (prepare_nothing, SAVES),
    "RestoreV2": (prepare_v2, RESTORES),
    "SaveV1": (prepare_nothing, V1_SAVES),
    "RestoreV1": (prepare_v1, V1_RESTORES),
    "Merge": (prepare_merges, MERGES),
}
CASES = [(table, misuse) for table, (_, misuses) in TABLES.items() for misuse in misuses]
IDS = [f"{table}: {misuse.case}" for table, misuse in CASES]
