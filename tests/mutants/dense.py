"""Mistakes in matrix products, biases, scales and embeddings."""

import numpy as np

from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.embedding import Embedding_Op
from dlfs.normalization import ScaleMultiply
from tests.mutants.catalogue import mutant


@mutant("input gradient: W where W.T belongs (square weights)", "transposed")
class WeightsNotTransposed(WeightMultiply):
    def _input_grad(self, output_grad):
        rows, columns = self.param.shape
        return output_grad @ (self.param if rows == columns else self.param.T)


@mutant("weight gradient transposed (square weights)", "transposed")
class WeightGradientTransposed(WeightMultiply):
    def _param_grad(self, output_grad):
        right = super()._param_grad(output_grad)
        return right.T.copy() if right.shape[0] == right.shape[1] else right


@mutant("weight gradient of the transposed shape", "transposed")
class WeightGradientOfTransposedShape(WeightMultiply):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad).T


@mutant("weight gradient averaged over the batch", "batch_factor")
class WeightGradientAveraged(WeightMultiply):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad) / max(len(output_grad), 1)


@mutant("weight gradient of the last observation only", "not_summed")
class WeightGradientOfLastObservation(WeightMultiply):
    def _param_grad(self, output_grad):
        x, grad = self.input_[-1:], output_grad[-1:]
        return x.reshape(-1, x.shape[-1]).T @ grad.reshape(-1, grad.shape[-1])


@mutant("weight gradient of the last time step only", "overwritten")
class WeightGradientOfLastStep(WeightMultiply):
    def _param_grad(self, output_grad):
        if output_grad.ndim == 2:
            return super()._param_grad(output_grad)
        return self.input_[:, -1].T @ output_grad[:, -1]


@mutant("input gradient without the output gradient", "output_grad_forgotten")
class WeightsWithoutOutputGradient(WeightMultiply):
    def _input_grad(self, output_grad):
        return super()._input_grad(np.ones_like(output_grad))


@mutant("weight gradient without the output gradient", "output_grad_forgotten")
class WeightGradientWithoutOutputGradient(WeightMultiply):
    def _param_grad(self, output_grad):
        return super()._param_grad(np.ones_like(output_grad))


@mutant("weight gradient never filled: zeros", "zero")
class WeightGradientZero(WeightMultiply):
    def _param_grad(self, output_grad):
        return np.zeros_like(self.param)


@mutant("weight decay added to the gradient, but not to the loss", "term_too_many")
class WeightGradientWithDecay(WeightMultiply):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad) + 0.01 * self.param


@mutant("weight gradient with the wrong sign", "sign")
class WeightGradientNegative(WeightMultiply):
    def _param_grad(self, output_grad):
        return -super()._param_grad(output_grad)


@mutant("bias gradient of the first observation only", "not_summed")
class BiasGradientOfFirstObservation(BiasAdd):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad[:1])


@mutant("bias gradient averaged over the batch", "batch_factor")
class BiasGradientAveraged(BiasAdd):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad) / max(len(output_grad), 1)


@mutant("bias gradient not summed at all", "not_summed", "wrong_sum")
class BiasGradientNotSummed(BiasAdd):
    def _param_grad(self, output_grad):
        return output_grad.copy()


@mutant("bias gradient that lost its batch axis (no keepdims)", "axis_dropped")
class BiasGradientWithoutAxis(BiasAdd):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad)[0]


@mutant("bias gradient averaged over the pixels", "constant_factor", "factor")
class BiasGradientAveragedOverPixels(BiasAdd):
    def _param_grad(self, output_grad):
        pixels = np.prod(output_grad.shape[2:]) if output_grad.ndim == 4 else 1
        return super()._param_grad(output_grad) / output_grad.dtype.type(pixels)


@mutant("bias gradient of the first pixel only", "overwritten")
class BiasGradientOfFirstPixel(BiasAdd):
    def _param_grad(self, output_grad):
        if output_grad.ndim == 4:
            output_grad = output_grad[:, :, :1, :1]
        return super()._param_grad(output_grad)


@mutant("scale's input gradient without the scale", "derivative_forgotten")
class ScaleForgotten(ScaleMultiply):
    def _input_grad(self, output_grad):
        return output_grad


@mutant("scale's own gradient without the input")
class ScaleGradientWithoutInput(ScaleMultiply):
    def _param_grad(self, output_grad):
        kept, self.input_ = self.input_, np.ones_like(self.input_)
        grad = super()._param_grad(output_grad)
        self.input_ = kept
        return grad


@mutant("a row looked up twice keeps only one gradient", "overwritten")
class EmbeddingOverwrites(Embedding_Op):
    def _param_grad(self, output_grad):
        grad = np.zeros_like(self.param)
        grad[self.input_] = output_grad
        return grad


@mutant("input gradient: a loop that leaves out the last feature", "overwritten", "zero")
class LastFeatureLeftOut(WeightMultiply):
    def _input_grad(self, output_grad):
        grad = super()._input_grad(output_grad)
        grad[..., -1] = 0
        return grad
