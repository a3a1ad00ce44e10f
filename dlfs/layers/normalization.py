"""Normalization layers: normalize, then a learned scale and shift."""

import numpy as np

from dlfs.checks import check_real
from dlfs.dense import BiasAdd
from dlfs.layers.base import Layer
from dlfs.normalization import BatchNorm_Op, LayerNorm_Op, ScaleMultiply, statistics_shape
from dlfs.types import Array


class BatchNorm(Layer):
    """Normalize each feature (or channel) over the batch (and pixels), then scale and shift.

    Forward: ``output = gamma * (input_ - mean) / sqrt(var + eps) + beta``; the statistics are the
    batch's in training, their running averages in inference. Backward: the chain of its Operations'
    gradients.

    Ioffe and Szegedy, "Batch Normalization", 2015. In training, a batch of one row is normalized to
    zeros, whatever it holds; it moves the running mean, but not the running variance.

    Parameters
    ----------
    momentum : float, default 0.1
        How much of a running statistic each training batch replaces; 0 < momentum <= 1.
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, features) or (batch,
        channels, ...).

    Examples
    --------
    >>> import numpy as np
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
        shape, dtype = statistics_shape(input_.shape), self._param_dtype(input_)
        self.operations = [
            BatchNorm_Op(self.momentum, self.eps),
            ScaleMultiply(np.ones(shape, dtype=dtype)),
            BiasAdd(np.zeros(shape, dtype=dtype)),
        ]


class LayerNorm(Layer):
    """Normalize each row over its features (the last axis), then scale and shift.

    Forward: ``output = gamma * (input_ - mean) / sqrt(var + eps) + beta``. Backward: the chain of
    its Operations' gradients.

    Ba, Kiros and Hinton, "Layer Normalization", 2016.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance; eps > 0.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, features) or (batch, time,
        features).

    Examples
    --------
    >>> import numpy as np
    >>> LayerNorm().forward(np.array([[1.0, 3.0]])).round(4)
    array([[-1.,  1.]])
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = check_real(eps, "LayerNorm", "eps", 0.0, low_open=True)

    def _setup_layer(self, input_: Array) -> None:
        if input_.ndim < 2 or input_.shape[-1] < 1:
            raise ValueError(f"LayerNorm: the input must be (batch, features), got {input_.shape}")
        shape, dtype = (1, input_.shape[-1]), self._param_dtype(input_)
        self.operations = [
            LayerNorm_Op(self.eps),
            ScaleMultiply(np.ones(shape, dtype=dtype)),
            BiasAdd(np.zeros(shape, dtype=dtype)),
        ]
