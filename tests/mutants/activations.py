"""Mistakes in the derivatives of activations, in dropout and in normalization."""

import numpy as np
from scipy import special

from dlfs.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from dlfs.dropout import Dropout
from dlfs.normalization import BatchNorm_Op, LayerNorm_Op
from tests.mutants.catalogue import mutant


@mutant("sigmoid: derivative forgotten", "derivative_forgotten")
class SigmoidForgotten(Sigmoid):
    def _input_grad(self, output_grad):
        return output_grad


@mutant("sigmoid: s(1 - s) with the input for s", "wrong_point")
class SigmoidAtInput(Sigmoid):
    def _input_grad(self, output_grad):
        return output_grad * self.input_ * (1 - self.input_)


@mutant("sigmoid: derivative multiplied in twice", "factor")
class SigmoidTwice(Sigmoid):
    def _input_grad(self, output_grad):
        return super()._input_grad(super()._input_grad(output_grad))


@mutant("sigmoid: derivative of the sigmoid of the output", "wrong_point")
class SigmoidAtOutput(Sigmoid):
    def _input_grad(self, output_grad):
        s = special.expit(self.output)
        return output_grad * s * (1 - s)


@mutant("tanh: 1 - x**2 with the input for the output", "wrong_point")
class TanhAtInput(Tanh):
    def _input_grad(self, output_grad):
        return output_grad * (1 - self.input_**2)


@mutant("tanh: 1 - output, the square forgotten", "other_power")
class TanhWithoutSquare(Tanh):
    def _input_grad(self, output_grad):
        return output_grad * (1 - self.output)


@mutant("tanh: wrong sign", "sign")
class TanhNegative(Tanh):
    def _input_grad(self, output_grad):
        return -super()._input_grad(output_grad)


@mutant("tanh: derivative without the output gradient", "output_grad_forgotten")
class TanhWithoutOutputGradient(Tanh):
    def _input_grad(self, output_grad):
        return super()._input_grad(np.ones_like(output_grad))


@mutant("ReLU: mask >= on the clipped output (the book)", "relu_mask")
class ReLUMaskOfOutput(ReLU):
    def _input_grad(self, output_grad):
        return output_grad * (self.output >= 0)


@mutant("ReLU: mask of the output gradient's sign", "relu_mask")
class ReLUMaskOfGradient(ReLU):
    def _input_grad(self, output_grad):
        return output_grad * (output_grad > 0)


@mutant("ReLU: mask the wrong way round", "relu_mask")
class ReLUMaskInverted(ReLU):
    def _input_grad(self, output_grad):
        return output_grad * (self.input_ <= 0)


@mutant("leaky ReLU: no slope below 0", "relu_mask")
class LeakyReLUWithoutSlope(LeakyReLU):
    def _input_grad(self, output_grad):
        return output_grad * (self.input_ > 0)


@mutant("ELU: exp of the output below 0", "wrong_point")
class ELUAtOutput(ELU):
    def _input_grad(self, output_grad):
        slope = np.where(self.input_ > 0, 1, self.alpha * np.exp(np.minimum(self.output, 0)))
        return output_grad * slope.astype(output_grad.dtype)


@mutant("GELU: second term of the product rule missing")
class GELUHalf(GELU):
    def _input_grad(self, output_grad):
        return output_grad * special.ndtr(self.input_)


@mutant("SiLU: sigmoid alone, second term of the product rule missing")
class SiLUHalf(SiLU):
    def _input_grad(self, output_grad):
        return output_grad * special.expit(self.input_)


@mutant("softplus: sigmoid of the output", "wrong_point")
class SoftplusAtOutput(Softplus):
    def _input_grad(self, output_grad):
        return output_grad * special.expit(self.output)


@mutant("softplus: multiplied by the function itself", "times_function")
class SoftplusTimesItself(Softplus):
    def _input_grad(self, output_grad):
        return output_grad * self.output


@mutant("softmax: only the Jacobian's diagonal", "diagonal_only")
class SoftmaxDiagonal(Softmax):
    def _input_grad(self, output_grad):
        return output_grad * self.output * (1 - self.output)


@mutant("softmax: gradient passed through (it is zero for ones)", "derivative_forgotten")
class SoftmaxForgotten(Softmax):
    def _input_grad(self, output_grad):
        return output_grad


@mutant("softmax: no gradient at all (correct for ones)", "zero")
class SoftmaxZero(Softmax):
    def _input_grad(self, output_grad):
        return np.zeros_like(output_grad)


@mutant("softmax: sum over the batch instead of the classes", "other_axis")
class SoftmaxAlongBatch(Softmax):
    def _input_grad(self, output_grad):
        product = output_grad * self.output
        return product - self.output * product.sum(axis=0, keepdims=True)


@mutant("dropout: mask not applied in backward", "derivative_forgotten")
class DropoutWithoutMask(Dropout):
    def _input_grad(self, output_grad):
        return output_grad


@mutant("dropout: scaling forgotten in backward", "constant_factor", "factor")
class DropoutWithoutScale(Dropout):
    def _input_grad(self, output_grad):
        return output_grad if self.inference else output_grad * self.mask


@mutant("dropout: a new mask in backward", "random_again")
class DropoutNewMask(Dropout):
    def _input_grad(self, output_grad):
        if self.inference:
            return output_grad
        mask = self.rng.random(self.input_.shape, dtype=np.float32) < self.keep_prob
        return output_grad * mask * output_grad.dtype.type(1 / self.keep_prob)


def _axes(array):
    return (0, *range(2, array.ndim))


@mutant("batch norm: mean and variance taken for constants", "statistics")
class BatchNormConstantStatistics(BatchNorm_Op):
    def _input_grad(self, output_grad):
        if self.inference:
            return super()._input_grad(output_grad)
        return output_grad * self._inv_std


@mutant("batch norm: variance taken for a constant", "statistics")
class BatchNormConstantVariance(BatchNorm_Op):
    def _input_grad(self, output_grad):
        if self.inference:
            return super()._input_grad(output_grad)
        mean = output_grad.mean(axis=_axes(output_grad), keepdims=True)
        return (output_grad - mean) * self._inv_std


@mutant("batch norm: count - 1 in backward, count in forward", "statistics")
class BatchNormOtherCount(BatchNorm_Op):
    def _input_grad(self, output_grad):
        if self.inference:
            return super()._input_grad(output_grad)
        axes = _axes(output_grad)
        n = output_grad.dtype.type(np.prod([output_grad.shape[axis] for axis in axes]) - 1)
        mean = output_grad.sum(axis=axes, keepdims=True) / n
        along = (output_grad * self.output).sum(axis=axes, keepdims=True) / n
        return (output_grad - mean - self.output * along) * self._inv_std


@mutant("batch norm: inference gradient used in training", "stale_cache")
class BatchNormInferenceGradient(BatchNorm_Op):
    def _input_grad(self, output_grad):
        return output_grad / np.sqrt(self.running_var + self.eps).astype(output_grad.dtype)


@mutant("layer norm: standard deviation forgotten", "statistics")
class LayerNormWithoutScale(LayerNorm_Op):
    def _input_grad(self, output_grad):
        mean = output_grad.mean(axis=-1, keepdims=True)
        along = (output_grad * self.output).mean(axis=-1, keepdims=True)
        return output_grad - mean - self.output * along


@mutant("layer norm: mean taken for a constant", "statistics")
class LayerNormConstantMean(LayerNorm_Op):
    def _input_grad(self, output_grad):
        along = (output_grad * self.output).mean(axis=-1, keepdims=True)
        return (output_grad - self.output * along) * self._inv_std
