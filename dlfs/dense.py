"""The Operations of a dense layer: weight multiply and bias (book, chapter 3)."""

import math

from dlfs.backend import kernels
from dlfs.base import ParamOperation
from dlfs.checks import check_float_array
from dlfs.types import Array


def rows(x: Array) -> Array:
    """Return ``x`` as a matrix: (batch, time, features) becomes (batch * time, features)."""
    return x if x.ndim <= 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def with_features(x: Array, param: Array) -> Array:
    """Return ``x`` with the features on axis 1, where images have their channels."""
    return rows(x) if param.ndim == 2 else x


class WeightMultiply(ParamOperation):
    """Multiply by a weight matrix.

    Forward: ``output = input_ @ W``. Backward: ``input_grad = output_grad @ W.T`` and
    ``param_grad = input_.T @ output_grad``. Input is (batch, in_features), or (batch, time,
    in_features): then all time steps share the weights, whose gradient sums over them.

    Parameters
    ----------
    W : ndarray, shape (in_features, out_features)

    Examples
    --------
    >>> multiply = WeightMultiply(np.array([[3.0], [4.0]]))
    >>> multiply.forward(np.array([[1.0, 2.0]]))
    array([[11.]])
    >>> multiply.backward(np.array([[1.0]]))
    array([[3., 4.]])
    >>> multiply.param_grad
    array([[1.],
           [2.]])
    """

    def __init__(self, W: Array) -> None:
        check_float_array(W, type(self).__name__, "W", 2)
        super().__init__(W)

    def _output(self) -> Array:
        output = kernels.weight_multiply(rows(self.input_), self.param)
        return output.reshape(*self.input_.shape[:-1], self.param.shape[1])

    def _input_grad(self, output_grad: Array) -> Array:
        grad = kernels.weight_multiply_input_grad(rows(output_grad), self.param)
        return grad.reshape(self.input_.shape)

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.weight_multiply_param_grad(rows(output_grad), rows(self.input_))


class BiasAdd(ParamOperation):
    """Add a bias to every feature or channel.

    Forward: ``output = input_ + B``. Backward: ``input_grad = output_grad``, and ``param_grad`` is
    the sum of output_grad over the batch (and time or pixels). Book, chapter 3.

    Parameters
    ----------
    B : ndarray, shape (1, features), for images (1, channels, 1, 1)

    Examples
    --------
    >>> add = BiasAdd(np.array([[10.0, 20.0]]))
    >>> output = add.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> input_grad = add.backward(np.ones((2, 2)))
    >>> add.param_grad
    array([[2., 2.]])
    """

    penalized = False

    def __init__(self, B: Array) -> None:
        check_float_array(B, type(self).__name__, "B")
        if B.ndim < 2 or B.shape[0] != 1:
            raise ValueError(f"BiasAdd: B must have shape (1, features), got {B.shape}")
        super().__init__(B)

    def _output(self) -> Array:
        output = kernels.bias_add(with_features(self.input_, self.param), self.param)
        return output.reshape(self.input_.shape)

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad

    def _param_grad(self, output_grad: Array) -> Array:
        return kernels.bias_add_param_grad(with_features(output_grad, self.param))
