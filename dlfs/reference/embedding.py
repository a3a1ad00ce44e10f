"""Embedding: the rows of a table, looked up by integers."""

import numpy as np

from dlfs.checks import check_int, check_kind, check_range
from dlfs.named_axes import check_arrays
from dlfs.reference.kernel import kernel
from dlfs.types import Array, IntArray


@kernel(table="rows features")
def embedding(indices: IntArray, table: Array) -> Array:
    """Look up rows: ``table[indices]``, the product of one-hot rows and the table.

    indices (...) of integers from 0 to rows - 1, table (rows, features) -> (..., features)

    >>> embedding(np.array([1, 0, 1]), np.array([[10.0], [20.0]]))
    array([[20.],
           [10.],
           [20.]])
    """
    check_indices(indices, table.shape[0], "embedding")
    return table[indices]


@kernel()
def embedding_param_grad(output_grad: Array, indices: IntArray, rows: int) -> Array:
    """Gradient of ``table[indices]``: row r is the sum of output_grad where the index was r.

    output_grad (..., features), indices (...) of integers -> table_grad (rows, features)

    >>> embedding_param_grad(np.array([[1.0], [2.0], [4.0]]), np.array([1, 0, 1]), 3)
    array([[2.],
           [5.],
           [0.]])
    """
    owner = "embedding_param_grad"
    rows = check_int(rows, owner, "rows", 1)
    check_indices(indices, rows, owner)
    check_arrays(owner, output_grad=(output_grad, (*indices.shape, "features")))
    table_grad = np.zeros((rows, output_grad.shape[-1]), dtype=output_grad.dtype)
    np.add.at(table_grad, indices, output_grad)
    return table_grad


def check_indices(indices: IntArray, rows: int, owner: str) -> None:
    """Demand an array of integers from 0 to ``rows - 1``."""
    check_kind(indices, "iu", "an array of integers", owner, "indices")
    check_range(indices, rows - 1, owner, "indices")
