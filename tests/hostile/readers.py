"""Everything that reads a checkpoint, each asked for all of it: what it gives, or by which error it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import cloudckpt as ckpt
from cloudckpt import raw_ops, train
from cloudckpt.errors import CloudckptError
from cloudckpt.stored.checkpoint import open_checkpoint
from cloudckpt.verification.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Tensors = dict[str, Any]


def load(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    tensors: Tensors = ckpt.load(prefix)
    return tensors


def open_and_read(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    with open_checkpoint(prefix) as checkpoint:
        for tensor in checkpoint.values():
            repr((tensor, tensor.slices, tensor.pieces, tensor.nbytes))
        return checkpoint.read()


def open_and_map(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    with open_checkpoint(prefix, mmap=True) as checkpoint:
        return checkpoint.read(verify=True)


def go_through(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    with open_checkpoint(prefix) as checkpoint:
        return dict(checkpoint.arrays())


def restore(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    names = [*wanted]
    arrays = raw_ops.RestoreV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        dtypes=["string" if wanted[name].dtype == object else wanted[name].dtype for name in names],
    )
    return dict(zip(names, arrays, strict=True))


def restore_first_rows(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    """Slices; what is read of a part of a stored tensor is not checked, so nothing can be said of its values."""
    for name, array in wanted.items():
        if array.ndim and array.shape[0] > 1:
            rest = ":".join("-" * (array.ndim - 1))
            spec = " ".join(map(str, array.shape)) + " 0,1" + (f":{rest}" if rest else "")
            dtype = "string" if array.dtype == object else array.dtype
            raw_ops.RestoreV2(prefix=str(prefix), tensor_names=[name], shape_and_slices=[spec], dtypes=[dtype])
    return dict(wanted)


def get_tensors(prefix: Path, wanted: Mapping[str, Any]) -> Tensors:
    with train.load_checkpoint(str(prefix)) as reader:
        reader.debug_string()
        reader.get_variable_to_dtype_map()
        return {name: as_array(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()}


def as_array(value: Any) -> NDArray[Any]:
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


READERS: dict[str, Callable[[Path, Mapping[str, Any]], Tensors]] = {
    "load": load,
    "open": open_and_read,
    "map": open_and_map,
    "arrays": go_through,
    "RestoreV2": restore,
    "slices": restore_first_rows,
    "get_tensor": get_tensors,
}


def refusals(prefix: Path, wanted: Mapping[str, Any]) -> dict[str, str]:
    """By reader, the error of ours that it raises; those that give exactly these tensors are left out.

    Any other error, and any other value, fails the test.
    """
    refused = {}
    for reader, read in READERS.items():
        try:
            found = read(prefix, wanted)
        except CloudckptError as error:
            refused[reader] = f"{type(error).__name__}: {error}"
        else:
            assert_equal(found, wanted, reader)
    assert all(str(prefix) in text for text in refused.values()), refused
    report = verify(prefix)
    if report.problems:
        refused["verify"] = str(report)
    return refused


def assert_refused(prefix: Path, wanted: Mapping[str, Any]) -> dict[str, str]:
    """Every reader that was asked for all of it has refused, and says why."""
    found = refusals(prefix, wanted)
    assert {*found} | {"slices"} == {*READERS, "verify"}
    return found


def assert_equal(found: Mapping[str, Any], wanted: Mapping[str, Any], reader: str) -> None:
    assert {*found} == {*wanted}, reader
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, (reader, name)
        assert found[name].shape == array.shape, (reader, name)
        assert found[name].tolist() == array.tolist(), (reader, name)
