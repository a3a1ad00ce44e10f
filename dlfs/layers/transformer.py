"""The layers of a transformer around its attention."""

import copy

import numpy as np

from dlfs.activations import GELU, Linear, own_copy
from dlfs.base import Operation
from dlfs.checks import check_flag, check_int, check_real
from dlfs.dropout import Dropout
from dlfs.initializers import Initializer, check_weight_init, choose_init, draw_weights
from dlfs.layers.attention import SelfAttention
from dlfs.layers.base import Layer, dense_chain
from dlfs.layers.blocks import LayerBlock, Residual
from dlfs.layers.normalization import LayerNorm
from dlfs.types import Array


class FeedForward(Layer):
    """Two dense layers, the first one wide: what a transformer does at each position by itself.

    Forward: ``output = activation(input_ @ W_1 + B_1) @ W_2 + B_2``, with ``expand`` times as many
    neurons inside as features outside. Backward: the chain of its Operations' gradients. A Dense
    layer is told its number of neurons; this one takes it from its input, (batch, features) or
    (batch, time, features).

    Vaswani et al., "Attention is all you need", 2017.

    Parameters
    ----------
    expand : int, default 4
        How many times as many neurons as features.
    activation : Operation, optional
        GELU unless given. The layer works with a copy.
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the weights start; by default as suits the activation, see dlfs.initializers.

    Examples
    --------
    >>> layer = FeedForward(expand=4)
    >>> layer.forward(np.ones((2, 7, 3))).shape
    (2, 7, 3)
    >>> [param.shape for param in layer.params]
    [(3, 12), (1, 12), (12, 3), (1, 3)]
    """

    def __init__(
        self,
        expand: int = 4,
        activation: Operation | None = None,
        weight_init: str | Initializer | None = None,
    ) -> None:
        super().__init__()
        self.expand = check_int(expand, "FeedForward", "expand", 1)
        self.activation = own_copy(activation, GELU, "FeedForward")
        self.weight_init = check_weight_init(weight_init, "FeedForward")

    def _setup_layer(self, input_: Array) -> None:
        if input_.ndim not in (2, 3) or input_.shape[-1] < 1:
            raise ValueError(
                f"FeedForward: the input must be (batch, features) or (batch, time, features), "
                f"got shape {input_.shape}"
            )
        features, dtype = input_.shape[-1], self._param_dtype(input_)
        wide = self.expand * features
        # An activation may have fewer features than its input: SwiGLU has half.
        left = copy.copy(self.activation).forward(np.zeros((0, wide), dtype=dtype)).shape[-1]
        self.operations = [
            *self._dense(features, wide, self.activation, dtype),
            *self._dense(left, features, Linear(), dtype),
        ]

    def _dense(
        self, features: int, neurons: int, activation: Operation, dtype: "np.dtype[np.floating]"
    ) -> list[Operation]:
        init = choose_init(self.weight_init, activation)
        W = draw_weights(init, self.rng, (features, neurons), features, neurons, dtype)
        return dense_chain(W, activation)


class TransformerBlock(Layer):
    """Attention, then two dense layers at each position, each added to its input.

    Forward: ``h = input_ + dropout(attention(norm(input_)))``, then
    ``output = h + dropout(feed_forward(norm(h)))``. Backward: the chain of its layers' gradients.
    Input and output are (batch, time, features).

    The block is made of layers: a Residual of LayerNorm, SelfAttention and Dropout, and a Residual
    of LayerNorm, FeedForward and Dropout. Put others together in the same way, where the
    normalization shall stand elsewhere, say.

    Vaswani et al., 2017; normalization first, as in GPT-2 (Radford et al., 2019).

    Parameters
    ----------
    heads : int
        How many parts of the features attend on their own; it must divide the features.
    expand : int, default 4
        How many times as many neurons as features the wide dense layer has.
    dropout : float, default 1.0
        The probability that an output of either branch is kept; 1 keeps all.
    activation : Operation, optional
        The one of the wide dense layer; GELU unless given.
    causal : bool, default True
        Whether a position sees only itself and those before it.
    rotary : bool, default False
        Whether attention knows distances, see SelfAttention.

    Examples
    --------
    >>> block = TransformerBlock(heads=2)
    >>> block.forward(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    >>> len(block.params)
    12
    """

    def __init__(
        self,
        heads: int,
        expand: int = 4,
        dropout: float = 1.0,
        activation: Operation | None = None,
        causal: bool = True,
        rotary: bool = False,
    ) -> None:
        super().__init__()
        owner = "TransformerBlock"
        self.heads = check_int(heads, owner, "heads", 1)
        self.expand = check_int(expand, owner, "expand", 1)
        self.dropout = check_real(dropout, owner, "dropout", 0.0, 1.0, low_open=True)
        self.activation = own_copy(activation, GELU, owner)
        self.causal = check_flag(causal, owner, "causal")
        self.rotary = check_flag(rotary, owner, "rotary")
        attention = SelfAttention(self.heads, self.causal, self.rotary)
        feed_forward = FeedForward(self.expand, self.activation)
        self.layers: list[LayerBlock] = [
            Residual([LayerNorm(), attention, *self._dropped()]),
            Residual([LayerNorm(), feed_forward, *self._dropped()]),
        ]

    def _dropped(self) -> list[Operation]:
        return [Dropout(self.dropout)] if self.dropout < 1.0 else []
