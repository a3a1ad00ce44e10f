"""check_gradients on students' code: the report or the error describes every fault."""

import numpy as np
import pytest

from dlfs.activations import Linear, ReLU
from dlfs.base import Operation, ParamOperation
from dlfs.gradcheck import GradientReport, check_gradients
from dlfs.layers import Layer, LayerBlock
from dlfs.losses import MeanSquaredError


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


class Square(Operation):
    def _output(self):
        return self.input_**2

    def _input_grad(self, output_grad):
        return output_grad * 2 * self.input_


class Bias(ParamOperation):
    def _output(self):
        return self.input_ + self.param

    def _input_grad(self, output_grad):
        return output_grad

    def _param_grad(self, output_grad):
        return output_grad.sum(axis=0, keepdims=True)


class Absolute(Operation):
    """An undeclared kink."""

    def _output(self):
        return np.abs(self.input_)

    def _input_grad(self, output_grad):
        return output_grad * np.sign(self.input_)


def kinds(report: GradientReport) -> tuple[list[str], list[str]]:
    """Return the findings and the hints."""
    return [found.kind for found in report.findings], [hint.kind for hint in report.hints]


# --- not a gradient, or not an output ---


@pytest.mark.parametrize("output", [None, [[1.0]], 1.0, np.float64(1.0)])
def test_an_output_that_is_no_array_is_refused(output) -> None:
    class Returns(Square):
        def _output(self):
            return output

    with pytest.raises(TypeError, match=r"Returns: _output must return an array, got \w+"):
        check_gradients(Returns(), normal(2, 3))


def test_a_forgotten_return_in_forward_is_named() -> None:
    class Forgets(Square):
        def _output(self):
            self.input_**2

    with pytest.raises(TypeError, match="got NoneType: is a return missing"):
        check_gradients(Forgets(), normal(2, 3))


@pytest.mark.parametrize("which", ["_input_grad", "_param_grad"])
def test_a_forgotten_return_in_backward_is_the_hint(which: str) -> None:
    class Forgets(Bias):
        pass

    setattr(Forgets, which, lambda self, output_grad: None)
    report = check_gradients(Forgets(normal(1, 3)), normal(2, 3))
    assert kinds(report) == (["raises"], ["nothing_returned"])
    assert "is a return missing?" in str(report)


def test_a_forgotten_return_in_the_backward_of_a_pair_of_functions_is_the_hint() -> None:
    report = check_gradients((np.square, lambda grad, x: None), normal(2, 3))
    assert kinds(report) == (["shape"], ["nothing_returned"])


def test_a_loss_without_return_is_told() -> None:
    class Forgets(MeanSquaredError):
        def _input_grad(self):
            pass

    report = check_gradients(Forgets(), normal(2, 3), y=normal(2, 3, seed=1))
    assert kinds(report) == (["raises"], ["nothing_returned"])
    assert "is a return missing?" in str(report)


@pytest.mark.parametrize("output", [None, "much", np.ones((2, 3))])
def test_a_loss_must_be_one_number(output) -> None:
    class Returns(MeanSquaredError):
        def _output(self):
            return output

    with pytest.raises(TypeError, match="Returns must return one number"):
        check_gradients(Returns(), normal(2, 3), y=normal(2, 3, seed=1))


def test_a_mask_alone_is_no_gradient() -> None:
    class Mask(Square):
        def _input_grad(self, output_grad):
            return self.input_ > 0

    report = check_gradients(Mask(), normal(2, 3))
    assert kinds(report)[0] == ["dtype"]
    assert "is bool, although input_ is float64" in str(report)


def test_a_parameter_that_was_never_handed_on_is_named() -> None:
    class Own(ParamOperation):
        def __init__(self, W):
            self.W = W

        def _output(self):
            return self.input_ @ self.W

        def _param_grad(self, output_grad):
            return self.input_.T @ output_grad

    with pytest.raises(TypeError, match=r"Own has no param: .* super\(\).__init__\(param\)"):
        check_gradients(Own(normal(3, 2)), normal(2, 3))


def test_a_pair_of_functions_needs_as_many_arrays_as_arguments() -> None:
    with pytest.raises(
        TypeError, match=r"x must hold one array for each argument of forward.* got 2 arrays"
    ):
        check_gradients((lambda a: a**2, lambda grad, a: 2 * a * grad), [1.0, 2.0])


def test_an_error_in_backward_is_reported_with_its_place() -> None:
    class Raises(Square):
        def _input_grad(self, output_grad):
            return undefined * output_grad  # type: ignore[name-defined]  # noqa: F821

    line = Raises._input_grad.__code__.co_firstlineno + 1
    report = check_gradients(Raises(), normal(2, 3))
    assert f"name 'undefined' is not defined (in _input_grad, line {line})" in " ".join(
        str(report).split()
    )


# --- state kept from call to call ---


def test_an_input_changed_by_forward_is_not_blamed_on_random_numbers_or_backward() -> None:
    class Doubles(Square):
        def _output(self):
            self.input_ *= 2
            return self.input_

        def _input_grad(self, output_grad):
            return 2 * output_grad

    report = check_gradients(Doubles(), normal(2, 3))
    assert kinds(report) == (["writes"], ["in_place"])
    assert report.findings[0].message.startswith("forward changes input_")


def test_a_forward_that_counts_is_told_so() -> None:
    class Counts(Square):
        calls = 0

        def _output(self):
            self.calls += 1
            return self.input_ * self.calls

    report = check_gradients(Counts(), normal(2, 3))
    assert kinds(report) == (["random"], [])
    assert "keeps state from call to call" in " ".join(str(report).split())
    # If each call gives a different result, there is nothing to compare.
    assert not report.results


def test_random_numbers_in_backward_are_not_called_a_sum() -> None:
    class Random(Square):
        def _input_grad(self, output_grad):
            return output_grad * np.random.default_rng().random(output_grad.shape)

    report = check_gradients(Random(), normal(2, 3))
    assert kinds(report) == (["varies"], [])
    assert not report.results


def test_a_gradient_added_up_for_ever_is_called_a_sum() -> None:
    class Adds(Bias):
        total = 0.0

        def _param_grad(self, output_grad):
            self.total = self.total + super()._param_grad(output_grad)
            return self.total

    report = check_gradients(Adds(normal(1, 3)), normal(2, 3))
    assert kinds(report) == (["accumulates"], ["accumulated"])
    assert not report.results


# --- hints are given only if they are true ---


def test_one_wrong_entry_of_a_large_array_is_not_called_a_loss_of_digits() -> None:
    class Almost(Square):
        def _input_grad(self, output_grad):
            grad = super()._input_grad(output_grad)
            grad[37, 3] *= 1.01
            return grad

    report = check_gradients(Almost(), normal(60, 60))
    assert report.results["input_"].worst == (37, 3)
    assert "precision" not in kinds(report)[1]
    assert "1 of the 201 compared singly is wrong (3600 in all)" in str(report)


def test_what_has_no_influence_is_said() -> None:
    class Rounds(Linear):
        def _output(self):
            return np.round(self.input_)

        def _input_grad(self, output_grad):
            return output_grad * 0.5

    assert kinds(check_gradients(Rounds(), normal(2, 3)))[1] == ["no_influence"]


def test_a_factor_is_not_called_an_inverted_derivative() -> None:
    class Triples(Linear):
        def _output(self):
            return 2 * self.input_

        def _input_grad(self, output_grad):
            return 3 * output_grad

    report = check_gradients(Triples(), normal(2, 3))
    assert kinds(report)[1] == ["other_number"]
    assert "put `2` in place of `3`" in str(report)


def test_a_layer_of_ones_own_gets_hints_too() -> None:
    class Minus(Layer):
        def forward(self, input_, inference=False):
            return input_ * 2

        def backward(self, output_grad):
            return output_grad * -2

    assert kinds(check_gradients(Minus(), normal(2, 3)))[1] == ["sign"]


# --- numbers at the edge ---


@pytest.mark.parametrize("distance", 10.0 ** np.arange(-1, -10, -1.0))
@pytest.mark.parametrize("side", [1, -1])
def test_an_undeclared_kink_beside_the_point_is_no_mistake(distance: float, side: int) -> None:
    x = np.array([[side * distance, 1.0, -2.0, 3.0]])
    result = check_gradients(Absolute(), x).results["input_"]
    assert result.passed
    # Entries that differences can still check are not skipped.
    assert result.skipped == (distance < 3e-8)


def test_huge_numbers_are_checked() -> None:
    class Threefold(Linear):
        slope = 3.0

        def _output(self):
            return 3 * self.input_

        def _input_grad(self, output_grad):
            return self.slope * output_grad

    target = Threefold()
    assert check_gradients(target, normal(2, 3) * 1e200)
    target.slope = 3.0001
    assert not check_gradients(target, normal(2, 3) * 1e200)


def test_an_empty_batch_decides_nothing() -> None:
    class Wrong(Square):
        def _input_grad(self, output_grad):
            return output_grad * self.input_

    report = check_gradients(Wrong(), np.zeros((0, 3)))
    assert report.verdict == "undecided"
    assert "give at least one row" in str(report)


@pytest.mark.parametrize("smallest", [1e-3, 1e-6, 1e-7])
def test_a_logarithm_near_0_is_checked_without_a_warning(smallest: float) -> None:
    class Log(Square):
        slope = 1.0

        def _output(self):
            return np.log(self.input_)

        def _input_grad(self, output_grad):
            return self.slope * output_grad / self.input_

    for x in (np.array([[smallest, 1.0, 2.0]]), np.array([[smallest, 2 * smallest]])):
        assert check_gradients(Log(), x)
        wrong = Log()
        wrong.slope = 1.001
        assert check_gradients(wrong, x).verdict == "wrong"


def test_code_for_real_numbers_gets_no_complex_ones() -> None:
    def forward(x):
        output = np.zeros(3)
        output[:] = x[:3] * x[1:]  # drops the imaginary part, with a warning
        return output

    def backward(output_grad, x):
        return np.append(output_grad * x[1:], 0) + np.append(0, output_grad * x[:3])

    assert check_gradients((forward, backward), normal(4))


# --- undeclared kinks ---


class Clipped(Square):
    """A ReLU with its kink anywhere."""

    kink = 0.0
    slope = 1.0

    def _output(self):
        return np.maximum(self.input_, self.kink)

    def _input_grad(self, output_grad):
        return self.slope * output_grad * (self.input_ > self.kink)


@pytest.mark.parametrize("shape", [(4, 9), (8, 100)])
@pytest.mark.parametrize("kink", [0.0, 0.5])
def test_data_half_of_which_is_on_a_kink_is_checked(shape: tuple[int, int], kink: float) -> None:
    x = normal(*shape)
    on_it = normal(*shape, seed=1) > 0
    x[on_it] = kink
    right, wrong = Clipped(), Clipped()
    right.kink = wrong.kink = kink
    wrong.slope = 1.01
    report = check_gradients(right, x)
    assert report
    result = report.results["input_"]
    assert result.skipped == on_it.sum()
    first = np.argwhere(on_it)[0]
    assert f"too close to a kink: [{first[0]}, {first[1]}]" in str(report)
    assert check_gradients(wrong, x).verdict == "wrong"


def test_too_many_kinks_are_undecided_and_the_report_says_what_to_do() -> None:
    report = check_gradients(Clipped(), np.zeros((3, 4)))
    assert report.verdict == "undecided"
    assert not report
    assert "Choose other values there, for example x + 0.1 * random numbers." in str(report)
    assert not report.hints


class Maximum(Square):
    """The maximum of each two neighbours."""

    pays_all = False

    def _output(self):
        self.pairs = self.input_.reshape(len(self.input_), -1, 2)
        return self.pairs.max(axis=2)

    def _input_grad(self, output_grad):
        mask = np.eye(2)[self.pairs.argmax(axis=2)]
        if self.pays_all:
            mask = self.pairs == self.output[:, :, np.newaxis]
        return (mask * output_grad[:, :, np.newaxis]).reshape(self.input_.shape)


def test_a_maximum_that_pays_every_tie_is_wrong() -> None:
    x = np.random.default_rng(0).integers(0, 3, (4, 8)).astype(float)
    operation = Maximum()
    assert check_gradients(operation, x)
    operation.pays_all = True
    report = check_gradients(operation, x)
    assert report.verdict == "wrong"
    assert "entries in a tie" in str(report)
    assert check_gradients(operation, normal(4, 8))


# --- integers ---


@pytest.mark.parametrize("right", [True, False])
def test_an_operation_of_integers_is_checked(right: bool) -> None:
    class LookUp(ParamOperation):
        takes_integers = True

        def _output(self):
            return self.param[self.input_]

        def _param_grad(self, output_grad):
            grad = np.zeros_like(self.param)
            if right:
                np.add.at(grad, self.input_, output_grad)
            else:
                grad[self.input_] = output_grad
            return grad

    report = check_gradients(LookUp(normal(4, 3)), np.array([[0, 3, 0]]))
    assert bool(report) == right
    assert list(report.results) == ["param"]
    with pytest.raises(TypeError, match="LookUp: the input must be integers, got float64"):
        check_gradients(LookUp(normal(4, 3)), normal(1, 3))


def test_an_undecided_network_is_told_no_cause() -> None:
    report = check_gradients(LayerBlock([ReLU()]), np.zeros((3, 2)))
    assert report.verdict == "undecided"
    assert report.hints == []
