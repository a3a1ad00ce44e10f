"""Embedding: whole numbers in, learned vectors out; the positions of a sequence; the way back."""

from typing import Any

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation, ParamOperation
from dlfs.checks import check_float_array, check_int
from dlfs.dense import rows
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


class PositionAdd(ParamOperation):
    """Add a learned vector for each position of a sequence.

    Forward: ``output = input_ + table[:time]``. Backward: ``input_grad = output_grad``, and row t
    of ``param_grad`` is the sum of output_grad at position t over the batch, 0 beyond the sequence.
    In inference within ``fresh_start(carry=True)`` the positions go on where the last input ended.

    Parameters
    ----------
    table : ndarray, shape (positions, features)

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, features), or longer than the table.

    Examples
    --------
    >>> add = PositionAdd(np.array([[1.0], [2.0], [3.0]]))
    >>> add.forward(np.zeros((1, 2, 1))).ravel()
    array([1., 2.])
    >>> input_grad = add.backward(np.ones((1, 2, 1)))
    >>> add.param_grad.ravel()
    array([1., 1., 0.])
    """

    carry: bool | str = False
    carried: int | None = None

    def __init__(self, table: Array) -> None:
        check_float_array(table, type(self).__name__, "table", 2)
        super().__init__(table)

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        length, features = self.param.shape
        check_positions(input_, length, features, type(self).__name__)

    def _output(self) -> Array:
        start, end = positions_of(self)
        check_length(end, len(self.param), type(self).__name__)
        return self.input_ + self.param[start:end]

    def reset_state(self) -> None:
        """Begin at the first position again."""
        self.carried = None

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad

    def _param_grad(self, output_grad: Array) -> Array:
        grad = np.zeros_like(self.param)
        grad[: output_grad.shape[1]] = output_grad.sum(axis=0)
        return grad


class SinusoidAdd(Operation):
    """Add a fixed vector for each position of a sequence: sines and cosines of many wavelengths.

    Forward: ``output[:, t, 2 i] = input_[:, t, 2 i] + sin(t / 10000**(2 i / features))``, and the
    cosine of the same angle for feature 2 i + 1. Backward: ``input_grad = output_grad``. In
    inference within ``fresh_start(carry=True)`` the positions go on where the last input ended.

    Vaswani et al., "Attention is all you need", 2017.

    Parameters
    ----------
    length : int
        The longest sequence.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, features), or longer than that.

    Examples
    --------
    >>> SinusoidAdd(2).forward(np.zeros((1, 2, 2))).round(3)
    array([[[0.   , 1.   ],
            [0.841, 0.54 ]]])
    """

    carry: bool | str = False
    carried: int | None = None

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = check_int(length, type(self).__name__, "length", 1)

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        check_positions(input_, self.length, None, type(self).__name__)

    def _output(self) -> Array:
        start, end = positions_of(self)
        check_length(end, self.length, type(self).__name__)
        features = self.input_.shape[2]
        angles = position_angles(start, end, features - features // 2, features / 2)
        waves = np.empty((end - start, features), dtype=self.input_.dtype)
        waves[:, 0::2] = np.sin(angles)
        waves[:, 1::2] = np.cos(angles)[:, : features // 2]
        return self.input_ + waves

    def reset_state(self) -> None:
        """Begin at the first position again."""
        self.carried = None

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad


class TableMultiply(ParamOperation):
    """Multiply by the transpose of an embedding's table: the scores of all its rows.

    Forward: ``output = input_ @ table.T``. Backward: ``input_grad = output_grad @ table`` and
    ``param_grad = output_grad.T @ input_``. Input is (batch, features), or (batch, time, features).

    Press and Wolf, "Using the output embedding to improve language models", 2017.

    Parameters
    ----------
    table : ndarray, shape (rows, features)
        The one of an Embedding_Op: then it is one parameter, and the gradients are added.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input has another number of features.

    Examples
    --------
    >>> TableMultiply(np.array([[1.0, 0.0], [0.0, 2.0]])).forward(np.array([[3.0, 4.0]]))
    array([[3., 8.]])
    """

    def __init__(self, table: Array) -> None:
        check_float_array(table, type(self).__name__, "table", 2)
        super().__init__(table)

    def _output(self) -> Array:
        output = kernels.weight_multiply(rows(self.input_), self.param.T)
        return output.reshape(*self.input_.shape[:-1], len(self.param))

    def _input_grad(self, output_grad: Array) -> Array:
        grad = kernels.weight_multiply(rows(output_grad), self.param)
        return grad.reshape(self.input_.shape)

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.weight_multiply_param_grad(rows(self.input_), rows(output_grad))


def positions_of(operation: Any) -> tuple[int, int]:
    """Return the positions of an input, from the first to the one after the last.

    They begin at 0; in inference, with ``carry``, where the last input ended.
    """
    time = operation.input_.shape[1]
    if not (operation.inference and operation.carry is True):
        return 0, time
    start = operation.carried or 0
    operation.carried = start + time
    return start, start + time


def position_angles(start: int, end: int, count: int, half: float) -> Array:
    """Return the angle of each position and pair of features, ``t / 10000**(i / half)``."""
    return np.arange(start, end)[:, np.newaxis] / 10000.0 ** (np.arange(count) / half)


def check_positions(x: Array, length: int, features: int | None, owner: str) -> None:
    """Demand (batch, time, features) of at most ``length`` positions."""
    if x.ndim != 3 or features not in (None, x.shape[2]):
        wanted = "features" if features is None else features
        raise ValueError(
            f"{owner}: the input must have shape (batch, time, {wanted}), got {x.shape}"
        )
    check_length(x.shape[1], length, owner)


def check_length(time: int, length: int, owner: str) -> None:
    """Demand a sequence of at most ``length`` positions."""
    if time > length:
        raise ValueError(f"{owner}: a sequence may have {length} positions, got {time}")
