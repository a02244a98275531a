"""What a save is given, as the records of a V1 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.v1_header import V1Tensor, encode_header
from cloudckpt.bundle.v1_record import encode_record
from cloudckpt.bundle.v1_values import VALUE_LISTS, most_bytes
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.string_source import encode_string
from cloudckpt.errors import InvalidArgumentError, StructureError
from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import full_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["V1Content"]

MAX_BYTES = 1 << 31
"""What a record may come to, by TensorFlow's reckoning: protobuf messages are limited so."""
FRAME_BYTES = 1 << 10
"""What TensorFlow reckons for all that a record has beyond its values and its name."""
STRING_BYTES = 10
"""What it reckons for each string beyond its own bytes."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """One record that is to be written."""

    name: str
    where: TensorSlice
    dtype: DataType
    array: NDArray[Any]

    def encode(self) -> bytes:
        """The record's value."""
        if self.dtype != DataType.STRING:
            self._check_size(self.array.size * most_bytes(self.dtype))
            return encode_record(self.name, self.where, self.dtype, self.array)
        strings = self._strings()
        self._check_size(len(strings) * STRING_BYTES + sum(map(len, strings)))
        return encode_record(self.name, self.where, self.dtype, strings)

    def _strings(self) -> Sequence[bytes]:
        try:
            return [encode_string(element) for element in self.array.reshape(-1).tolist()]
        except TypeError as error:
            raise TypeError(f"tensor {self.name!r} can't be saved: {error}") from error
        except UnicodeEncodeError as error:
            raise StructureError(
                f"tensor {self.name!r} can't be saved: a string in it is no valid text ({error})", tensor=self.name
            ) from error

    def _check_size(self, values: int) -> None:
        if (size := values + len(self.name.encode()) + FRAME_BYTES) > MAX_BYTES:
            raise InvalidArgumentError(
                f"tensor {self.name!r} can't be saved in the V1 format: it may come to {size} bytes, where a record "
                f"has {MAX_BYTES} at most. Save it in slices, or in the V2 format",
                tensor=self.name,
            )


class V1Content:
    """The records of one V1 file; the arrays are encoded when they are iterated over.

    Args:
        tensors: arrays by name, or slices of them.

    Raises:
        TypeError: an array is of no type that TensorFlow has.
        StructureError: a name is not valid UTF-8.
        InvalidArgumentError: V1 has not the dtype; slices overlap, are not in their tensor, don't have their arrays'
            shapes, or are of several dtypes.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any] | SlicedTensor]) -> None:
        self._header: dict[str, V1Tensor] = {}
        self._slices: dict[bytes, _Slice] = {}
        for name, tensor in tensors.items():
            _check_name(name)
            if isinstance(tensor, SlicedTensor):
                tensor.check(name)
                self._add(name, tensor.shape, tensor.parts)
            else:
                self._add(name, tensor.shape, {full_slice(tensor.ndim): tensor})

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order of the keys, one record in memory at a time.

        Raises:
            TypeError: an element of an object array is neither str nor bytes.
            StructureError: a string is not valid UTF-8.
            InvalidArgumentError: a record is too long.
        """
        yield b"", encode_header(self._header)
        for key in sorted(self._slices):
            yield key, self._slices[key].encode()

    def _add(self, name: str, shape: tuple[int, ...], parts: Mapping[TensorSlice, NDArray[Any]]) -> None:
        dtype = _data_type(name, next(iter(parts.values())))
        self._header[name] = V1Tensor(dtype, shape, tuple(parts))
        for where, part in parts.items():
            self._slices[encode_slice_key(name, where)] = _Slice(name, where, dtype, part)


def _check_name(name: str) -> None:
    """Names may be empty and begin with any character here, but TensorFlow refuses to read those that are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise StructureError(f"the tensor name {name!r} is not valid UTF-8: {error.reason}", tensor=name) from error


def _data_type(name: str, array: NDArray[Any]) -> DataType:
    try:
        dtype = dtypes.data_type_of(array)
    except TypeError as error:
        raise TypeError(f"tensor {name!r} can't be saved: {error}") from error
    if dtype not in VALUE_LISTS:
        raise InvalidArgumentError(
            f"tensor {name!r} can't be saved in the V1 format, which has no {dtypes.python_name(dtype)}: save it in "
            "the V2 format",
            tensor=name,
        )
    return dtype
