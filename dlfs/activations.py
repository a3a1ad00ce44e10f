"""Activations: Operations that bend each number (the softmax: each row) on its own."""

import copy

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation, ParamOperation
from dlfs.checks import check_flag, check_instance, check_real
from dlfs.types import Array


class Linear(Operation):
    """Change nothing: for an output that may be any number.

    Forward: ``output = input_``. Backward: ``input_grad = output_grad``.

    Book, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> Linear().forward(np.array([[-1.0, 2.0]]))
    array([[-1.,  2.]])
    """

    def _output(self) -> Array:
        return self.input_

    def _input_grad(self, output_grad: Array) -> Array:
        return output_grad


class Sigmoid(Operation):
    """Squash to (0, 1), without overflow however large the input is.

    Forward: ``output = 1 / (1 + exp(-input_))``. Backward: ``output_grad * output * (1 - output)``.

    Book, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().forward(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[0. , 0.5, 1. ]])
    """

    def _output(self) -> Array:
        return kernels.sigmoid(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.sigmoid_grad(output_grad, self.output)


class Tanh(Operation):
    """Squash to (-1, 1).

    Forward: ``output = tanh(input_)``. Backward: ``output_grad * (1 - output**2)``.

    Book, chapter 4.

    Examples
    --------
    >>> import numpy as np
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
    >>> import numpy as np
    >>> ReLU().forward(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    """

    def _output(self) -> Array:
        return kernels.relu(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.relu_grad(output_grad, self.input_)

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each entry is from the kink at 0."""
        return np.abs(input_)


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
    >>> import numpy as np
    >>> LeakyReLU(0.5).forward(np.array([[-1.0, 2.0]]))
    array([[-0.5,  2. ]])
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = check_real(slope, "LeakyReLU", "slope", 0.0, 1.0, high_open=True)

    def _output(self) -> Array:
        return kernels.leaky_relu(self.input_, self.slope)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.leaky_relu_grad(output_grad, self.input_, self.slope)

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each entry is from the kink at 0."""
        return np.abs(input_)


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
    >>> import numpy as np
    >>> ELU().forward(np.array([[-1000.0, 2.0]]))
    array([[-1.,  2.]])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = check_real(alpha, "ELU", "alpha", 0.0, low_open=True)

    def _output(self) -> Array:
        return kernels.elu(self.input_, self.alpha)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.elu_grad(output_grad, self.input_, self.alpha)

    def distance_to_kink(self, input_: Array) -> Array:
        """Say how far each entry is from the kink at 0."""
        return np.abs(input_)


class GELU(Operation):
    """Gaussian error linear unit: the input times the chance that a normal number is smaller.

    Forward: ``output = input_ * Phi(input_)`` with the normal distribution Phi. Backward:
    ``output_grad * (Phi(input_) + input_ * phi(input_))`` with its density phi.

    Hendrycks and Gimpel, 2016.

    Parameters
    ----------
    tanh : bool, default False
        Whether Phi is approximated, as in GPT-2, by ``(1 + tanh(u)) / 2`` with ``u = sqrt(2 / pi) *
        (x + 0.044715 * x**3)``; the output is then off by up to 0.0005.

    Examples
    --------
    >>> import numpy as np
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
    """Sigmoid linear unit, also called swish.

    Forward: ``output = input_ * s`` with ``s = sigmoid(input_)``. Backward: ``output_grad * s * (1
    + input_ * (1 - s))``.

    Elfwing, Uchibe and Doya, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().forward(np.array([[0.0, 1000.0]]))
    array([[   0., 1000.]])
    """

    def _output(self) -> Array:
        return kernels.silu(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.silu_grad(output_grad, self.input_)


class SwiGLU(Operation):
    """A gated linear unit: one half of the features decides how much of the other passes.

    Forward, for ``input_`` with the halves a and b along its last axis: ``output = silu(a) * b``,
    which has half as many features. Backward: ``silu_grad(output_grad * b, a)`` for a and
    ``output_grad * silu(a)`` for b.

    Shazeer, "GLU variants improve transformer", 2020. As the activation of a dense layer it needs
    twice the neurons.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the number of features is odd.

    Examples
    --------
    >>> import numpy as np
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
    """A ReLU without the kink.

    Forward: ``output = log(1 + exp(input_))``. Backward: ``output_grad * sigmoid(input_)``.

    Dugas et al., 2001.

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().forward(np.array([[-1000.0, 1000.0]]))
    array([[   0., 1000.]])
    """

    def _output(self) -> Array:
        return kernels.softplus(self.input_)

    def _input_grad(self, output_grad: Array) -> Array:
        return kernels.softplus_grad(output_grad, self.input_)


class Softmax(Operation):
    """Turn each row (the last axis) into probabilities.

    Forward: ``output = exp(input_) / sum(exp(input_))``. Backward: ``output * (output_grad -
    sum(output_grad * output))``.

    Book, chapter 4. Before a cross-entropy use SoftmaxCrossEntropy instead, on what comes in here:
    it is exact where this has rounded to 0.

    Examples
    --------
    >>> import numpy as np
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
