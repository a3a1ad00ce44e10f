"""A convolution together with the bias and the activation behind it.

What the chain of the three does, in one call: a compiled backend adds the bias and takes the
activation of a few rows of pixels while they are still in the cache.
"""

from dlfs.checks import (
    check_choice,
    check_float_array,
    check_gradient_pair,
    check_input_shape,
    check_same_dtype,
    check_shape,
)
from dlfs.reference.conv import _resolve, _resolve_shapes, conv2d, conv2d_param_grad
from dlfs.reference.dense import FUSED_ACTIVATIONS, bias_activation, bias_activation_grad
from dlfs.types import Array, Padding, Pair, Shape


def conv2d_bias_activation(
    x: Array,
    W: Array,
    b: Array,
    activation: str = "linear",
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Convolution, bias and activation in one call: ``activation(conv2d(x, W) + b)``.

    Parameters
    ----------
    x : ndarray, shape (batch, in_channels, height, width)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    b : ndarray, shape (1, out_channels, 1, 1)
    activation : {"linear", "sigmoid", "tanh", "relu"}
    stride, padding, dilation, groups
        As for ``conv2d``.

    Returns
    -------
    ndarray, shape (batch, out_channels, out_height, out_width)

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit, or the activation is unknown.

    Notes
    -----
    The chain of book chapter 5's layer. Backward: ``conv2d_bias_activation_param_grad``; for the
    gradient of the images ``bias_activation_grad``, then ``conv2d_input_grad``.

    Examples
    --------
    >>> import numpy as np
    >>> x, W = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> conv2d_bias_activation(x, W, np.full((1, 1, 1, 1), -15.0), "relu")[0, 0]
    array([[0., 0.],
           [5., 9.]])
    """
    owner = "conv2d_bias_activation"
    groups, _ = _resolve(x, W, stride, padding, dilation, groups, owner)
    check_float_array(b, owner, "b", 4)
    check_same_dtype(owner, x=x, b=b)
    check_shape(b, (1, W.shape[1], 1, 1), owner, "b")
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    return bias_activation(conv2d(x, W, stride, padding, dilation, groups), b, activation)


def conv2d_bias_activation_param_grad(
    output_grad: Array,
    output: Array,
    x: Array,
    param_shape: Shape,
    activation: str = "linear",
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Array]:
    """Carry a gradient back through ``conv2d_bias_activation`` to the weights and the bias.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_height, out_width)
    output : ndarray, the same shape
        What ``conv2d_bias_activation`` returned.
    x : ndarray, shape (batch, in_channels, height, width)
    param_shape : tuple
        The shape of the weights, (in_channels / groups, out_channels, kernel_height, kernel_width).
    activation : {"linear", "sigmoid", "tanh", "relu"}
    stride, padding, dilation, groups
        As for ``conv2d``.

    Returns
    -------
    W_grad : ndarray, shape param_shape
        ``conv2d_param_grad`` of ``output_grad * activation'(conv2d(x, W) + b)``.
    b_grad : ndarray, shape (1, out_channels, 1, 1)
        The sum of the same over batch and pixels.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit, or the activation is unknown.

    Notes
    -----
    What the first layer of a network needs, whose input is the data. Book, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> x, grad = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.ones((1, 1, 2, 2))
    >>> output = np.array([[[[0.0, 5.0], [0.0, 7.0]]]])
    >>> W_grad, b_grad = conv2d_bias_activation_param_grad(grad, output, x, (1, 1, 1, 1), "relu")
    >>> W_grad.item(), b_grad.item()
    (6.0, 2.0)
    """
    owner = "conv2d_bias_activation_param_grad"
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    check_float_array(x, owner, "x", 4)
    check_gradient_pair(output_grad, output, owner, "output")
    check_same_dtype(owner, output_grad=output_grad, x=x)
    groups, window = _resolve_shapes(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output, (x.shape[0], shape[1], *window.output), owner, "output")
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    grad, b_grad = bias_activation_grad(output_grad, output, activation)
    W_grad = conv2d_param_grad(grad, x, shape, stride, padding, dilation, groups)
    return W_grad, b_grad
