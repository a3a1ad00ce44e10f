"""Pooling: the largest or the mean pixel of each window, a walk over the window's few positions.

Options: kernel_size and stride are an integer or (height, width), and the stride is the kernel size
unless given, so that windows lie side by side. padding is n, (height, width), ((top, bottom),
(left, right)), "same" or "valid", and at most half of what the kernel covers. With a dilation the
pixels of a window are so far apart; only max_pool2d has it. Gradients take the options as the
pooling did.
"""

from typing import Any

import numpy as np

from dlfs.checks import check_flag, check_range, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.kernel import kernel
from dlfs.reference.sliding import crop, pad, padded_shape, window_pixels
from dlfs.types import Array, IntArray, Padding, Pair, Shape
from dlfs.windows import Window, pooling_window

IMAGES = "batch channels height width"


@kernel(x=IMAGES)
def max_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> tuple[Array, IntArray]:
    """Keep the largest pixel of each window, and its position there, counted row by row.

    x (batch, channels, height, width) -> output, positions (batch, channels, out_height, out_width)

    Of equal pixels the first counts, NaN counts as larger than any number, and padding as -inf; a
    window of nothing but -inf has position 0. Positions are uint8, or int32 for windows of more
    than 256 pixels.

    >>> output, positions = max_pool2d(np.array([[[[1.0, 7.0], [3.0, 4.0]]]]), 2)
    >>> output.item(), positions.item()
    (7.0, 1)
    """
    window = pooling_window(x.shape, kernel_size, stride, padding, "max_pool2d", dilation)
    seen = np.stack([pixels for *_, pixels in window_pixels(pad(x, window, -np.inf), window)])
    positions = seen.argmax(axis=0)
    output = np.take_along_axis(seen, positions[np.newaxis], axis=0)[0]
    return output, positions.astype(position_dtype(window))


@kernel(input_shape=4)
def max_pool2d_grad(
    output_grad: Array,
    positions: IntArray,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> Array:
    """Gradient of ``max_pool2d``: each window adds its gradient to the pixel that it chose.

    output_grad, positions (batch, channels, out_height, out_width) -> input_shape

    At a tie all but the first of the largest pixels get 0: a subgradient.

    >>> positions = np.array([[[[1]]]], dtype=np.uint8)
    >>> max_pool2d_grad(np.array([[[[5.0]]]]), positions, (1, 1, 2, 2), 2)[0, 0]
    array([[0., 5.],
           [0., 0.]])
    """
    owner = "max_pool2d_grad"
    window = pooling_window(input_shape, kernel_size, stride, padding, owner, dilation)
    check_arrays(owner, output_grad=(output_grad, (*input_shape[:2], *window.output)))
    if not isinstance(positions, np.ndarray) or positions.dtype != position_dtype(window):
        got = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(
            f"{owner}: positions must be an array of {np.dtype(position_dtype(window))}, got {got}"
        )
    check_shape(positions, output_grad.shape, owner, "positions")
    check_range(positions, window.kernel[0] * window.kernel[1] - 1, owner, "positions")
    padded = np.zeros(padded_shape(input_shape, window), dtype=output_grad.dtype)
    for position, (_, _, pixels) in enumerate(window_pixels(padded, window)):
        pixels += np.where(positions == position, output_grad, 0)
    return crop(padded, input_shape, window)


@kernel(x=IMAGES)
def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Array:
    """Take the mean of each window: the sum of its pixels over the number of those that count.

    x (batch, channels, height, width) -> (batch, channels, out_height, out_width)

    Padding counts as zeros, or not at all if count_include_pad is false.

    >>> avg_pool2d(np.array([[[[1.0, 7.0], [3.0, 5.0]]]]), 2).item()
    4.0
    """
    check_flag(count_include_pad, "avg_pool2d", "count_include_pad")
    window = pooling_window(x.shape, kernel_size, stride, padding, "avg_pool2d")
    return _window_sums(x, window) / _counts(x.shape, window, count_include_pad, x.dtype)


@kernel(input_shape=4)
def avg_pool2d_grad(
    output_grad: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Array:
    """Gradient of ``avg_pool2d``: each pixel collects ``output_grad / count`` of its windows.

    output_grad (batch, channels, out_height, out_width) -> input_shape

    >>> avg_pool2d_grad(np.array([[[[8.0]]]]), (1, 1, 2, 2), 2)[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    owner = "avg_pool2d_grad"
    check_flag(count_include_pad, owner, "count_include_pad")
    window = pooling_window(input_shape, kernel_size, stride, padding, owner)
    check_arrays(owner, output_grad=(output_grad, (*input_shape[:2], *window.output)))
    share = output_grad / _counts(input_shape, window, count_include_pad, output_grad.dtype)
    padded = np.zeros(padded_shape(input_shape, window), dtype=output_grad.dtype)
    for _, _, pixels in window_pixels(padded, window):
        pixels += share
    return crop(padded, input_shape, window)


@kernel(x=IMAGES)
def global_avg_pool2d(x: Array) -> Array:
    """Take the mean of each channel over all its pixels.

    x (batch, channels, height, width) -> (batch, channels)

    >>> global_avg_pool2d(np.array([[[[1.0, 7.0], [3.0, 5.0]]]]))
    array([[4.]])
    """
    check_pixels(x.shape, "global_avg_pool2d")
    return x.mean(axis=(2, 3))


@kernel(input_shape=4)
def global_avg_pool2d_grad(output_grad: Array, input_shape: Shape) -> Array:
    """Gradient of ``global_avg_pool2d``: ``output_grad / (height * width)`` at every pixel.

    output_grad (batch, channels) -> input_shape

    >>> global_avg_pool2d_grad(np.array([[8.0]]), (1, 1, 2, 2))[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    owner = "global_avg_pool2d_grad"
    check_pixels(input_shape, owner)
    check_arrays(owner, output_grad=(output_grad, input_shape[:2]))
    share = output_grad / (input_shape[2] * input_shape[3])
    return np.broadcast_to(share[:, :, np.newaxis, np.newaxis], input_shape).copy()


def position_dtype(window: Window) -> type[np.integer[Any]]:
    """Return the dtype of ``max_pool2d``'s positions."""
    return np.uint8 if window.kernel[0] * window.kernel[1] <= 256 else np.int32


def check_pixels(input_shape: Shape, owner: str) -> None:
    """Demand images of at least one pixel."""
    if input_shape[2] < 1 or input_shape[3] < 1:
        raise ValueError(
            f"{owner}: the images must have at least one pixel, got shape {input_shape}"
        )


def _window_sums(x: Array, window: Window) -> Array:
    total = np.zeros((*x.shape[:2], *window.output), dtype=x.dtype)
    for _, _, pixels in window_pixels(pad(x, window), window):
        total += pixels
    return total


def _counts(shape: Shape, window: Window, count_include_pad: bool, dtype: np.dtype[Any]) -> Array:
    """Return the number of pixels that count in each window."""
    if count_include_pad:
        return np.array(window.kernel[0] * window.kernel[1], dtype=dtype)
    return _window_sums(np.ones((1, 1, *shape[2:]), dtype=dtype), window)
