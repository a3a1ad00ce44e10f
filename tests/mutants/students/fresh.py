"""A second set that the hints were not tuned to; see ``held_out``."""

import numpy as np

from dlfs.base import Operation, ParamOperation
from dlfs.losses import Loss
from tests.mutants.students.catalogue import correct, student


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@correct(x=(3, 5))
class Temperature(Operation):
    tau = 0.7

    def _output(self):
        return softmax(self.input_ / self.tau)

    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - (output_grad * p).sum(axis=1, keepdims=True)) / self.tau


@student("temperature: not divided by it", "factor", "constant_factor")
class TemperatureForgotten(Temperature):
    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - (output_grad * p).sum(axis=1, keepdims=True))


@student("temperature: the sum over the batch", "other_axis")
class TemperatureOtherAxis(Temperature):
    def _input_grad(self, output_grad):
        p = self.output
        return p * (output_grad - (output_grad * p).sum(axis=0, keepdims=True)) / self.tau


@correct(x=(4, 3), param=(1, 3))
class WeightedNorm(ParamOperation):
    """Each row divided by its length, times a scale."""

    def _output(self):
        self.n = np.linalg.norm(self.input_, axis=1, keepdims=True)
        self.u = self.input_ / self.n
        return self.u * self.param

    def _input_grad(self, output_grad):
        g = output_grad * self.param
        return (g - self.u * (g * self.u).sum(axis=1, keepdims=True)) / self.n

    def _param_grad(self, output_grad):
        return (output_grad * self.u).sum(axis=0, keepdims=True)


@student(
    "scaled norm: the scale left out on the way back", "factor", "held_constant", "other_array"
)
class WeightedNormNoScale(WeightedNorm):
    def _input_grad(self, output_grad):
        g = output_grad
        return (g - self.u * (g * self.u).sum(axis=1, keepdims=True)) / self.n


@student("scaled norm: the scale's gradient with the input", "other_array", "wrong_point")
class WeightedNormOfInput(WeightedNorm):
    def _param_grad(self, output_grad):
        return (output_grad * self.input_).sum(axis=0, keepdims=True)


@student("scaled norm: projection with the scaled output", "other_array", "wrong_point")
class WeightedNormOfOutput(WeightedNorm):
    def _input_grad(self, output_grad):
        g = output_grad * self.param
        return (g - self.output * (g * self.u).sum(axis=1, keepdims=True)) / self.n


@correct(x=(4, 3), param=(3, 3))
class Highway(ParamOperation):
    """A gate mixes tanh(x W) and x."""

    def _output(self):
        x = self.input_
        self.h = np.tanh(x @ self.param)
        self.t = sigmoid(x)
        return self.t * self.h + (1 - self.t) * x

    def _input_grad(self, output_grad):
        x, t, h = self.input_, self.t, self.h
        grad = output_grad * (1 - t)
        grad += output_grad * (h - x) * t * (1 - t)
        return grad + (output_grad * t * (1 - h**2)) @ self.param.T

    def _param_grad(self, output_grad):
        return self.input_.T @ (output_grad * self.t * (1 - self.h**2))


@student("highway: the gate held constant", "held_constant")
class HighwayGateConstant(Highway):
    def _input_grad(self, output_grad):
        t, h = self.t, self.h
        return output_grad * (1 - t) + (output_grad * t * (1 - h**2)) @ self.param.T


@student("highway: no gradient through the carry", "held_constant", "term_missing")
class HighwayNoCarry(Highway):
    def _input_grad(self, output_grad):
        x, t, h = self.input_, self.t, self.h
        grad = output_grad * (h - x) * t * (1 - t)
        return grad + (output_grad * t * (1 - h**2)) @ self.param.T


@student("highway: the gate missing from the weights' gradient", "factor")
class HighwayNoGate(Highway):
    def _param_grad(self, output_grad):
        return self.input_.T @ (output_grad * (1 - self.h**2))


@student("highway: 1 + h**2", "sign")
class HighwaySign(Highway):
    def _param_grad(self, output_grad):
        return self.input_.T @ (output_grad * self.t * (1 + self.h**2))


@correct(x=(2, 6), param=(1, 3))
class PaddedSlide(ParamOperation):
    """Three weights slide over a padded row."""

    def _output(self):
        wide = np.pad(self.input_, ((0, 0), (1, 1)))
        w = self.param[0]
        return w[0] * wide[:, :-2] + w[1] * wide[:, 1:-1] + w[2] * wide[:, 2:]

    def _input_grad(self, output_grad):
        wide = np.pad(output_grad, ((0, 0), (1, 1)))
        w = self.param[0]
        return w[2] * wide[:, :-2] + w[1] * wide[:, 1:-1] + w[0] * wide[:, 2:]

    def _param_grad(self, output_grad):
        wide = np.pad(self.input_, ((0, 0), (1, 1)))
        parts = [wide[:, :-2], wide[:, 1:-1], wide[:, 2:]]
        return np.array([[np.sum(part * output_grad) for part in parts]])


@student("padded window: one part twice", "other_slice")
class PaddedSlideTwice(PaddedSlide):
    def _param_grad(self, output_grad):
        wide = np.pad(self.input_, ((0, 0), (1, 1)))
        parts = [wide[:, :-2], wide[:, 1:-1], wide[:, 1:-1]]
        return np.array([[np.sum(part * output_grad) for part in parts]])


@student(
    "padded window: a mean where the sum belongs", "other_function", "factor", "constant_factor"
)
class PaddedSlideMean(PaddedSlide):
    def _param_grad(self, output_grad):
        wide = np.pad(self.input_, ((0, 0), (1, 1)))
        parts = [wide[:, :-2], wide[:, 1:-1], wide[:, 2:]]
        return np.array([[np.mean(part * output_grad) for part in parts]])


@correct(x=(3, 8))
class MeanPool(Operation):
    """The mean of each two neighbours."""

    def _output(self):
        return self.input_.reshape(len(self.input_), -1, 2).mean(axis=2)

    def _input_grad(self, output_grad):
        return np.repeat(output_grad, 2, axis=1) / 2


@student("mean pooling: not halved", "factor", "constant_factor")
class MeanPoolWhole(MeanPool):
    def _input_grad(self, output_grad):
        return np.repeat(output_grad, 2, axis=1)


@correct(x=(2, 3, 4), param=(4, 4))
class Gated(ParamOperation):
    """A recurrent cell with a gate: h = f h + (1 - f) x, f = sigmoid(h W)."""

    def _output(self):
        h = np.zeros_like(self.input_[:, 0])
        self.h, self.f = [h], []
        for t in range(self.input_.shape[1]):
            f = sigmoid(h @ self.param)
            h = f * h + (1 - f) * self.input_[:, t]
            self.f.append(f)
            self.h.append(h)
        return np.stack(self.h[1:], axis=1)

    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.h[0])
        for t in reversed(range(self.input_.shape[1])):
            g, f, h = output_grad[:, t] + h_grad, self.f[t], self.h[t]
            x_grad[:, t] = g * (1 - f)
            z_grad = g * (h - self.input_[:, t]) * f * (1 - f)
            W_grad += h.T @ z_grad
            h_grad = g * f + z_grad @ self.param.T
        return x_grad, W_grad

    def _input_grad(self, output_grad):
        return self._back(output_grad)[0]

    def _param_grad(self, output_grad):
        return self._back(output_grad)[1]


@student("gated cell: the state after the step", "other_slice", "other_number")
class GatedLaterState(Gated):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.h[0])
        for t in reversed(range(self.input_.shape[1])):
            g, f, h = output_grad[:, t] + h_grad, self.f[t], self.h[t + 1]
            x_grad[:, t] = g * (1 - f)
            z_grad = g * (h - self.input_[:, t]) * f * (1 - f)
            W_grad += h.T @ z_grad
            h_grad = g * f + z_grad @ self.param.T
        return x_grad, W_grad


@student("gated cell: no gradient past the gate", "term_missing", "held_constant")
class GatedNoPath(Gated):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.h[0])
        for t in reversed(range(self.input_.shape[1])):
            g, f, h = output_grad[:, t] + h_grad, self.f[t], self.h[t]
            x_grad[:, t] = g * (1 - f)
            z_grad = g * (h - self.input_[:, t]) * f * (1 - f)
            W_grad += h.T @ z_grad
            h_grad = z_grad @ self.param.T
        return x_grad, W_grad


@student(
    "gated cell: the gate where 1 - gate belongs", "factor", "other_array", "other_number", "sign"
)
class GatedOtherGate(Gated):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.h[0])
        for t in reversed(range(self.input_.shape[1])):
            g, f, h = output_grad[:, t] + h_grad, self.f[t], self.h[t]
            x_grad[:, t] = g * f
            z_grad = g * (h - self.input_[:, t]) * f * (1 - f)
            W_grad += h.T @ z_grad
            h_grad = g * f + z_grad @ self.param.T
        return x_grad, W_grad


@correct(x=(4, 3), y=(4, 3))
class Focal(Loss):
    """The mean over rows of the squared difference of softmax and target."""

    def _output(self):
        self.p = softmax(self.prediction)
        return float(np.sum((self.p - self.target) ** 2) / len(self.p))

    def _input_grad(self):
        g = 2 * (self.p - self.target) / len(self.p)
        return self.p * (g - np.sum(g * self.p, axis=1, keepdims=True))


@student(
    "loss: the derivative of the softmax forgotten",
    "held_constant",
    "factor",
    "other_loss",
    "derivative_forgotten",
)
class FocalNoSoftmax(Focal):
    def _input_grad(self):
        return 2 * (self.p - self.target) / len(self.p)


@student("loss: mean over all entries in backward", "factor", "constant_factor")
class FocalMean(Focal):
    def _input_grad(self):
        g = 2 * (self.p - self.target) / self.p.size
        return self.p * (g - np.sum(g * self.p, axis=1, keepdims=True))


@student("loss: sum without keepdims", "axis_dropped")
class FocalNoKeepdims(Focal):
    def _input_grad(self):
        g = 2 * (self.p - self.target) / len(self.p)
        return (self.p.T * (g.T - np.sum(g * self.p, axis=0)[0])).T


@correct(x=(3, 4, 2))
class ChannelNorm(Operation):
    """Each channel minus its mean over batch and time."""

    def _output(self):
        return self.input_ - self.input_.mean(axis=(0, 1), keepdims=True)

    def _input_grad(self, output_grad):
        return output_grad - output_grad.mean(axis=(0, 1), keepdims=True)


@student("channel mean: over time only in backward", "other_axis")
class ChannelNormTime(ChannelNorm):
    def _input_grad(self, output_grad):
        return output_grad - output_grad.mean(axis=1, keepdims=True)


@student("channel mean: added in backward", "sign")
class ChannelNormAdded(ChannelNorm):
    def _input_grad(self, output_grad):
        return output_grad + output_grad.mean(axis=(0, 1), keepdims=True)


@correct(x=(5, 4))
class Ramp(Operation):
    """A ReLU with a limit."""

    def _output(self):
        return np.minimum(np.maximum(self.input_, -0.5), 0.8)

    def _input_grad(self, output_grad):
        return output_grad * (self.input_ > -0.5) * (self.input_ < 0.8)


@student("ramp: the upper limit forgotten", "factor", "other_comparison", "relu_mask")
class RampNoLimit(Ramp):
    def _input_grad(self, output_grad):
        return output_grad * (self.input_ > -0.5)


@student("ramp: both comparisons of the output", "other_comparison", "wrong_point")
class RampOfOutput(Ramp):
    def _input_grad(self, output_grad):
        return output_grad * (self.output >= -0.5) * (self.output < 0.8)
