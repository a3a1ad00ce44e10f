"""Attention layers: projections around the attention of each head."""

from dlfs.activations import Linear
from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.checks import check_flag, check_int, check_real
from dlfs.initializers import Initializer, check_weight_init, draw_weights
from dlfs.layers.base import Layer, dense_chain
from dlfs.types import Array


class SelfAttention(Layer):
    """Let every position of a sequence look at the others: projection, attention, projection.

    Forward: ``qkv = input_ @ W_in + B_in`` gives each position queries, keys and values; attention
    averages the values (see Attention_Op); ``output = averaged @ W_out + B_out``. Backward: the
    chain of its Operations' gradients. Input and output are (batch, time, features).

    Vaswani et al., "Attention is all you need", 2017.

    Parameters
    ----------
    heads : int
        How many parts of the features attend on their own; it must divide the features.
    causal : bool, default False
        Whether a position sees only itself and those before it.
    rotary : bool, default False
        Whether queries and keys are turned by angles that grow with the position, so that attention
        knows distances (see RotaryPositions). Each head then needs an even number of features.
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the weights start, see dlfs.initializers; "glorot" unless given.
    dropout : float, default 1.0
        The probability that a weight of the attention is kept; 1 keeps all, and stores no mask. To
        drop outputs, let a Dropout follow.

    Examples
    --------
    >>> layer = SelfAttention(heads=2, causal=True)
    >>> layer.forward(np.ones((5, 7, 6))).shape
    (5, 7, 6)
    >>> [param.shape for param in layer.params]
    [(6, 18), (1, 18), (6, 6), (1, 6)]
    """

    def __init__(
        self,
        heads: int,
        causal: bool = False,
        rotary: bool = False,
        weight_init: str | Initializer | None = None,
        dropout: float = 1.0,
    ) -> None:
        super().__init__()
        self.heads = check_int(heads, "SelfAttention", "heads", 1)
        self.causal = check_flag(causal, "SelfAttention", "causal")
        self.rotary = check_flag(rotary, "SelfAttention", "rotary")
        self.weight_init = check_weight_init(weight_init, "SelfAttention")
        self.dropout = check_real(dropout, "SelfAttention", "dropout", 0.0, 1.0, low_open=True)

    def _setup_layer(self, input_: Array) -> None:
        if input_.ndim != 3:
            raise ValueError(
                f"SelfAttention: the input must be (batch, time, features), got shape "
                f"{input_.shape}"
            )
        features, dtype = input_.shape[2], self._param_dtype(input_)
        unit, words = (2 * self.heads, "2 * heads") if self.rotary else (self.heads, "heads")
        if features < 1 or features % unit:
            raise ValueError(
                f"SelfAttention: the features must be a multiple of {words} ({unit}), "
                f"got {features}"
            )
        init = "glorot" if self.weight_init is None else self.weight_init
        # Queries, keys and values are three matrices side by side, each (features, features).
        W_in = draw_weights(init, self.rng, (features, 3 * features), features, features, dtype)
        W_out = draw_weights(init, self.rng, (features, features), features, features, dtype)
        self.operations = [
            *dense_chain(W_in, Linear()),
            *([RotaryPositions(self.heads)] if self.rotary else []),
            Attention_Op(self.heads, self.causal, self.dropout),
            *dense_chain(W_out, Linear()),
        ]
