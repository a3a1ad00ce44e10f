"""Differences with an estimate of their error."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.gradcheck.derivative import complex_step, kink, quick, study

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


# --- where the line is evaluated, and what follows from exact numbers ---


def recorded(seen: list[float], blocked: float = np.inf):
    def output(t: float) -> np.ndarray | None:
        seen.append(t)
        return None if abs(t) >= blocked else np.asarray(3.0 * t)

    return output


def test_three_steps_on_both_sides() -> None:
    seen: list[float] = []
    found = quick(recorded(seen), ONE, 0.5, 0.5, 2.0)
    assert seen == [0.5, -0.5, 0.25, -0.25, 0.125, -0.125]
    assert found is not None
    assert (found.value, found.step) == (3.0, 0.5)
    assert found.column == 3.0
    # The differences agree exactly: what is left is round-off, of the output and of x + h.
    assert found.error == 8 * np.finfo(float).eps * (1 + 2 * 3) / 0.125
    assert quick(recorded(seen), ONE, 0.5, 0.5000001, 2.0) is None


def test_shorter_steps_are_tried_down_to_the_smallest() -> None:
    seen: list[float] = []
    found = quick(recorded(seen, 0.25), ONE, 2.0, 2.0 / 4**2, 2.0)
    assert found is not None
    assert seen == [2.0, 0.5, 0.125, -0.125, 0.0625, -0.0625, 0.03125, -0.03125]
    assert found.step == 0.125
    assert quick(recorded([], 0.125), ONE, 2.0, 2.0 / 4**2, 2.0) is None
    seen.clear()
    assert quick(recorded(seen, 0.3), ONE, 0.5, 0.5, 1.0) is None
    assert seen == [0.5]

    def only_below(t: float) -> np.ndarray | None:
        return None if t < 0 else np.asarray(t)

    assert quick(only_below, ONE, 2.0, 0.01, 1.0) is None


def test_round_off_grows_with_the_output_and_its_weights() -> None:
    weights, eps = np.array([3.0, -4.0]), np.finfo(float).eps

    def two(t: float) -> np.ndarray:
        return np.array([2.0 * t, 2.0 * t])

    found = quick(two, weights, 0.5, 0.5, 1.0)
    assert found is not None
    assert found.value == -2.0
    # At the shortest step the terms are 3/4 and -1; their root mean square is that of their sum.
    assert found.error == pytest.approx(8 * eps * (1.25 + 2) / 0.125, rel=1e-12)
    far = quick(lambda t: two(t) + np.array([1e6, 0]), weights, 0.5, 0.5, 1.0)
    assert far is not None
    assert far.error > 8 * eps * 3e6 / 0.125
    scalar = quick(lambda t: np.asarray(64.0 + t), np.asarray(-2.0), 0.5, 0.5, 1.0)
    assert scalar is not None
    assert scalar.error == 8 * eps * (2 * 64.125 + 2) / 0.125


def test_the_error_is_the_change_by_the_last_but_one_correction() -> None:
    """For t**5 the differences are h**4, their first corrections -h**4 / 4, and the result 0."""
    found = quick(lambda t: np.asarray(t**5), ONE, 1.0, 1.0, 1.0)
    assert found is not None
    assert found.value == 0
    first = [-(h**4) / 4 for h in (1.0, 0.5)]
    assert found.error == pytest.approx(first[1] - first[0], rel=1e-12)


def test_a_study_halves_its_steps_from_eight_times_the_first() -> None:
    found = study(recorded([]), ONE, 1.0, 0.125, 1.0)
    assert found.steps == [8, 4, 2, 1, 0.5, 0.25, 0.125]
    assert found.differences == [3.0] * 7
    assert (found.jump, found.left, found.right) == (0, 3, 3)
    # Round-off doubles with each step, so the longest are the best.
    assert found.best is not None
    assert found.best.step == 8
    assert study(recorded([], 2.0), ONE, 1.0, 0.125, 1.0).steps == [1, 0.5, 0.25, 0.125]
    least = study(recorded([], 1.0), ONE, 1.0, 0.125, 1.0)
    assert least.steps == [0.5, 0.25, 0.125]
    assert least.best is not None
    few = study(recorded([], 0.5), ONE, 1.0, 0.125, 1.0)
    assert few.steps == [0.25, 0.125]
    assert few.best is None
    assert (few.left, few.right, few.jump) == (0, 0, 0)


def test_a_study_uses_only_steps_below_a_gap() -> None:
    def with_a_gap(t: float) -> np.ndarray | None:
        return None if abs(t) == 1.0 else np.asarray(t)

    assert study(with_a_gap, ONE, 1.0, 0.125, 1.0).steps == [0.5, 0.25, 0.125]


def test_without_the_point_itself_there_are_no_slopes() -> None:
    found = study(lambda t: None if t == 0 else np.asarray(t), ONE, 1.0, 0.01, 1.0)
    assert found.best is not None
    assert (found.left, found.right, found.jump) == (0, 0, 0)


@pytest.mark.parametrize("size", [1.0, 1e3])
@pytest.mark.parametrize(("left", "right"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 0.5)])
def test_a_kink_at_the_point_is_seen_at_once(left: float, right: float, size: float) -> None:
    seen: list[float] = []

    def kinked(t: float) -> np.ndarray:
        seen.append(t / size)
        return np.asarray(math.sin(t) + (right if t > 0 else left) * t)

    found = kink(kinked, ONE, size)
    assert seen == [0, *(sign * 2.0**-n for n in (10, 17, 24) for sign in (1, -1))]
    assert found is not None
    assert found.best is None
    assert (found.steps, found.differences) == ([], [])
    assert found.jump == pytest.approx(right - left, rel=1e-6)
    assert found.left == pytest.approx(1 + left, abs=1e-6)
    assert found.right == pytest.approx(1 + right, abs=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        math.sin,
        lambda t: t * abs(t),
        lambda t: math.sqrt(abs(t)),
        lambda t: abs(t - 2.0**-14),
        lambda t: 1e12 + 1e-3 * abs(t),
    ],
    ids=["smooth", "bent", "a root", "a kink beside", "lost in round-off"],
)
def test_what_is_no_kink_at_the_point(function) -> None:
    assert kink(lambda t: np.asarray(function(t)), ONE, 1.0) is None


@pytest.mark.parametrize("missing", [0.0, 2.0**-10, -(2.0**-17), 2.0**-24])
def test_no_kink_is_seen_where_forward_cannot_go(missing: float) -> None:
    assert kink(lambda t: None if t == missing else np.asarray(abs(t)), ONE, 1.0) is None


@pytest.mark.parametrize(("change", "seen"), [(0.04, True), (0.06, False)])
def test_a_jump_may_change_by_a_twentieth(change: float, seen: bool) -> None:
    def kinked(t: float) -> np.ndarray:
        # The jump is 2 at the shortest steps, and more at the longest.
        return np.asarray(abs(t) * (1 + change * (abs(t) > 2.0**-12)))

    assert (kink(kinked, ONE, 1.0) is not None) == seen


def test_a_complex_step_has_the_error_of_its_sum() -> None:
    weights = np.array([3.0, -4.0])
    found = complex_step(lambda t: np.array([2.0, 5.0]) * t, weights)
    assert found.value == pytest.approx(-14.0, rel=1e-15)
    np.testing.assert_allclose(found.column, [2, 5], rtol=1e-15)
    assert found.error == pytest.approx(8 * np.finfo(float).eps * 26, rel=1e-12)
    assert found.step == 0
