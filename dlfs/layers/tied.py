"""An embedding whose table also makes the output."""

from collections.abc import Callable, Sequence
from typing import Any

from dlfs.base import Operation
from dlfs.checks import check_int
from dlfs.embedding import TableMultiply
from dlfs.initializers import Initializer, check_weight_init
from dlfs.layers.base import Layer
from dlfs.layers.blocks import LayerBlock
from dlfs.layers.embedding import Embedding
from dlfs.types import Array


class _TiedHead(Layer):
    """The last layer of a TiedEmbedding, which makes it: the table, transposed.

    Forward: ``output = input_ @ table.T``. The table belongs to the embedding, and is one parameter
    with it.

    Parameters
    ----------
    table : callable
        Returns the embedding's table.
    """

    def __init__(self, table: Callable[[], Array]) -> None:
        super().__init__()
        self._table = table

    def _setup_layer(self, input_: Array) -> None:
        self.operations = [TableMultiply(self._table())]

    def __repr__(self) -> str:
        return "TiedHead()"


class TiedEmbedding(LayerBlock):
    """An embedding, layers, and the embedding's table once more, which turns vectors into scores.

    Forward: ``output = inside(table[input_]) @ table.T``: one score for each integer of the
    vocabulary. Backward: the chain of its layers' gradients; the table, one parameter that is used
    twice, gets the sum of both gradients.

    Input (batch, time) becomes (batch, time, vocabulary_size). Press and Wolf, "Using the output
    embedding to improve language models", 2017.

    Parameters
    ----------
    vocabulary_size : int
        The integers go from 0 to vocabulary_size - 1.
    neurons : int
        The length of each vector.
    inside : sequence of Layer or Operation
        What stands between the embedding and the output; the last one must have ``neurons``
        features.
    weight_init : {"standard", "glorot", "he"} or callable, optional
        How the table starts, see dlfs.initializers; "glorot" unless given, because the table is a
        weight matrix too.

    Examples
    --------
    >>> from dlfs.layers import LayerNorm, PositionEmbedding, TransformerBlock
    >>> gpt = TiedEmbedding(
    ...     vocabulary_size=62,
    ...     neurons=8,
    ...     inside=[PositionEmbedding(64), TransformerBlock(heads=2), LayerNorm()],
    ... )
    >>> gpt.forward(np.array([[3, 1, 4]])).shape
    (1, 3, 62)
    """

    def __init__(
        self,
        vocabulary_size: int,
        neurons: int,
        inside: Sequence[Layer | Operation],
        weight_init: str | Initializer | None = None,
    ) -> None:
        rows = check_int(vocabulary_size, "TiedEmbedding", "vocabulary_size", 1)
        columns = check_int(neurons, "TiedEmbedding", "neurons", 1)
        check_weight_init(weight_init, "TiedEmbedding")
        embedding = Embedding(rows, columns, "glorot" if weight_init is None else weight_init)
        between: list[Any] = list(LayerBlock(inside).layers)
        super().__init__([embedding, *between, _TiedHead(self._own_table)])
        self.vocabulary_size = rows
        self.neurons = columns
        self.inside = between
        self.weight_init = weight_init

    def _own_table(self) -> Array:
        embedding: Any = self.layers[0].operations[0]
        return embedding.param

    def __repr__(self) -> str:
        return Layer.__repr__(self)
