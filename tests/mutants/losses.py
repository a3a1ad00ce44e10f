"""Losses whose value and gradient do not belong together."""

import numpy as np
from scipy import special

from dlfs.losses import BinaryCrossEntropy, Huber, MeanSquaredError, SoftmaxCrossEntropy
from tests.mutants.catalogue import mutant


@mutant("squared error: not divided by the batch size", "batch_factor", "other_loss")
class SquaredErrorNotAveraged(MeanSquaredError):
    def _input_grad(self):
        return super()._input_grad() * len(self.prediction)


@mutant("squared error: the 2 forgotten", "factor", "other_loss")
class SquaredErrorWithoutTwo(MeanSquaredError):
    def _input_grad(self):
        return super()._input_grad() * self.prediction.dtype.type(0.5)


@mutant("squared error: target - prediction", "sign")
class SquaredErrorNegative(MeanSquaredError):
    def _input_grad(self):
        return -super()._input_grad()


@mutant("normalized squared error: normalization forgotten (the book)", "normalization_forgotten")
class NormalizedErrorForgotten(MeanSquaredError):
    def _input_grad(self):
        return self._grad


@mutant("softmax cross-entropy: value of another loss (the book)", "held_constant")
class CrossEntropyOtherValue(SoftmaxCrossEntropy):
    def _output(self):
        value = super()._output()
        if self.prediction.shape[-1] == 1:
            return value
        softmax = special.softmax(self.prediction.astype(np.float64), axis=-1)
        target = self.target
        if target.ndim < softmax.ndim:
            target = np.eye(softmax.shape[-1])[target]
        rows = np.prod(softmax.shape[:-1])
        return value - float(np.sum((1 - target) * np.log(1 - softmax))) / rows


@mutant("cross-entropy: derivative of the softmax forgotten", "other_loss")
class CrossEntropyWithoutSoftmax(SoftmaxCrossEntropy):
    def _input_grad(self):
        if self.prediction.shape[-1] == 1:
            return super()._input_grad()
        target = self.target
        if target.ndim < self.prediction.ndim:
            target = np.eye(self.prediction.shape[-1], dtype=self.prediction.dtype)[target]
        softmax = special.softmax(self.prediction, axis=-1)
        rows = np.prod(self.prediction.shape[:-1])
        return (-target / softmax / rows).astype(self.prediction.dtype)


@mutant("cross-entropy: label smoothing forgotten in the gradient", "other_loss")
class CrossEntropyWithoutSmoothing(SoftmaxCrossEntropy):
    def _output(self):
        value = super()._output()
        smoothing, self.label_smoothing = self.label_smoothing, 0.0
        super()._output()
        self.label_smoothing = smoothing
        return value


@mutant("cross-entropy: not divided by the batch size", "batch_factor", "other_loss")
class CrossEntropyNotAveraged(SoftmaxCrossEntropy):
    def _input_grad(self):
        return super()._input_grad() * len(self.prediction)


@mutant("binary cross-entropy: the sigmoid forgotten", "other_loss")
class BinaryWithoutSigmoid(BinaryCrossEntropy):
    def _input_grad(self):
        return (self.prediction - self.target) / self.prediction.dtype.type(len(self.prediction))


@mutant("Huber: not clipped, the gradient of the squared error", "other_loss")
class HuberNotClipped(Huber):
    def _input_grad(self):
        return (self.prediction - self.target) / self.prediction.dtype.type(len(self.prediction))
