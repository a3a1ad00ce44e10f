"""Batch, layer and root-mean-square normalization, and the scale that follows them.

Both normalizations subtract a mean and divide by a standard deviation; they differ in what they
average over: batch_norm over batch and pixels, layer_norm over the last axis. With
``x_hat = (x - mean) * inv_std``, ``inv_std = 1 / sqrt(var + eps)`` and ``m`` numbers averaged, the
gradient is

    x_grad = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),    g = output_grad,

because moving one number also moves the mean and the deviation of all ``m``. eps is above 0.
rms_norm is layer_norm without the mean, which is taken to be 0.
"""

import numpy as np

from dlfs.checks import POSITIVE
from dlfs.reference.dense import FEATURES, PER_FEATURE
from dlfs.reference.kernel import kernel
from dlfs.types import Array, Shape

ROWS = "batch ... features"


@kernel(x=FEATURES, eps=POSITIVE)
def batch_norm(x: Array, eps: float = 1e-5) -> tuple[Array, Array, Array, Array]:
    """Normalize each feature (or channel) over batch and pixels: ``(x - mean) * inv_std``.

    x (batch, features, ...)
    -> output (batch, features, ...), mean, var and inv_std (1, features, 1...)

    var is the biased variance. Where the dtype cannot hold it, it is the largest number of the
    dtype; output and inv_std are right even then.

    >>> output, mean, var, _ = batch_norm(np.array([[1.0], [3.0]]), eps=1e-12)
    >>> output.round(6).tolist(), mean.item(), var.item()
    ([[-1.0], [1.0]], 2.0, 1.0)
    """
    return normalize(x, (0, *range(2, x.ndim)), eps, "batch_norm")


@kernel(output=FEATURES, inv_std=PER_FEATURE, output_grad=FEATURES)
def batch_norm_grad(output_grad: Array, output: Array, inv_std: Array) -> Array:
    """Gradient of ``batch_norm``: ``inv_std * (g - mean(g) - output * mean(g * output))``.

    output_grad, output (batch, features, ...), inv_std (1, features, 1...)
    -> x_grad (batch, features, ...)

    >>> output, _, _, inv_std = batch_norm(np.array([[1.0], [2.0], [4.0]]))
    >>> batch_norm_grad(np.ones((3, 1)), output, inv_std).round(6) + 0.0
    array([[0.],
           [0.],
           [0.]])
    """
    return normalize_grad(output_grad, output, inv_std, (0, *range(2, output.ndim)))


@kernel(x=FEATURES, mean=PER_FEATURE, var=PER_FEATURE, eps=POSITIVE)
def batch_norm_inference(x: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """Normalize with the statistics of training: ``(x - mean) / sqrt(var + eps)``.

    x (batch, features, ...), mean and var (1, features, 1...) -> (batch, features, ...)

    >>> one = np.ones((1, 1))
    >>> batch_norm_inference(np.array([[5.0]]), one, 4 * one, eps=1e-12).round(6)
    array([[2.]])
    """
    return (x - mean) / np.sqrt(var + eps)


@kernel(output_grad=FEATURES, var=PER_FEATURE, eps=POSITIVE)
def batch_norm_inference_grad(output_grad: Array, var: Array, eps: float = 1e-5) -> Array:
    """Gradient of ``batch_norm_inference``, with constant statistics: ``g / sqrt(var + eps)``.

    output_grad (batch, features, ...), var (1, features, 1...) -> x_grad (batch, features, ...)

    >>> batch_norm_inference_grad(np.array([[6.0]]), np.array([[4.0]]), eps=1e-12).round(6)
    array([[3.]])
    """
    return output_grad / np.sqrt(var + eps)


@kernel(x=ROWS, eps=POSITIVE)
def layer_norm(x: Array, eps: float = 1e-5) -> tuple[Array, Array]:
    """Normalize each row over its features, the last axis: ``(x - mean) * inv_std``.

    x (batch, ..., features) -> output (batch, ..., features), inv_std (batch, ..., 1)

    >>> output, _ = layer_norm(np.array([[1.0, 3.0]]), eps=1e-12)
    >>> output.round(6)
    array([[-1.,  1.]])
    """
    output, _, _, inv_std = normalize(x, (x.ndim - 1,), eps, "layer_norm")
    return output, inv_std


@kernel(output=ROWS, inv_std="batch ... 1", output_grad=ROWS)
def layer_norm_grad(output_grad: Array, output: Array, inv_std: Array) -> Array:
    """Gradient of ``layer_norm``: ``inv_std * (g - mean(g) - output * mean(g * output))``.

    output_grad, output (batch, ..., features), inv_std (batch, ..., 1)
    -> x_grad (batch, ..., features)

    >>> output, inv_std = layer_norm(np.array([[1.0, 2.0, 4.0]]))
    >>> layer_norm_grad(np.ones((1, 3)), output, inv_std).round(6) + 0.0
    array([[0., 0., 0.]])
    """
    return normalize_grad(output_grad, output, inv_std, (output.ndim - 1,))


@kernel(x=ROWS, eps=POSITIVE)
def rms_norm(x: Array, eps: float = 1e-6) -> tuple[Array, Array]:
    """Divide each row by the root of its mean square: ``x * inv_rms``.

    x (batch, ..., features) -> output (batch, ..., features), inv_rms (batch, ..., 1)

    ``inv_rms = 1 / sqrt(mean(x**2) + eps)``, with the mean over the features.

    >>> output, _ = rms_norm(np.array([[1.0, 7.0]]), eps=1e-12)
    >>> output.round(6)
    array([[0.2, 1.4]])
    """
    if x.shape[-1] == 0:
        raise ValueError(f"rms_norm: there is nothing to average over (shape {x.shape})")
    unit = _unit(x, (x.ndim - 1,))
    x = x / unit
    inv_rms = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + (eps / unit / unit))
    return x * inv_rms, inv_rms / unit


@kernel(output=ROWS, inv_rms="batch ... 1", output_grad=ROWS)
def rms_norm_grad(output_grad: Array, output: Array, inv_rms: Array) -> Array:
    """Gradient of ``rms_norm``: ``inv_rms * (g - output * mean(g * output))``, g the output_grad.

    output_grad, output (batch, ..., features), inv_rms (batch, ..., 1)
    -> x_grad (batch, ..., features)

    >>> output, inv_rms = rms_norm(np.array([[1.0, 7.0]]))
    >>> rms_norm_grad(output, output, inv_rms).round(6) + 0.0
    array([[0., 0.]])
    """
    if output.size == 0:
        return np.zeros_like(output)
    mean_product = (output_grad * output).mean(axis=-1, keepdims=True)
    return inv_rms * (output_grad - output * mean_product)


@kernel(x=FEATURES, gamma=PER_FEATURE)
def scale_multiply(x: Array, gamma: Array) -> Array:
    """Scale every feature (or channel): ``x * gamma``; the gradient of x is output_grad * gamma.

    x (batch, features, ...), gamma (1, features, 1...) -> (batch, features, ...)

    >>> scale_multiply(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[10., 40.]])
    """
    return x * gamma


@kernel(x=FEATURES, output_grad=FEATURES)
def scale_multiply_param_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``x * gamma`` with respect to gamma: the sum of ``output_grad * x``.

    output_grad (batch, features, ...), x (batch, features, ...) -> gamma_grad (1, features, 1...)

    >>> scale_multiply_param_grad(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return (output_grad * x).sum(axis=(0, *range(2, x.ndim)), keepdims=True)


def normalize(x: Array, axes: Shape, eps: float, owner: str) -> tuple[Array, Array, Array, Array]:
    """Normalize over some axes; return the output, mean, var and inv_std."""
    if any(x.shape[axis] == 0 for axis in axes):
        raise ValueError(f"{owner}: there is nothing to average over (shape {x.shape})")
    unit = _unit(x, axes)
    x = x / unit
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axis=axes, keepdims=True)
    inv_std = np.where(var > 0, 1 / np.sqrt(var + eps / unit / unit), unit / np.sqrt(eps))
    inv_std = inv_std.astype(x.dtype, copy=False)
    largest = np.finfo(x.dtype).max
    return centred * inv_std, mean * unit, np.minimum(var * unit * unit, largest), inv_std / unit


def _unit(x: Array, axes: Shape) -> Array | float:
    """Return the unit in which squares of the numbers of x do not overflow; mostly it is 1."""
    large = np.abs(x).max(axis=axes, keepdims=True, initial=0)
    limit = 2.0**60 if x.dtype == np.float32 else 2.0**508
    overflows = (large > limit) & np.isfinite(large)
    if not overflows.any():
        return 1.0
    # Powers of two, by which division is exact; a logarithm could be rounded up, to infinity.
    return np.where(overflows, np.exp2(np.frexp(large)[1] - 1.0), 1).astype(x.dtype)


def normalize_grad(output_grad: Array, output: Array, inv_std: Array, axes: Shape) -> Array:
    """Gradient of ``normalize``."""
    if output.size == 0:
        return np.zeros_like(output)
    mean_grad = output_grad.mean(axis=axes, keepdims=True)
    mean_product = (output_grad * output).mean(axis=axes, keepdims=True)
    return inv_std * (output_grad - mean_grad - output * mean_product)
