"""Students' sums, means, windows, recurrent cells and losses."""

import numpy as np

from dlfs.base import Operation, ParamOperation
from dlfs.losses import Loss
from tests.mutants.students.catalogue import correct, student


@correct(x=(4, 3, 5))
class MeanOverTime(Operation):
    def _output(self):
        return self.input_.mean(axis=(1, 2))[:, np.newaxis]

    def _input_grad(self, output_grad):
        size = self.input_.shape[1] * self.input_.shape[2]
        return np.ones_like(self.input_) * output_grad[:, :, np.newaxis] / size


@student("mean over two axes: divided by one size only", "factor", "size_factor", "constant_factor")
class MeanOneAxis(MeanOverTime):
    def _input_grad(self, output_grad):
        return np.ones_like(self.input_) * output_grad[:, :, np.newaxis] / self.input_.shape[1]


@student("mean: not divided at all", "factor", "size_factor", "constant_factor")
class MeanNotDivided(MeanOverTime):
    def _input_grad(self, output_grad):
        return np.ones_like(self.input_) * output_grad[:, :, np.newaxis]


@correct(x=(4, 3))
class HalfSquare(Operation):
    def _output(self):
        return 0.5 * np.sum(self.input_**2, axis=1, keepdims=True)

    def _input_grad(self, output_grad):
        return output_grad * self.input_


@student("half the square: the half forgotten", "factor", "constant_factor", "other_number")
class HalfSquareTwice(HalfSquare):
    def _input_grad(self, output_grad):
        return 2 * output_grad * self.input_


@correct(x=(3, 3), param=(1, 3))
class AddBias(ParamOperation):
    def _output(self):
        return self.input_ + self.param

    def _input_grad(self, output_grad):
        return output_grad

    def _param_grad(self, output_grad):
        return output_grad.sum(axis=0, keepdims=True)


@student("bias: sum without keepdims", "axis_dropped")
class AddBiasNoKeepdims(AddBias):
    def _param_grad(self, output_grad):
        return output_grad.sum(axis=0)


@student("bias: sum over the features of a square batch", "other_axis")
class AddBiasOtherAxis(AddBias):
    def _param_grad(self, output_grad):
        return output_grad.sum(axis=1)[np.newaxis]


@student("bias: not summed", "not_summed")
class AddBiasNotSummed(AddBias):
    def _param_grad(self, output_grad):
        return output_grad


@correct(x=(2, 8), param=(1, 3))
class SlidingSum(ParamOperation):
    """Three weights slide over each row, two pixels at a time."""

    def _output(self):
        w, n = self.param[0], 3
        return np.stack(
            [sum(w[k] * self.input_[:, 2 * t + k] for k in range(3)) for t in range(n)], 1
        )

    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        for t in range(3):
            for k in range(3):
                grad[:, 2 * t + k] += output_grad[:, t] * self.param[0, k]
        return grad

    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        for t in range(3):
            for k in range(3):
                grad[0, k] += np.sum(output_grad[:, t] * self.input_[:, 2 * t + k])
        return grad


@student("window: the stride forgotten", "other_number", "other_slice", "factor")
class SlidingStrideForgotten(SlidingSum):
    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        for t in range(3):
            for k in range(3):
                grad[:, t + k] += output_grad[:, t] * self.param[0, k]
        return grad


@student("window: the last window left out", "other_number", "other_slice")
class SlidingLastLeftOut(SlidingSum):
    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        for t in range(2):
            for k in range(3):
                grad[0, k] += np.sum(output_grad[:, t] * self.input_[:, 2 * t + k])
        return grad


@student("window: overlapping windows overwrite", "overwritten")
class SlidingOverwritten(SlidingSum):
    def _input_grad(self, output_grad):
        grad = np.zeros_like(self.input_)
        for t in range(3):
            for k in range(3):
                grad[:, 2 * t + k] = output_grad[:, t] * self.param[0, k]
        return grad


@correct(x=(3, 6))
class PairMaximum(Operation):
    """The larger of each two neighbours; ties share the gradient."""

    def _output(self):
        self.pairs = self.input_.reshape(3, 3, 2)
        return self.pairs.max(axis=2)

    def _input_grad(self, output_grad):
        largest = self.pairs == self.output[:, :, np.newaxis]
        share = largest / largest.sum(axis=2, keepdims=True)
        return (share * output_grad[:, :, np.newaxis]).reshape(self.input_.shape)


@student("maximum: the smaller one gets the gradient", "other_comparison")
class PairMaximumOther(PairMaximum):
    def _input_grad(self, output_grad):
        largest = self.pairs != self.output[:, :, np.newaxis]
        return (largest * output_grad[:, :, np.newaxis]).reshape(self.input_.shape)


@correct(x=(2, 4, 3), param=(3, 3))
class Elman(ParamOperation):
    """A recurrent cell: h = tanh(x_t + h W)."""

    def _output(self):
        h = np.zeros_like(self.input_[:, 0])
        self.states = [h]
        for t in range(self.input_.shape[1]):
            h = np.tanh(self.input_[:, t] + h @ self.param)
            self.states.append(h)
        return np.stack(self.states[1:], axis=1)

    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.states[0])
        for t in reversed(range(self.input_.shape[1])):
            z_grad = (output_grad[:, t] + h_grad) * (1 - self.states[t + 1] ** 2)
            x_grad[:, t] = z_grad
            W_grad += self.states[t].T @ z_grad
            h_grad = z_grad @ self.param.T
        return x_grad, W_grad

    def _input_grad(self, output_grad):
        return self._back(output_grad)[0]

    def _param_grad(self, output_grad):
        return self._back(output_grad)[1]


@student(
    "recurrent cell: the state after the step in the weights' gradient",
    "other_slice",
    "other_number",
)
class ElmanLaterState(Elman):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.states[0])
        for t in reversed(range(self.input_.shape[1])):
            z_grad = (output_grad[:, t] + h_grad) * (1 - self.states[t + 1] ** 2)
            x_grad[:, t] = z_grad
            W_grad += self.states[t + 1].T @ z_grad
            h_grad = z_grad @ self.param.T
        return x_grad, W_grad


@student("recurrent cell: tanh's derivative from the state before", "other_slice", "other_number")
class ElmanEarlierState(Elman):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.states[0])
        for t in reversed(range(self.input_.shape[1])):
            z_grad = (output_grad[:, t] + h_grad) * (1 - self.states[t] ** 2)
            x_grad[:, t] = z_grad
            W_grad += self.states[t].T @ z_grad
            h_grad = z_grad @ self.param.T
        return x_grad, W_grad


@student("recurrent cell: W for W.T on the way back", "transposed")
class ElmanNotTransposed(Elman):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        h_grad = np.zeros_like(self.states[0])
        for t in reversed(range(self.input_.shape[1])):
            z_grad = (output_grad[:, t] + h_grad) * (1 - self.states[t + 1] ** 2)
            x_grad[:, t] = z_grad
            W_grad += self.states[t].T @ z_grad
            h_grad = z_grad @ self.param
        return x_grad, W_grad


@student(
    "recurrent cell: the later steps' gradient dropped",
    "held_constant",
    "not_through_time",
    "term_missing",
)
class ElmanNotThroughTime(Elman):
    def _back(self, output_grad):
        x_grad, W_grad = np.zeros_like(self.input_), np.zeros_like(self.param)
        for t in reversed(range(self.input_.shape[1])):
            z_grad = output_grad[:, t] * (1 - self.states[t + 1] ** 2)
            x_grad[:, t] = z_grad
            W_grad += self.states[t].T @ z_grad
        return x_grad, W_grad


@correct(x=(4, 3), y=(4, 3))
class SmoothedCrossEntropy(Loss):
    smoothing = 0.1

    def _output(self):
        x = self.prediction
        x = x - x.max(axis=1, keepdims=True)
        log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        self.smooth = (1 - self.smoothing) * self.target + self.smoothing / x.shape[1]
        self.p = np.exp(log_p)
        return float(-np.sum(self.smooth * log_p) / len(x))

    def _input_grad(self):
        return (self.p - self.smooth) / len(self.prediction)


@student("label smoothing: forgotten in backward", "other_array", "other_loss", "other_number")
class SmoothedForgotten(SmoothedCrossEntropy):
    def _input_grad(self):
        return (self.p - self.target) / len(self.prediction)


@student("label smoothing: not divided by the classes", "factor", "other_array", "other_number")
class SmoothedNotDivided(SmoothedCrossEntropy):
    def _input_grad(self):
        smooth = (1 - self.smoothing) * self.target + self.smoothing
        return (self.p - smooth) / len(self.prediction)


@student(
    "cross-entropy: divided by the classes, not the batch",
    "factor",
    "size_factor",
    "constant_factor",
    "other_number",
    "batch_factor",
)
class SmoothedByClasses(SmoothedCrossEntropy):
    def _input_grad(self):
        return (self.p - self.smooth) / self.prediction.shape[1]


@correct(x=(4, 3), y=(4, 3))
class LogCosh(Loss):
    def _output(self):
        return float(np.mean(np.log(np.cosh(self.prediction - self.target))))

    def _input_grad(self):
        return np.tanh(self.prediction - self.target) / self.prediction.size


@student(
    "mean over all entries: divided by the rows only",
    "factor",
    "size_factor",
    "constant_factor",
    "batch_factor",
)
class LogCoshRows(LogCosh):
    def _input_grad(self):
        return np.tanh(self.prediction - self.target) / len(self.prediction)


@student("log cosh: the sum of prediction and target", "sign")
class LogCoshSum(LogCosh):
    def _input_grad(self):
        return np.tanh(self.prediction + self.target) / self.prediction.size


@correct(x=(3, 4))
class CumulativeSum(Operation):
    def _output(self):
        return np.cumsum(self.input_, axis=1)

    def _input_grad(self, output_grad):
        return np.cumsum(output_grad[:, ::-1], axis=1)[:, ::-1]


@student("cumulative sum: not from the end", "other_slice", "transposed", "flipped")
class CumulativeSumForward(CumulativeSum):
    def _input_grad(self, output_grad):
        return np.cumsum(output_grad, axis=1)


@correct(x=(3, 4), param=(4, 4))
class Bilinear(ParamOperation):
    """x W x for each row: W stands between the input and itself."""

    def _output(self):
        return np.sum((self.input_ @ self.param) * self.input_, axis=1, keepdims=True)

    def _input_grad(self, output_grad):
        return output_grad * (self.input_ @ self.param + self.input_ @ self.param.T)

    def _param_grad(self, output_grad):
        return (self.input_ * output_grad).T @ self.input_


@student("x W x: twice the one product, as if W were symmetric", "transposed")
class BilinearSymmetric(Bilinear):
    def _input_grad(self, output_grad):
        return output_grad * (self.input_ @ self.param + self.input_ @ self.param)


@student("x W x: only one of the two products", "held_constant", "term_missing")
class BilinearOneProduct(Bilinear):
    def _input_grad(self, output_grad):
        return output_grad * (self.input_ @ self.param.T)


@student("x W x: the output gradient forgotten", "output_grad_forgotten", "factor")
class BilinearNoOutputGradient(Bilinear):
    def _param_grad(self, output_grad):
        return self.input_.T @ self.input_
