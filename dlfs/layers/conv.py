"""Convolutional layers."""

import math
from typing import ClassVar

import numpy as np

from dlfs.activations import Linear, own_copy
from dlfs.base import Operation
from dlfs.checks import check_flag, check_input_shape, check_int, check_real
from dlfs.conv import Conv1D_Op, Conv2D_Op, ConvTranspose2D_Op
from dlfs.dense import BiasAdd
from dlfs.dropout import Dropout
from dlfs.initializers import Initializer, check_weight_init, choose_init, draw_weights
from dlfs.layers.base import Layer
from dlfs.reshape import Flatten
from dlfs.types import Array, Padding, Pair, Shape
from dlfs.windows import check_channels, check_padding, pair, per_axis


class _ConvLayer(Layer):
    """What all convolutional layers share: convolution, bias, activation, flatten, dropout."""

    convolution: ClassVar[type[Conv2D_Op | Conv1D_Op | ConvTranspose2D_Op]]
    options = Conv2D_Op.options

    def __init__(
        self,
        out_channels: int,
        param_size: Pair,
        dropout: float = 1.0,
        weight_init: str | Initializer | None = None,
        activation: Operation | None = None,
        flatten: bool = False,
        stride: Pair = 1,
        padding: Padding = "same",
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        name, axes = type(self).__name__, self.convolution.axes
        self.out_channels = check_int(out_channels, name, "out_channels", 1)
        super().__init__(self.out_channels)
        self.dropout = check_real(dropout, name, "dropout", 0.0, 1.0, low_open=True)
        self.weight_init = check_weight_init(weight_init, name)
        self.activation = own_copy(activation, Linear, name)
        self.flatten = check_flag(flatten, name, "flatten")
        self.groups = check_int(groups, name, "groups", 1)
        self.bias = check_flag(bias, name, "bias")
        self.param_size = per_axis(param_size, name, "param_size", axes)
        self.stride = per_axis(stride, name, "stride", axes)
        self.padding = check_padding(padding, name, axes)
        self.dilation = per_axis(dilation, name, "dilation", axes)

    def _fans(self, shape: Shape) -> tuple[int, int]:
        """Return how many numbers meet in one output, and how many outputs one input reaches."""
        in_group, out_channels, *kernel = shape
        positions = math.prod(kernel)
        return in_group * positions, out_channels // self.groups * positions

    def _setup_layer(self, input_: Array) -> None:
        name, axes = type(self).__name__, self.convolution.axes
        if input_.ndim != 2 + axes:
            named = "height, width" if axes == 2 else "length"
            raise ValueError(
                f"{name}: the input must be (batch, channels, {named}), got {input_.shape}"
            )
        in_channels, dtype = input_.shape[1], self._param_dtype(input_)
        kernel = self.param_size if axes == 2 else (self.param_size,)
        shape = (in_channels // self.groups, self.out_channels, *kernel)
        check_channels(input_.shape, shape, self.groups, name)
        check_input_shape(shape, name, name="the shape of the weights")
        init = choose_init(self.weight_init, self.activation, self.following)
        W = draw_weights(init, self.rng, shape, *self._fans(shape), dtype)
        self.operations = [self.convolution(W, *self.options)]
        if self.bias:
            per_channel = (1, self.out_channels) + (1,) * axes
            self.operations.append(BiasAdd(np.zeros(per_channel, dtype=dtype)))
        self.operations.append(self.activation)
        if self.flatten:
            self.operations.append(Flatten())
        if self.dropout < 1.0:
            self.operations.append(Dropout(self.dropout))


class Conv2D(_ConvLayer):
    """A convolutional layer for images (book, chapter 5).

    Forward: ``output = activation(conv2d(input_, W) + B)``; then Flatten and Dropout, if asked for.

    Parameters
    ----------
    out_channels : int
        The number of kernels, and of channels of the output.
    param_size : int or (height, width)
        The kernel's size.
    dropout : float, default 1.0
        The probability that an output is kept; 1 keeps them all.
    weight_init : {"standard", "normal", "glorot", "he"} or callable, optional
        How the weights start; by default as suits the activation, see dlfs.initializers. "normal"
        is the book's name for "standard".
    activation : Operation, optional
        Linear unless given. The layer works with a copy.
    flatten : bool, default False
        Whether to lay the output in a row, for a Dense layer.
    stride, dilation : int or (height, width), default 1
    padding : "same", "valid", int, (height, width), ((top, bottom), (left, right)), default "same"
    groups : int, default 1
    bias : bool, default True
        Whether each output channel gets a bias; the book's layer has none.

    Examples
    --------
    >>> from dlfs.activations import Tanh
    >>> layer = Conv2D(out_channels=16, param_size=5, activation=Tanh(), weight_init="glorot")
    >>> layer.forward(np.zeros((2, 1, 28, 28))).shape
    (2, 16, 28, 28)
    """

    convolution = Conv2D_Op


class Conv1D(_ConvLayer):
    """A convolutional layer for sequences, (batch, channels, length); book, chapter 5.

    Forward: ``output = activation(conv1d(input_, W) + B)``, and on as Conv2D.

    Parameters
    ----------
    param_size : int
        The kernel's size.
    out_channels, dropout, weight_init, activation, flatten, groups, bias
        As in Conv2D.
    stride, dilation : int, default 1
    padding : "same", "valid", int, (before, after), default "same"

    Examples
    --------
    >>> Conv1D(out_channels=4, param_size=3).forward(np.zeros((2, 1, 10))).shape
    (2, 4, 10)
    """

    convolution = Conv1D_Op


class ConvTranspose2D(_ConvLayer):
    """A layer that makes images larger: the transposed convolution ("deconvolution").

    Forward: ``output = activation(conv_transpose2d(input_, W) + B)``, and on as Conv2D. Zeiler et
    al., 2010; book, chapter 7.

    Parameters
    ----------
    out_channels, param_size, dropout, weight_init, activation, flatten, dilation, groups, bias
        As in Conv2D.
    stride : int or (height, width), default 1
        With "same" padding the output is stride times as large as the input.
    padding : "same", "valid", int, (height, width), ((top, bottom), (left, right)), default "same"
    output_padding : int or (height, width), default 0
        Rows and columns that are added at the bottom and right; less than the stride.

    Examples
    --------
    >>> ConvTranspose2D(out_channels=4, param_size=4, stride=2).forward(
    ...     np.zeros((2, 1, 7, 7))
    ... ).shape
    (2, 4, 14, 14)
    """

    convolution = ConvTranspose2D_Op
    options = ConvTranspose2D_Op.options

    def __init__(
        self,
        out_channels: int,
        param_size: Pair,
        dropout: float = 1.0,
        weight_init: str | Initializer | None = None,
        activation: Operation | None = None,
        flatten: bool = False,
        stride: Pair = 1,
        padding: Padding = "same",
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        options = (flatten, stride, padding, dilation, groups, bias)
        super().__init__(out_channels, param_size, dropout, weight_init, activation, *options)
        self.output_padding = pair(output_padding, type(self).__name__, "output_padding", 0)

    def _fans(self, shape: Shape) -> tuple[int, int]:
        # Turned round, the convolution sums into one output only every stride-th position.
        fan_in, fan_out = super()._fans(shape)
        return max(fan_in // math.prod(self.stride), 1), fan_out
