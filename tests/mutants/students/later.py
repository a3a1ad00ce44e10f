"""A third set that the hints were not tuned to; see ``held_out``."""

import numpy as np

from dlfs.base import Operation, ParamOperation
from dlfs.losses import Loss
from tests.mutants.students.catalogue import correct, student


@correct(x=(4, 6))
class GroupNorm(Operation):
    """Groups of three features, each with mean 0 and variance 1."""

    def _output(self):
        groups = self.input_.reshape(len(self.input_), 2, 3)
        self.spread = np.sqrt(groups.var(axis=2, keepdims=True) + 1e-3)
        self.normal = (groups - groups.mean(axis=2, keepdims=True)) / self.spread
        return self.normal.reshape(self.input_.shape)

    def _input_grad(self, output_grad):
        g = output_grad.reshape(self.normal.shape)
        grad = g - g.mean(axis=2, keepdims=True)
        grad -= self.normal * (g * self.normal).mean(axis=2, keepdims=True)
        return (grad / self.spread).reshape(self.input_.shape)


@student("group norm: the mean held constant", "held_constant", "term_missing")
class GroupNormNoMean(GroupNorm):
    def _input_grad(self, output_grad):
        g = output_grad.reshape(self.normal.shape)
        grad = g - self.normal * (g * self.normal).mean(axis=2, keepdims=True)
        return (grad / self.spread).reshape(self.input_.shape)


@student("group norm: the variance held constant", "held_constant", "term_missing")
class GroupNormNoVariance(GroupNorm):
    def _input_grad(self, output_grad):
        g = output_grad.reshape(self.normal.shape)
        grad = g - g.mean(axis=2, keepdims=True)
        return (grad / self.spread).reshape(self.input_.shape)


@student("group norm: means over the groups", "other_axis")
class GroupNormOtherAxis(GroupNorm):
    def _input_grad(self, output_grad):
        g = output_grad.reshape(self.normal.shape)
        grad = g - g.mean(axis=1, keepdims=True)
        grad -= self.normal * (g * self.normal).mean(axis=1, keepdims=True)
        return (grad / self.spread).reshape(self.input_.shape)


@correct(x=(3, 4), param=(4, 5))
class Positions(ParamOperation):
    """A product scaled by the square root of its width, and the input's sine added."""

    def _output(self):
        self.scaled = self.input_ @ self.param * np.sqrt(self.param.shape[1])
        return self.scaled + np.sin(self.input_).sum(axis=1, keepdims=True)

    def _input_grad(self, output_grad):
        grad = output_grad @ self.param.T * np.sqrt(self.param.shape[1])
        return grad + np.cos(self.input_) * output_grad.sum(axis=1, keepdims=True)

    def _param_grad(self, output_grad):
        return self.input_.T @ output_grad * np.sqrt(self.param.shape[1])


@student("scaled product: sqrt(width) missing", "factor", "constant_factor")
class PositionsNoRoot(Positions):
    def _param_grad(self, output_grad):
        return self.input_.T @ output_grad


@student(
    "scaled product: the width without its root",
    "factor",
    "other_function",
    "constant_factor",
)
class PositionsNoSquareRoot(Positions):
    def _param_grad(self, output_grad):
        return self.input_.T @ output_grad * self.param.shape[1]


@student("scaled product: the sine's path left out", "held_constant", "term_missing")
class PositionsNoSine(Positions):
    def _input_grad(self, output_grad):
        return output_grad @ self.param.T * np.sqrt(self.param.shape[1])


@student("sine: the derivative is the sine", "other_function")
class PositionsSine(Positions):
    def _input_grad(self, output_grad):
        grad = output_grad @ self.param.T * np.sqrt(self.param.shape[1])
        return grad + np.sin(self.input_) * output_grad.sum(axis=1, keepdims=True)


@correct(x=(2, 5, 3))
class Decay(Operation):
    """The square of a state that decays: h = 0.8 h + x."""

    def _output(self):
        output, h = np.zeros_like(self.input_), np.zeros_like(self.input_[:, 0])
        for t in range(self.input_.shape[1]):
            h = 0.8 * h + self.input_[:, t]
            output[:, t] = h**2
        return output

    def _states(self):
        h, states = np.zeros_like(self.input_[:, 0]), []
        for t in range(self.input_.shape[1]):
            h = 0.8 * h + self.input_[:, t]
            states.append(h)
        return states

    def _input_grad(self, output_grad):
        states, h_grad = self._states(), np.zeros_like(self.input_[:, 0])
        grad = np.zeros_like(self.input_)
        for t in reversed(range(self.input_.shape[1])):
            h_grad = 0.8 * h_grad + output_grad[:, t] * 2 * states[t]
            grad[:, t] = h_grad
        return grad


@student("decaying state: another decay", "other_number")
class DecayOther(Decay):
    def _input_grad(self, output_grad):
        states, h_grad = self._states(), np.zeros_like(self.input_[:, 0])
        grad = np.zeros_like(self.input_)
        for t in reversed(range(self.input_.shape[1])):
            h_grad = 0.2 * h_grad + output_grad[:, t] * 2 * states[t]
            grad[:, t] = h_grad
        return grad


@student("decaying state: of the step before", "other_slice")
class DecayEarlier(Decay):
    def _input_grad(self, output_grad):
        states, h_grad = self._states(), np.zeros_like(self.input_[:, 0])
        grad = np.zeros_like(self.input_)
        for t in reversed(range(self.input_.shape[1])):
            h_grad = 0.8 * h_grad + output_grad[:, t] * 2 * states[t - 1]
            grad[:, t] = h_grad
        return grad


@student(
    "decaying state: nothing from later steps",
    "held_constant",
    "not_through_time",
    "term_missing",
)
class DecayAlone(Decay):
    def _input_grad(self, output_grad):
        states, grad = self._states(), np.zeros_like(self.input_)
        for t in range(self.input_.shape[1]):
            grad[:, t] = output_grad[:, t] * 2 * states[t]
        return grad


@correct(x=(5, 3), y=(5, 3))
class Contrast(Loss):
    """Half the squared difference, weighted by the target, over all entries."""

    def _output(self):
        self.difference = self.prediction - self.target
        return float(0.5 * np.mean(self.target * self.difference**2))

    def _input_grad(self):
        return self.target * self.difference / self.prediction.size


@student("weighted loss: the weights forgotten", "factor")
class ContrastNoWeights(Contrast):
    def _input_grad(self):
        return self.difference / self.prediction.size


@student("weighted loss: the half forgotten", "factor", "other_number", "constant_factor")
class ContrastTwice(Contrast):
    def _input_grad(self):
        return 2 * self.target * self.difference / self.prediction.size


@student("weighted loss: target minus prediction", "sign")
class ContrastNegative(Contrast):
    def _input_grad(self):
        return self.target * (self.target - self.prediction) / self.prediction.size


@correct(x=(4, 4), param=(4, 4))
class Sandwich(ParamOperation):
    """W x W.T for each pair of rows."""

    def _output(self):
        self.left = self.param @ self.input_
        return self.left @ self.param.T

    def _input_grad(self, output_grad):
        return self.param.T @ output_grad @ self.param

    def _param_grad(self, output_grad):
        return output_grad @ self.param @ self.input_.T + output_grad.T @ self.left


@student("W x W.T: one of the two products", "held_constant", "term_missing")
class SandwichOne(Sandwich):
    def _param_grad(self, output_grad):
        return output_grad.T @ self.left


@student("W x W.T: the output gradient not transposed", "transposed")
class SandwichNotTransposed(Sandwich):
    def _param_grad(self, output_grad):
        return output_grad @ self.param @ self.input_.T + output_grad @ self.left


@student("W x W.T: the products swapped", "transposed")
class SandwichSwapped(Sandwich):
    def _input_grad(self, output_grad):
        return self.param @ output_grad @ self.param.T


@correct(x=(3, 6))
class SoftThreshold(Operation):
    def _output(self):
        self.big = np.abs(self.input_) > 0.3
        return np.sign(self.input_) * (np.abs(self.input_) - 0.3) * self.big

    def _input_grad(self, output_grad):
        return output_grad * self.big


@student("soft threshold: another threshold", "other_number", "other_array")
class SoftThresholdOther(SoftThreshold):
    def _input_grad(self, output_grad):
        return output_grad * (np.abs(self.input_) > 0.5)


@student("soft threshold: no |x| in the mask", "factor", "other_array", "relu_mask")
class SoftThresholdOneSide(SoftThreshold):
    def _input_grad(self, output_grad):
        return output_grad * (self.input_ > 0.3)


@student("soft threshold: the sign kept in the derivative", "factor")
class SoftThresholdSign(SoftThreshold):
    def _input_grad(self, output_grad):
        return output_grad * np.sign(self.input_) * self.big
