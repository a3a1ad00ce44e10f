"""Pooling: Operations that make images smaller without parameters."""

from operator import attrgetter
from typing import Any

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.ceil_mode import enlarged, shares
from dlfs.checks import check_flag, check_int, retold
from dlfs.ties import distance_to_ties
from dlfs.types import Array, IntArray, Padding, Padding1D, Pair, Shape
from dlfs.windows import LARGEST, Window, check_padding, pair, window_2d


class _Pool2D(Operation):
    """What MaxPool2D and AvgPool2D share: a window that moves over the image."""

    dilation: Pair = 1
    options: Any = property(attrgetter("kernel_size", "stride", "padding", "dilation"))
    """The arguments that the kernels take after the arrays."""
    _shape: Shape  # of the enlarged images

    def __init__(
        self, kernel_size: Pair, stride: Pair | None, padding: Padding, ceil_mode: bool
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = pair(kernel_size, name, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, name, "stride")
        self.padding = check_padding(padding, name)
        self.ceil_mode = check_flag(ceil_mode, name, "ceil_mode")

    def window(self, size: Shape) -> Window:
        """Return the window over images of a size, without those that ceil_mode adds."""
        options = (self.kernel_size, self.stride, self.padding, self.dilation)
        return window_2d(size, *options, type(self).__name__)

    def _enlarged(self, images: Array, value: float) -> Array:
        """Return images with the rows and columns that ceil_mode adds, made of ``value``."""
        if not self.ceil_mode or images.ndim != 4:
            return images
        return enlarged(images, self.window(images.shape[2:]), value)

    def _cut(self, grad: Array) -> Array:
        return grad[:, :, : self.input_.shape[2], : self.input_.shape[3]]


class MaxPool2D(_Pool2D):
    """Keep the largest pixel of each window.

    Forward: ``output[n, c, p, q] = max over i, j of input_[n, c, s p + d i, s q + d j]``. Backward:
    each window's gradient goes to the pixel that it chose; of equal ones to the first (a
    subgradient). Images are (batch, channels, height, width).

    Parameters
    ----------
    kernel_size : int or (height, width)
    stride : int or (height, width), optional
        The kernel size unless given.
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid", default 0
        At most half the kernel; a padding pixel is never chosen.
    dilation : int or (height, width), default 1
        How far apart the pixels of a window are; above 1 it is slower.
    ceil_mode : bool, default False
        Whether pixels that are left over at the end make a window too, one that lacks some.

    Examples
    --------
    >>> MaxPool2D(2).forward(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    >>> MaxPool2D(3, ceil_mode=True).forward(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[10., 11.],
           [14., 15.]])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        dilations = pair(dilation, "MaxPool2D", "dilation")
        self.dilation = 1 if dilations == (1, 1) else dilations

    def _output(self) -> Array:
        images = self._enlarged(self.input_, -np.inf)
        self._shape = images.shape
        output, self._positions = kernels.max_pool2d(images, *self.options)
        return output

    def _input_grad(self, output_grad: Array) -> Array:
        options = (self._positions, self._shape, *self.options)
        return self._cut(kernels.max_pool2d_grad(output_grad, *options))

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each pixel is from a tie: from the largest other pixel of its windows."""
        images = self._enlarged(input_, -np.inf)
        return distance_to_ties(images, self.window(images.shape[2:]), input_.shape)


class AvgPool2D(_Pool2D):
    """Take the mean of each window.

    Forward: ``output[n, c, p, q] = mean over i, j of input_[n, c, s p + i, s q + j]``. Backward:
    each pixel collects an equal share of the gradient of every window that saw it. Images are
    (batch, channels, height, width). LeCun et al., 1998.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As in MaxPool2D.
    count_include_pad : bool, default True
        Whether padding pixels count as zeros in the mean, or not at all. What lacks in a window of
        ceil_mode never counts.

    Examples
    --------
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
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = check_flag(count_include_pad, "AvgPool2D", "count_include_pad")

    @property
    def options(self) -> tuple[Any, ...]:
        """The arguments that every kernel takes after the arrays."""
        # Where something lacks, the mean is over all of the window first.
        include = self.count_include_pad or self._shape != self.input_.shape
        return self.kernel_size, self.stride, self.padding, include

    def _output(self) -> Array:
        images = self._enlarged(self.input_, 0.0)
        self._shape = images.shape
        output = kernels.avg_pool2d(images, *self.options)
        return output if images is self.input_ else output * self._shares()

    def _input_grad(self, output_grad: Array) -> Array:
        if self._shape != self.input_.shape:
            output_grad = output_grad * self._shares()
        return self._cut(kernels.avg_pool2d_grad(output_grad, self._shape, *self.options))

    def _shares(self) -> Array:
        return shares(self.input_, self.window(self.input_.shape[2:]), self.count_include_pad)


class _Pool1D(Operation):
    """Pooling of sequences, as images of height 1."""

    _images: _Pool2D

    def __init__(
        self, kernel_size: int, stride: int | None, padding: Padding1D, ceil_mode: bool
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = check_int(kernel_size, name, "kernel_size", 1, LARGEST)
        given = self.kernel_size if stride is None else stride
        self.stride = check_int(given, name, "stride", 1, LARGEST)
        self.padding = check_padding(padding, name, axes=1)
        self.ceil_mode = check_flag(ceil_mode, name, "ceil_mode")

    def _flat(self) -> tuple[Any, Any, Any]:
        padding = self.padding if isinstance(self.padding, str) else ((0, 0), self.padding)
        return (1, self.kernel_size), (1, self.stride), padding

    def as_images(self) -> _Pool2D:
        """Return the pooling of images of height 1 that does the same."""
        raise NotImplementedError

    def _output(self) -> Array:
        if self.input_.ndim != 3:
            raise ValueError(
                f"{type(self).__name__}: the input must be (batch, channels, time), got shape "
                f"{self.input_.shape}"
            )
        self._images = self.as_images()
        with retold({type(self._images).__name__: type(self).__name__}):
            return self._images.forward(self.input_[:, :, np.newaxis])[:, :, 0]

    def _input_grad(self, output_grad: Array) -> Array:
        return self._images.backward(output_grad[:, :, np.newaxis])[:, :, 0]

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each number is from a kink."""
        return self.as_images().distance_to_kink(input_[:, :, np.newaxis])[:, :, 0]


class MaxPool1D(_Pool1D):
    """Keep the largest number of each window of a sequence.

    Forward: ``output[n, c, p] = max over i of input_[n, c, s p + d i]``. Backward: as MaxPool2D.

    Sequences are (batch, channels, time), as in Conv1D.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        The kernel size unless given.
    padding : int, (before, after), "same" or "valid", default 0
        At most half the kernel.
    dilation : int, default 1
    ceil_mode : bool, default False
        As in MaxPool2D.

    Examples
    --------
    >>> MaxPool1D(2).forward(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    array([[[3., 2.]]])
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: Padding1D = 0,
        dilation: int = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = check_int(dilation, "MaxPool1D", "dilation", 1, LARGEST)

    def as_images(self) -> _Pool2D:
        """Return the pooling of images of height 1 that does the same."""
        return MaxPool2D(*self._flat(), (1, self.dilation), self.ceil_mode)


class AvgPool1D(_Pool1D):
    """Take the mean of each window of a sequence.

    Forward: ``output[n, c, p] = mean over i of input_[n, c, s p + i]``. Backward: as AvgPool2D.

    Sequences are (batch, channels, time), as in Conv1D.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As in MaxPool1D.
    count_include_pad : bool, default True
        As in AvgPool2D.

    Examples
    --------
    >>> AvgPool1D(2).forward(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    array([[[2., 1.]]])
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: Padding1D = 0,
        count_include_pad: bool = True,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = check_flag(count_include_pad, "AvgPool1D", "count_include_pad")

    def as_images(self) -> _Pool2D:
        """Return the pooling of images of height 1 that does the same."""
        return AvgPool2D(*self._flat(), self.count_include_pad, self.ceil_mode)


class GlobalMaxPool2D(Operation):
    """Keep the largest pixel of each channel.

    Forward: (batch, channels, height, width) becomes (batch, channels). Backward: the gradient goes
    to that pixel; of equal ones to the first (a subgradient).

    Examples
    --------
    >>> GlobalMaxPool2D().forward(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[15.]])
    """

    _places: IntArray

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        if input_.ndim != 4 or not input_.shape[2] * input_.shape[3]:
            raise ValueError(
                "GlobalMaxPool2D: the input must be (batch, channels, height, width), with at "
                f"least one pixel, got shape {input_.shape}"
            )

    def _output(self) -> Array:
        batch, channels, height, width = self.input_.shape
        pixels = self.input_.reshape(batch, channels, height * width)
        self._places = pixels.argmax(axis=2, keepdims=True)
        return np.take_along_axis(pixels, self._places, axis=2)[:, :, 0]

    def _input_grad(self, output_grad: Array) -> Array:
        batch, channels, height, width = self.input_.shape
        grad = np.zeros((batch, channels, height * width), dtype=output_grad.dtype)
        np.put_along_axis(grad, self._places, output_grad[:, :, np.newaxis], axis=2)
        return grad.reshape(self.input_.shape)

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each pixel is from a tie for the largest."""
        return MaxPool2D(input_.shape[2:]).distance_to_kink(input_)


class GlobalAvgPool2D(Operation):
    """Take the mean of each channel (Lin, Chen and Yan, "Network in network", 2014).

    Forward: (batch, channels, height, width) becomes (batch, channels). Backward: each pixel gets
    ``output_grad / (height * width)``.

    Examples
    --------
    >>> GlobalAvgPool2D().forward(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[7.5]])
    """

    def _output(self) -> Array:
        return kernels.global_avg_pool2d(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.global_avg_pool2d_grad(output_grad, self.input_.shape)
