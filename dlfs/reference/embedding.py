"""Embedding: a table looked up by whole numbers."""

import numpy as np

from dlfs.checks import check_float_array, check_int
from dlfs.types import Array, IntArray


def embedding(indices: IntArray, table: Array) -> Array:
    """Look up rows of a table.

    Parameters
    ----------
    indices : ndarray of integers, any shape
        Each from 0 to rows - 1.
    table : ndarray, shape (rows, features)

    Returns
    -------
    ndarray, shape (*indices.shape, features)
        ``table[indices]``: what multiplying one-hot rows by the table gives, without the zeros.

    Raises
    ------
    TypeError
        If indices are no integers, or the table is not float32 or float64.
    ValueError
        If an index is out of range or the table does not have 2 dimensions.

    Notes
    -----
    Bengio et al., "A neural probabilistic language model", 2003. Backward:
    ``embedding_param_grad``; integers have no gradient.

    Examples
    --------
    >>> embedding(np.array([1, 0, 1]), np.array([[10.0], [20.0]]))
    array([[20.],
           [10.],
           [20.]])
    """
    check_float_array(table, "embedding", "table", 2)
    _check_indices(indices, table.shape[0], "embedding")
    return table[indices]


def embedding_param_grad(output_grad: Array, indices: IntArray, rows: int) -> Array:
    """Carry a gradient back through ``embedding`` to its table.

    Parameters
    ----------
    output_grad : ndarray, shape (*indices.shape, features)
    indices : ndarray of integers, any shape
    rows : int
        How many rows the table has.

    Returns
    -------
    ndarray, shape (rows, features)
        Row r is the sum of output_grad where the index was r: one looked up twice collects twice.

    Raises
    ------
    TypeError
        If indices are no integers, or output_grad is not float32 or float64.
    ValueError
        If an index is out of range or the shapes do not fit.

    Notes
    -----
    Bengio et al., 2003.

    Examples
    --------
    >>> embedding_param_grad(np.array([[1.0], [2.0], [4.0]]), np.array([1, 0, 1]), 3)
    array([[2.],
           [5.],
           [0.]])
    """
    owner = "embedding_param_grad"
    rows = check_int(rows, owner, "rows", 1)
    check_float_array(output_grad, owner, "output_grad")
    _check_indices(indices, rows, owner)
    if output_grad.ndim < 1 or output_grad.shape[:-1] != indices.shape:
        raise ValueError(
            f"{owner}: output_grad must have shape {(*indices.shape, 'features')}, "
            f"got {output_grad.shape}"
        )
    table_grad = np.zeros((rows, output_grad.shape[-1]), dtype=output_grad.dtype)
    np.add.at(table_grad, indices, output_grad)
    return table_grad


def _check_indices(indices: object, rows: int, owner: str) -> None:
    if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu":
        got = getattr(indices, "dtype", type(indices).__name__)
        raise TypeError(f"{owner}: indices must be an array of integers, got {got}")
    if indices.size and not 0 <= indices.min() <= indices.max() < rows:
        raise ValueError(
            f"{owner}: indices must lie in 0..{rows - 1}, got {indices.min()}..{indices.max()}"
        )
