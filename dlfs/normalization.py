"""The Operations of normalization layers.

A normalization layer is a chain, like a dense layer: first every feature (or row) is brought to
mean 0 and variance 1, then it gets a learned scale and a learned shift (a BiasAdd). So each
Operation here has at most one parameter, as everywhere.
"""

import math
from typing import Any

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation, ParamOperation
from dlfs.checks import check_float_array, check_int, check_real
from dlfs.dense import with_features
from dlfs.types import Array, Shape


class BatchNorm_Op(Operation):
    """Normalize each feature (or channel) over the batch (and pixels).

    Forward, in training: ``output = (input_ - mean) / sqrt(var + eps)`` with the batch's own mean
    and variance; in inference with their running averages over training. Backward, in training:
    ``(g - mean(g) - output * mean(g * output)) / sqrt(var + eps)`` for ``g = output_grad``, because
    the mean and the variance depend on the input too; in inference ``g / sqrt(var + eps)``.

    Ioffe and Szegedy, "Batch Normalization", 2015.

    Parameters
    ----------
    momentum : float, default 0.1
        How much of a running statistic each training batch replaces; 0 < momentum <= 1.
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Attributes
    ----------
    running_mean, running_var : ndarray, shape (1, features) or (1, channels, 1, 1)
        Set up at the first forward pass. The variance among them is the unbiased one; a batch with
        one number for each feature (one row, or one image of one pixel) leaves it as it is, and
        moves the mean alone.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input has fewer than 2 dimensions, or another
        number of features than before, or, in training, nothing to average over.

    Examples
    --------
    >>> BatchNorm_Op(eps=1e-12).forward(np.array([[1.0], [3.0]])).round(6)
    array([[-1.],
           [ 1.]])
    """

    running_mean: Array
    running_var: Array
    _inv_std: Array
    _count: int
    ranks: Any = None  # set while several processes share a batch: see dlfs.ranks

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        name = type(self).__name__
        self.momentum = check_real(momentum, name, "momentum", 0.0, 1.0, low_open=True)
        self.eps = check_real(eps, name, "eps", 0.0, low_open=True)

    def state(self) -> dict[str, Array]:
        """Return the running statistics by name; they are saved with the network."""
        if not hasattr(self, "running_mean"):
            return {}
        return {"running_mean": self.running_mean, "running_var": self.running_var}

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        self.check_features(input_)

    def check_features(self, input_: Array) -> None:
        """Demand the features of earlier passes; the first pass sets the statistics up."""
        name = type(self).__name__
        if input_.ndim < 2 or input_.shape[1] < 1:
            raise ValueError(
                f"{name}: the input needs at least 2 dimensions (batch, features) and a feature, "
                f"got shape {input_.shape}"
            )
        shape = statistics_shape(input_.shape)
        if not hasattr(self, "running_mean"):
            self.running_mean = np.zeros(shape, dtype=input_.dtype)
            self.running_var = np.ones(shape, dtype=input_.dtype)
        elif self.running_mean.shape != shape:
            raise ValueError(
                f"{name}: the input must have {self.running_mean.shape[1]} features and "
                f"{self.running_mean.ndim} dimensions as before, got shape {input_.shape}"
            )

    def _output(self) -> Array:
        if self.inference:
            return kernels.batch_norm_inference(
                self.input_, self.running_mean, self.running_var, self.eps
            )
        if self.ranks is None:
            output, mean, var, self._inv_std = kernels.batch_norm(self.input_, self.eps)
            count = self.input_.size // mean.size
        else:
            output, mean, var, self._inv_std, count = self.ranks.batch_norm(self.input_, self.eps)
        self._count = count
        self.follow(mean, var, count)
        return output

    def follow(self, mean: Array, var: Array, count: int) -> None:
        """Move the running statistics towards those of a batch, of ``count`` numbers each."""
        self.running_mean += self.momentum * (mean - self.running_mean)
        if count > 1:  # a single number says nothing about the variance
            unbiased = var * (count / (count - 1))
            self.running_var += self.momentum * (unbiased - self.running_var)

    def _input_grad(self, output_grad: Array) -> Array:
        if self.inference:
            return kernels.batch_norm_inference_grad(output_grad, self.running_var, self.eps)
        if self.ranks is None:
            return kernels.batch_norm_grad(output_grad, self.output, self._inv_std)
        grad: Array = self.ranks.batch_norm_grad(
            output_grad, self.output, self._inv_std, self._count
        )
        return grad


class LayerNorm_Op(Operation):
    """Normalize each row over its features, the last axis.

    Forward: ``output = (input_ - mean) / sqrt(var + eps)``, both over the last axis. Backward: ``(g
    - mean(g) - output * mean(g * output)) / sqrt(var + eps)`` for ``g = output_grad``. Training and
    inference are the same.

    Ba, Kiros and Hinton, "Layer Normalization", 2016.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input has fewer than 2 dimensions or no features.

    Examples
    --------
    >>> LayerNorm_Op(eps=1e-12).forward(np.array([[1.0, 3.0]])).round(6)
    array([[-1.,  1.]])
    """

    _inv_std: Array

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = check_real(eps, type(self).__name__, "eps", 0.0, low_open=True)

    def _output(self) -> Array:
        output, self._inv_std = kernels.layer_norm(self.input_, self.eps)
        return output

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.layer_norm_grad(output_grad, self.output, self._inv_std)


class RMSNorm_Op(Operation):
    """Divide each row by the root of the mean of its squares: LayerNorm_Op without the mean.

    Forward: ``output = input_ / sqrt(mean(input_**2) + eps)``, the mean over the last axis.
    Backward: ``(g - output * mean(g * output)) / sqrt(mean(input_**2) + eps)``, g the output_grad.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.

    Parameters
    ----------
    eps : float, default 1e-6
        Added to the mean square; eps > 0.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input has fewer than 2 dimensions or no features.

    Examples
    --------
    >>> RMSNorm_Op(eps=1e-12).forward(np.array([[1.0, 7.0]])).round(6)
    array([[0.2, 1.4]])
    """

    _inv_rms: Array

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = check_real(eps, type(self).__name__, "eps", 0.0, low_open=True)

    def _output(self) -> Array:
        output, self._inv_rms = kernels.rms_norm(self.input_, self.eps)
        return output

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.rms_norm_grad(output_grad, self.output, self._inv_rms)


class GroupNorm_Op(Operation):
    """Normalize each observation over groups of its channels, and over the pixels.

    Forward: ``output = (input_ - mean) / sqrt(var + eps)``, both over the channels and pixels of a
    group of one observation. Backward: ``(g - mean(g) - output * mean(g * output)) / sqrt(var +
    eps)`` for ``g = output_grad``. No observation depends on the others in the batch.

    Wu and He, "Group Normalization", 2018.

    Parameters
    ----------
    groups : int
        It must divide the channels. With 1 group all of an observation is normalized at once.
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, channels, ...), or the groups do not divide the
        channels.

    Examples
    --------
    >>> GroupNorm_Op(groups=2, eps=1e-12).forward(np.array([[1.0, 3.0, 10.0, 30.0]])).round(6)
    array([[-1.,  1., -1.,  1.]])
    """

    _inv_std: Array

    def __init__(self, groups: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups = check_int(groups, type(self).__name__, "groups", 1)
        self.eps = check_real(eps, type(self).__name__, "eps", 0.0, low_open=True)

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        check_groups(input_, self.groups, type(self).__name__)

    def _output(self) -> Array:
        output, self._inv_std = kernels.layer_norm(self._grouped(self.input_), self.eps)
        return output.reshape(self.input_.shape)

    def _input_grad(self, output_grad: Array) -> Array:
        grad = kernels.layer_norm_grad(
            self._grouped(output_grad), self._grouped(self.output), self._inv_std
        )
        return grad.reshape(output_grad.shape)

    def _grouped(self, x: Array) -> Array:
        return x.reshape(len(x), self.groups, math.prod(x.shape[1:]) // self.groups)


class ScaleMultiply(ParamOperation):
    """Multiply every feature (or channel) by its own number (Ioffe and Szegedy, 2015).

    Forward: ``output = input_ * gamma``. Backward: ``input_grad = output_grad * gamma``, and
    ``param_grad`` is the sum of ``output_grad * input_`` over the batch (and pixels).

    Parameters
    ----------
    gamma : ndarray, shape (1, features)
        For images (1, channels, 1, 1). Sequences (batch, time, features) take (1, features).

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input has another number of features.

    Examples
    --------
    >>> ScaleMultiply(np.array([[10.0, 20.0]])).forward(np.array([[1.0, 2.0]]))
    array([[10., 40.]])
    """

    penalized = False

    def __init__(self, gamma: Array) -> None:
        check_float_array(gamma, type(self).__name__, "gamma")
        if gamma.ndim < 2 or gamma.shape[0] != 1:
            raise ValueError(
                f"ScaleMultiply: gamma must have shape (1, features), got {gamma.shape}"
            )
        super().__init__(gamma)

    def _output(self) -> Array:
        output = kernels.scale_multiply(with_features(self.input_, self.param), self.param)
        return output.reshape(self.input_.shape)

    def _input_grad(self, output_grad: Array) -> Array:
        grad = kernels.scale_multiply(with_features(output_grad, self.param), self.param)
        return grad.reshape(self.input_.shape)

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.scale_multiply_param_grad(
            with_features(output_grad, self.param), with_features(self.input_, self.param)
        )


def statistics_shape(input_shape: Shape) -> Shape:
    """Return the shape of one number a feature: (1, features), with a 1 for every further axis."""
    return (1, input_shape[1]) + (1,) * (len(input_shape) - 2)


def check_groups(x: Array, groups: int, owner: str) -> None:
    """Demand (batch, channels, ...) with channels that the groups divide."""
    if x.ndim < 2 or x.shape[1] < 1 or x.shape[1] % groups:
        raise ValueError(
            f"{owner}: the input must be (batch, channels, ...) with channels a multiple of groups "
            f"({groups}), got shape {x.shape}"
        )
