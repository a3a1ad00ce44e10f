"""Sigmoid, tanh and softmax: the activations whose derivative follows from their own output."""

import numpy as np
from scipy import special

from dlfs.checks import check_float_array, check_gradient_pair
from dlfs.types import Array


def sigmoid(x: Array) -> Array:
    """Squash to (0, 1): ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    ndarray, the shape of x
        ``1 / (1 + exp(-x))``, without overflow however large ``|x|`` is.

    Raises
    ------
    TypeError
        If x is not float32 or float64.

    Notes
    -----
    Book, chapter 3. Backward: ``sigmoid_grad``.

    Examples
    --------
    >>> sigmoid(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[0. , 0.5, 1. ]])
    """
    check_float_array(x, "sigmoid", "x")
    output: Array = special.expit(x)
    return output


def sigmoid_grad(output_grad: Array, output: Array) -> Array:
    """Carry a gradient back through ``sigmoid``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    output : ndarray, the same shape
        What ``sigmoid`` returned.

    Returns
    -------
    ndarray, the same shape
        ``output_grad * output * (1 - output)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ.

    Notes
    -----
    Book, chapter 3.

    Examples
    --------
    >>> sigmoid_grad(np.array([[1.0]]), np.array([[0.5]]))
    array([[0.25]])
    """
    check_gradient_pair(output_grad, output, "sigmoid_grad", "output")
    input_grad: Array = output_grad * output * (1 - output)
    return input_grad


def tanh(x: Array) -> Array:
    """Squash to (-1, 1): ``tanh(x)``.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    ndarray, the shape of x
        ``tanh(x)``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.

    Notes
    -----
    Book, chapter 4. Backward: ``tanh_grad``.

    Examples
    --------
    >>> tanh(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[-1.,  0.,  1.]])
    """
    check_float_array(x, "tanh", "x")
    output: Array = np.tanh(x)
    return output


def tanh_grad(output_grad: Array, output: Array) -> Array:
    """Carry a gradient back through ``tanh``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    output : ndarray, the same shape
        What ``tanh`` returned.

    Returns
    -------
    ndarray, the same shape
        ``output_grad * (1 - output**2)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ.

    Notes
    -----
    Book, chapter 4.

    Examples
    --------
    >>> tanh_grad(np.array([[2.0]]), np.array([[0.5]]))
    array([[1.5]])
    """
    check_gradient_pair(output_grad, output, "tanh_grad", "output")
    input_grad: Array = output_grad * (1 - output * output)
    return input_grad


def softmax(x: Array) -> Array:
    """Turn the last axis into probabilities: ``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    x : ndarray, shape (..., classes)

    Returns
    -------
    ndarray, the shape of x
        ``exp(x - m) / sum(exp(x - m))`` with ``m`` the largest of each row.

    Raises
    ------
    TypeError
        If x is not float32 or float64.
    ValueError
        If x has no axis, or no class to choose from.

    Notes
    -----
    Book, chapter 4. Backward: ``softmax_grad``.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    check_float_array(x, "softmax", "x")
    _check_classes(x, "softmax")
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    output: Array = exps / exps.sum(axis=-1, keepdims=True)
    return output


def softmax_grad(output_grad: Array, output: Array) -> Array:
    """Carry a gradient back through ``softmax``.

    Parameters
    ----------
    output_grad : ndarray, shape (..., classes)
    output : ndarray, the same shape
        What ``softmax`` returned.

    Returns
    -------
    ndarray, the same shape
        ``output * (output_grad - sum(output_grad * output))``, the sum over the last axis.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ.

    Notes
    -----
    Book, chapter 4.

    Examples
    --------
    >>> softmax_grad(np.array([[1.0, 1.0]]), np.array([[0.5, 0.5]]))
    array([[0., 0.]])
    """
    check_gradient_pair(output_grad, output, "softmax_grad", "output")
    _check_classes(output, "softmax_grad")
    input_grad: Array = output * (output_grad - (output_grad * output).sum(axis=-1, keepdims=True))
    return input_grad


def _check_classes(x: Array, owner: str) -> None:
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"{owner}: the last axis must hold a class or more, got shape {x.shape}")
