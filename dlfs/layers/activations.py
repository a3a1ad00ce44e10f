"""PReLU, the activation with a parameter of its own."""

import numpy as np

from dlfs.activations import PReLU_Op
from dlfs.checks import check_flag, check_real
from dlfs.layers.base import Layer
from dlfs.normalization import statistics_shape
from dlfs.types import Array


class PReLU(Layer):
    """ReLU with learned slopes below 0: one for each feature or channel, or one for all.

    Forward: ``output = input_`` above 0, ``slope * input_`` below. Backward: as PReLU_Op says.

    He et al., "Delving deep into rectifiers", 2015. Slopes do not decay.

    Parameters
    ----------
    slope : float, default 0.25
        Where the slopes start.
    shared : bool, default False
        Whether all features have one slope together.

    Examples
    --------
    >>> layer = PReLU()
    >>> layer.forward(np.array([[-1.0, 2.0]]))
    array([[-0.25,  2.  ]])
    >>> [param.shape for param in layer.params]
    [(1, 2)]
    """

    def __init__(self, slope: float = 0.25, shared: bool = False) -> None:
        super().__init__()
        self.slope = check_real(slope, "PReLU", "slope")
        self.shared = check_flag(shared, "PReLU", "shared")

    def _setup_layer(self, input_: Array) -> None:
        shape: tuple[int, ...] = (1,)
        if not self.shared:
            if input_.ndim < 2:
                raise ValueError(
                    f"PReLU: the input must be (batch, features), got shape {input_.shape}"
                )
            # Of sequences, (batch, time, features), the last axis has the features.
            last = input_.ndim == 3
            shape = (1, input_.shape[-1]) if last else statistics_shape(input_.shape)
        self.operations = [PReLU_Op(np.full(shape, self.slope, dtype=self._param_dtype(input_)))]
