"""Embedding: a learned vector for each whole number."""

from dlfs.checks import check_int
from dlfs.embedding import Embedding_Op
from dlfs.initializers import Initializer, check_weight_init, draw_weights
from dlfs.layers.base import Layer
from dlfs.types import Array


class Embedding(Layer):
    """Turn integers (characters, words) into learned vectors.

    Forward: ``output = table[input_]``. Backward: each row of the table collects the gradients of
    the places where it was used.

    Input (batch, time) becomes (batch, time, neurons). Bengio et al., 2003.

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
    >>> import numpy as np
    >>> Embedding(vocabulary_size=62, neurons=8).forward(np.array([[3, 1, 4]])).shape
    (1, 3, 8)
    """

    takes_integers = True
    neurons: int

    def __init__(
        self, vocabulary_size: int, neurons: int, weight_init: str | Initializer | None = None
    ) -> None:
        if neurons is None:
            raise TypeError("Embedding: neurons must be an integer, got None")
        super().__init__(neurons)
        self.vocabulary_size = check_int(vocabulary_size, "Embedding", "vocabulary_size", 1)
        check_weight_init(weight_init, "Embedding")
        self.weight_init = weight_init

    def _setup_layer(self, input_: Array) -> None:
        shape = (self.vocabulary_size, self.neurons)
        # Nothing is summed here, so the size of the numbers does not depend on the shape.
        init = "standard" if self.weight_init is None else self.weight_init
        table = draw_weights(init, self.rng, shape, *shape, self._param_dtype(input_))
        self.operations = [Embedding_Op(table)]
