"""Students' normalizations: statistics that depend on the input, and axes."""

import numpy as np

from dlfs.base import Operation
from tests.mutants.students.catalogue import correct, student


@correct(x=(4, 5))
class Standardize(Operation):
    def _output(self):
        x = self.input_
        mean = x.mean(axis=1, keepdims=True)
        self.std = np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + 1e-5)
        return (x - mean) / self.std

    def _input_grad(self, output_grad):
        g, y = output_grad, self.output
        mean = g.mean(axis=1, keepdims=True)
        along = (g * y).mean(axis=1, keepdims=True)
        return (g - mean - y * along) / self.std


@student("standardize: the mean's term is missing", "held_constant", "statistics", "term_missing")
class StandardizeWithoutMean(Standardize):
    def _input_grad(self, output_grad):
        g, y = output_grad, self.output
        return (g - y * (g * y).mean(axis=1, keepdims=True)) / self.std


@student(
    "standardize: the term of the standard deviation is missing",
    "held_constant",
    "statistics",
    "term_missing",
)
class StandardizeWithoutProjection(Standardize):
    def _input_grad(self, output_grad):
        return (output_grad - output_grad.mean(axis=1, keepdims=True)) / self.std


@student("standardize: mean and deviation held constant", "held_constant", "statistics")
class StandardizeConstant(Standardize):
    def _input_grad(self, output_grad):
        return output_grad / self.std


@student("standardize: means over the batch in backward", "other_axis")
class StandardizeOtherAxis(Standardize):
    def _input_grad(self, output_grad):
        g, y = output_grad, self.output
        mean = g.mean(axis=0, keepdims=True)
        along = (g * y).mean(axis=0, keepdims=True)
        return (g - mean - y * along) / self.std


@student("standardize: a sum where the mean belongs in one term", "other_function", "factor")
class StandardizeSum(Standardize):
    def _input_grad(self, output_grad):
        g, y = output_grad, self.output
        mean = g.mean(axis=1, keepdims=True)
        along = (g * y).sum(axis=1, keepdims=True)
        return (g - mean - y * along) / self.std


@student("standardize: divided by the variance", "other_power", "factor")
class StandardizeByVariance(Standardize):
    def _input_grad(self, output_grad):
        g, y = output_grad, self.output
        mean = g.mean(axis=1, keepdims=True)
        along = (g * y).mean(axis=1, keepdims=True)
        return (g - mean - y * along) / self.std**2


@correct(x=(3, 4))
class UnitLength(Operation):
    def _output(self):
        self.length = np.sqrt(np.sum(self.input_**2, axis=1, keepdims=True))
        return self.input_ / self.length

    def _input_grad(self, output_grad):
        along = np.sum(output_grad * self.output, axis=1, keepdims=True)
        return (output_grad - self.output * along) / self.length


@student("x/|x|: the length held constant", "held_constant", "term_missing")
class UnitLengthConstant(UnitLength):
    def _input_grad(self, output_grad):
        return output_grad / self.length


@student("x/|x|: projected onto the input, not the output", "wrong_point", "other_array")
class UnitLengthAlongInput(UnitLength):
    def _input_grad(self, output_grad):
        along = np.sum(output_grad * self.input_, axis=1, keepdims=True)
        return (output_grad - self.output * along) / self.length


@correct(x=(3, 6))
class RootMeanSquare(Operation):
    def _output(self):
        self.rms = np.sqrt(np.mean(self.input_**2, axis=-1, keepdims=True) + 1e-6)
        return self.input_ / self.rms

    def _input_grad(self, output_grad):
        x = self.input_
        inner = np.mean(output_grad * x, axis=-1, keepdims=True)
        return output_grad / self.rms - x * inner / self.rms**3


@student("RMS norm: the projection is added", "sign")
class RootMeanSquareAdded(RootMeanSquare):
    def _input_grad(self, output_grad):
        x = self.input_
        inner = np.mean(output_grad * x, axis=-1, keepdims=True)
        return output_grad / self.rms + x * inner / self.rms**3


@student("RMS norm: squared, not cubed, in the projection", "other_power", "other_array")
class RootMeanSquareSquared(RootMeanSquare):
    def _input_grad(self, output_grad):
        x = self.input_
        inner = np.mean(output_grad * x, axis=-1, keepdims=True)
        return output_grad / self.rms - x * inner / self.rms**2


@student("RMS norm: the mean over everything", "other_axis")
class RootMeanSquareOverAll(RootMeanSquare):
    def _input_grad(self, output_grad):
        x = self.input_
        inner = np.mean(output_grad * x)
        return output_grad / self.rms - x * inner / self.rms**3


@correct(x=(4, 3))
class Centered(Operation):
    def _output(self):
        return self.input_ - self.input_.mean(axis=0)

    def _input_grad(self, output_grad):
        return output_grad - output_grad.mean(axis=0)


@student(
    "centering: the mean held constant", "held_constant", "derivative_forgotten", "term_missing"
)
class CenteredConstant(Centered):
    def _input_grad(self, output_grad):
        return output_grad
