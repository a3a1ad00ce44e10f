"""Pooling: the largest or the mean pixel of each window.

Like a convolution, pooling is written as a walk over the window's few positions.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dlfs.checks import check_flag, check_float_array, check_input_shape, check_shape
from dlfs.types import Array, IntArray, Padding, Pair, Shape
from dlfs.windows import Window, check_total, window_2d


def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0
) -> tuple[Array, IntArray]:
    """Keep the largest pixel of each window.

    Parameters
    ----------
    x : ndarray, shape (batch, channels, height, width)
    kernel_size : int or (height, width)
    stride : int or (height, width), optional
        The kernel size unless given: windows side by side.
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        At most half the kernel. A padding pixel is never the largest.

    Returns
    -------
    output : ndarray, shape (batch, channels, out_height, out_width)
    positions : ndarray of uint8 (int32 for windows of more than 256 pixels), the same shape
        Where in its window the largest pixel stood, counted row by row; of equal ones the first.
        NaN counts as larger than any number; a window of nothing but -inf has position 0.

    Raises
    ------
    TypeError
        If x is not float32 or float64, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Backward: ``max_pool2d_grad``.

    Examples
    --------
    >>> output, positions = max_pool2d(np.array([[[[1.0, 7.0], [3.0, 4.0]]]]), 2)
    >>> output.item(), positions.item()
    (7.0, 1)
    """
    check_float_array(x, "max_pool2d", "x", 4)
    window = _pooling_window(x.shape, kernel_size, stride, padding, "max_pool2d")
    padded = np.pad(x, ((0, 0), (0, 0), *window.padding), constant_values=-np.inf)
    output = np.full((*x.shape[:2], *window.output), -np.inf, dtype=x.dtype)
    positions = np.zeros(output.shape, dtype=_position_dtype(window))
    for position, pixels in enumerate(_views(padded, window)):
        larger = (pixels > output) | (np.isnan(pixels) & ~np.isnan(output))
        np.copyto(output, pixels, where=larger)
        np.copyto(positions, positions.dtype.type(position), where=larger)
    return output, positions


def max_pool2d_grad(
    output_grad: Array,
    positions: IntArray,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> Array:
    """Carry a gradient back through ``max_pool2d``: to the largest pixel of each window.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, channels, out_height, out_width)
    positions : ndarray of integers, the same shape
        As ``max_pool2d`` returned them.
    input_shape : tuple
        The shape of the images, (batch, channels, height, width).
    kernel_size, stride, padding
        As ``max_pool2d`` was called.

    Returns
    -------
    ndarray, shape input_shape
        Each window adds its gradient to the pixel it chose; where windows overlap, a pixel may
        collect from several.

    Raises
    ------
    TypeError
        If output_grad is not float32 or float64, positions are no integers of the right dtype, or
        an option is no integer.
    ValueError
        If a shape, a position or an option does not fit.

    Notes
    -----
    At a tie all but the first of the largest pixels get nothing: a subgradient.

    Examples
    --------
    >>> positions = np.array([[[[1]]]], dtype=np.uint8)
    >>> max_pool2d_grad(np.array([[[[5.0]]]]), positions, (1, 1, 2, 2), 2)[0, 0]
    array([[0., 5.],
           [0., 0.]])
    """
    owner = "max_pool2d_grad"
    shape = check_input_shape(input_shape, owner, 4)
    window = _pooling_window(shape, kernel_size, stride, padding, owner)
    _check_output_grad(output_grad, shape, window, owner)
    if not isinstance(positions, np.ndarray) or positions.dtype != _position_dtype(window):
        got = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(
            f"{owner}: positions must be an array of {np.dtype(_position_dtype(window))}, got {got}"
        )
    check_shape(positions, output_grad.shape, owner, "positions")
    if positions.size and not 0 <= positions.min() <= positions.max() < _window_size(window):
        raise ValueError(
            f"{owner}: positions must lie in 0..{_window_size(window) - 1}, "
            f"got {positions.min()}..{positions.max()}"
        )
    padded = np.zeros(_padded_shape(shape, window), dtype=output_grad.dtype)
    for position, pixels in enumerate(_views(padded, window)):
        pixels += np.where(positions == position, output_grad, 0)
    return _crop(padded, shape, window)


def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Array:
    """Take the mean of each window.

    Parameters
    ----------
    x : ndarray, shape (batch, channels, height, width)
    kernel_size : int or (height, width)
    stride : int or (height, width), optional
        The kernel size unless given: windows side by side.
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        At most half the kernel.
    count_include_pad : bool
        Whether padding pixels count as zeros in the mean, or not at all.

    Returns
    -------
    ndarray, shape (batch, channels, out_height, out_width)
        The sum of a window's pixels over the number of them that count.

    Raises
    ------
    TypeError
        If x is not float32 or float64, or an option has the wrong type.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    LeCun et al., 1998. Backward: ``avg_pool2d_grad``.

    Examples
    --------
    >>> avg_pool2d(np.array([[[[1.0, 7.0], [3.0, 5.0]]]]), 2).item()
    4.0
    """
    check_float_array(x, "avg_pool2d", "x", 4)
    check_flag(count_include_pad, "avg_pool2d", "count_include_pad")
    window = _pooling_window(x.shape, kernel_size, stride, padding, "avg_pool2d")
    padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
    total = np.zeros((*x.shape[:2], *window.output), dtype=x.dtype)
    for pixels in _views(padded, window):
        total += pixels
    return total / _counts(x.shape, window, count_include_pad, x.dtype)


def avg_pool2d_grad(
    output_grad: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Array:
    """Carry a gradient back through ``avg_pool2d``: an equal share to each pixel of a window.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, channels, out_height, out_width)
    input_shape : tuple
        The shape of the images, (batch, channels, height, width).
    kernel_size, stride, padding, count_include_pad
        As ``avg_pool2d`` was called.

    Returns
    -------
    ndarray, shape input_shape
        Each pixel collects ``output_grad / count`` from every window that saw it.

    Raises
    ------
    TypeError
        If output_grad is not float32 or float64, or an option has the wrong type.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    LeCun et al., 1998.

    Examples
    --------
    >>> avg_pool2d_grad(np.array([[[[8.0]]]]), (1, 1, 2, 2), 2)[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    owner = "avg_pool2d_grad"
    shape = check_input_shape(input_shape, owner, 4)
    check_flag(count_include_pad, owner, "count_include_pad")
    window = _pooling_window(shape, kernel_size, stride, padding, owner)
    _check_output_grad(output_grad, shape, window, owner)
    share = output_grad / _counts(shape, window, count_include_pad, output_grad.dtype)
    padded = np.zeros(_padded_shape(shape, window), dtype=output_grad.dtype)
    for pixels in _views(padded, window):
        pixels += share
    return _crop(padded, shape, window)


def global_avg_pool2d(x: Array) -> Array:
    """Take the mean of each channel over all its pixels.

    Parameters
    ----------
    x : ndarray, shape (batch, channels, height, width)

    Returns
    -------
    ndarray, shape (batch, channels)

    Raises
    ------
    TypeError
        If x is not float32 or float64.
    ValueError
        If x does not have 4 dimensions, or no pixels.

    Notes
    -----
    Lin, Chen and Yan, "Network in network", 2014. Backward: ``global_avg_pool2d_grad``.

    Examples
    --------
    >>> global_avg_pool2d(np.array([[[[1.0, 7.0], [3.0, 5.0]]]]))
    array([[4.]])
    """
    check_float_array(x, "global_avg_pool2d", "x", 4)
    _check_pixels(x.shape, "global_avg_pool2d")
    output: Array = x.mean(axis=(2, 3))
    return output


def global_avg_pool2d_grad(output_grad: Array, input_shape: Shape) -> Array:
    """Carry a gradient back through ``global_avg_pool2d``: an equal share to each pixel.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, channels)
    input_shape : tuple
        The shape of the images, (batch, channels, height, width).

    Returns
    -------
    ndarray, shape input_shape
        ``output_grad / (height * width)`` at every pixel.

    Raises
    ------
    TypeError
        If output_grad is not float32 or float64.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Lin, Chen and Yan, 2014.

    Examples
    --------
    >>> global_avg_pool2d_grad(np.array([[8.0]]), (1, 1, 2, 2))[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    owner = "global_avg_pool2d_grad"
    shape = check_input_shape(input_shape, owner, 4)
    check_float_array(output_grad, owner, "output_grad", 2)
    _check_pixels(shape, owner)
    check_shape(output_grad, shape[:2], owner, "output_grad")
    share = output_grad / (shape[2] * shape[3])
    return np.broadcast_to(share[:, :, np.newaxis, np.newaxis], shape).copy()


def _pooling_window(
    input_shape: Shape, kernel_size: Pair, stride: Pair | None, padding: Padding, owner: str
) -> Window:
    stride = kernel_size if stride is None else stride
    size = (input_shape[2], input_shape[3])
    window = window_2d(size, kernel_size, stride, padding, owner=owner)
    for axis in range(2):
        if max(window.padding[axis]) > window.kernel[axis] // 2:
            raise ValueError(
                f"{owner}: padding must be at most half the kernel {window.kernel}, "
                f"got {window.padding}"
            )
    check_total(window, size, input_shape[0] * input_shape[1], owner)
    return window


def _position_dtype(window: Window) -> type[np.integer[Any]]:
    return np.uint8 if _window_size(window) <= 256 else np.int32


def _window_size(window: Window) -> int:
    return window.kernel[0] * window.kernel[1]


def _views(padded: Array, window: Window) -> Iterator[Array]:
    """Return, for every position of the window, a view of the pixels that stand there."""
    (stride_h, stride_w), (height, width) = window.stride, window.output
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            rows = slice(i, i + stride_h * (height - 1) + 1, stride_h)
            columns = slice(j, j + stride_w * (width - 1) + 1, stride_w)
            yield padded[..., rows, columns]


def _counts(
    input_shape: Shape, window: Window, count_include_pad: bool, dtype: np.dtype[Any]
) -> Array:
    """Return the number of pixels that count in each window, shape (out_height, out_width)."""
    if count_include_pad:
        return np.full(window.output, _window_size(window), dtype=dtype)
    inside = np.pad(np.ones(input_shape[2:], dtype=dtype), window.padding)
    counts = np.zeros(window.output, dtype=dtype)
    for pixels in _views(inside, window):
        counts += pixels
    return counts


def _padded_shape(input_shape: Shape, window: Window) -> Shape:
    (top, bottom), (left, right) = window.padding
    batch, channels, height, width = input_shape
    return batch, channels, height + top + bottom, width + left + right


def _crop(padded: Array, input_shape: Shape, window: Window) -> Array:
    (top, _), (left, _) = window.padding
    return padded[:, :, top : top + input_shape[2], left : left + input_shape[3]]


def _check_output_grad(output_grad: Array, input_shape: Shape, window: Window, owner: str) -> None:
    check_float_array(output_grad, owner, "output_grad", 4)
    check_shape(output_grad, (*input_shape[:2], *window.output), owner, "output_grad")


def _check_pixels(input_shape: Shape, owner: str) -> None:
    if input_shape[2] < 1 or input_shape[3] < 1:
        raise ValueError(f"{owner}: the images have no pixels (shape {input_shape})")
