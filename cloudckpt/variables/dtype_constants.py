"""The dtypes by the names that TensorFlow's module has for them."""

from __future__ import annotations

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import DataType

__all__ = [
    "as_dtype",
    "bfloat16",
    "bool",
    "complex64",
    "complex128",
    "double",
    "float16",
    "float32",
    "float64",
    "half",
    "int8",
    "int16",
    "int32",
    "int64",
    "qint8",
    "qint16",
    "qint32",
    "quint8",
    "quint16",
    "resource",
    "string",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "variant",
]

float32 = DType(DataType.FLOAT)
double = DType(DataType.DOUBLE)
float64 = DType(DataType.DOUBLE)
int32 = DType(DataType.INT32)
uint8 = DType(DataType.UINT8)
int16 = DType(DataType.INT16)
int8 = DType(DataType.INT8)
string = DType(DataType.STRING)
complex64 = DType(DataType.COMPLEX64)
int64 = DType(DataType.INT64)
bool = DType(DataType.BOOL)
qint8 = DType(DataType.QINT8)
quint8 = DType(DataType.QUINT8)
qint32 = DType(DataType.QINT32)
bfloat16 = DType(DataType.BFLOAT16)
qint16 = DType(DataType.QINT16)
quint16 = DType(DataType.QUINT16)
uint16 = DType(DataType.UINT16)
complex128 = DType(DataType.COMPLEX128)
float16 = DType(DataType.HALF)
half = DType(DataType.HALF)
resource = DType(DataType.RESOURCE)
variant = DType(DataType.VARIANT)
uint32 = DType(DataType.UINT32)
uint64 = DType(DataType.UINT64)


def as_dtype(type_value: object) -> DType:
    """The dtype that something names: a dtype of TensorFlow's or NumPy's, its name or its number.

    Raises:
        TypeError: it names none.
    """
    return DType(data_type_argument(type_value, "type_value"))
