"""Chains of Operations that a backend computes in one call.

Weight multiply, bias and activation, one after the other, pass over memory three times; one kernel
passes once. A fused chain stands for its Operations: it fills their parameter gradients and gives
the same outputs and gradients. Only what lies between them (``x @ W`` before the bias) is never
computed; use the reference backend to look at that.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from dlfs.activations import Linear, ReLU, Sigmoid, Tanh
from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.conv import Conv2D_Op
from dlfs.dense import BiasAdd, WeightMultiply, rows, with_features
from dlfs.embedding import Embedding_Op
from dlfs.types import Array, Padding, Pair

_NAMES = {Linear: "linear", Sigmoid: "sigmoid", Tanh: "tanh", ReLU: "relu"}


class FusedBias:
    """Bias and activation in one kernel; follows what no kernel takes them into."""

    def __init__(self, bias: BiasAdd, activation: Operation) -> None:
        self.bias = bias
        self.activation = activation
        self._name = _NAMES[type(activation)]

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Return ``activation(input_ + B)``."""
        self.bias.input_ = input_
        flat = kernels.bias_activation(
            with_features(input_, self.bias.param), self.bias.param, self._name
        )
        self.activation.output = flat.reshape(input_.shape)
        return self.activation.output

    def backward(self, output_grad: Array) -> Array:
        """Return the gradient of the input; the bias keeps its own."""
        param, output = self.bias.param, self.activation.output
        grad, self.bias.param_grad = kernels.bias_activation_grad(
            with_features(output_grad, param), with_features(output, param), self._name
        )
        return grad.reshape(output.shape)

    def backward_params(self, output_grad: Array) -> None:
        """Let the bias keep its gradient."""
        self.backward(output_grad)


class FusedDense:
    """Weight multiply, bias and activation in one kernel."""

    def __init__(self, multiply: WeightMultiply, bias: BiasAdd, activation: Operation) -> None:
        self.multiply = multiply
        self.bias = bias
        self.activation = activation
        self._name = _NAMES[type(activation)]

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Return ``activation(input_ @ W + B)``."""
        self.multiply.input_ = input_
        W, B = self.multiply.param, self.bias.param
        if input_.ndim == 2:
            self.activation.output = kernels.dense(input_, W, B, self._name)
        else:
            flat = kernels.dense(rows(input_), W, B, self._name)
            self.activation.output = flat.reshape(*input_.shape[:-1], W.shape[1])
        return self.activation.output

    def backward(self, output_grad: Array) -> Array:
        """Return the gradient of the input; weights and bias keep their own."""
        grad = self._backward_params(output_grad)
        input_grad = kernels.weight_multiply_input_grad(grad, self.multiply.param)
        return input_grad.reshape(self.multiply.input_.shape)

    def backward_params(self, output_grad: Array) -> None:
        """Let weights and bias keep their gradients."""
        self._backward_params(output_grad)

    def _backward_params(self, output_grad: Array) -> Array:
        grad = rows(output_grad)
        if self._name == "linear":
            self.bias.param_grad = kernels.bias_add_param_grad(grad)
        else:
            grad, self.bias.param_grad = kernels.bias_activation_grad(
                grad, rows(self.activation.output), self._name
            )
        # Not a third large array beside the weights and the new gradient; see Layer.
        self.multiply.__dict__.pop("param_grad", None)
        self.multiply.param_grad = kernels.weight_multiply_param_grad(
            grad, rows(self.multiply.input_)
        )
        return grad


class FusedConv:
    """Convolution, bias and activation in one kernel."""

    def __init__(self, convolution: Conv2D_Op, bias: BiasAdd, activation: Operation) -> None:
        self.convolution = convolution
        self.bias = bias
        self.activation = activation
        self._name = _NAMES[type(activation)]

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Return ``activation(conv2d(input_, W) + B)``."""
        op = self.convolution
        op.input_ = input_
        self.activation.output = kernels.conv2d_bias_activation(
            input_, op.param, self.bias.param, self._name, *self._options()
        )
        return self.activation.output

    def backward(self, output_grad: Array) -> Array:
        """Return the gradient of the input; weights and bias keep their own."""
        # Their sums run in one order whether or not the input's gradient is wanted.
        self.backward_params(output_grad)
        grad, _ = kernels.bias_activation_grad(output_grad, self.activation.output, self._name)
        op = self.convolution
        return kernels.conv2d_input_grad(grad, op.param, op.input_.shape, *self._options())

    def backward_params(self, output_grad: Array) -> None:
        """Let weights and bias keep their gradients."""
        op = self.convolution
        op.param_grad, self.bias.param_grad = kernels.conv2d_bias_activation_param_grad(
            output_grad,
            self.activation.output,
            op.input_,
            op.param.shape,
            self._name,
            *self._options(),
        )

    def _options(self) -> tuple[Pair, Padding, Pair, int]:
        op = self.convolution
        return op.stride, op.padding, op.dilation, op.groups


class FusedLookup:
    """Look-up and bias; what a recurrent layer makes of whole numbers.

    A table is mostly smaller than a batch of sequences. Then the bias is added to it before rows
    are looked up, and the bias's gradient is summed from the table's.
    """

    def __init__(self, embedding: Embedding_Op, bias: BiasAdd) -> None:
        self.embedding = embedding
        self.bias = bias

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Return ``table[input_] + B``."""
        table, B = self.embedding.param, self.bias.param
        if self._table_is_smaller(input_):
            self.bias.output = kernels.embedding(input_, kernels.bias_add(table, B))
        else:
            looked_up = kernels.embedding(input_, table)
            self.bias.output = kernels.bias_add(rows(looked_up), B).reshape(looked_up.shape)
        self.embedding.input_ = input_
        return self.bias.output

    def backward(self, output_grad: Array) -> Array:
        """Return zeros, the gradient of whole numbers; table and bias keep their own."""
        self.backward_params(output_grad)
        return np.zeros(self.embedding.input_.shape, dtype=output_grad.dtype)

    def backward_params(self, output_grad: Array) -> None:
        """Let table and bias keep their gradients."""
        indices, count = self.embedding.input_, self.embedding.param.shape[0]
        table_grad = kernels.embedding_param_grad(output_grad, indices, count)
        summed = table_grad if self._table_is_smaller(indices) else rows(output_grad)
        self.embedding.param_grad = table_grad
        self.bias.param_grad = kernels.bias_add_param_grad(summed)

    def _table_is_smaller(self, indices: Array) -> bool:
        return bool(np.size(indices) > self.embedding.param.shape[0])


Step: TypeAlias = Operation | FusedBias | FusedConv | FusedDense | FusedLookup


def fuse(operations: Sequence[Operation]) -> list[Step]:
    """Return the same chain with fused steps where that is possible.

    Only the library's own classes are fused, never a subclass, which may do something else.
    """
    steps: list[Step] = []
    for operation in operations:
        before = steps[-1] if steps else None
        if type(operation) in _NAMES and type(before) is BiasAdd:
            steps.pop()
            first = steps[-1] if steps else None
            if type(first) is WeightMultiply and before.param.ndim == 2:
                steps[-1] = FusedDense(first, before, operation)
            elif type(first) is Conv2D_Op and before.param.ndim == 4:
                steps[-1] = FusedConv(first, before, operation)
            elif type(first) is Embedding_Op and type(operation) is Linear:
                steps[-1] = FusedLookup(first, before)
            else:
                steps.append(FusedBias(before, operation))
        else:
            steps.append(operation)
    return steps
