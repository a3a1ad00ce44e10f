"""Normalization layers: normalize, then a learned scale and shift."""

from typing import Any

import numpy as np

from dlfs.base import Operation
from dlfs.checks import check_int, check_real
from dlfs.dense import BiasAdd
from dlfs.layers.base import Layer
from dlfs.normalization import (
    BatchNorm_Op,
    GroupNorm_Op,
    LayerNorm_Op,
    RMSNorm_Op,
    ScaleMultiply,
    check_groups,
    statistics_shape,
)
from dlfs.types import Array, Shape


class BatchNorm(Layer):
    """Normalize each feature (or channel) over the batch (and pixels), then scale and shift.

    Forward: ``output = gamma * (input_ - mean) / sqrt(var + eps) + beta``; the statistics are the
    batch's in training, their running averages in inference.

    Input is (batch, features) or (batch, channels, ...). Ioffe and Szegedy, "Batch Normalization",
    2015. In training, a batch of one row becomes zeros; it moves the running mean alone.

    Parameters
    ----------
    momentum : float, default 0.1
        How much of a running statistic each training batch replaces; 0 < momentum <= 1.
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Examples
    --------
    >>> layer = BatchNorm()
    >>> layer.forward(np.array([[1.0], [3.0]])).round(4)
    array([[-1.],
           [ 1.]])
    """

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = check_real(momentum, "BatchNorm", "momentum", 0.0, 1.0, low_open=True)
        self.eps = check_real(eps, "BatchNorm", "eps", 0.0, low_open=True)

    def _setup_layer(self, input_: Array) -> None:
        if input_.ndim < 2 or input_.shape[1] < 1:
            raise ValueError(f"BatchNorm: the input must be (batch, features), got {input_.shape}")
        after = _scale_and_shift(statistics_shape(input_.shape), self._param_dtype(input_))
        self.operations = [BatchNorm_Op(self.momentum, self.eps), *after]


class LayerNorm(Layer):
    """Normalize each row over its features (the last axis), then scale and shift.

    Forward: ``output = gamma * (input_ - mean) / sqrt(var + eps) + beta``.

    Input is (batch, features) or (batch, time, features). Ba, Kiros and Hinton, "Layer
    Normalization", 2016.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Examples
    --------
    >>> LayerNorm().forward(np.array([[1.0, 3.0]])).round(4)
    array([[-1.,  1.]])
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = check_real(eps, "LayerNorm", "eps", 0.0, low_open=True)

    def _setup_layer(self, input_: Array) -> None:
        if input_.ndim < 2 or input_.shape[-1] < 1:
            raise ValueError(f"LayerNorm: the input must be (batch, features), got {input_.shape}")
        after = _scale_and_shift((1, input_.shape[-1]), self._param_dtype(input_))
        self.operations = [LayerNorm_Op(self.eps), *after]


class RMSNorm(Layer):
    """Divide each row by the root of its mean square, then scale: no mean, and no shift.

    Forward: ``output = gamma * input_ / sqrt(mean(input_**2) + eps)``, the mean over the last axis.

    Input is as for LayerNorm. Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.

    Parameters
    ----------
    eps : float, default 1e-6
        Added to the mean square; eps > 0.

    Examples
    --------
    >>> RMSNorm().forward(np.array([[1.0, 7.0]])).round(4)
    array([[0.2, 1.4]])
    """

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = check_real(eps, "RMSNorm", "eps", 0.0, low_open=True)

    def _setup_layer(self, input_: Array) -> None:
        if input_.ndim < 2 or input_.shape[-1] < 1:
            raise ValueError(f"RMSNorm: the input must be (batch, features), got {input_.shape}")
        gamma = np.ones((1, input_.shape[-1]), dtype=self._param_dtype(input_))
        self.operations = [RMSNorm_Op(self.eps), ScaleMultiply(gamma)]


class GroupNorm(Layer):
    """Normalize each observation over groups of its channels, then scale and shift each channel.

    Forward: ``output = gamma * (input_ - mean) / sqrt(var + eps) + beta``, mean and variance over
    the channels and pixels of a group.

    Input is (batch, channels, ...). Wu and He, "Group Normalization", 2018. Unlike BatchNorm it is
    the same in training and inference, and works with batches of one.

    Parameters
    ----------
    groups : int
        It must divide the channels.
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Examples
    --------
    >>> GroupNorm(groups=2).forward(np.array([[1.0, 3.0, 10.0, 30.0]])).round(4)
    array([[-1.,  1., -1.,  1.]])
    """

    def __init__(self, groups: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups = check_int(groups, "GroupNorm", "groups", 1)
        self.eps = check_real(eps, "GroupNorm", "eps", 0.0, low_open=True)

    def _setup_layer(self, input_: Array) -> None:
        check_groups(input_, self.groups, "GroupNorm")
        after = _scale_and_shift(statistics_shape(input_.shape), self._param_dtype(input_))
        self.operations = [GroupNorm_Op(self.groups, self.eps), *after]


def _scale_and_shift(shape: Shape, dtype: "np.dtype[Any]") -> list[Operation]:
    """Return the Operations that follow a normalization; at first they change nothing."""
    return [ScaleMultiply(np.ones(shape, dtype=dtype)), BiasAdd(np.zeros(shape, dtype=dtype))]
