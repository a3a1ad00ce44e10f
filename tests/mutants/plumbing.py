"""Correct formulas, wrong plumbing: values stored, overwritten or passed incorrectly."""

import numpy as np

from dlfs.activations import ReLU, Sigmoid, Tanh
from dlfs.base import ParamOperation
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.layers import Dense
from tests.mutants.catalogue import mutant


@mutant("parameter gradient added to the last one", "accumulated")
class GradientAccumulates(WeightMultiply):
    def _param_grad(self, output_grad):
        new = super()._param_grad(output_grad)
        return new + getattr(self, "param_grad", np.zeros_like(new))


@mutant("mask of the first forward pass kept for later passes", "stale_cache")
class MaskKept(ReLU):
    def _output(self):
        if getattr(self, "_mask", np.empty(0)).shape != self.input_.shape:
            self._mask = self.input_ > 0
        return super()._output()

    def _input_grad(self, output_grad):
        return output_grad * self._mask


@mutant("backward changes its output gradient", "in_place")
class OutputGradientChanged(Sigmoid):
    def _input_grad(self, output_grad):
        output_grad *= self.output * (1 - self.output)
        return output_grad.copy()


@mutant("forward changes its input", "in_place")
class InputChanged(Tanh):
    def _check_input(self, input_):
        super()._check_input(input_)
        if input_.flags.writeable:
            np.minimum(input_, 1, out=input_)


@mutant("gradient in float64 whatever the input")
class GradientInFloat64(Tanh):
    def _input_grad(self, output_grad):
        return super()._input_grad(output_grad).astype(np.float64)


@mutant("parameters alone: without the sum over the batch")
class OtherParamsGradient(BiasAdd):
    def backward(self, output_grad, input_grad=True):
        if input_grad:
            return super().backward(output_grad)
        self.param_grad = self._param_grad(output_grad[:1])
        return None


@mutant("gradient that is NaN where the output is 0")
class GradientNaN(ReLU):
    def _input_grad(self, output_grad):
        with np.errstate(invalid="ignore"):
            return output_grad * (self.output / self.output)


@mutant("layer: activation left out on the way back", "chain")
class ActivationLeftOut(Dense):
    def backward(self, output_grad):
        for operation in reversed(self.operations):
            if operation is not self.activation:
                output_grad = operation.backward(output_grad)
        return output_grad


@mutant("layer: parameter gradients taken before they are computed", "chain")
class GradientsOfLastPass(Dense):
    def backward(self, output_grad):
        for operation in reversed(self.operations):
            if isinstance(operation, ParamOperation):
                operation.param_grad = np.zeros_like(operation.param)
        kept = list(self.param_grads)
        output_grad = super().backward(output_grad)
        self.param_grads = kept
        return output_grad
