"""The Operations of convolutional layers."""

from operator import attrgetter
from typing import Any, ClassVar

from dlfs.backend import kernels
from dlfs.base import ParamOperation
from dlfs.checks import check_float_array, check_int
from dlfs.types import Array, Padding, Pair
from dlfs.windows import check_padding, pair, per_axis


class _Convolution(ParamOperation):
    """What all convolutions share: weights, and how the kernel moves over the input.

    ``kernel`` names a function of dlfs.reference; its gradients end in _input_grad and _param_grad.
    """

    axes: ClassVar[int] = 2
    kernel: ClassVar[str]
    options: Any = property(attrgetter("stride", "padding", "dilation", "groups"))
    """The arguments that the kernels take after the arrays."""

    def __init__(
        self,
        W: Array,
        stride: Pair = 1,
        padding: Padding = "same",
        dilation: Pair = 1,
        groups: int = 1,
    ) -> None:
        name = type(self).__name__
        check_float_array(W, name, "W", self.axes + 2)
        super().__init__(W)
        self.stride = per_axis(stride, name, "stride", self.axes)
        self.padding = check_padding(padding, name, self.axes)
        self.dilation = per_axis(dilation, name, "dilation", self.axes)
        self.groups = check_int(groups, name, "groups", 1)

    def _output(self) -> Array:
        return getattr(kernels, self.kernel)(self.input_, self.param, *self.options)

    def _input_grad(self, output_grad: Array) -> Array:
        gradient = getattr(kernels, self.kernel + "_input_grad")
        return gradient(output_grad, self.param, self.input_.shape, *self.options)

    def _param_grad(self, output_grad: Array) -> Array:
        gradient = getattr(kernels, self.kernel + "_param_grad")
        return gradient(output_grad, self.input_, self.param.shape, *self.options)


class Conv2D_Op(_Convolution):
    """Convolve images with a bank of kernels.

    Forward: ``output[n, o, p, q] = sum over c, i, j of X[n, c, s p + d i, s q + d j] * W[c, o, i,
    j]`` for stride s, dilation d and the padded input X. Backward: each output pixel sends its
    gradient to the pixels that it saw, times the weight between them (``input_grad``), and to those
    weights, times the pixel (``param_grad``). Images are (batch, channels, height, width). Book,
    chapter 5.

    Parameters
    ----------
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    stride, dilation : int or (height, width), default 1
    padding : "same", "valid", int, (height, width), ((top, bottom), (left, right)), default "same"
        "same" (the book's way) gives images of the input's size (divided by the stride).
    groups : int, default 1
        Channels are split into this many groups that do not see each other.

    Examples
    --------
    >>> op = Conv2D_Op(np.ones((1, 4, 3, 3)))
    >>> op.forward(np.ones((2, 1, 5, 6))).shape
    (2, 4, 5, 6)
    >>> op.backward(np.ones((2, 4, 5, 6)))[0, 0, 0, 0]
    np.float64(16.0)
    """

    kernel = "conv2d"


class Conv1D_Op(_Convolution):
    """Convolve sequences with a bank of kernels.

    Forward: ``output[n, o, p] = sum over c, i of X[n, c, s p + d i] * W[c, o, i]`` for stride s,
    dilation d and the padded input X. Backward: as Conv2D_Op, on one axis. Input is (batch,
    channels, length). Book, chapter 5.

    Parameters
    ----------
    W : ndarray, shape (in_channels / groups, out_channels, kernel_size)
    stride, dilation : int, default 1
    padding : "same", "valid", int, (before, after), default "same"
    groups : int, default 1

    Examples
    --------
    >>> Conv1D_Op(np.array([[[1.0, 10.0]]]), padding=0).forward(np.array([[[1.0, 2.0, 3.0]]]))
    array([[[21., 32.]]])
    """

    axes = 1
    kernel = "conv1d"


class ConvTranspose2D_Op(_Convolution):
    """Spread each pixel over a larger image: a transposed convolution ("deconvolution").

    Forward: ``output[n, o, s p + d i, s q + d j] += input_[n, c, p, q] * W[c, o, i, j]``, then the
    padding is cut off. Backward: the input's gradient is the plain convolution of output_grad with
    the same weights. Images are (batch, channels, height, width). Zeiler et al., 2010; book,
    chapter 7.

    Parameters
    ----------
    W, stride, dilation, groups
        As in Conv2D_Op.
    padding : "same", "valid", int, (height, width), ((top, bottom), (left, right)), default "same"
        What is cut off the output; "same" makes it stride times the input's size.
    output_padding : int or (height, width), default 0
        Rows and columns that are added at the bottom and right; less than the stride.

    Examples
    --------
    >>> op = ConvTranspose2D_Op(np.ones((1, 1, 1, 2)), stride=(1, 2), padding=0)
    >>> op.forward(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.]]]])
    """

    kernel = "conv_transpose2d"
    options = property(attrgetter("stride", "padding", "output_padding", "dilation", "groups"))

    def __init__(
        self,
        W: Array,
        stride: Pair = 1,
        padding: Padding = "same",
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(W, stride, padding, dilation, groups)
        self.output_padding = pair(output_padding, type(self).__name__, "output_padding", 0)
