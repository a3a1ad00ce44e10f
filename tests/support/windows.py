"""Convolutions and pooling by index: which input pixels belong to which output pixel.

Nothing is padded or sliced here. A pixel is looked up by its index, and left out if it is outside
the image; so this code cannot share a mistake with the kernels' views and paddings.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st


class Axis(NamedTuple):
    """A window on one axis, in plain numbers."""

    size: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int

    @property
    def output(self) -> int:
        covered = self.dilation * (self.kernel - 1) + 1
        room = self.size + self.before + self.after - covered
        return -1 if room < 0 else room // self.stride + 1

    def meetings(self) -> Iterator[tuple[int, int, int]]:
        """Go through all (output p, kernel position i, input r) that meet."""
        for p, i in itertools.product(range(self.output), range(self.kernel)):
            r = self.stride * p + self.dilation * i - self.before
            if 0 <= r < self.size:
                yield p, i, r


class Case(NamedTuple):
    """A convolution: shapes and options, the latter as a user writes them."""

    batch: int
    in_channels: int
    out_channels: int
    axes: tuple[Axis, ...]
    stride: Any
    padding: Any
    dilation: Any
    groups: int

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.batch, self.in_channels, *(axis.size for axis in self.axes))

    @property
    def W_shape(self) -> tuple[int, ...]:
        kernel = (axis.kernel for axis in self.axes)
        return (self.in_channels // self.groups, self.out_channels, *kernel)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.batch, self.out_channels, *(axis.output for axis in self.axes))

    @property
    def options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def positions(self) -> int:
        return math.prod(axis.kernel for axis in self.axes)

    def meetings(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        """Go through all (output pixel, kernel position, input pixel) that meet."""
        for meeting in itertools.product(*(list(axis.meetings()) for axis in self.axes)):
            p, i, r = zip(*meeting, strict=True)
            yield p, i, r

    def by_group(self) -> Iterator[tuple[slice, slice]]:
        """Go through the groups' input and output channels."""
        n_in, n_out = self.in_channels // self.groups, self.out_channels // self.groups
        for g in range(self.groups):
            yield slice(g * n_in, (g + 1) * n_in), slice(g * n_out, (g + 1) * n_out)


def convolve(case: Case, x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """``output[n, o, p] += x[n, c, r] * W[c, o, i]`` for every meeting."""
    x, W = x.astype(np.float64), W.astype(np.float64)
    output = np.zeros(case.output_shape)
    for p, i, r in case.meetings():
        for ins, outs in case.by_group():
            output[(slice(None), outs, *p)] += (
                x[(slice(None), ins, *r)] @ W[(slice(None), outs, *i)]
            )
    return output


def convolve_input_grad(case: Case, grad: np.ndarray, W: np.ndarray) -> np.ndarray:
    """``input_grad[n, c, r] += grad[n, o, p] * W[c, o, i]`` for every meeting."""
    grad, W = grad.astype(np.float64), W.astype(np.float64)
    result = np.zeros(case.x_shape)
    for p, i, r in case.meetings():
        for ins, outs in case.by_group():
            product = grad[(slice(None), outs, *p)] @ W[(slice(None), outs, *i)].T
            result[(slice(None), ins, *r)] += product
    return result


def convolve_param_grad(case: Case, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``param_grad[c, o, i] += x[n, c, r] * grad[n, o, p]`` for every meeting."""
    grad, x = grad.astype(np.float64), x.astype(np.float64)
    result = np.zeros(case.W_shape)
    for p, i, r in case.meetings():
        for ins, outs in case.by_group():
            product = x[(slice(None), ins, *r)].T @ grad[(slice(None), outs, *p)]
            result[(slice(None), outs, *i)] += product
    return result


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Find by trial the least padding for ``ceil(size / stride)`` outputs, an odd pixel last."""
    wanted = math.ceil(size / stride)
    total = next(
        total
        for total in itertools.count()
        if Axis(size, kernel, stride, 0, total, dilation).output == wanted
    )
    return total // 2, total - total // 2


@st.composite
def paddings(draw: st.DrawFn, ndim: int, largest: int) -> Any:
    """Draw a padding in one of the ways in which a user may write it."""
    number = st.integers(0, largest)
    if ndim == 1:
        return draw(
            st.one_of(number, st.tuples(number, number), st.sampled_from(["same", "valid"]))
        )
    ends = st.tuples(number, number)
    ways = [number, ends, st.tuples(ends, ends), st.sampled_from(["same", "valid"])]
    return draw(st.one_of(*ways))


def per_axis(option: Any, ndim: int) -> tuple[int, ...]:
    return tuple(option) if isinstance(option, tuple) else (option,) * ndim


def written_out(
    padding: Any, sizes: tuple[int, ...], kernel: Any, stride: Any, dilation: Any
) -> list[tuple[int, int]]:
    """Return (before, after) for each axis."""
    ndim = len(sizes)
    if padding == "valid":
        return [(0, 0)] * ndim
    if padding == "same":
        return [same_padding(*args) for args in zip(sizes, kernel, stride, dilation, strict=True)]
    if isinstance(padding, int):
        return [(padding, padding)] * ndim
    if ndim == 1:
        return [padding]
    return [(end, end) if isinstance(end, int) else end for end in padding]


@st.composite
def convolutions(draw: st.DrawFn, ndim: int = 2) -> Case:
    """Draw a convolution whose window fits somewhere."""
    small = st.integers(1, 2)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    sizes = tuple(draw(st.integers(1, 7)) for _ in range(ndim))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(ndim))
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * ndim)))
    dilation = draw(st.one_of(st.integers(1, 2), st.tuples(*[small] * ndim)))
    if ndim == 1:
        stride, dilation = per_axis(stride, 1)[0], per_axis(dilation, 1)[0]
    padding = draw(paddings(ndim, 3))
    strides, dilations = per_axis(stride, ndim), per_axis(dilation, ndim)
    ends = written_out(padding, sizes, kernel, strides, dilations)
    axes = tuple(
        Axis(size, k, s, before, after, d)
        for size, k, s, (before, after), d in zip(
            sizes, kernel, strides, ends, dilations, strict=True
        )
    )
    assume(all(axis.output >= 1 for axis in axes))
    return Case(
        draw(st.integers(0, 3)),
        groups * draw(small),
        groups * draw(small),
        axes,
        stride,
        padding,
        dilation,
        groups,
    )
