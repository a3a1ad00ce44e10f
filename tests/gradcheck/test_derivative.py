"""Differences with an estimate of their error."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.gradcheck.derivative import complex_step, quick, study

ONE = np.ones(())
STEP, SMALLEST = 2.0**-7, 2.0**-24

SMOOTH = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "steep": (lambda x: np.tanh(50 * x), lambda x: 50 * (1 - np.tanh(50 * x) ** 2)),
    "with an offset": (lambda x: 1e6 + np.sin(x), np.cos),
}


def line(function, x):
    return lambda t: np.asarray(function(x + t))


@pytest.mark.parametrize("name", SMOOTH)
@given(x=st.floats(-2, 2))
def test_the_true_error_is_within_the_estimate(name: str, x: float) -> None:
    function, derivative = SMOOTH[name]
    found = quick(line(function, x), ONE, STEP, SMALLEST, max(abs(x), 1.0))
    assert found is not None
    assert abs(found.value - derivative(x)) <= found.error


@pytest.mark.parametrize("name", ["exp", "sin", "tanh", "cube"])
def test_the_estimate_is_small(name: str) -> None:
    function, derivative = SMOOTH[name]
    found = quick(line(function, 0.7), ONE, STEP, SMALLEST, 1.0)
    assert found is not None
    assert found.error <= 1e-10 * max(abs(derivative(0.7)), 1.0)


@given(x=st.floats(-0.05, 0.05))
def test_a_sweep_finds_the_right_step_for_a_steep_function(x: float) -> None:
    function, derivative = SMOOTH["steep"]
    found = study(line(function, x), ONE, STEP, SMALLEST, 1.0)
    assert found.best is not None
    assert abs(found.best.value - derivative(x)) <= found.best.error <= 1e-6
    assert found.jump == 0


@pytest.mark.parametrize(("left", "right"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 0.5)])
def test_a_kink_is_told_from_a_smooth_point(left: float, right: float) -> None:
    def kinked(x: float) -> float:
        return math.sin(x) + (right if x > 0 else left) * x

    found = study(line(kinked, 0.0), ONE, STEP, SMALLEST, 1.0)
    assert found.jump == pytest.approx(right - left, rel=1e-3)
    assert found.left == pytest.approx(1 + left, rel=1e-3)
    assert found.right == pytest.approx(1 + right, rel=1e-3)


def test_a_kink_nearby_shortens_the_step() -> None:
    def output(t: float) -> np.ndarray | None:
        return None if abs(t) >= 1e-4 else np.asarray(math.exp(t))

    found = quick(output, ONE, STEP, SMALLEST, 1.0)
    assert found is not None
    assert found.step < 1e-4
    assert abs(found.value - 1) <= found.error <= 1e-8


def test_no_step_fits_at_the_kink_itself() -> None:
    assert quick(lambda t: None if t else np.zeros(()), ONE, STEP, SMALLEST, 1.0) is None


def test_noise_shows_in_the_error() -> None:
    rng = np.random.default_rng(0)

    def noisy(t: float) -> np.ndarray:
        return np.asarray(math.sin(t) + 1e-6 * rng.standard_normal())

    found = study(noisy, ONE, STEP, SMALLEST, 1.0)
    assert found.best is not None
    assert abs(found.best.value - 1) <= found.best.error
    assert found.best.error > 1e-7


def test_complex_step_is_exact() -> None:
    found = complex_step(lambda t: np.exp(np.asarray(0.3 + t)), ONE)
    assert abs(found.value - math.exp(0.3)) <= found.error <= 1e-14
