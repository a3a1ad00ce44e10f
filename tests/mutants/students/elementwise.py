"""Students' activations, gates, products and masks."""

import numpy as np

from dlfs.base import Operation, ParamOperation
from tests.mutants.students.catalogue import correct, student


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@correct(x=(3, 4))
class Leaky(Operation):
    def _output(self):
        return np.where(self.input_ > 0, self.input_, 0.1 * self.input_)

    def _input_grad(self, output_grad):
        return output_grad * np.where(self.input_ > 0, 1.0, 0.1)


@student("leaky ReLU: another slope below 0", "other_number", "relu_mask")
class LeakyOtherSlope(Leaky):
    def _input_grad(self, output_grad):
        return output_grad * np.where(self.input_ > 0, 1.0, 0.01)


@student(
    "leaky ReLU: the slope below 0 everywhere", "relu_mask", "other_number", "other_comparison"
)
class LeakyOneSlope(Leaky):
    def _input_grad(self, output_grad):
        return output_grad * 0.1


@student("leaky ReLU: the mask of the output gradient", "relu_mask", "other_array")
class LeakyMaskOfGradient(Leaky):
    def _input_grad(self, output_grad):
        return np.where(output_grad > 0, output_grad, 0.1 * output_grad)


@correct(x=(3, 4))
class Swish(Operation):
    def _output(self):
        s = sigmoid(self.input_)
        return self.input_ * s

    def _input_grad(self, output_grad):
        s = sigmoid(self.input_)
        return output_grad * (s + self.input_ * s * (1 - s))


@student("swish: the gate held constant", "held_constant")
class SwishGateConstant(Swish):
    def _input_grad(self, output_grad):
        return output_grad * sigmoid(self.input_)


@student("swish: only the gate's derivative", "held_constant")
class SwishOnlyGate(Swish):
    def _input_grad(self, output_grad):
        s = sigmoid(self.input_)
        return output_grad * self.input_ * s * (1 - s)


@student("swish: the gate's derivative at the output", "wrong_point", "other_array")
class SwishAtOutput(Swish):
    def _input_grad(self, output_grad):
        s, t = sigmoid(self.input_), sigmoid(self.output)
        return output_grad * (s + self.input_ * t * (1 - t))


@correct(x=(3, 6))
class GLU(Operation):
    """One half of the features gates the other."""

    def _output(self):
        self.a, self.b = self.input_[:, :3], self.input_[:, 3:]
        return self.a * sigmoid(self.b)

    def _input_grad(self, output_grad):
        s = sigmoid(self.b)
        return np.hstack([output_grad * s, output_grad * self.a * s * (1 - s)])


@student("gated unit: the halves swapped", "other_order", "other_array", "wrong_places", "shifted")
class GLUSwapped(GLU):
    def _input_grad(self, output_grad):
        s = sigmoid(self.b)
        return np.hstack([output_grad * self.a * s * (1 - s), output_grad * s])


@student("gated unit: no gradient for the gate", "held_constant", "one_slice")
class GLUGateWithoutGradient(GLU):
    def _input_grad(self, output_grad):
        s = sigmoid(self.b)
        return np.hstack([output_grad * s, np.zeros_like(s)])


@student("gated unit: the gate's derivative forgotten", "factor", "held_constant", "other_function")
class GLUGateLinear(GLU):
    def _input_grad(self, output_grad):
        s = sigmoid(self.b)
        return np.hstack([output_grad * s, output_grad * self.a])


@correct(x=(4, 3), param=(3, 3))
class ResidualTanh(ParamOperation):
    def _output(self):
        self.h = np.tanh(self.input_ @ self.param)
        return self.input_ + self.h

    def _input_grad(self, output_grad):
        return output_grad + (output_grad * (1 - self.h**2)) @ self.param.T

    def _param_grad(self, output_grad):
        return self.input_.T @ (output_grad * (1 - self.h**2))


@student("residual: the path past the block dropped", "held_constant", "term_missing")
class ResidualDropped(ResidualTanh):
    def _input_grad(self, output_grad):
        return (output_grad * (1 - self.h**2)) @ self.param.T


@student("residual: the block's path dropped", "held_constant", "derivative_forgotten")
class ResidualOnly(ResidualTanh):
    def _input_grad(self, output_grad):
        return output_grad


@student("residual: tanh's derivative from the whole output", "wrong_point", "other_array")
class ResidualOfSum(ResidualTanh):
    def _param_grad(self, output_grad):
        return self.input_.T @ (output_grad * (1 - self.output**2))


@student(
    "residual: tanh's derivative forgotten in the weights' gradient",
    "factor",
    "derivative_forgotten",
    "held_constant",
    "other_function",
)
class ResidualLinear(ResidualTanh):
    def _param_grad(self, output_grad):
        return self.input_.T @ output_grad


@correct(x=(3, 5))
class MaskedSquare(Operation):
    """The entries of even columns, squared."""

    def _output(self):
        self.mask = np.arange(5) % 2 == 0
        return self.input_**2 * self.mask + self.input_ * ~self.mask

    def _input_grad(self, output_grad):
        return output_grad * np.where(self.mask, 2 * self.input_, 1.0)


@student(
    "mask: the squared and the plain columns swapped",
    "other_order",
    "other_array",
    "other_comparison",
    "relu_mask",
)
class MaskedSquareSwapped(MaskedSquare):
    def _input_grad(self, output_grad):
        return output_grad * np.where(self.mask, 1.0, 2 * self.input_)


@student("square: the 2 forgotten", "factor", "constant_factor", "other_number")
class MaskedSquareNoTwo(MaskedSquare):
    def _input_grad(self, output_grad):
        return output_grad * np.where(self.mask, self.input_, 1.0)


@correct(x=(4, 3))
class Product(Operation):
    """Each row's product with the next row."""

    def _output(self):
        return self.input_[:-1] * self.input_[1:]

    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        grad[:-1] += output_grad * self.input_[1:]
        grad[1:] += output_grad * self.input_[:-1]
        return grad


@student("product of neighbours: one term lost", "held_constant", "term_missing")
class ProductOneTerm(Product):
    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        grad[:-1] += output_grad * self.input_[1:]
        return grad


@student("product of neighbours: = where += belongs", "overwritten")
class ProductOverwritten(Product):
    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        grad[:-1] = output_grad * self.input_[1:]
        grad[1:] = output_grad * self.input_[:-1]
        return grad


@student("product of neighbours: each row times itself", "other_slice")
class ProductOwnRow(Product):
    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        grad[:-1] += output_grad * self.input_[:-1]
        grad[1:] += output_grad * self.input_[:-1]
        return grad
