"""Activations: Operations that bend each number (the softmax: each row) on its own."""

import copy

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation, ParamOperation
from dlfs.checks import check_flag, check_instance, check_real
from dlfs.types import Array

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""The one pair with which SELU keeps mean 0 and variance 1."""


class Linear(Operation):
    """Change nothing: for an output that may be any number (book, chapter 3).

    Forward: ``output = input_``. Backward: ``input_grad = output_grad``.

    Examples
    --------
    >>> Linear().forward(np.array([[-1.0, 2.0]]))
    array([[-1.,  2.]])
    """

    def _output(self) -> Array:
        return self.input_

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad


class Sigmoid(Operation):
    """Squash to (0, 1), without overflow however large the input is (book, chapter 3).

    Forward: ``output = 1 / (1 + exp(-input_))``. Backward: ``output_grad * output * (1 - output)``.

    Examples
    --------
    >>> Sigmoid().forward(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[0. , 0.5, 1. ]])
    """

    def _output(self) -> Array:
        return kernels.sigmoid(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.sigmoid_grad(output_grad, self.output)


class Tanh(Operation):
    """Squash to (-1, 1); book, chapter 4.

    Forward: ``output = tanh(input_)``. Backward: ``output_grad * (1 - output**2)``.

    Examples
    --------
    >>> Tanh().forward(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[-1.,  0.,  1.]])
    """

    def _output(self) -> Array:
        return kernels.tanh(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.tanh_grad(output_grad, self.output)


class ReLU(Operation):
    """Rectified linear unit: keep what is above 0.

    Forward: ``output = max(input_, 0)``. Backward: ``output_grad * (input_ > 0)``.

    Book, chapter 4. At the kink, ``input_ == 0``, the subgradient 0 is taken: the book's mask
    ``output >= 0`` is True everywhere and lets every gradient through.

    Examples
    --------
    >>> ReLU().forward(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    """

    kinks = (0.0,)

    def _output(self) -> Array:
        return kernels.relu(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.relu_grad(output_grad, self.input_)


class LeakyReLU(Operation):
    """ReLU with a small slope below 0, so that no unit dies.

    Forward: ``output = input_`` above 0, ``slope * input_`` below. Backward: output_grad times 1 or
    slope.

    Maas, Hannun and Ng, 2013. At the kink the subgradient is the slope.

    Parameters
    ----------
    slope : float, default 0.01
        The slope below 0; 0 <= slope < 1.

    Examples
    --------
    >>> LeakyReLU(0.5).forward(np.array([[-1.0, 2.0]]))
    array([[-0.5,  2. ]])
    """

    kinks = (0.0,)

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = check_real(slope, "LeakyReLU", "slope", 0.0, 1.0, high_open=True)

    def _output(self) -> Array:
        return kernels.leaky_relu(self.input_, self.slope)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.leaky_relu_grad(output_grad, self.input_, self.slope)


class ELU(Operation):
    """Exponential linear unit: saturates below 0.

    Forward: ``output = input_`` above 0, ``alpha * (exp(input_) - 1)`` below. Backward: output_grad
    times 1 or ``alpha * exp(input_)``.

    Clevert, Unterthiner and Hochreiter, 2016. Smooth at 0 for alpha = 1 only; otherwise the
    subgradient there is alpha.

    Parameters
    ----------
    alpha : float, default 1.0
        The output's limit below 0 is -alpha; alpha > 0.

    Examples
    --------
    >>> ELU().forward(np.array([[-1000.0, 2.0]]))
    array([[-1.,  2.]])
    """

    kinks = (0.0,)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = check_real(alpha, "ELU", "alpha", 0.0, low_open=True)

    def _output(self) -> Array:
        return kernels.elu(self.input_, self.alpha)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.elu_grad(output_grad, self.input_, self.alpha)


class GELU(Operation):
    """Gaussian error linear unit: the input times the chance that a normal number is smaller.

    Forward: ``output = input_ * Phi(input_)`` with the normal distribution Phi. Backward:
    ``output_grad * (Phi(input_) + input_ * phi(input_))`` with its density phi. Hendrycks and
    Gimpel, 2016.

    Parameters
    ----------
    tanh : bool, default False
        Whether Phi is approximated, as in GPT-2, by ``(1 + tanh(u)) / 2`` with ``u = sqrt(2 / pi) *
        (x + 0.044715 * x**3)``; the output is then off by up to 0.0005.

    Examples
    --------
    >>> GELU().forward(np.array([[0.0, 100.0]]))
    array([[  0., 100.]])
    """

    def __init__(self, tanh: bool = False) -> None:
        super().__init__()
        self.tanh = check_flag(tanh, "GELU", "tanh")

    def _output(self) -> Array:
        return kernels.gelu_tanh(self.input_) if self.tanh else kernels.gelu(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        grad = kernels.gelu_tanh_grad if self.tanh else kernels.gelu_grad
        return grad(output_grad, self.input_)


class SiLU(Operation):
    """Sigmoid linear unit, also called swish (Elfwing, Uchibe and Doya, 2018).

    Forward: ``output = input_ * s`` with ``s = sigmoid(input_)``. Backward: ``output_grad * s * (1
    + input_ * (1 - s))``.

    Examples
    --------
    >>> SiLU().forward(np.array([[0.0, 1000.0]]))
    array([[   0., 1000.]])
    """

    def _output(self) -> Array:
        return kernels.silu(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.silu_grad(output_grad, self.input_)


class SwiGLU(Operation):
    """A gated linear unit: one half of the features decides how much of the other passes.

    Forward, for ``input_`` with the halves a and b along its last axis, whose length must be even:
    ``output = silu(a) * b``, which has half as many features. Backward: ``silu_grad(output_grad *
    b, a)`` for a and ``output_grad * silu(a)`` for b.

    Shazeer, "GLU variants improve transformer", 2020. As the activation of a dense layer it needs
    twice the neurons.

    Examples
    --------
    >>> SwiGLU().forward(np.array([[1000.0, -1000.0, 2.0, 3.0]]))
    array([[2000.,   -0.]])
    """

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        if input_.ndim < 1 or input_.shape[-1] % 2:
            raise ValueError(
                f"SwiGLU: the last axis of the input must be even, got shape {input_.shape}"
            )

    def _output(self) -> Array:
        a, b = np.split(self.input_, 2, axis=-1)
        return kernels.silu(a) * b

    def _input_grad(self, output_grad: Array) -> Array:
        a, b = np.split(self.input_, 2, axis=-1)
        a_grad = kernels.silu_grad(output_grad * b, a)
        return np.concatenate([a_grad, output_grad * kernels.silu(a)], axis=-1)


class Softplus(Operation):
    """A ReLU without the kink (Dugas et al., 2001).

    Forward: ``output = log(1 + exp(input_))``. Backward: ``output_grad * sigmoid(input_)``.

    Examples
    --------
    >>> Softplus().forward(np.array([[-1000.0, 1000.0]]))
    array([[   0., 1000.]])
    """

    def _output(self) -> Array:
        return kernels.softplus(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.softplus_grad(output_grad, self.input_)


class SELU(Operation):
    """Scaled ELU: keeps mean 0 and variance 1 from layer to layer.

    Forward: ``output = scale * elu(input_)`` with ``alpha = 1.6732632`` and ``scale = 1.0507010``.
    Backward: ``scale * elu_grad(output_grad, input_)``.

    Klambauer et al., "Self-normalizing neural networks", 2017.

    Examples
    --------
    >>> SELU().forward(np.array([[-1000.0, 1.0]])).round(4)
    array([[-1.7581,  1.0507]])
    """

    kinks = (0.0,)

    def _output(self) -> Array:
        return SELU_SCALE * kernels.elu(self.input_, SELU_ALPHA)

    def _input_grad(self, output_grad: Array) -> Array:
        return SELU_SCALE * kernels.elu_grad(output_grad, self.input_, SELU_ALPHA)


class Mish(Operation):
    """The input times a smooth gate.

    Forward: ``output = input_ * t`` with ``t = tanh(softplus(input_))``. Backward: ``output_grad *
    (t + input_ * (1 - t**2) * sigmoid(input_))``.

    Misra, "Mish: a self regularized non-monotonic activation function", 2020.

    Examples
    --------
    >>> Mish().forward(np.array([[0.0, 1000.0]]))
    array([[   0., 1000.]])
    """

    def _output(self) -> Array:
        return self.input_ * kernels.tanh(kernels.softplus(self.input_))

    def _input_grad(self, output_grad: Array) -> Array:
        t = kernels.tanh(kernels.softplus(self.input_))
        return output_grad * (t + self.input_ * (1 - t * t) * kernels.sigmoid(self.input_))


class HardSwish(Operation):
    """SiLU made of straight lines: the input times a sigmoid that rises from -3 to 3.

    Forward: ``output = input_ * s`` with ``s = clip(input_ / 6 + 1/2, 0, 1)``. Backward:
    ``output_grad * (s + input_ / 6)`` within (-3, 3), outside ``output_grad * s``.

    Howard et al., "Searching for MobileNetV3", 2019. At the kinks, -3 and 3, the subgradient is
    that of the outside.

    Examples
    --------
    >>> HardSwish().forward(np.array([[-4.0, 0.0, 4.0]]))
    array([[-0.,  0.,  4.]])
    """

    kinks = (-3.0, 3.0)

    def _output(self) -> Array:
        return self.input_ * np.clip(self.input_ / 6 + 0.5, 0, 1)

    def _input_grad(self, output_grad: Array) -> Array:
        s, within = np.clip(self.input_ / 6 + 0.5, 0, 1), np.abs(self.input_) < 3
        return output_grad * (s + np.where(within, self.input_ / 6, 0))


class PReLU_Op(ParamOperation):
    """ReLU with a slope below 0 that is learned.

    Forward: ``output = input_`` above 0, ``slope * input_`` below. Backward: output_grad times 1 or
    slope; ``param_grad`` is the sum of ``output_grad * min(input_, 0)`` over all entries that share
    a slope.

    He et al., "Delving deep into rectifiers", 2015. At the kink the subgradient is the slope.

    Parameters
    ----------
    slope : ndarray, shape (1, features), for images (1, channels, 1, 1), or (1,) for all together

    Examples
    --------
    >>> PReLU_Op(np.array([[0.25, 0.5]])).forward(np.array([[-1.0, -1.0], [2.0, 2.0]]))
    array([[-0.25, -0.5 ],
           [ 2.  ,  2.  ]])
    """

    penalized = False
    kinks = (0.0,)

    def _output(self) -> Array:
        x, sizes = self.input_, self.param.shape
        ends = x.shape[x.ndim - len(sizes) :] if len(sizes) <= x.ndim else ()
        if len(ends) != len(sizes) or any(
            a not in (1, b) for a, b in zip(sizes, ends, strict=True)
        ):
            raise ValueError(
                f"PReLU_Op: the slopes, of shape {sizes}, must fit the input, got shape {x.shape}"
            )
        return np.where(x > 0, x, self.param * x)

    def _input_grad(self, output_grad: Array) -> Array:
        return np.where(self.input_ > 0, output_grad, self.param * output_grad)

    def _param_grad(self, output_grad: Array) -> Array:
        shares = output_grad * np.minimum(self.input_, 0)
        sizes = (1,) * (shares.ndim - self.param.ndim) + self.param.shape
        axes = tuple(axis for axis, size in enumerate(sizes) if size == 1)
        return shares.sum(axis=axes, keepdims=True).reshape(self.param.shape)


class LogSoftmax(Operation):
    """The logarithm of the softmax of each row (the last axis), exact where that rounds to 0.

    Forward: ``output = input_ - log(sum(exp(input_)))``. Backward: ``output_grad - exp(output) *
    sum(output_grad)``.

    For NegativeLogLikelihood.

    Examples
    --------
    >>> LogSoftmax().forward(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """

    def _output(self) -> Array:
        if self.input_.ndim < 1 or self.input_.shape[-1] < 1:
            raise ValueError(
                f"LogSoftmax: the last axis must hold numbers, got shape {self.input_.shape}"
            )
        shifted = self.input_ - self.input_.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad - np.exp(self.output) * output_grad.sum(axis=-1, keepdims=True)


class Softmax(Operation):
    """Turn each row (the last axis) into probabilities.

    Forward: ``output = exp(input_) / sum(exp(input_))``. Backward: ``output * (output_grad -
    sum(output_grad * output))``.

    Book, chapter 4. Before a cross-entropy use SoftmaxCrossEntropy instead, on what comes in here:
    it is exact where this has rounded to 0.

    Examples
    --------
    >>> Softmax().forward(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """

    def _output(self) -> Array:
        return kernels.softmax(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.softmax_grad(output_grad, self.output)


def own_copy(activation: Operation | None, default: type[Operation], owner: str) -> Operation:
    """Return a copy of an activation, for one layer alone.

    An Operation remembers its last input. Two layers that shared it would overwrite it.
    """
    if activation is None:
        return default()
    check_instance(activation, Operation, owner, "activation")
    if isinstance(activation, ParamOperation):
        raise TypeError(f"{owner}: activation must have no parameter, got {activation!r}")
    own = copy.copy(activation)
    own.__dict__.pop("fused_into", None)
    return own
