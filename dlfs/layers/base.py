"""Layer: a chain of Operations, set up when it sees its first input; and Dense, the first layer."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dlfs import backend
from dlfs.activations import Linear, own_copy
from dlfs.base import Operation, backward_through
from dlfs.checks import (
    check_flag,
    check_int,
    check_layer_input,
    check_real,
    checked_output_grad,
    optional,
)
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.initializers import Initializer, check_weight_init, choose_init, draw_weights
from dlfs.layers.fusion import fuse
from dlfs.layers.tree import LayerTree
from dlfs.reshape import Flatten
from dlfs.types import Array


class Layer(LayerTree):
    """A chain of Operations; backward, the same chain the other way round (chain rule).

    A subclass, such as Dense below, writes ``_setup_layer(input_)``, which fills
    ``self.operations`` when the first input arrives and its shape is known. Or it lists inner
    layers in ``self.layers``: then it is a chain of those, and may write its own ``forward`` and
    ``backward`` to connect them in another way. Book, chapter 3.

    Parameters
    ----------
    neurons : int, optional
        The number of features of the output, where that is a number.

    Attributes
    ----------
    operations : list of Operation
        The chain as the book has it.
    steps : list
        What ran in the last ``forward``: Operations, or fused steps that stand for several.
    seed : int or numpy.random.SeedSequence, optional
        Where its random numbers start; a network gives each layer another seed.
    following : Operation, optional
        The activation that stands behind the layer in a network.
    params, param_grads, layers, first, trainable
        See LayerTree.

    Examples
    --------
    >>> Dense(3).forward(np.ones((2, 4))).shape
    (2, 3)
    """

    takes_integers: ClassVar[bool] = False

    def __init__(self, neurons: int | None = None) -> None:
        super().__init__()
        self.neurons = optional(check_int, neurons, type(self).__name__, "neurons", 1)
        self.steps: Sequence[Any] = ()
        self.seed: int | np.random.SeedSequence | None = None
        self.dtype: Any = None
        self.following: Operation | None = None
        self._fused: Sequence[Operation] = ()

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Send the input through the chain; the arguments are those of ``Operation.forward``."""
        if type(input_) is not np.ndarray:
            input_ = check_layer_input(input_, type(self).__name__)
        if self.first:
            self.set_up(input_)
        self.input_ = input_
        self.steps = self.layers or (self._fused if backend.fuses() else self.operations)
        for step in self.steps:
            input_ = step.forward(input_, inference)
        self.output = input_
        return input_

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Send the gradient back through the chain, to the input and all parameters.

        With ``input_grad=False`` it stops at the first parameter and returns None.
        """
        output_grad = checked_output_grad(self, output_grad)
        try:
            return backward_through(self.steps, output_grad, input_grad)
        except BaseException:
            # Some gradients would be of this pass, some of the one before.
            self.forget_gradients()
            raise

    def set_up(self, input_: Array, rng: np.random.Generator | None = None) -> None:
        """Set the layer up for inputs like this one, with new parameters.

        ``forward`` does so at its first call; inner layers do so when the input reaches them.
        ``rng`` is made from ``seed`` unless given. Operations that draw numbers (Dropout) take it.
        """
        input_ = check_layer_input(input_, type(self).__name__)
        seeded = self.seed is not None or rng is not None
        self.rng = np.random.default_rng(self.seed) if rng is None else rng
        self._setup_layer(input_)
        for operation in self.operations if seeded else ():
            if hasattr(operation, "rng"):
                operation.rng = self.rng
        self._fused = fuse(self.operations)
        self.first = False
        if not self._keeps_own():
            self._own_params = []

    def _setup_layer(self, input_: Array) -> None:
        pass

    def _param_dtype(self, input_: Array) -> Any:
        """Return the dtype of new parameters: the network's, or else the input's."""
        if self.dtype is not None:
            return self.dtype
        return input_.dtype if input_.dtype.kind == "f" else np.dtype(np.float64)


class Dense(Layer):
    """A fully connected layer: WeightMultiply, BiasAdd, the activation, and Dropout if asked for.

    Forward: ``output = activation(input_ @ W + B)``. Book, chapters 3 and 4.

    Parameters
    ----------
    neurons : int
        The number of features of the output.
    activation : Operation, optional
        Linear unless given. The layer works with a copy.
    conv_in : bool, default False
        Whether the input must first be flattened: the images of a convolutional layer.
    dropout : float, default 1.0
        The probability that an output is kept; 1 keeps all. (Elsewhere it is mostly the
        probability that an output is dropped.)
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the weights start; by default as suits the activation, see dlfs.initializers.

    Examples
    --------
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
        super().__init__(check_int(neurons, type(self).__name__, "neurons", 1))
        self.activation = own_copy(activation, Linear, "Dense")
        self.conv_in = check_flag(conv_in, "Dense", "conv_in")
        self.dropout = check_real(dropout, "Dense", "dropout", 0.0, 1.0, low_open=True)
        self.weight_init = check_weight_init(weight_init, "Dense")

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
        W = draw_weights(init, self.rng, shape, *shape, dtype)
        self.operations = [Flatten()] if self.conv_in else []
        self.operations += dense_chain(W, self.activation)
        if self.dropout < 1.0:
            self.operations.append(Dropout(self.dropout))


def dense_chain(W: Array, activation: Operation) -> list[Operation]:
    """Return the Operations of a dense layer with these weights; its bias starts at zero."""
    return [WeightMultiply(W), BiasAdd(np.zeros((1, W.shape[1]), dtype=W.dtype)), activation]
