"""The Operations of convolutional layers."""

from dlfs.backend import kernels
from dlfs.base import ParamOperation
from dlfs.checks import check_float_array, check_int
from dlfs.types import Array, Padding, Padding1D, Pair
from dlfs.windows import check_padding, pair


class Conv2D_Op(ParamOperation):
    """Convolve images with a bank of kernels.

    Forward: ``output[n, o, p, q] = sum over c, i, j of X[n, c, s p + d i, s q + d j] * W[c, o, i,
    j]`` for stride s, dilation d and the padded input X. Backward: each output pixel sends its
    gradient to the pixels that it saw, times the weight between them (``input_grad``), and to those
    weights, times the pixel (``param_grad``).

    Parameters
    ----------
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        "same" (the book's way) gives images of the input's size (divided by the stride).
    groups : int
        Channels are split into so many groups that do not see each other.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the images do not have as many channels, or
        are smaller than the kernel.

    Notes
    -----
    Images are (batch, channels, height, width). Book, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> op = Conv2D_Op(np.ones((1, 4, 3, 3)))
    >>> op.forward(np.ones((2, 1, 5, 6))).shape
    (2, 4, 5, 6)
    >>> op.backward(np.ones((2, 4, 5, 6)))[0, 0, 0, 0]
    np.float64(16.0)
    """

    def __init__(
        self,
        W: Array,
        stride: Pair = 1,
        padding: Padding = "same",
        dilation: Pair = 1,
        groups: int = 1,
    ) -> None:
        name = type(self).__name__
        check_float_array(W, name, "W", 4)
        super().__init__(W)
        self.stride = pair(stride, name, "stride")
        check_padding(padding, name)
        self.padding = padding
        self.dilation = pair(dilation, name, "dilation")
        self.groups = check_int(groups, name, "groups", 1)

    def _output(self) -> Array:
        return kernels.conv2d(
            self.input_, self.param, self.stride, self.padding, self.dilation, self.groups
        )

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.conv2d_input_grad(
            output_grad,
            self.param,
            self.input_.shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.conv2d_param_grad(
            output_grad,
            self.input_,
            self.param.shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class Conv1D_Op(ParamOperation):
    """Convolve sequences with a bank of kernels.

    Forward: ``output[n, o, p] = sum over c, i of X[n, c, s p + d i] * W[c, o, i]`` for stride s,
    dilation d and the padded input X. Backward: as Conv2D_Op, on one axis.

    Parameters
    ----------
    W : ndarray, shape (in_channels / groups, out_channels, kernel_size)
    stride, dilation : int
    padding : int, (before, after), "same" or "valid"
    groups : int

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the sequences do not have as many channels,
        or are shorter than the kernel.

    Notes
    -----
    Input is (batch, channels, length). Book, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> Conv1D_Op(np.array([[[1.0, 10.0]]]), padding=0).forward(np.array([[[1.0, 2.0, 3.0]]]))
    array([[[21., 32.]]])
    """

    def __init__(
        self,
        W: Array,
        stride: int = 1,
        padding: Padding1D = "same",
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        name = type(self).__name__
        check_float_array(W, name, "W", 3)
        super().__init__(W)
        self.stride = check_int(stride, name, "stride", 1)
        check_padding(padding, name, 1)
        self.padding = padding
        self.dilation = check_int(dilation, name, "dilation", 1)
        self.groups = check_int(groups, name, "groups", 1)

    def _output(self) -> Array:
        return kernels.conv1d(
            self.input_, self.param, self.stride, self.padding, self.dilation, self.groups
        )

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.conv1d_input_grad(
            output_grad,
            self.param,
            self.input_.shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.conv1d_param_grad(
            output_grad,
            self.input_,
            self.param.shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class ConvTranspose2D_Op(ParamOperation):
    """Spread each pixel over a larger image: a convolution turned round ("deconvolution").

    Forward: ``output[n, o, s p + d i, s q + d j] += input_[n, c, p, q] * W[c, o, i, j]``, then the
    padding is cut off. Backward: the input's gradient is the plain convolution of output_grad with
    the same weights.

    Parameters
    ----------
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        What is cut off the output; "same" makes it stride times the input's size.
    output_padding : int or (height, width)
        So many rows and columns more at the bottom and right; less than the stride.
    groups : int

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the images do not have as many channels, or
        nothing would be left of the output.

    Notes
    -----
    Images are (batch, channels, height, width). Zeiler et al., 2010; book, chapter 7.

    Examples
    --------
    >>> import numpy as np
    >>> op = ConvTranspose2D_Op(np.ones((1, 1, 1, 2)), stride=(1, 2), padding=0)
    >>> op.forward(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.]]]])
    """

    def __init__(
        self,
        W: Array,
        stride: Pair = 1,
        padding: Padding = "same",
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ) -> None:
        name = type(self).__name__
        check_float_array(W, name, "W", 4)
        super().__init__(W)
        self.stride = pair(stride, name, "stride")
        check_padding(padding, name)
        self.padding = padding
        self.output_padding = pair(output_padding, name, "output_padding", minimum=0)
        self.dilation = pair(dilation, name, "dilation")
        self.groups = check_int(groups, name, "groups", 1)

    def _output(self) -> Array:
        return kernels.conv_transpose2d(
            self.input_,
            self.param,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.conv_transpose2d_input_grad(
            output_grad,
            self.param,
            self.input_.shape,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.conv_transpose2d_param_grad(
            output_grad,
            self.input_,
            self.param.shape,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )
