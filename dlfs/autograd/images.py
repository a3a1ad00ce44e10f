"""Rules for images: the library's own kernels, forward and backward."""

from dlfs.autograd.elementwise import Ruled
from dlfs.backend import kernels
from dlfs.types import Array, Padding, Pair


def conv2d(
    x: Array,
    W: Array,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Ruled:
    """Return the convolution; x and W get their gradients from the two gradient kernels."""
    options = (stride, padding, dilation, groups)
    return kernels.conv2d(x, W, *options), (
        lambda g: kernels.conv2d_input_grad(g, W, x.shape, *options),
        lambda g: kernels.conv2d_param_grad(g, x, W.shape, *options),
    )


def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0
) -> Ruled:
    """Return the largest pixel of each window, which gets the window's gradient."""
    out, positions = kernels.max_pool2d(x, kernel_size, stride, padding)
    return out, (
        lambda g: kernels.max_pool2d_grad(g, positions, x.shape, kernel_size, stride, padding),
    )
