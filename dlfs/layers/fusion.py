"""Fusion: several Operations of a layer, computed by one kernel.

A reader of Layer need not come in here. ``layer.operations`` is the book's chain; ``layer.steps``
is what ran. A fused step is an Operation with ``parts``, the Operations that it stands for. Its
kernel gives their output and gradients without what lies between them; who looks at a part's
``input_`` or ``output`` after such a pass, or calls its ``backward``, gets the value that the chain
gives, computed at that moment (``Operation.__getattr__``).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dlfs.activations import Linear, ReLU, Sigmoid, Tanh
from dlfs.backend import kernels
from dlfs.base import Operation, backward_through
from dlfs.conv import Conv2D_Op
from dlfs.dense import BiasAdd, WeightMultiply, rows, with_features
from dlfs.embedding import Embedding_Op
from dlfs.normalization import BatchNorm_Op, LayerNorm_Op, ScaleMultiply, statistics_shape
from dlfs.types import Array

ACTIVATIONS: dict[type[Operation], str] = {
    Linear: "linear",
    Sigmoid: "sigmoid",
    Tanh: "tanh",
    ReLU: "relu",
}
"""The activations that kernels know, and what they call them."""


class FusedStep(Operation):
    """Several Operations in one.

    A subclass writes ``_output`` and ``backward``, which leaves with the parts their parameter
    gradients, and returns the gradient of the input (None without ``input_grad``).

    Parameters
    ----------
    parts : Operations, in their order
    """

    trains: ClassVar[bool] = True

    def __init__(self, *parts: Operation) -> None:
        super().__init__()
        self.parts = parts
        for part in parts:
            part.fused_into = self

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Compute the last part's output; the parts lose their values of earlier passes."""
        for part in self.parts:
            if "input_" in part.__dict__:
                del part.input_
                part.__dict__.pop("output", None)
        self.input_ = input_
        self.inference = inference
        self.output = self._output()
        return self.output

    def fill_parts(self) -> None:
        """Give every part the ``input_`` and ``output`` that it had in the last pass.

        Raises
        ------
        RuntimeError
            If the parameters or the input have changed since: then they cannot be known.
        """
        if "output" not in self.__dict__:
            return
        value = self.input_
        for part in self.parts:
            value = part.forward(value, self.inference)
        # What the chain gives differs from what the kernel gave by rounding alone.
        allowed = np.finfo(self.output.dtype).eps ** 0.5
        if not np.allclose(value, self.output, rtol=allowed, atol=allowed, equal_nan=True):
            for part in self.parts:
                del part.input_, part.output
            raise RuntimeError(
                f"{type(self).__name__}: the parts' values of the last pass cannot be computed any "
                "more, because a parameter or the input has changed since; look at them before the "
                "optimizer's step, or let the parts run: dlfs.use_backend('reference')"
            )
        self.parts[-1].output = self.output

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"


class FusedBias(FusedStep):
    """Bias and activation: ``activation(input_ + B)``, after an Operation that no kernel takes in.

    Used where no kernel fuses the bias with the Operation before it.
    """

    def __init__(self, bias: BiasAdd, activation: Operation) -> None:
        super().__init__(bias, activation)
        self.bias = bias
        self.activation = activation
        self._name = ACTIVATIONS[type(activation)]

    def _output(self) -> Array:
        B = self.bias.param
        flat = kernels.bias_activation(with_features(self.input_, B), B, self._name)
        return flat.reshape(self.input_.shape)

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Leave the gradients of the parameters with the parts."""
        B, output = self.bias.param, self.output
        grad, self.bias.param_grad = kernels.bias_activation_grad(
            with_features(output_grad, B), with_features(output, B), self._name
        )
        return grad.reshape(output.shape) if input_grad else None


class FusedDense(FusedStep):
    """Weight multiply, bias and activation: ``activation(input_ @ W + B)``."""

    def __init__(self, multiply: WeightMultiply, bias: BiasAdd, activation: Operation) -> None:
        super().__init__(multiply, bias, activation)
        self.multiply = multiply
        self.bias = bias
        self.activation = activation
        self._name = ACTIVATIONS[type(activation)]

    def _output(self) -> Array:
        input_, W, B = self.input_, self.multiply.param, self.bias.param
        if input_.ndim == 2:
            return kernels.dense(input_, W, B, self._name)
        flat = kernels.dense(rows(input_), W, B, self._name)
        return flat.reshape(*input_.shape[:-1], W.shape[1])

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Leave the gradients of the parameters with the parts."""
        input_, grad = self.input_, output_grad
        if input_.ndim > 2:
            input_, grad = rows(input_), rows(grad)
        if self._name == "linear":
            self.bias.param_grad = kernels.bias_add_param_grad(grad)
        else:
            grad, self.bias.param_grad = kernels.bias_activation_grad(
                grad, rows(self.output), self._name
            )
        # The new gradient takes the memory of the last one, still in the cache: 2 to 3 % of a step.
        self.multiply.__dict__.pop("param_grad", None)
        self.multiply.param_grad = kernels.weight_multiply_param_grad(grad, input_)
        if not input_grad:
            return None
        found = kernels.weight_multiply_input_grad(grad, self.multiply.param)
        return found.reshape(self.input_.shape)


class FusedConv(FusedStep):
    """Convolution, bias and activation: ``activation(conv2d(input_, W) + B)``."""

    def __init__(self, convolution: Conv2D_Op, bias: BiasAdd, activation: Operation) -> None:
        super().__init__(convolution, bias, activation)
        self.convolution = convolution
        self.bias = bias
        self.activation = activation
        self._name = ACTIVATIONS[type(activation)]
        self._options = convolution.options

    def _output(self) -> Array:
        return kernels.conv2d_bias_activation(
            self.input_, self.convolution.param, self.bias.param, self._name, *self._options
        )

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Leave the gradients of the parameters with the parts."""
        # The sums of the parameters run in one order whether or not the input's gradient is asked.
        W, input_ = self.convolution.param, self.input_
        self.convolution.param_grad, self.bias.param_grad = (
            kernels.conv2d_bias_activation_param_grad(
                output_grad, self.output, input_, W.shape, self._name, *self._options
            )
        )
        if not input_grad:
            return None
        grad, _ = kernels.bias_activation_grad(output_grad, self.output, self._name)
        return kernels.conv2d_input_grad(grad, W, input_.shape, *self._options)


class FusedLookup(FusedStep):
    """Look-up and bias: the input projection of a recurrent layer whose input is integers.

    A table is mostly smaller than a batch of sequences. Then the bias is added to it before rows
    are looked up, and the bias's gradient is summed from the table's.
    """

    def __init__(self, embedding: Embedding_Op, bias: BiasAdd, activation: Operation) -> None:
        super().__init__(embedding, bias, activation)
        self.embedding = embedding
        self.bias = bias

    def _output(self) -> Array:
        table, B = self.embedding.param, self.bias.param
        if self._table_is_smaller():
            return kernels.embedding(self.input_, kernels.bias_add(table, B))
        looked_up = kernels.embedding(self.input_, table)
        return kernels.bias_add(rows(looked_up), B).reshape(looked_up.shape)

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Leave the gradients of the parameters with the parts."""
        indices, count = self.input_, self.embedding.param.shape[0]
        table_grad = kernels.embedding_param_grad(output_grad, indices, count)
        summed = table_grad if self._table_is_smaller() else rows(output_grad)
        self.embedding.param_grad = table_grad
        self.bias.param_grad = kernels.bias_add_param_grad(summed)
        return np.zeros(indices.shape, dtype=output_grad.dtype) if input_grad else None

    def _table_is_smaller(self) -> bool:
        return bool(np.size(self.input_) > self.embedding.param.shape[0])


class FusedNorm(FusedStep):
    """Normalization, scale and shift by one kernel.

    Its gradient kernel computes all gradients in one pass, so that of the input also where it is
    not asked for. The parts would add up in another order.
    """

    _mean: Array
    _inv_std: Array

    def __init__(self, norm: Any, scale: ScaleMultiply, shift: BiasAdd) -> None:
        super().__init__(norm, scale, shift)
        self.norm = norm
        self.scale = scale
        self.shift = shift

    def _gradients(self, kernel: Any, output_grad: Array, input_grad: bool) -> Any:
        grad, self.scale.param_grad, self.shift.param_grad = kernel(
            output_grad, self.input_, self.scale.param, self._mean, self._inv_std
        )
        return grad if input_grad else None


class FusedLayerNorm(FusedNorm):
    """Normalization of each row, scale and shift: ``gamma * layer_norm(input_) + beta``."""

    def _output(self) -> Array:
        output, self._mean, self._inv_std = kernels.layer_norm_affine(
            self.input_, self.scale.param, self.shift.param, self.norm.eps
        )
        return output

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Leave the gradients of the parameters with the parts."""
        return self._gradients(kernels.layer_norm_affine_grad, output_grad, input_grad)


class FusedBatchNorm(FusedNorm):
    """Normalization of each feature, scale and shift: ``gamma * batch_norm(input_) + beta``.

    In inference, and while ranks share a batch, the parts run.
    """

    _in_parts = False

    def forward(self, input_: Array, inference: bool = False) -> Array:
        """Compute the last part's output, by one kernel or by the parts."""
        suits = self.scale.param.shape == statistics_shape(input_.shape)
        self._in_parts = inference or self.norm.ranks is not None or not suits
        if not self._in_parts:
            return super().forward(input_, inference)
        self.input_ = input_
        self.inference = inference
        for part in self.parts:
            input_ = part.forward(input_, inference)
        self.output = input_
        return input_

    def _output(self) -> Array:
        self.norm.check_features(self.input_)
        output, self._mean, var, self._inv_std = kernels.batch_norm_affine(
            self.input_, self.scale.param, self.shift.param, self.norm.eps
        )
        self.norm.follow(self._mean, var, self.input_.size // var.size)
        return output

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Leave the gradients of the parameters with the parts."""
        if self._in_parts:
            return backward_through(self.parts, output_grad, input_grad)
        return self._gradients(kernels.batch_norm_affine_grad, output_grad, input_grad)

    def fill_parts(self) -> None:
        """Give every part its values; the running statistics do not follow the batch again."""
        before = {name: array.copy() for name, array in self.norm.state().items()}
        try:
            super().fill_parts()
        finally:
            for name, array in self.norm.state().items():
                array[...] = before[name]


def fuse(operations: Sequence[Operation]) -> list[Operation]:
    """Return the same chain with fused steps where that is possible.

    Only the library's own classes are fused, never a subclass, which may do something else.
    """
    steps: list[Operation] = []
    for operation in operations:
        before = steps[-1] if steps else None
        if type(operation) in ACTIVATIONS and type(before) is BiasAdd:
            steps.pop()
            first = steps[-1] if steps else None
            if type(first) is WeightMultiply and before.param.ndim == 2:
                steps[-1] = FusedDense(first, before, operation)
            elif type(first) is Conv2D_Op and before.param.ndim == 4:
                steps[-1] = FusedConv(first, before, operation)
            elif type(first) is Embedding_Op and type(operation) is Linear:
                steps[-1] = FusedLookup(first, before, operation)
            else:
                steps.append(FusedBias(before, operation))
        elif type(operation) is BiasAdd and type(before) is ScaleMultiply:
            norm = steps[-2] if len(steps) > 1 else None
            shape = before.param.shape
            if type(norm) is LayerNorm_Op and operation.param.shape == shape == (1, shape[1]):
                steps[-2:] = [FusedLayerNorm(norm, before, operation)]
            elif type(norm) is BatchNorm_Op and operation.param.shape == shape:
                steps[-2:] = [FusedBatchNorm(norm, before, operation)]
            else:
                steps.append(operation)
        else:
            steps.append(operation)
    return steps
