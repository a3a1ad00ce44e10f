"""Rounding: it never fails a check, and it hides no other error."""

import numpy as np
import pytest

from dlfs.activations import Sigmoid, Tanh
from dlfs.backend import available_backends
from dlfs.base import Operation
from dlfs.gradcheck import check_gradients
from dlfs.layers import Conv1D


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("activation", [Tanh, Sigmoid])
@pytest.mark.parametrize("scale", [1, 3, 8])
def test_saturated_slopes_raise_no_false_alarm(scale, activation, backend) -> None:
    """Their slope, such as 1 - t², has the absolute error of t, however small it is."""
    for seed in range(8):
        x = scale * np.random.default_rng(seed).standard_normal((2, 4, 7))
        layer = Conv1D(2, 3, activation=activation(), stride=2, padding="valid", groups=2)
        check_gradients(layer, x.astype("float32"), backend=backend, seed=seed).raise_if_failed()


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize(
    ("activation", "at"), [(Tanh, 7.5), (Tanh, 9.0), (Tanh, 15.0), (Sigmoid, 14.5), (Sigmoid, 20.0)]
)
def test_slopes_that_have_lost_their_digits_are_right(activation, at, backend) -> None:
    """No move of the input changes t there; the error of 1 - t² shows where t is rounded again."""
    x = np.array([[at, at + 0.1, at]], dtype=np.float32)
    found = check_gradients(activation(), x, backend=backend).results["input_"]
    assert found.passed
    assert np.all(found.tolerance < 32 * np.finfo(np.float32).eps)


class LargestOfRow(Operation):
    """A maximum that finds its position by comparing its output with its input."""

    slope = 1.0

    def _output(self):
        return self.input_.max(axis=1, keepdims=True)

    def _input_grad(self, output_grad):
        return self.slope * output_grad * (self.input_ == self.output)


class ComparedELU(Operation):
    """An ELU that finds where it is linear by comparing its output with its input."""

    slope = 1.0

    def _output(self):
        return np.where(self.input_ > 0, self.input_, np.expm1(self.input_))

    def _input_grad(self, output_grad):
        return output_grad * np.where(self.input_ == self.output, self.slope, self.output + 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compares", [LargestOfRow, ComparedELU])
def test_a_backward_pass_that_compares_outputs_is_not_excused(compares, dtype: str) -> None:
    """Its gradient jumps when its output is changed, which is not rounding."""
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(dtype)
    assert check_gradients(compares(), x)
    for slope in (0.5, 0.99, 1.01, 2.0):
        wrong = compares()
        wrong.slope = slope
        assert not check_gradients(wrong, x)
