"""Dense: every feature in, weighed, to every neuron out."""

import numpy as np

from dlfs.activations import Linear
from dlfs.base import Operation
from dlfs.checks import check_flag, check_real
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.initializers import Initializer, check_weight_init, choose_init, draw_weights
from dlfs.layers.base import Layer, own_copy
from dlfs.reshape import Flatten
from dlfs.types import Array


class Dense(Layer):
    """A fully connected layer.

    Forward: ``output = activation(input_ @ W + B)``, followed by dropout if asked for. Backward:
    the chain of its Operations' gradients.

    Parameters
    ----------
    neurons : int
        The number of features that come out.
    activation : Operation, optional
        Linear unless given. The layer works with a copy.
    conv_in : bool
        Whether the input are images, to be flattened first.
    dropout : float
        The probability that an output is kept; 1 keeps them all.
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the weights start. By default what suits the activation, see dlfs.initializers; the
        book's is "standard".

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, features), a sequence
        (batch, time, features), or with conv_in anything with a batch axis.

    Notes
    -----
    Book, chapters 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from dlfs.activations import Sigmoid
    >>> layer = Dense(neurons=13, activation=Sigmoid())
    >>> layer.forward(np.zeros((4, 7))).shape
    (4, 13)
    >>> [param.shape for param in layer.params]
    [(7, 13), (1, 13)]
    """

    neurons: int

    def __init__(
        self,
        neurons: int,
        activation: Operation | None = None,
        conv_in: bool = False,
        dropout: float = 1.0,
        weight_init: str | Initializer | None = None,
    ) -> None:
        if neurons is None:
            raise TypeError("Dense: neurons must be an integer, got None")
        super().__init__(neurons)
        self.activation = own_copy(activation, Linear, "Dense")
        self.conv_in = check_flag(conv_in, "Dense", "conv_in")
        self.dropout = check_real(dropout, "Dense", "dropout", 0.0, 1.0, low_open=True)
        check_weight_init(weight_init, "Dense")
        self.weight_init = weight_init

    def _setup_layer(self, input_: Array) -> None:
        if self.conv_in:
            input_ = Flatten().forward(input_)
        if input_.ndim not in (2, 3):
            raise ValueError(
                f"Dense: the input must be (batch, features) or (batch, time, features), got shape "
                f"{input_.shape}; images are flattened with conv_in=True or a Flatten() before"
            )
        features, dtype = input_.shape[-1], self._param_dtype(input_)
        if features < 1:
            raise ValueError(f"Dense: the input has no features (shape {input_.shape})")
        init = choose_init(self.weight_init, self.activation, self.following)
        shape = (features, self.neurons)
        W = draw_weights(init, self.rng, shape, features, self.neurons, dtype)
        self.operations = [Flatten()] if self.conv_in else []
        self.operations += [
            WeightMultiply(W),
            BiasAdd(np.zeros((1, self.neurons), dtype=dtype)),
            self.activation,
        ]
        if self.dropout < 1.0:
            dropout = Dropout(self.dropout)
            dropout.rng = self.rng
            self.operations.append(dropout)
