"""What one open checkpoint is to whoever reads it, whatever the format of its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from cloudckpt.errors import (
    CheckpointVersionError,
    InvalidArgumentError,
    TensorNotFoundError,
    UnsupportedOperationError,
)
from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.tensor_slice import full_slice, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.storage.open import Location
    from cloudckpt.variables.tensor_slice import Region, TensorSlice

__all__ = [
    "AS_BYTES",
    "FIXED_SIZE",
    "MAX_DIMENSIONS",
    "UNREADABLE",
    "OpenCheckpoint",
    "StringForm",
    "TensorInfo",
    "TensorRequest",
]

UNREADABLE = (DataType.RESOURCE, DataType.VARIANT)
"""Handles and C++ objects, which no array can hold."""

FIXED_SIZE: dict[int, np.dtype] = {
    data_type: to_numpy(data_type) for data_type in DataType if data_type not in (*UNREADABLE, DataType.STRING)
}
"""The dtypes whose elements lie in a file as they do in an array, with NumPy's for each."""

MAX_DIMENSIONS = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32
"""What an array can have; TensorFlow's tensors have up to 254."""

_OBJECT = np.dtype(object)


@dataclass(frozen=True, slots=True)
class StringForm:
    """What array the caller wants a string tensor as, so that its strings need not all exist in another form first."""

    dtype: np.dtype = _OBJECT
    convert: Callable[[Sequence[bytes]], Sequence[Any]] | None = None
    """makes elements of some strings; its errors are raised once the checksum has shown that the strings are right"""


AS_BYTES = StringForm()
"""Object arrays of bytes."""


class TensorInfo(Protocol):
    """What a checkpoint says of one tensor without reading its elements."""

    @property
    def dtype(self) -> int:
        """A `DataType`; a plain int where TensorFlow has added one since."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The whole tensor's."""
        ...

    @property
    def size(self) -> int:
        """Bytes that are stored of it under its own name; those of its slices are not counted."""
        ...

    @property
    def slices(self) -> tuple[TensorSlice, ...]:
        """The pieces that it is stored in; empty if it is stored whole."""
        ...


class TensorRequest(NamedTuple):
    """A tensor, or a region of one, to be read."""

    name: str
    tensor_slice: TensorSlice | None = None
    """None for the whole; what is stored need not be cut in the same way"""
    form: StringForm = AS_BYTES
    """what to make of it if it is a string tensor"""


class OpenCheckpoint(ABC):
    """One save of a prefix, as it was when it was opened."""

    prefix: Location
    """where it is"""

    @property
    @abstractmethod
    def tensors(self) -> Mapping[str, TensorInfo]:
        """What it holds, by name, in the order of the names' bytes."""

    @abstractmethod
    def read(self, requests: Iterable[TensorRequest]) -> list[NDArray[Any]]:
        """The tensors, or regions of them, as new arrays, in the order of the requests.

        What is stored whole, or as a slice that is wanted whole, is checked against its checksum; what is read of a
        larger piece is not, because its checksum is that of the whole piece.

        Raises:
            TensorNotFoundError: there is no tensor of that name, or what is stored of it lacks elements of the
                region; nothing was read.
            InvalidArgumentError: a slice is not within its tensor's shape.
            CheckpointDamagedError: a file that has some of what is wanted is missing or too short, bytes don't match
                their checksum, or the slices that the checkpoint lists don't fit each other.
            CheckpointVersionError: a tensor is of a dtype that this version does not know.
            UnsupportedOperationError: a tensor is no array.
            ObjectChangedError: a data file was replaced meanwhile.
            StorageError: the store failed.
        """

    def read_named(
        self, names: Iterable[str], forms: Mapping[str, StringForm] | None = None
    ) -> dict[str, NDArray[Any]]:
        """The named tensors, whole: see `read`.

        Args:
            names: of the tensors.
            forms: what arrays to make of string tensors, by name; others become object arrays of bytes.
        """
        wanted = list(dict.fromkeys(names))
        form_of = {} if forms is None else forms
        arrays = self.read(TensorRequest(name, None, form_of.get(name, AS_BYTES)) for name in wanted)
        return dict(zip(wanted, arrays, strict=True))

    def no_such_tensor(self, name: str) -> TensorNotFoundError:
        """The error about a name that no tensor has."""
        path = self.prefix.url
        return TensorNotFoundError(
            f"{path!r} has no tensor {name!r}; it has {len(self.tensors)} others", path=path, tensor=name
        )

    def region_of(self, request: TensorRequest, tensor: TensorInfo) -> Region:
        """What a request wants of its tensor, which is one that an array can hold.

        Raises:
            InvalidArgumentError: it is not within the shape.
            CheckpointVersionError: the dtype is not known.
            UnsupportedOperationError: no array can be of its dtype, or have as many dimensions.
        """
        url, name, shape = self.prefix.url, request.name, tensor.shape
        self._check_dtype(name, tensor.dtype)
        if len(shape) > MAX_DIMENSIONS:
            raise UnsupportedOperationError(
                f"tensor {name!r} of {url!r} has {len(shape)} dimensions, and arrays of this NumPy have "
                f"{MAX_DIMENSIONS} at most; read it with TensorFlow",
                path=url,
                tensor=name,
            )
        wanted = full_slice(len(shape)) if request.tensor_slice is None else request.tensor_slice
        try:
            return resolve(wanted, shape)
        except ValueError as error:
            raise InvalidArgumentError(
                f"tensor {name!r} of {url!r} has no such part: {error}", path=url, tensor=name
            ) from error

    def _check_dtype(self, name: str, dtype: int) -> None:
        if dtype in FIXED_SIZE or dtype == DataType.STRING:
            return
        url = self.prefix.url
        if dtype in UNREADABLE:
            raise UnsupportedOperationError(
                f"tensor {name!r} of {url!r} is a {DataType(dtype).name.lower()}, which no array can hold; read it "
                "with TensorFlow",
                path=url,
                tensor=name,
            )
        raise CheckpointVersionError(
            f"tensor {name!r} of {url!r} is of the dtype with number {dtype}, which TensorFlow has added since this "
            "version was made: upgrade cloudckpt",
            path=url,
            tensor=name,
        )

    @abstractmethod
    def check_whole(self) -> None:
        """See that nothing is missing, from what was listed: no request.

        Raises:
            CheckpointDamagedError: a data file is missing or too short.
        """

    @abstractmethod
    def is_current(self) -> bool:
        """Whether the prefix still holds this save. One request."""
