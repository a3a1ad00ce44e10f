"""Batch and layer normalization, without the scale and shift that follow them.

Both subtract a mean and divide by a standard deviation; they differ in what they average over. With
``x_hat = (x - mean) * inv_std`` and ``m`` numbers averaged, the gradient is

    x_grad = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),    g = output_grad,

because moving one number also moves the mean and the deviation of all ``m``.
"""

import numpy as np

from dlfs.checks import (
    check_float_array,
    check_gradient_pair,
    check_real,
    check_same_dtype,
    check_shape,
)
from dlfs.types import Array, Shape


def batch_norm(x: Array, eps: float = 1e-5) -> tuple[Array, Array, Array, Array]:
    """Normalize each feature (or channel) over the batch (and pixels).

    Parameters
    ----------
    x : ndarray, shape (batch, features, ...)
    eps : float
        Added to the variance; eps > 0.

    Returns
    -------
    output : ndarray, the shape of x
        ``(x - mean) * inv_std``.
    mean, var : ndarray, shape (1, features) followed by a 1 for every further axis
        The mean and the (biased) variance that were taken off. A variance that the dtype cannot
        hold is given as its largest number; output and inv_std are right even then.
    inv_std : ndarray, the same shape
        ``1 / sqrt(var + eps)``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.
    ValueError
        If x has fewer than 2 dimensions or nothing to average over, or eps is not positive.

    Notes
    -----
    Ioffe and Szegedy, "Batch Normalization", 2015. Backward: ``batch_norm_grad``.

    Examples
    --------
    >>> output, mean, var, _ = batch_norm(np.array([[1.0], [3.0]]), eps=1e-12)
    >>> output.round(6).tolist(), mean.item(), var.item()
    ([[-1.0], [1.0]], 2.0, 1.0)
    """
    _check_features(x, "batch_norm", "x")
    eps = check_real(eps, "batch_norm", "eps", 0.0, low_open=True)
    return _normalize(x, _batch_axes(x), eps, "batch_norm")


def batch_norm_grad(output_grad: Array, output: Array, inv_std: Array) -> Array:
    """Carry a gradient back through ``batch_norm``.

    Parameters
    ----------
    output_grad, output : ndarray, shape (batch, features, ...)
    inv_std : ndarray, shape (1, features) followed by a 1 for every further axis
        As ``batch_norm`` returned it.

    Returns
    -------
    ndarray, the shape of output
        ``inv_std * (g - mean(g) - output * mean(g * output))``, the means over batch and pixels.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Ioffe and Szegedy, 2015.

    Examples
    --------
    >>> output, _, _, inv_std = batch_norm(np.array([[1.0], [2.0], [4.0]]))
    >>> batch_norm_grad(np.ones((3, 1)), output, inv_std).round(6) + 0.0
    array([[0.],
           [0.],
           [0.]])
    """
    owner = "batch_norm_grad"
    _check_features(output, owner, "output")
    check_gradient_pair(output_grad, output, owner, "output")
    _check_statistics(owner, output, inv_std=inv_std)
    return _normalize_grad(output_grad, output, inv_std, _batch_axes(output))


def batch_norm_inference(x: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """Normalize with a given mean and variance: ``(x - mean) / sqrt(var + eps)``.

    Parameters
    ----------
    x : ndarray, shape (batch, features, ...)
    mean, var : ndarray, shape (1, features) followed by a 1 for every further axis
        The running statistics of training.
    eps : float
        Added to the variance; eps > 0.

    Returns
    -------
    ndarray, the shape of x

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit or eps is not positive.

    Notes
    -----
    Ioffe and Szegedy, 2015. Backward: ``batch_norm_inference_grad``.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> batch_norm_inference(np.array([[5.0]]), one, 4 * one, eps=1e-12).round(6)
    array([[2.]])
    """
    owner = "batch_norm_inference"
    _check_features(x, owner, "x")
    _check_statistics(owner, x, mean=mean, var=var)
    eps = check_real(eps, owner, "eps", 0.0, low_open=True)
    return (x - mean) / np.sqrt(var + eps)


def batch_norm_inference_grad(output_grad: Array, var: Array, eps: float = 1e-5) -> Array:
    """Carry a gradient back through ``batch_norm_inference``, whose statistics are constants.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, features, ...)
    var : ndarray, shape (1, features) followed by a 1 for every further axis
    eps : float
        Added to the variance; eps > 0.

    Returns
    -------
    ndarray, the shape of output_grad
        ``output_grad / sqrt(var + eps)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit or eps is not positive.

    Notes
    -----
    Ioffe and Szegedy, 2015.

    Examples
    --------
    >>> batch_norm_inference_grad(np.array([[6.0]]), np.array([[4.0]]), eps=1e-12).round(6)
    array([[3.]])
    """
    owner = "batch_norm_inference_grad"
    _check_features(output_grad, owner, "output_grad")
    _check_statistics(owner, output_grad, var=var)
    eps = check_real(eps, owner, "eps", 0.0, low_open=True)
    return output_grad / np.sqrt(var + eps)


def layer_norm(x: Array, eps: float = 1e-5) -> tuple[Array, Array]:
    """Normalize each row over the last axis, its features.

    Parameters
    ----------
    x : ndarray, shape (batch, ..., features)
    eps : float
        Added to the variance; eps > 0.

    Returns
    -------
    output : ndarray, the shape of x
        ``(x - mean) * inv_std``, both taken over the last axis.
    inv_std : ndarray, shape (batch, ..., 1)
        ``1 / sqrt(var + eps)``.

    Raises
    ------
    TypeError
        If x is not float32 or float64.
    ValueError
        If x has fewer than 2 dimensions or no features, or eps is not positive.

    Notes
    -----
    Ba, Kiros and Hinton, "Layer Normalization", 2016. Backward: ``layer_norm_grad``.

    Examples
    --------
    >>> output, _ = layer_norm(np.array([[1.0, 3.0]]), eps=1e-12)
    >>> output.round(6)
    array([[-1.,  1.]])
    """
    _check_features(x, "layer_norm", "x")
    eps = check_real(eps, "layer_norm", "eps", 0.0, low_open=True)
    output, _, _, inv_std = _normalize(x, (x.ndim - 1,), eps, "layer_norm")
    return output, inv_std


def layer_norm_grad(output_grad: Array, output: Array, inv_std: Array) -> Array:
    """Carry a gradient back through ``layer_norm``.

    Parameters
    ----------
    output_grad, output : ndarray, shape (batch, ..., features)
    inv_std : ndarray, shape (batch, ..., 1)
        As ``layer_norm`` returned it.

    Returns
    -------
    ndarray, the shape of output
        ``inv_std * (g - mean(g) - output * mean(g * output))``, the means over the last axis.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Ba, Kiros and Hinton, 2016.

    Examples
    --------
    >>> output, inv_std = layer_norm(np.array([[1.0, 2.0, 4.0]]))
    >>> layer_norm_grad(np.ones((1, 3)), output, inv_std).round(6) + 0.0
    array([[0., 0., 0.]])
    """
    owner = "layer_norm_grad"
    _check_features(output, owner, "output")
    check_gradient_pair(output_grad, output, owner, "output")
    check_float_array(inv_std, owner, "inv_std")
    check_same_dtype(owner, output=output, inv_std=inv_std)
    check_shape(inv_std, (*output.shape[:-1], 1), owner, "inv_std")
    return _normalize_grad(output_grad, output, inv_std, (output.ndim - 1,))


def _normalize(x: Array, axes: Shape, eps: float, owner: str) -> tuple[Array, Array, Array, Array]:
    if any(x.shape[axis] == 0 for axis in axes):
        raise ValueError(f"{owner}: there is nothing to average over (shape {x.shape})")
    unit = _unit(x, axes)
    if unit is None:
        mean = x.mean(axis=axes, keepdims=True)
        centred = x - mean
        var = (centred * centred).mean(axis=axes, keepdims=True)
        inv_std = 1 / np.sqrt(var + eps)
        return centred * inv_std, mean, var, inv_std
    x = x / unit
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axis=axes, keepdims=True)
    inv_std = np.where(var > 0, 1 / np.sqrt(var + eps / unit / unit), unit / np.sqrt(eps))
    inv_std = inv_std.astype(x.dtype, copy=False)
    largest = np.finfo(x.dtype).max
    return centred * inv_std, mean * unit, np.minimum(var * unit * unit, largest), inv_std / unit


def _unit(x: Array, axes: Shape) -> Array | None:
    """Return what to measure x in where squares of its numbers would overflow; None if nowhere."""
    large = np.abs(x).max(axis=axes, keepdims=True, initial=0)
    limit = 2.0**60 if x.dtype == np.float32 else 2.0**508
    overflows = (large > limit) & np.isfinite(large)
    if not overflows.any():
        return None
    # Powers of two, by which division is exact.
    return np.where(overflows, np.exp2(np.floor(np.log2(large))), 1).astype(x.dtype)


def _normalize_grad(output_grad: Array, output: Array, inv_std: Array, axes: Shape) -> Array:
    if output.size == 0:
        return np.zeros_like(output)
    mean_grad = output_grad.mean(axis=axes, keepdims=True)
    mean_product = (output_grad * output).mean(axis=axes, keepdims=True)
    input_grad: Array = inv_std * (output_grad - mean_grad - output * mean_product)
    return input_grad


def _batch_axes(x: Array) -> Shape:
    return (0, *range(2, x.ndim))


def _check_features(x: Array, owner: str, name: str) -> None:
    check_float_array(x, owner, name)
    if x.ndim < 2:
        raise ValueError(
            f"{owner}: {name} needs at least 2 dimensions (batch, features), got shape {x.shape}"
        )


def _check_statistics(owner: str, x: Array, **statistics: Array) -> None:
    for name, values in statistics.items():
        check_float_array(values, owner, name)
        check_same_dtype(owner, **{"x": x, name: values})
        check_shape(values, (1, x.shape[1]) + (1,) * (x.ndim - 2), owner, name)
