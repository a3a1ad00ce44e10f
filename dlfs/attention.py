"""The Operations of attention."""

from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.checks import check_flag, check_int
from dlfs.types import Array


class Attention_Op(Operation):
    """Give each position of a sequence a weighted mean of the values of all positions.

    The input holds queries Q, keys K and values V, one after the other along the features. Forward:
    ``output = softmax(Q @ K.T / sqrt(width)) @ V`` for each head, whose ``width`` is features /
    heads. Backward, with the weights P and G the output_grad: ``V_grad = P.T @ G``, and through the
    softmax ``S_grad = P * (G @ V.T - sum(G * output))``, ``Q_grad = S_grad @ K / sqrt(width)`` and
    ``K_grad = S_grad.T @ Q / sqrt(width)``.

    Vaswani et al., "Attention is all you need", 2017.

    Parameters
    ----------
    heads : int
        How many parts of the features attend on their own. Each part lies in one piece.
    causal : bool
        Whether a position sees only itself and those before it, as a text is written.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, 3 * features), or heads do not divide the
        features.

    Examples
    --------
    >>> import numpy as np
    >>> qkv = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 4.0]]])
    >>> Attention_Op(heads=1).forward(qkv).ravel()
    array([3., 3.])
    >>> Attention_Op(heads=1, causal=True).forward(qkv).ravel()
    array([2., 3.])
    """

    def __init__(self, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads = check_int(heads, type(self).__name__, "heads", 1)
        self.causal = check_flag(causal, type(self).__name__, "causal")

    def _output(self) -> Array:
        return kernels.attention(self.input_, self.heads, self.causal)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.attention_grad(
            output_grad, self.input_, self.output, self.heads, self.causal
        )
