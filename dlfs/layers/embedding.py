"""Embedding: a learned vector for each whole number, or for each position of a sequence."""

from dlfs.checks import check_flag, check_int
from dlfs.embedding import Embedding_Op, PositionAdd, SinusoidAdd, check_positions
from dlfs.initializers import Initializer, check_weight_init, draw_weights
from dlfs.layers.base import Layer
from dlfs.types import Array


class Embedding(Layer):
    """Turn integers (characters, words) into learned vectors.

    Forward: ``output = table[input_]``. Backward: each row of the table collects the gradients of
    the places where it was used.

    Input (batch, time) becomes (batch, time, neurons). Bengio et al., "A neural probabilistic
    language model", 2003.

    Parameters
    ----------
    vocabulary_size : int
        The integers go from 0 to vocabulary_size - 1.
    neurons : int
        The length of each vector.
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the table starts, see dlfs.initializers; "standard" unless given.

    Examples
    --------
    >>> Embedding(vocabulary_size=62, neurons=8).forward(np.array([[3, 1, 4]])).shape
    (1, 3, 8)
    """

    takes_integers = True
    neurons: int

    def __init__(
        self, vocabulary_size: int, neurons: int, weight_init: str | Initializer | None = None
    ) -> None:
        super().__init__(check_int(neurons, type(self).__name__, "neurons", 1))
        self.vocabulary_size = check_int(vocabulary_size, "Embedding", "vocabulary_size", 1)
        self.weight_init = check_weight_init(weight_init, "Embedding")

    def _setup_layer(self, input_: Array) -> None:
        shape = (self.vocabulary_size, self.neurons)
        # Nothing is summed here, so the size of the numbers does not depend on the shape.
        init = "standard" if self.weight_init is None else self.weight_init
        table = draw_weights(init, self.rng, shape, *shape, self._param_dtype(input_))
        self.operations = [Embedding_Op(table)]


class PositionEmbedding(Layer):
    """Add to each position of a sequence a vector of its own, so that attention knows the order.

    Forward: ``output = input_ + table[:time]``, with a learned table, or with sines and cosines
    (see SinusoidAdd). Backward: ``input_grad = output_grad``; each row of the table collects the
    gradients at its position.

    Input is (batch, time, features). Vaswani et al., "Attention is all you need", 2017.

    Parameters
    ----------
    length : int
        The longest sequence.
    sinusoidal : bool, default False
        Whether the vectors are fixed sines and cosines, not learned.
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the table starts, see dlfs.initializers; "glorot" unless given.

    Examples
    --------
    >>> layer = PositionEmbedding(length=10)
    >>> layer.forward(np.zeros((2, 7, 4))).shape
    (2, 7, 4)
    >>> [param.shape for param in layer.params]
    [(10, 4)]
    """

    def __init__(
        self, length: int, sinusoidal: bool = False, weight_init: str | Initializer | None = None
    ) -> None:
        super().__init__()
        self.length = check_int(length, "PositionEmbedding", "length", 1)
        self.sinusoidal = check_flag(sinusoidal, "PositionEmbedding", "sinusoidal")
        self.weight_init = check_weight_init(weight_init, "PositionEmbedding")

    def _setup_layer(self, input_: Array) -> None:
        check_positions(input_, self.length, None, "PositionEmbedding")
        if self.sinusoidal:
            self.operations = [SinusoidAdd(self.length)]
            return
        shape = (self.length, input_.shape[2])
        init = "glorot" if self.weight_init is None else self.weight_init
        table = draw_weights(init, self.rng, shape, *shape, self._param_dtype(input_))
        self.operations = [PositionAdd(table)]
