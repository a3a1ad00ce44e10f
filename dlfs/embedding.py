"""Embedding: whole numbers in, learned vectors out."""

from dlfs.backend import kernels
from dlfs.base import ParamOperation
from dlfs.checks import check_float_array
from dlfs.types import Array


class Embedding_Op(ParamOperation):
    """Look up a row of a table for each index.

    Forward: ``output = table[input_]``. Backward: row r of ``param_grad`` is the sum of output_grad
    over the places where the index was r. Integers have no gradient: ``input_grad`` is zero.

    The same as multiplying one-hot rows by the table, without the zeros. Bengio et al., 2003.

    Parameters
    ----------
    table : ndarray, shape (rows, features)

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not made of integers from 0 to rows - 1.

    Examples
    --------
    >>> import numpy as np
    >>> look_up = Embedding_Op(np.array([[10.0], [20.0], [30.0]]))
    >>> look_up.forward(np.array([[1, 0, 1]]))[0]
    array([[20.],
           [10.],
           [20.]])
    >>> look_up.backward(np.ones((1, 3, 1)), input_grad=False)
    >>> look_up.param_grad
    array([[1.],
           [2.],
           [0.]])
    """

    takes_integers = True

    def __init__(self, table: Array) -> None:
        check_float_array(table, type(self).__name__, "table", 2)
        super().__init__(table)

    def _output(self) -> Array:
        return kernels.embedding(self.input_, self.param)

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.embedding_param_grad(output_grad, self.input_, self.param.shape[0])
