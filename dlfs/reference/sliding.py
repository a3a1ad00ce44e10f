"""What convolution and pooling share: padding, and the pixels that a window meets.

Both are written as a walk over the few positions (i, j) of the window. Position (i, j) meets one
pixel for each place where the window stops, so that all of them are one slice of the padded image:
pixel ``[s p + d i, s q + d j]`` for place (p, q), stride s and dilation d.
"""

import numpy as np

from dlfs.types import Array, Shape
from dlfs.windows import Window


def window_pixels(padded: Array, window: Window) -> list[tuple[int, int, Array]]:
    """Return all positions (i, j) of the window, row by row, each with a view of what it meets."""
    (s, t), (d, e) = window.stride, window.dilation
    height, width = s * (window.output[0] - 1) + 1, t * (window.output[1] - 1) + 1
    return [
        (i, j, padded[:, :, d * i : d * i + height : s, e * j : e * j + width : t])
        for i, j in np.ndindex(*window.kernel)
    ]


def pad(x: Array, window: Window, value: float = 0) -> Array:
    """Return the images with the window's padding around them."""
    return np.pad(x, ((0, 0), (0, 0), *window.padding), constant_values=value)


def padded_shape(input_shape: Shape, window: Window) -> Shape:
    """Return the shape of images of ``input_shape`` with their padding."""
    (top, bottom), (left, right) = window.padding
    batch, channels, height, width = input_shape
    return batch, channels, height + top + bottom, width + left + right


def crop(padded: Array, input_shape: Shape, window: Window) -> Array:
    """Return the images without their padding, a view."""
    (top, _), (left, _) = window.padding
    return padded[:, :, top : top + input_shape[2], left : left + input_shape[3]]
