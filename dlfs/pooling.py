"""Pooling: Operations that make images smaller without parameters."""

from typing import Any

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.checks import check_flag
from dlfs.reference.sliding import crop, pad, window_pixels
from dlfs.types import Array, IntArray, Padding, Pair
from dlfs.windows import check_padding, pair, window_2d


class _Pool2D(Operation):
    """What MaxPool2D and AvgPool2D share: a window that moves over the image."""

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = pair(kernel_size, name, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, name, "stride")
        self.padding = check_padding(padding, name)

    @property
    def options(self) -> tuple[Any, ...]:
        """The arguments that every kernel takes after the arrays."""
        return self.kernel_size, self.stride, self.padding


class MaxPool2D(_Pool2D):
    """Keep the largest pixel of each window.

    Forward: ``output[n, c, p, q] = max over i, j of input_[n, c, s p + i, s q + j]``. Backward:
    each window's gradient goes to the pixel that it chose; of equal ones to the first (a
    subgradient).

    Images are (batch, channels, height, width).

    Parameters
    ----------
    kernel_size : int or (height, width)
    stride : int or (height, width), optional
        The kernel size unless given.
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid", default 0
        At most half the kernel; a padding pixel is never chosen.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool2D(2).forward(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    _positions: IntArray

    def _output(self) -> Array:
        output, self._positions = kernels.max_pool2d(self.input_, *self.options)
        return output

    def _input_grad(self, output_grad: Array) -> Array:
        shape = self.input_.shape
        return kernels.max_pool2d_grad(output_grad, self._positions, shape, *self.options)

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each pixel is from a tie: from the largest other pixel of its windows."""
        window = window_2d(input_.shape[2:], *self.options)
        padded = pad(input_, window, -np.inf)
        seen = np.stack([pixels for _, _, pixels in window_pixels(padded, window)])
        distance = np.full(padded.shape, np.inf)
        if len(seen) > 1:
            *_, second, largest = np.sort(seen, axis=0)
            rival = np.where(seen < largest, largest, second)
            # Two pixels move, so each may go half of the way.
            gaps = np.where(np.isfinite(rival), np.abs(seen - rival) / 2, np.inf)
            for gap, (_, _, here) in zip(gaps, window_pixels(distance, window), strict=True):
                np.minimum(here, gap, out=here)
        return crop(distance, input_.shape, window)


class AvgPool2D(_Pool2D):
    """Take the mean of each window.

    Forward: ``output[n, c, p, q] = mean over i, j of input_[n, c, s p + i, s q + j]``. Backward:
    each pixel collects an equal share of the gradient of every window that saw it.

    Images are (batch, channels, height, width). LeCun et al., 1998.

    Parameters
    ----------
    kernel_size, stride, padding
        As in MaxPool2D.
    count_include_pad : bool, default True
        Whether padding pixels count as zeros in the mean, or not at all.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool2D(2).forward(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = check_flag(count_include_pad, "AvgPool2D", "count_include_pad")

    @property
    def options(self) -> tuple[Any, ...]:
        """The arguments that every kernel takes after the arrays."""
        return *super().options, self.count_include_pad

    def _output(self) -> Array:
        return kernels.avg_pool2d(self.input_, *self.options)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.avg_pool2d_grad(output_grad, self.input_.shape, *self.options)


class GlobalAvgPool2D(Operation):
    """Take the mean of each channel over the whole image.

    Forward: (batch, channels, height, width) becomes (batch, channels). Backward: each pixel gets
    ``output_grad / (height * width)``.

    Lin, Chen and Yan, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAvgPool2D().forward(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[7.5]])
    """

    def _output(self) -> Array:
        return kernels.global_avg_pool2d(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.global_avg_pool2d_grad(output_grad, self.input_.shape)
