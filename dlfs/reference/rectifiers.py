"""ReLU and its relatives, elementwise; their gradients take the input."""

import math

import numpy as np
from scipy import special

from dlfs.checks import check_float_array, check_gradient_pair, check_real
from dlfs.types import Array


def relu(x: Array) -> Array:
    """Keep what is above 0: ``max(x, 0)``.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    ndarray, the shape of x
        ``max(x, 0)``; NaN stays NaN.

    Raises
    ------
    TypeError
        If x is not float32 or float64.

    Notes
    -----
    Book, chapter 4. Backward: ``relu_grad``.

    Examples
    --------
    >>> relu(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    """
    check_float_array(x, "relu", "x")
    return np.maximum(x, 0)


def relu_grad(output_grad: Array, x: Array) -> Array:
    """Carry a gradient back through ``relu``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    x : ndarray, the same shape
        What ``relu`` was given.

    Returns
    -------
    ndarray, the same shape
        ``output_grad * (x > 0)``; at the kink, x = 0, the subgradient 0 is chosen.

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
    >>> relu_grad(np.array([[5.0, 5.0, 5.0]]), np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 5.]])
    """
    check_gradient_pair(output_grad, x, "relu_grad", "x")
    return output_grad * (x > 0)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """ReLU with a small slope below 0.

    Parameters
    ----------
    x : ndarray, any shape
    slope : float
        The slope below 0; 0 <= slope < 1.

    Returns
    -------
    ndarray, the shape of x
        ``x`` where ``x > 0``, else ``slope * x``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.
    ValueError
        If a hyperparameter is out of range.

    Notes
    -----
    Maas, Hannun and Ng, 2013. Backward: ``leaky_relu_grad``.

    Examples
    --------
    >>> leaky_relu(np.array([[-1.0, 0.0, 2.0]]), 0.5)
    array([[-0.5,  0. ,  2. ]])
    """
    check_float_array(x, "leaky_relu", "x")
    slope = check_real(slope, "leaky_relu", "slope", 0.0, 1.0, high_open=True)
    return np.where(x > 0, x, slope * x)


def leaky_relu_grad(output_grad: Array, x: Array, slope: float = 0.01) -> Array:
    """Carry a gradient back through ``leaky_relu``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    x : ndarray, the same shape
        What ``leaky_relu`` was given.
    slope : float
        The slope below 0; 0 <= slope < 1.

    Returns
    -------
    ndarray, the same shape
        ``output_grad`` where ``x > 0``, else ``slope * output_grad`` (at the kink too).

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, or a hyperparameter is out of range.

    Notes
    -----
    Maas, Hannun and Ng, 2013.

    Examples
    --------
    >>> leaky_relu_grad(np.array([[4.0, 4.0]]), np.array([[-1.0, 2.0]]), 0.5)
    array([[2., 4.]])
    """
    check_gradient_pair(output_grad, x, "leaky_relu_grad", "x")
    slope = check_real(slope, "leaky_relu_grad", "slope", 0.0, 1.0, high_open=True)
    return np.where(x > 0, output_grad, slope * output_grad)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit.

    Parameters
    ----------
    x : ndarray, any shape
    alpha : float
        The limit below 0 is ``-alpha``; alpha > 0.

    Returns
    -------
    ndarray, the shape of x
        ``x`` where ``x > 0``, else ``alpha * (exp(x) - 1)``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.
    ValueError
        If a hyperparameter is out of range.

    Notes
    -----
    Clevert, Unterthiner and Hochreiter, 2016. Backward: ``elu_grad``.

    Examples
    --------
    >>> elu(np.array([[-1000.0, 0.0, 2.0]]))
    array([[-1.,  0.,  2.]])
    """
    check_float_array(x, "elu", "x")
    alpha = check_real(alpha, "elu", "alpha", 0.0, low_open=True)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_grad(output_grad: Array, x: Array, alpha: float = 1.0) -> Array:
    """Carry a gradient back through ``elu``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    x : ndarray, the same shape
        What ``elu`` was given.
    alpha : float
        The limit below 0 is ``-alpha``; alpha > 0.

    Returns
    -------
    ndarray, the same shape
        ``output_grad`` where ``x > 0``, else ``output_grad * alpha * exp(x)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, or a hyperparameter is out of range.

    Notes
    -----
    Clevert, Unterthiner and Hochreiter, 2016.

    Examples
    --------
    >>> elu_grad(np.array([[3.0, 3.0]]), np.array([[0.0, 2.0]]))
    array([[3., 3.]])
    """
    check_gradient_pair(output_grad, x, "elu_grad", "x")
    alpha = check_real(alpha, "elu_grad", "alpha", 0.0, low_open=True)
    return output_grad * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def gelu(x: Array) -> Array:
    """Gaussian error linear unit: ``x * P(Z <= x)`` for a standard normal Z.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    ndarray, the shape of x
        ``x * Phi(x)`` with ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.

    Notes
    -----
    Hendrycks and Gimpel, 2016. Backward: ``gelu_grad``.

    Examples
    --------
    >>> gelu(np.array([[-100.0, 0.0, 100.0]]))
    array([[ -0.,   0., 100.]])
    """
    check_float_array(x, "gelu", "x")
    output: Array = x * special.ndtr(x)
    return output


def gelu_grad(output_grad: Array, x: Array) -> Array:
    """Carry a gradient back through ``gelu``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    x : ndarray, the same shape
        What ``gelu`` was given.

    Returns
    -------
    ndarray, the same shape
        ``output_grad * (Phi(x) + x * phi(x))`` with ``phi(x) = exp(-x**2 / 2) / sqrt(2 pi)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ.

    Notes
    -----
    Hendrycks and Gimpel, 2016.

    Examples
    --------
    >>> gelu_grad(np.array([[2.0]]), np.array([[0.0]]))
    array([[1.]])
    """
    check_gradient_pair(output_grad, x, "gelu_grad", "x")
    # Where the density has long been 0, a square could overflow.
    near = np.clip(x, -40, 40)
    density = np.exp(-0.5 * near * near) * (1 / math.sqrt(2 * math.pi))
    input_grad: Array = output_grad * (special.ndtr(x) + x * density)
    return input_grad


def silu(x: Array) -> Array:
    """Sigmoid linear unit, also called swish: ``x * sigmoid(x)``.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    ndarray, the shape of x
        ``x * sigmoid(x)``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.

    Notes
    -----
    Elfwing, Uchibe and Doya, 2018. Backward: ``silu_grad``.

    Examples
    --------
    >>> silu(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[  -0.,    0., 1000.]])
    """
    check_float_array(x, "silu", "x")
    output: Array = x * special.expit(x)
    return output


def silu_grad(output_grad: Array, x: Array) -> Array:
    """Carry a gradient back through ``silu``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    x : ndarray, the same shape
        What ``silu`` was given.

    Returns
    -------
    ndarray, the same shape
        ``output_grad * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ.

    Notes
    -----
    Elfwing, Uchibe and Doya, 2018.

    Examples
    --------
    >>> silu_grad(np.array([[2.0]]), np.array([[0.0]]))
    array([[1.]])
    """
    check_gradient_pair(output_grad, x, "silu_grad", "x")
    s = special.expit(x)
    input_grad: Array = output_grad * s * (1 + x * (1 - s))
    return input_grad


def softplus(x: Array) -> Array:
    """Smooth the ReLU: ``log(1 + exp(x))``.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    ndarray, the shape of x
        ``log(1 + exp(x))``, without overflow.

    Raises
    ------
    TypeError
        If x is not float32 or float64.

    Notes
    -----
    Dugas et al., 2001. Backward: ``softplus_grad``.

    Examples
    --------
    >>> softplus(np.array([[-1000.0, 1000.0]]))
    array([[   0., 1000.]])
    """
    check_float_array(x, "softplus", "x")
    # NumPy's logaddexp would do the same, but it warns of NaN.
    output: Array = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return output


def softplus_grad(output_grad: Array, x: Array) -> Array:
    """Carry a gradient back through ``softplus``.

    Parameters
    ----------
    output_grad : ndarray, any shape
    x : ndarray, the same shape
        What ``softplus`` was given.

    Returns
    -------
    ndarray, the same shape
        ``output_grad * sigmoid(x)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ.

    Notes
    -----
    Dugas et al., 2001.

    Examples
    --------
    >>> softplus_grad(np.array([[4.0]]), np.array([[0.0]]))
    array([[2.]])
    """
    check_gradient_pair(output_grad, x, "softplus_grad", "x")
    input_grad: Array = output_grad * special.expit(x)
    return input_grad
