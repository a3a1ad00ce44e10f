"""Weight multiply, bias and scale: the kernels of a dense layer, and the chain of them fused."""

import numpy as np

from dlfs.checks import (
    check_choice,
    check_float_array,
    check_gradient_pair,
    check_same_dtype,
    check_shape,
)
from dlfs.reference.activations import sigmoid, sigmoid_grad, tanh, tanh_grad
from dlfs.reference.rectifiers import relu, relu_grad
from dlfs.types import Array, Shape

FUSED_ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu")
"""The activations whose derivative their own output tells: these can be fused."""


def weight_multiply(x: Array, W: Array) -> Array:
    """Multiply a batch by a weight matrix: ``x @ W``.

    Parameters
    ----------
    x : ndarray, shape (batch, in_features)
    W : ndarray, shape (in_features, out_features)

    Returns
    -------
    ndarray, shape (batch, out_features)

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Book, chapter 3. Backward: ``weight_multiply_input_grad``, ``weight_multiply_param_grad``.

    Examples
    --------
    >>> weight_multiply(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    _check_product(x, W, "weight_multiply")
    return x @ W


def weight_multiply_input_grad(output_grad: Array, W: Array) -> Array:
    """Carry a gradient back through ``x @ W`` to ``x``: ``output_grad @ W.T``.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_features)
    W : ndarray, shape (in_features, out_features)

    Returns
    -------
    ndarray, shape (batch, in_features)

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Book, chapters 1 and 3.

    Examples
    --------
    >>> weight_multiply_input_grad(np.array([[1.0]]), np.array([[3.0], [4.0]]))
    array([[3., 4.]])
    """
    owner = "weight_multiply_input_grad"
    check_float_array(output_grad, owner, "output_grad", 2)
    check_float_array(W, owner, "W", 2)
    check_same_dtype(owner, output_grad=output_grad, W=W)
    check_shape(output_grad, (output_grad.shape[0], W.shape[1]), owner, "output_grad")
    return output_grad @ W.T


def weight_multiply_param_grad(output_grad: Array, x: Array) -> Array:
    """Carry a gradient back through ``x @ W`` to ``W``: ``x.T @ output_grad``.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_features)
    x : ndarray, shape (batch, in_features)

    Returns
    -------
    ndarray, shape (in_features, out_features)

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Book, chapters 1 and 3.

    Examples
    --------
    >>> weight_multiply_param_grad(np.array([[1.0]]), np.array([[3.0, 4.0]]))
    array([[3.],
           [4.]])
    """
    owner = "weight_multiply_param_grad"
    check_float_array(output_grad, owner, "output_grad", 2)
    check_float_array(x, owner, "x", 2)
    check_same_dtype(owner, output_grad=output_grad, x=x)
    check_shape(output_grad, (x.shape[0], output_grad.shape[1]), owner, "output_grad")
    return x.T @ output_grad


def bias_add(x: Array, b: Array) -> Array:
    """Add a bias to every feature (or channel): ``x + b``.

    Parameters
    ----------
    x : ndarray, shape (batch, features, ...)
        Dense features, or images whose channels each get one bias.
    b : ndarray, shape (1, features) followed by a 1 for every further axis of x

    Returns
    -------
    ndarray, the shape of x

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Book, chapter 3. Backward: the gradient of ``x`` is ``output_grad``, that of ``b`` is
    ``bias_add_param_grad``.

    Examples
    --------
    >>> bias_add(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[11., 22.]])
    """
    _check_per_feature(x, b, "bias_add", "b")
    return x + b


def bias_add_param_grad(output_grad: Array) -> Array:
    """Carry a gradient back through ``x + b`` to ``b``: its sum over batch and pixels.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, features, ...)

    Returns
    -------
    ndarray, shape (1, features) followed by a 1 for every further axis

    Raises
    ------
    TypeError
        If the array is not float32 or float64.
    ValueError
        If it has fewer than 2 dimensions.

    Notes
    -----
    Book, chapter 3.

    Examples
    --------
    >>> bias_add_param_grad(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[4., 6.]])
    """
    _check_at_least_2d(output_grad, "bias_add_param_grad", "output_grad")
    param_grad: Array = output_grad.sum(axis=_all_but_features(output_grad), keepdims=True)
    return param_grad


def scale_multiply(x: Array, gamma: Array) -> Array:
    """Multiply every feature (or channel) by its own number: ``x * gamma``.

    Parameters
    ----------
    x : ndarray, shape (batch, features, ...)
    gamma : ndarray, shape (1, features) followed by a 1 for every further axis of x

    Returns
    -------
    ndarray, the shape of x

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    The scale of a normalization layer (Ioffe and Szegedy, 2015). Backward: the gradient of ``x``
    is ``output_grad * gamma``, that of ``gamma`` is ``scale_multiply_param_grad``.

    Examples
    --------
    >>> scale_multiply(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[10., 40.]])
    """
    _check_per_feature(x, gamma, "scale_multiply", "gamma")
    return x * gamma


def scale_multiply_param_grad(output_grad: Array, x: Array) -> Array:
    """Carry a gradient back through ``x * gamma`` to ``gamma``: the sum of ``output_grad * x``.

    Parameters
    ----------
    output_grad, x : ndarray, shape (batch, features, ...)

    Returns
    -------
    ndarray, shape (1, features) followed by a 1 for every further axis

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ or have fewer than 2 dimensions.

    Notes
    -----
    Ioffe and Szegedy, "Batch Normalization", 2015.

    Examples
    --------
    >>> scale_multiply_param_grad(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    owner = "scale_multiply_param_grad"
    _check_at_least_2d(x, owner, "x")
    check_gradient_pair(output_grad, x, owner, "x")
    param_grad: Array = (output_grad * x).sum(axis=_all_but_features(x), keepdims=True)
    return param_grad


def dense(x: Array, W: Array, b: Array, activation: str = "linear") -> Array:
    """Weight multiply, bias and activation in one call: ``activation(x @ W + b)``.

    Parameters
    ----------
    x : ndarray, shape (batch, in_features)
    W : ndarray, shape (in_features, out_features)
    b : ndarray, shape (1, out_features)
    activation : {"linear", "sigmoid", "tanh", "relu"}

    Returns
    -------
    ndarray, shape (batch, out_features)

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit or the activation is unknown.

    Notes
    -----
    The chain of book chapter 3. Backward: ``bias_activation_grad``, then the two gradients of
    ``weight_multiply``.

    Examples
    --------
    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), np.array([[1.0]]), "relu")
    array([[0.]])
    """
    _check_product(x, W, "dense")
    z = x @ W
    _check_per_feature(z, b, "dense", "b")
    check_choice(activation, FUSED_ACTIVATIONS, "dense", "activation")
    return _activate(z + b, activation)


def bias_activation(x: Array, b: Array, activation: str = "linear") -> Array:
    """Bias and activation in one call: ``activation(x + b)``.

    Parameters
    ----------
    x : ndarray, shape (batch, features, ...)
    b : ndarray, shape (1, features) followed by a 1 for every further axis of x
    activation : {"linear", "sigmoid", "tanh", "relu"}

    Returns
    -------
    ndarray, the shape of x

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If a shape does not fit or the activation is unknown.

    Notes
    -----
    Backward: ``bias_activation_grad``.

    Examples
    --------
    >>> bias_activation(np.array([[-1.0, 2.0]]), np.array([[0.5, 0.5]]), "relu")
    array([[0. , 2.5]])
    """
    _check_per_feature(x, b, "bias_activation", "b")
    check_choice(activation, FUSED_ACTIVATIONS, "bias_activation", "activation")
    return _activate(x + b, activation)


def bias_activation_grad(
    output_grad: Array, output: Array, activation: str = "linear"
) -> tuple[Array, Array]:
    """Carry a gradient back through ``activation(x + b)`` to ``x`` and ``b``.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, features, ...)
    output : ndarray, the same shape
        What ``bias_activation`` (or ``dense``) returned.
    activation : {"linear", "sigmoid", "tanh", "relu"}

    Returns
    -------
    x_grad : ndarray, the shape of output
        ``output_grad * activation'(x + b)``.
    b_grad : ndarray, shape (1, features) followed by a 1 for every further axis
        The sum of ``x_grad`` over batch and pixels.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, have fewer than 2 dimensions, or the activation is unknown.

    Notes
    -----
    All four derivatives follow from the output: 1, ``y (1 - y)``, ``1 - y**2`` and ``y > 0``.

    Examples
    --------
    >>> x_grad, b_grad = bias_activation_grad(np.ones((2, 1)), np.array([[0.0], [2.0]]), "relu")
    >>> x_grad.tolist(), b_grad.tolist()
    ([[0.0], [1.0]], [[1.0]])
    """
    owner = "bias_activation_grad"
    _check_at_least_2d(output, owner, "output")
    check_gradient_pair(output_grad, output, owner, "output")
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    if activation == "sigmoid":
        x_grad = sigmoid_grad(output_grad, output)
    elif activation == "tanh":
        x_grad = tanh_grad(output_grad, output)
    elif activation == "relu":
        # relu's output is above 0 exactly where its input is.
        x_grad = relu_grad(output_grad, output)
    else:
        x_grad = output_grad.copy()
    return x_grad, bias_add_param_grad(x_grad)


def _activate(z: Array, activation: str) -> Array:
    if activation == "sigmoid":
        return sigmoid(z)
    if activation == "tanh":
        return tanh(z)
    if activation == "relu":
        return relu(z)
    return z


def _all_but_features(x: Array) -> Shape:
    return (0, *range(2, x.ndim))


def _check_at_least_2d(x: object, owner: str, name: str) -> None:
    check_float_array(x, owner, name)
    if isinstance(x, np.ndarray) and x.ndim < 2:
        raise ValueError(
            f"{owner}: {name} needs at least 2 dimensions (batch, features), got shape {x.shape}"
        )


def _check_product(x: Array, W: Array, owner: str) -> None:
    check_float_array(x, owner, "x", 2)
    check_float_array(W, owner, "W", 2)
    check_same_dtype(owner, x=x, W=W)
    if x.shape[1] != W.shape[0]:
        raise ValueError(
            f"{owner}: x has {x.shape[1]} features (shape {x.shape}), but W multiplies "
            f"{W.shape[0]} (shape {W.shape})"
        )


def _check_per_feature(x: Array, param: Array, owner: str, name: str) -> None:
    _check_at_least_2d(x, owner, "x")
    check_float_array(param, owner, name)
    check_same_dtype(owner, **{"x": x, name: param})
    check_shape(param, (1, x.shape[1]) + (1,) * (x.ndim - 2), owner, name)
