"""Correct but tricky functions raise no false alarm, and small mistakes in them are seen."""

import numpy as np
import pytest

from dlfs.base import Operation
from dlfs.gradcheck import check_gradients
from tests.gradcheck.tricky import TRICKY, Tricky


def operation(tricky: Tricky, factor: float = 1.0) -> Operation:
    """Make an Operation of the two functions; a factor is a mistake in backward."""

    class Wrapped(Operation):
        def _output(self):
            return np.asarray(tricky.forward(self.input_), dtype=self.input_.dtype)

        def _input_grad(self, output_grad):
            grad = factor * tricky.backward(output_grad, self.input_)
            return np.asarray(grad, dtype=self.input_.dtype)

    return Wrapped()


def test_there_are_at_least_60() -> None:
    assert len({tricky.name for tricky in TRICKY}) == len(TRICKY) >= 60


@pytest.mark.parametrize("tricky", TRICKY, ids=lambda tricky: tricky.name)
def test_a_correct_function_passes(tricky: Tricky) -> None:
    check_gradients(operation(tricky), tricky.x).raise_if_failed()
    check_gradients((tricky.forward, tricky.backward), tricky.x).raise_if_failed()


@pytest.mark.parametrize("tricky", TRICKY, ids=lambda tricky: tricky.name)
def test_a_correct_function_in_float32_is_not_called_wrong(tricky: Tricky) -> None:
    if np.abs(tricky.x).max() < 1e4:
        report = check_gradients(operation(tricky), tricky.x.astype(np.float32))
        assert report.verdict != "wrong", str(report)


@pytest.mark.parametrize("tricky", TRICKY, ids=lambda tricky: tricky.name)
def test_a_wrong_gradient_is_seen(tricky: Tricky) -> None:
    report = check_gradients(operation(tricky, 1.01), tricky.x, hints=False)
    assert report.verdict == "wrong"
