"""Tensors cut into slices in any way, and regions of them, as Hypothesis strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from cloudckpt.variables.tensor_slice import Region, TensorSlice

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)


@st.composite
def regions(draw: st.DrawFn, shape: tuple[int, ...]) -> Region:
    """Any region that is not empty."""
    starts = [draw(st.integers(0, size - 1)) for size in shape]
    return tuple((start, draw(st.integers(1, size - start))) for start, size in zip(starts, shape, strict=True))


@st.composite
def partitions(draw: st.DrawFn, shape: tuple[int, ...]) -> list[TensorSlice]:
    """Slices that cover a tensor and don't overlap, in any order: by cuts, and cuts of what these leave."""
    todo: list[Region] = [tuple((0, size) for size in shape)]
    done: list[Region] = []
    while todo:
        region = todo.pop()
        axis = draw(st.integers(0, len(shape) - 1))
        start, length = region[axis]
        at = draw(st.integers(0, length - 1))
        if at and len(done) + len(todo) < 8:
            todo += [_with(region, axis, (start, at)), _with(region, axis, (start + at, length - at))]
        else:
            done.append(region)
    slices: list[Any] = [
        tuple((0, None) if extent == (0, size) else extent for extent, size in zip(region, shape, strict=True))
        for region in draw(st.permutations(done))
    ]
    # One slice with nothing but dashes is no slice.
    return slices if len(slices) > 1 else []


def _with(region: Region, axis: int, extent: tuple[int, int]) -> Region:
    return (*region[:axis], extent, *region[axis + 1 :])
