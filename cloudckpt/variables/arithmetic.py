"""What arrays can be asked and computed with, for what holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.lib.mixins import NDArrayOperatorsMixin

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

__all__ = ["ArrayArithmetic"]


class ArrayArithmetic(NDArrayOperatorsMixin):
    """Operators and NumPy's functions take its array in its place, and give NumPy's arrays.

    Comparisons give arrays, too. Dicts and sets hold it by identity; `in` a list compares values, as with arrays.
    """

    # As NDArrayOperatorsMixin asks for: NumPy leaves operators with these to `__array_ufunc__`.
    __array_priority__ = 100

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(each, ArrayArithmetic) for each in kwargs.get("out", ())):
            raise TypeError("a variable's value is not written into: use assign, assign_add or assign_sub")
        arrays = [each.__array__() if isinstance(each, ArrayArithmetic) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, key: Any) -> Any:
        return self.__array__()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__array__())

    def __len__(self) -> int:
        return len(self.__array__())

    def __complex__(self) -> complex:
        return complex(self.__array__())

    def __float__(self) -> float:
        return float(self.__array__())

    def __int__(self) -> int:
        return int(self.__array__())

    def __index__(self) -> int:
        return self.__array__().__index__()

    def __bool__(self) -> bool:
        return bool(self.__array__())
