"""Recurrent layers: sequences in, sequences out, with a memory from step to step."""

import math
from typing import Any, ClassVar

import numpy as np

from dlfs.activations import Linear
from dlfs.base import ParamOperation
from dlfs.checks import POSITIVE, check_choice, check_int, check_real, optional
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.embedding import Embedding_Op
from dlfs.layers.base import Layer, dense_chain
from dlfs.recurrent import CARRIES, GRU_Op, LSTM_Op, RNN_Op
from dlfs.reference.gru import GRU_RESETS
from dlfs.types import Array, Shape


class _RecurrentLayer(Layer):
    """What the three share: everything but the Operation that goes through the time steps."""

    recurrence: ClassVar[type[RNN_Op | LSTM_Op | GRU_Op]]

    def __init__(
        self,
        hidden_size: int,
        output_size: int | None = None,
        weight_scale: float | None = None,
        carry: bool | str = False,
        vocabulary_size: int | None = None,
    ) -> None:
        owner = type(self).__name__
        self.hidden_size = check_int(hidden_size, owner, "hidden_size", 1)
        self.output_size = optional(check_int, output_size, owner, "output_size", 1)
        super().__init__(self.output_size or self.hidden_size)
        self.weight_scale = optional(check_real, weight_scale, owner, "weight_scale", **POSITIVE)
        self.carry = check_choice(carry, CARRIES, owner, "carry")
        self.vocabulary_size = optional(check_int, vocabulary_size, owner, "vocabulary_size", 1)

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]
        """Whether the input is whole numbers, each standing for a one-hot row."""
        return self.vocabulary_size is not None

    @property
    def carried(self) -> tuple[Array, ...] | None:
        """The state that the next batch starts from; None where that is zero."""
        return next((op.carried for op in self.operations if isinstance(op, self.recurrence)), None)

    def params_dict(self) -> dict[str, dict[str, Array]]:
        """Return the parameters as the book's nodes take them: ``["W_h"]["value"]``, ``"deriv"``.

        The values are the layer's own; the gradients are zeros that a node adds to.
        """
        names = ["W_x", "B", "W_h", "W_v", "B_v"]
        return {
            name: {"value": param, "deriv": np.zeros_like(param)}
            for name, param in zip(names, self.params, strict=False)
        }

    def _setup_layer(self, input_: Array) -> None:
        dtype, width = self._param_dtype(input_), self.recurrence.columns * self.hidden_size
        W_x = self._draw((self._features(input_), width), dtype)
        inputs = WeightMultiply(W_x) if self.vocabulary_size is None else Embedding_Op(W_x)
        bias = BiasAdd(np.zeros((1, width), dtype=dtype))
        # Linear ends the chain that a fast backend computes in one call.
        self.operations = [inputs, bias, Linear(), self._make_recurrence(width, dtype)]
        if self.output_size is not None:
            W_v = self._draw((self.hidden_size, self.output_size), dtype)
            self.operations += dense_chain(W_v, Linear())

    def _features(self, input_: Array) -> int:
        owner = type(self).__name__
        if self.vocabulary_size is not None:
            if input_.ndim != 2 or input_.dtype.kind not in "iu":
                raise ValueError(
                    f"{owner}: with vocabulary_size the input must be integers (batch, time), "
                    f"got {input_.dtype} of shape {input_.shape}"
                )
            return self.vocabulary_size
        if input_.ndim != 3 or input_.shape[2] < 1:
            raise ValueError(
                f"{owner}: the input must be (batch, time, features), got shape {input_.shape}; "
                "for integers give vocabulary_size, or put an Embedding before"
            )
        return int(input_.shape[2])

    def _draw(self, shape: Shape, dtype: "np.dtype[Any]") -> Array:
        scale = self.weight_scale or 1 / math.sqrt(3 * self.hidden_size)
        return self.rng.normal(0.0, scale, size=shape).astype(dtype, copy=False)

    def _make_recurrence(self, width: int, dtype: "np.dtype[Any]") -> ParamOperation:
        return self.recurrence(self._draw((self.hidden_size, width), dtype), carry=self.carry)


class RNNLayer(_RecurrentLayer):
    """A plain recurrent layer.

    Forward: ``h_t = tanh(x_t @ W_x + B + h_(t-1) @ W_h)``, and with output_size
    ``output_t = h_t @ W_v + B_v``, else ``output_t = h_t``. Backward: the chain of its Operations'
    gradients, from the last step to the first. Input is (batch, time, features).

    Book, chapter 6; Elman, 1990. Gradients stop where a batch begins (truncated backpropagation
    through time), whether its state was carried or not.

    Parameters
    ----------
    hidden_size : int
        The number of features of the state.
    output_size : int, optional
        The number of features that come out, as in the book; the state itself unless given.
    weight_scale : float, optional
        The standard deviation of the weights as they start; ``1 / sqrt(3 * hidden_size)`` unless
        given, as in PyTorch. (The book takes 2 / (inputs + output_size).) Biases start at zero.
    carry : {False, True, "mean"}, default False
        Whether a batch starts from the state in which the one before it ended: each sequence from
        its own, or all from the mean, as in the book. ``reset_state()`` makes a new start.
    vocabulary_size : int, optional
        If given, the input is integers below it, (batch, time), each standing for a one-hot row.

    Examples
    --------
    >>> layer = RNNLayer(hidden_size=8, output_size=3)
    >>> layer.forward(np.zeros((2, 5, 3))).shape
    (2, 5, 3)
    >>> [param.shape for param in layer.params]
    [(3, 8), (1, 8), (8, 8), (8, 3), (1, 3)]
    """

    recurrence = RNN_Op


class LSTMLayer(_RecurrentLayer):
    """A layer of long short-term memory.

    Forward: with ``x_t @ W_x + B + h_(t-1) @ W_h`` cut into four, in the order forget, input,
    candidate, output: ``c_t = f * c_(t-1) + i * c_bar``, ``h_t = o * tanh(c_t)``. The output, and
    backward, are as in RNNLayer.

    Book, chapter 6; Hochreiter and Schmidhuber, 1997; Gers et al., 2000. The book has a matrix for
    each gate; here they lie side by side in one.

    Parameters
    ----------
    hidden_size, output_size, weight_scale, carry, vocabulary_size
        As in RNNLayer. The forget gate's bias starts at 1, so that a new layer remembers
        (Jozefowicz et al., 2015); the other biases start at zero. What is carried is (h, c).

    Examples
    --------
    >>> layer = LSTMLayer(hidden_size=8)
    >>> layer.forward(np.zeros((2, 5, 3))).shape
    (2, 5, 8)
    >>> [param.shape for param in layer.params]
    [(3, 32), (1, 32), (8, 32)]
    """

    recurrence = LSTM_Op

    def _setup_layer(self, input_: Array) -> None:
        super()._setup_layer(input_)
        bias: Any = self.operations[1]
        bias.param[:, : self.hidden_size] = 1


class GRULayer(_RecurrentLayer):
    """A layer of gated recurrent units.

    Forward: ``h_t = u * h_(t-1) + (1 - u) * h_bar``, where the gates r and u and the candidate
    h_bar come from ``x_t @ W_x + B`` and ``h_(t-1)`` as ``dlfs.reference.gru`` says. The output,
    and backward, are as in RNNLayer.

    Cho et al., 2014; book, chapter 6, with two mistakes of its code put right: there the update
    gate is computed from the reset gate's sums, so that the two are always equal, and the backward
    pass drops a part of the gradient of the state.

    Parameters
    ----------
    hidden_size, output_size, weight_scale, carry, vocabulary_size
        As in RNNLayer.
    reset : {"before", "after"}, default "before"
        Whether the reset gate multiplies the state, as in the book, or, as in cuDNN and PyTorch,
        the product of state and weights.

    Examples
    --------
    >>> layer = GRULayer(hidden_size=8, reset="after")
    >>> layer.forward(np.zeros((2, 5, 3))).shape
    (2, 5, 8)
    >>> [param.shape for param in layer.params]
    [(3, 24), (1, 24), (9, 24)]
    """

    recurrence = GRU_Op

    def __init__(
        self,
        hidden_size: int,
        output_size: int | None = None,
        weight_scale: float | None = None,
        carry: bool | str = False,
        vocabulary_size: int | None = None,
        reset: str = "before",
    ) -> None:
        super().__init__(hidden_size, output_size, weight_scale, carry, vocabulary_size)
        self.reset = check_choice(reset, GRU_RESETS, "GRULayer", "reset")

    def _make_recurrence(self, width: int, dtype: "np.dtype[Any]") -> ParamOperation:
        after = self.reset == "after"
        W_h = self._draw((self.hidden_size + after, width), dtype)
        # What stands for the weights of a saved file, before they are read, is all zeros.
        if after and W_h.flags.writeable:
            W_h[-1] = 0
        return GRU_Op(W_h, carry=self.carry, reset=self.reset)
