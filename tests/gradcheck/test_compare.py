"""Comparisons at their limits: tolerances, numbers of entries, kinks and ties."""

import numpy as np
import pytest

from dlfs.activations import Linear, ReLU
from dlfs.base import Operation
from dlfs.gradcheck import GradientResult, check_gradients
from dlfs.pooling import MaxPool2D


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


class Off(Linear):
    """The gradient of a line, times a factor, plus an offset in some entries."""

    def __init__(self, factor: float = 1.0, offset: float = 0.0, *places: int) -> None:
        super().__init__()
        self.factor, self.offset, self.places = factor, offset, places

    def _input_grad(self, output_grad):
        grad = self.factor * output_grad
        grad.flat[[*self.places] or slice(None)] += self.offset
        return grad


def result(target: Operation, x: np.ndarray, **options: object) -> GradientResult:
    return check_gradients(target, x, hints=False, **options).results["input_"]


# --- tolerances that the caller sets ---


@pytest.mark.parametrize("sign", [1, -1])
def test_an_absolute_tolerance_at_its_limit(sign: int) -> None:
    x = normal(3, 4)
    assert result(Off(1.0, sign * 0.999e-3), x, atol=1e-3).passed
    wrong = result(Off(1.0, sign * 1.001e-3), x, atol=1e-3)
    assert wrong.verdict == "wrong"
    np.testing.assert_allclose(wrong.tolerance, 1e-3, rtol=1e-6)
    np.testing.assert_allclose(wrong.error, 1.001e-3, rtol=1e-6)
    assert result(Off(1.0, sign * 0.999e-3), x, atol=0.0).verdict == "wrong"


def test_a_relative_tolerance_at_its_limit() -> None:
    x = normal(3, 4)
    assert result(Off(1 / (1 - 0.999e-3)), x, rtol=1e-3).passed
    wrong = result(Off(1 / (1 - 1.001e-3)), x, rtol=1e-3)
    assert wrong.verdict == "wrong"
    np.testing.assert_allclose(wrong.tolerance, 1e-3 * np.abs(wrong.analytic), rtol=1e-6)


def test_both_tolerances_add_up() -> None:
    x = normal(3, 4)
    both = {"rtol": 1e-3, "atol": 1e-3}
    smallest = 1 / (1 - 1e-3)
    assert result(Off(smallest, 0.99e-3), x, **both).verdict == "passed"
    assert result(Off(smallest, 2.01e-3), x, **both).verdict == "wrong"


def test_without_tolerances_rounding_alone_is_allowed() -> None:
    passed = result(Off(), normal(3, 4))
    assert np.all(passed.tolerance < 1e-11)
    assert np.all(passed.tolerance >= 8 * np.finfo(float).eps * np.abs(passed.analytic))
    assert result(Off(1.0, 1e-10), normal(3, 4)).verdict == "wrong"


# --- how many entries ---


@pytest.mark.parametrize(
    ("size", "most", "checked", "directions"),
    [
        (200, None, 200, 0),
        (201, None, 16, 4),
        (10, 10, 10, 0),
        (11, 10, 10, 4),
        (17, 16, 16, 4),
        (40, 30, 16, 4),
        (40, 1, 1, 4),
    ],
)
def test_a_large_array_is_compared_along_directions(size, most, checked, directions) -> None:
    found = result(Off(), normal(size), max_entries=most)
    assert found.passed
    assert (found.checked, found.directions, found.skipped) == (checked, directions, 0)
    assert np.isfinite(found.numeric).sum() == checked


@pytest.mark.parametrize(("size", "most"), [(300, None), (1000, 20)])
@pytest.mark.parametrize("place", [0, 123, -1])
def test_a_wrong_entry_of_a_large_array_is_found(size, most, place) -> None:
    found = result(Off(1.0, 1e-4, place), normal(size), max_entries=most)
    assert found.verdict == "wrong"
    assert found.worst == (place % size,)
    assert found.wrong.sum() == 1
    assert (most or 200) <= found.checked <= (most or 200) + 1
    assert found.directions > 0


def test_two_wrong_entries_that_cancel_are_found_along_a_random_direction() -> None:
    class Cancels(Linear):
        def _input_grad(self, output_grad):
            grad = output_grad.copy()
            grad[3] += 1e-3
            grad[250] -= 1e-3
            return grad

    found = result(Cancels(), normal(300))
    assert found.verdict == "wrong"
    assert found.worst in ((3,), (250,))


def test_where_everything_is_wrong_as_many_entries_are_compared_as_may_be() -> None:
    found = result(Off(2.0), normal(300), max_entries=50)
    assert found.verdict == "wrong"
    assert 50 <= found.checked <= 66
    assert found.wrong.sum() == found.checked


@pytest.mark.parametrize("offset", [0.9e-3, 0.999e-3])
def test_errors_within_the_tolerance_may_add_up_along_a_direction(offset: float) -> None:
    found = [result(Off(1.0, offset), normal(300), atol=1e-3, seed=seed) for seed in range(4)]
    assert all(one.passed for one in found)
    # Where a direction disagreed, as many single entries as may be were compared instead.
    added = [one for one in found if one.directions == 0]
    assert added
    assert all(200 <= one.checked <= 216 for one in added)


# --- entries on kinks ---


@pytest.mark.parametrize(("zeros", "verdict"), [(0, "passed"), (3, "passed"), (4, "skipped")])
def test_three_quarters_may_be_on_a_kink(zeros: int, verdict: str) -> None:
    x = np.ones(4)
    x[:zeros] = 0
    found = result(ReLU(), x)
    assert found.verdict == verdict
    assert (found.checked, found.skipped) == (4 - zeros, zeros)
    assert found.places == tuple(range(zeros))
    x = np.ones(400)
    x[: 100 * zeros] = 0
    assert result(ReLU(), x).verdict == verdict


class Bent(Operation):
    """Slopes of -1 and 3, with a kink at 0 that is not declared."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def _output(self):
        return np.where(self.input_ < 0, -self.input_, 3 * self.input_)

    def _input_grad(self, output_grad):
        slopes = np.where(self.input_ < 0, -1.0, 3.0)
        return output_grad * np.where(self.input_ == 0, self.slope, slopes)


@pytest.mark.parametrize(
    ("slope", "nearest"),
    [(-1.003, None), (-1.005, -1.0), (0.5, None), (3.003, None), (3.005, 3.0)],
)
def test_at_a_kink_any_slope_between_both_is_right(slope: float, nearest: float | None) -> None:
    x = np.array([[0.0, 1.0, -2.0]])
    found = result(Bent(slope), x)
    if nearest is None:
        assert found.passed
        assert (found.checked, found.skipped, found.places) == (2, 1, (0,))
        assert np.isnan(found.numeric[0, 0])
        return
    assert found.verdict == "wrong"
    assert found.on_kink
    assert (found.checked, found.skipped, found.places) == (3, 0, ())
    grad = found.analytic[0, 0] / slope
    assert found.numeric[0, 0] == pytest.approx(nearest * grad, rel=1e-6)
    # A thousandth of the jump.
    assert found.tolerance[0, 0] == pytest.approx(4e-3 * abs(grad), rel=1e-3)


def test_a_wrong_entry_beside_one_on_a_kink_is_not_blamed_on_the_kink() -> None:
    class Wrong(Bent):
        def _input_grad(self, output_grad):
            grad = super()._input_grad(output_grad)
            grad[0, 1] += 1.0
            return grad

    found = result(Wrong(1.0), np.array([[0.0, 1.0, -2.0]]))
    assert found.verdict == "wrong"
    assert not found.on_kink
    assert found.worst == (0, 1)


class Largest(Operation):
    """The largest of each row; two equal ones get the shares."""

    def __init__(self, *shares: float) -> None:
        super().__init__()
        self.shares = shares

    def _output(self):
        return self.input_.max(axis=1, keepdims=True)

    def _input_grad(self, output_grad):
        grad = output_grad * (self.input_ == self.output)
        for row, largest in enumerate(self.input_ == self.output):
            if largest.sum() == 2:
                grad[row, largest] *= self.shares
        return grad


@pytest.mark.parametrize(
    ("first", "second", "right"),
    [
        (1.0, 0.0, True),
        (0.3, 0.7, True),
        (0.3, 0.7009, True),
        (0.3, 0.7011, False),
        (0.3, 0.6991, True),
        (0.3, 0.6989, False),
        (1.0, 1.0, False),
        (0.0, 0.0, False),
    ],
)
def test_in_a_tie_the_shares_have_the_right_sum(first, second, right) -> None:
    x = np.array([[1.0, 1.0, 0.0], [0.3, 0.1, 0.2]])
    found = result(Largest(first, second), x)
    assert found.passed == right
    assert (found.checked, found.skipped, found.places) == (4, 2, (0, 1))
    if right:
        assert found.shared is None
        return
    assert found.shared is not None
    total, *slopes = found.shared
    weight = abs(check_output_grad(x)[0, 0])
    assert total == pytest.approx((first + second) * weight)
    assert slopes == pytest.approx([weight, weight], rel=1e-6)


def check_output_grad(x: np.ndarray) -> np.ndarray:
    """Return the output gradient of a check."""
    seen = []

    class Recording(Largest):
        def _input_grad(self, output_grad):
            seen.append(output_grad.copy())
            return super()._input_grad(output_grad)

    check_gradients(Recording(1.0, 0.0), x, hints=False)
    return seen[0]


# --- what decides nothing ---


def test_where_every_entry_is_in_a_tie_nothing_is_decided() -> None:
    found = result(MaxPool2D(2), np.ones((1, 1, 4, 4)))
    assert (found.verdict, found.checked, found.skipped) == ("skipped", 0, 16)


def test_a_large_array_on_kinks_that_are_not_declared_decides_nothing() -> None:
    class Positive(Operation):
        def _output(self):
            return np.maximum(self.input_, 0)

        def _input_grad(self, output_grad):
            return output_grad * (self.input_ > 0)

    found = result(Positive(), np.zeros(400))
    assert found.verdict == "skipped"
    assert found.checked == 0


def test_an_empty_array_decides_nothing() -> None:
    found = result(Off(), np.zeros((0, 3)))
    assert found.verdict == "empty"
    assert not found.passed
    assert (found.checked, found.skipped, found.worst) == (0, 0, None)
