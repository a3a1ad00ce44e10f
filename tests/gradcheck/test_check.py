"""check_gradients: what it detects, what it does not change, what it reports."""

import inspect
import io
import operator
import subprocess
import sys

import numpy as np
import pytest

from dlfs.activations import Linear, ReLU, Sigmoid, Tanh
from dlfs.base import Operation
from dlfs.commands.recipes import writer
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.embedding import Embedding_Op
from dlfs.gradcheck import GradientError, check_gradients
from dlfs.gradcheck.copies import walk
from dlfs.layers import BatchNorm, Conv2D, Dense, GRULayer, Layer, LSTMLayer, RNNLayer
from dlfs.losses import MeanAbsoluteError, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.normalization import BatchNorm_Op, ScaleMultiply
from dlfs.pooling import MaxPool2D
from dlfs.reshape import Flatten


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


class OneEntryWrong(WeightMultiply):
    def _param_grad(self, output_grad):
        grad = super()._param_grad(output_grad)
        grad[7, 11] *= 1 + 1e-6
        return grad


class Absolute(Operation):
    """An undeclared kink."""

    slope_at_zero = 0.5

    def _output(self):
        return np.abs(self.input_)

    def _input_grad(self, output_grad):
        return output_grad * np.where(self.input_ == 0, self.slope_at_zero, np.sign(self.input_))


# --- what it does not change ---


def test_the_target_is_not_disturbed() -> None:
    norm = BatchNorm_Op()
    norm.forward(normal(4, 3))
    mean, var = norm.running_mean.copy(), norm.running_var.copy()
    output = norm.output
    assert check_gradients(norm, normal(5, 3, seed=1))
    np.testing.assert_array_equal(norm.running_mean, mean)
    np.testing.assert_array_equal(norm.running_var, var)
    assert norm.output is output


def test_the_random_state_of_dropout_is_not_disturbed() -> None:
    x = normal(3, 4)
    checked, untouched = Dropout(0.5, seed=1), Dropout(0.5, seed=1)
    assert check_gradients(checked, x)
    np.testing.assert_array_equal(checked.forward(x), untouched.forward(x))


def test_input_and_parameters_are_not_changed() -> None:
    x, W = normal(3, 4), normal(4, 2, seed=1)
    kept_x, kept_W = x.copy(), W.copy()
    assert check_gradients(WeightMultiply(W), x)
    np.testing.assert_array_equal(x, kept_x)
    np.testing.assert_array_equal(W, kept_W)


def test_a_network_is_not_set_up_by_a_check() -> None:
    net = NeuralNetwork([Dense(3, activation=Tanh()), Dense(1)], seed=1)
    assert check_gradients(net, normal(4, 2), y=normal(4, 1))
    assert not net.built


def test_the_same_seed_gives_the_same_report() -> None:
    x = normal(3, 4)
    assert str(check_gradients(Tanh(), x, seed=5)) == str(check_gradients(Tanh(), x, seed=5))


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, dlfs.gradcheck.suite; "
        "print([name for name in ('hypothesis', 'matplotlib', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what it detects ---


def test_one_wrong_entry_of_a_large_array_is_located() -> None:
    report = check_gradients(OneEntryWrong(normal(20, 30)), normal(5, 20, seed=1))
    assert not report
    result = report.results["param"]
    assert result.verdict == "wrong"
    assert result.worst == (7, 11)
    assert report.results["input_"].passed


def test_a_relative_error_of_a_billionth_is_seen() -> None:
    class Almost(Tanh):
        def _input_grad(self, output_grad):
            return super()._input_grad(output_grad) * (1 + 1e-9)

    assert not check_gradients(Almost(), normal(3, 4))
    assert check_gradients(Almost(), normal(3, 4), rtol=1e-8)
    # In float32 rounding hides it.
    assert check_gradients(Almost(), normal(3, 4).astype(np.float32))


def test_float32_is_held_against_a_float64_derivative() -> None:
    class Rough(Tanh):
        def _input_grad(self, output_grad):
            return super()._input_grad(output_grad) * output_grad.dtype.type(1 + 1e-4)

    x = normal(3, 4).astype(np.float32)
    report = check_gradients(Tanh(), x)
    assert report.passed
    assert report.dtype == "float32"
    assert report.results["input_"].tolerance.max() < 1e-5
    assert not check_gradients(Rough(), x)


def test_all_ones_would_not_see_what_a_random_output_gradient_sees() -> None:
    class HandedThrough(Operation):
        def _output(self):
            e = np.exp(self.input_)
            return e / e.sum(axis=1, keepdims=True)

        def _input_grad(self, output_grad):
            return output_grad - output_grad.mean(axis=1, keepdims=True)

    operation = HandedThrough()
    x = normal(3, 4)
    operation.forward(x)
    # The rows of a softmax sum to 1: against ones, a gradient of zeros is correct.
    np.testing.assert_allclose(operation.backward(np.ones((3, 4))), 0, atol=1e-15)
    assert not check_gradients(operation, x)


def test_a_forgotten_scale_is_seen_in_a_layer_whose_scales_are_still_1() -> None:
    class Forgets(ScaleMultiply):
        def _input_grad(self, output_grad):
            return output_grad

    class Forgetful(BatchNorm):
        def _setup_layer(self, input_):
            super()._setup_layer(input_)
            self.operations[1] = Forgets(self.operations[1].param)

    report = check_gradients(Forgetful(), normal(4, 3))
    assert not report.results["input_"].passed
    assert report.hints[0].kind == "derivative_forgotten"
    assert "Forgets" in report.hints[0].variable


@pytest.mark.parametrize("target", [Embedding_Op(normal(4, 3)), MaxPool2D(2), Dropout(0.5)])
def test_what_cannot_be_differentiated_everywhere_works(target: Operation) -> None:
    if isinstance(target, Embedding_Op):
        assert list(check_gradients(target, np.array([[0, 3, 0]])).results) == ["param"]
    else:
        assert check_gradients(target, normal(2, 2, 4, 4))


def test_losses_and_networks() -> None:
    labels = np.array([0, 2, 1])
    assert check_gradients(SoftmaxCrossEntropy(), normal(3, 3), y=labels)
    assert check_gradients(MeanSquaredError(), normal(3, 2), y=normal(3, 2, seed=1))
    layers = [Conv2D(2, 3, activation=ReLU()), MaxPool2D(2), Flatten(), Dense(3, dropout=0.8)]
    net = NeuralNetwork(layers, loss=SoftmaxCrossEntropy(), seed=1)
    report = check_gradients(net, normal(3, 1, 4, 6), y=labels)
    assert report.passed
    assert [name for name in report.results if "Conv2D_Op" in name] == ["layers[0].Conv2D_Op"]
    assert check_gradients(net, normal(3, 1, 4, 6))


@pytest.mark.parametrize("kind", [RNNLayer, LSTMLayer, GRULayer])
@pytest.mark.parametrize("carry", [True, "mean"])
def test_a_layer_that_carries_its_state_is_checked_from_where_it_is(kind, carry) -> None:
    layer, x = kind(4, carry=carry), normal(3, 5, 2)
    assert check_gradients(layer, x)
    assert layer.carried is None
    layer.forward(x)
    kept = [state.copy() for state in layer.carried]  # type: ignore[attr-defined]
    at_rest, moved = kind(4), kind(4, carry=carry)
    for each in (at_rest, moved):
        each.forward(x)
    report = check_gradients(layer, x)
    assert report
    # The state matters: from zeros the gradient is different.
    other = check_gradients(at_rest, x).results["input_"].analytic
    assert np.max(np.abs(report.results["input_"].analytic - other)) > 1e-3
    for state, before in zip(layer.carried, kept, strict=True):
        np.testing.assert_array_equal(state, before)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_network_that_writes_is_checked(kind: str) -> None:
    net = writer(kind, characters=5, hidden=3)
    indices = np.random.default_rng(0).integers(0, 5, (2, 4))
    assert check_gradients(net, indices, y=indices[:, ::-1].copy(), max_entries=30)


def test_functions() -> None:
    def forward(a, b):
        return np.tanh(a @ b)

    def backward(output_grad, a, b):
        inner = output_grad * (1 - np.tanh(a @ b) ** 2)
        return inner @ b.T, a.T @ inner

    def backward_wrong(output_grad, a, b):
        return output_grad @ b.T, a.T @ output_grad

    arrays = (normal(3, 4), normal(4, 2, seed=1))
    for method in ("auto", "central", "complex"):
        report = check_gradients((forward, backward), arrays, method=method)
        assert report.passed
        assert list(report.results) == ["a", "b"]
    assert not check_gradients((forward, backward_wrong), arrays)


def test_a_function_without_a_signature() -> None:
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    dot = operator.methodcaller("dot", W)
    with pytest.raises(ValueError, match="not supported by signature"):
        inspect.signature(dot)
    assert check_gradients((dot, lambda grad, x: grad @ W.T), x)
    assert not check_gradients((dot, lambda grad, x: grad @ W.T + 1), x)


def test_the_complex_step_is_not_taken_where_it_is_wrong() -> None:
    # abs() of a complex number is not analytic.
    report = check_gradients((np.abs, lambda grad, x: grad * np.sign(x)), normal(3, 4))
    assert report.passed


# --- kinks ---


def test_entries_on_a_declared_kink_are_skipped_and_counted() -> None:
    x = normal(4, 5)
    x[1, 2] = 0.0
    result = check_gradients(ReLU(), x).results["input_"]
    assert result.passed
    assert (result.checked, result.skipped) == (19, 1)


def test_too_many_skipped_entries_do_not_pass() -> None:
    report = check_gradients(ReLU(), np.zeros((3, 4)))
    assert not report
    assert report.results["input_"].verdict == "skipped"
    assert "kink" in str(report)


def test_an_undeclared_kink_is_recognized() -> None:
    x = normal(3, 4)
    x[0, 0] = 0.0
    result = check_gradients(Absolute(), x).results["input_"]
    assert result.passed
    assert result.skipped == 1


def test_at_a_kink_a_gradient_that_is_no_slope_there_is_wrong() -> None:
    x = normal(3, 4)
    x[0, 0] = 0.0
    operation = Absolute()
    operation.slope_at_zero = 3.0
    report = check_gradients(operation, x)
    assert not report
    assert report.results["input_"].on_kink
    assert "kink" in str(report)


def test_kinks_near_the_point_cost_no_accuracy() -> None:
    x = np.array([[1e-4, -2e-4, 3e-5, 1.0]])
    assert check_gradients(Absolute(), x).results["input_"].checked == 4
    assert check_gradients(MeanAbsoluteError(), x, y=np.zeros((1, 4)))


# --- behaviour ---


def finding(operation: Operation, *shape: int) -> set[str]:
    return {found.kind for found in check_gradients(operation, normal(*shape)).findings}


def test_forward_that_changes_its_input_is_found_and_undone() -> None:
    class Clips(Linear):
        def _output(self):
            np.clip(self.input_, -0.1, 0.1, out=self.input_)
            return self.input_.copy()

    x = normal(3, 4)
    kept = x.copy()
    assert "writes" in {found.kind for found in check_gradients(Clips(), x).findings}
    np.testing.assert_array_equal(x, kept)


def test_output_gradient_that_is_changed_is_found_for_a_read_only_input_too() -> None:
    class Scales(Linear):
        def _input_grad(self, output_grad):
            output_grad *= 1.0 + 1e-3
            return output_grad.copy()

    x = normal(3, 4)
    x.flags.writeable = False
    assert {found.kind for found in check_gradients(Scales(), x).findings} == {"writes"}


def test_random_numbers_from_nowhere_are_found() -> None:
    class Noisy(Linear):
        def _output(self):
            return self.input_ + np.random.default_rng().standard_normal(self.input_.shape)

    assert "random" in finding(Noisy(), 3, 4)


def test_output_of_another_dtype_is_found() -> None:
    class Widens(Linear):
        def _output(self):
            return self.input_.astype(np.float64)

    report = check_gradients(Widens(), normal(3, 4).astype(np.float32))
    assert {found.kind for found in report.findings} == {"dtype"}


def test_backward_that_raises_is_reported() -> None:
    class Raises(Linear):
        def _input_grad(self, output_grad):
            raise KeyError("nothing here")

    report = check_gradients(Raises(), normal(3, 4))
    assert not report
    assert "nothing here" in str(report)


# --- the report ---


def test_a_passing_report_says_what_was_done() -> None:
    text = str(check_gradients(BiasAdd(normal(1, 4)), normal(3, 4), backend="reference"))
    assert text.startswith("Gradient check of BiasAdd (reference backend, float64): passed")
    assert "all 12 entries" in text
    assert "all 4 entries" in text


def test_a_failing_report_explains_itself() -> None:
    class Forgets(Sigmoid):
        def _input_grad(self, output_grad):
            return output_grad

    report = check_gradients(Forgets(), normal(3, 4))
    text = str(report)
    for part in ("FAILED", "backward says", "differences say", "chain rule"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    with pytest.raises(GradientError, match="chain rule"):
        report.raise_if_failed()
    check_gradients(Sigmoid(), normal(3, 4)).raise_if_failed()


def test_report_in_a_notebook_and_as_a_figure() -> None:
    class Forgets(Sigmoid):
        def _input_grad(self, output_grad):
            return output_grad

    for target, x in ((Forgets(), normal(3, 4)), (MaxPool2D(2), normal(2, 3, 4, 4))):
        report = check_gradients(target, x)
        page = report._repr_html_()
        assert page.count("<div") == page.count("</div>") == 1
        assert page.count("<table") == page.count("</table>")
        figure = report.plot()
        # four pictures, each with its scale
        assert len(figure.axes) == 8
        figure.savefig(io.BytesIO(), format="png")


def test_the_page_says_in_words_what_is_wrong_and_shows_the_difference() -> None:
    class Mostly(Sigmoid):
        def _input_grad(self, output_grad):
            grad = super()._input_grad(output_grad)
            grad[1, 2] += 1.0
            return grad

    page = check_gradients(Mostly(), normal(3, 4))._repr_html_()
    for part in ("1 of 12 entries is wrong", "worst at [1, 2]: backward says", "rounding explains"):
        assert part in page
    difference = page[page.index(">difference<") :]
    legend = difference.index("red where rounding does not explain it")
    assert difference.index("title='1'") < legend
    large = check_gradients(Sigmoid(), normal(30, 40), max_entries=10)._repr_html_()
    assert "<table" not in large
    assert "report.plot() draws it" in large


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Tanh, normal(2, 2)), TypeError, "must be an instance"),
        ((object(), normal(2, 2)), TypeError, "must be an Operation"),
        ((Tanh(), [[1.0]]), TypeError, "x must be an array"),
        ((Tanh(), np.array([[np.nan]])), ValueError, "finite"),
        ((MeanSquaredError(), normal(2, 2)), ValueError, "needs targets"),
        ((WeightMultiply(normal(3, 2)), normal(2, 2)), ValueError, "WeightMultiply|weight"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        check_gradients(*arguments)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"y": normal(2, 2)}, ValueError),
        ({"seed": -1}, ValueError),
        ({"method": "forward"}, ValueError),
        ({"method": "complex"}, ValueError),
        ({"rtol": -1.0}, ValueError),
        ({"max_entries": 0}, ValueError),
        ({"backend": "slow"}, ValueError),
        ({"inference": 1}, TypeError),
    ],
)
def test_bad_options_are_named(options, error) -> None:
    with pytest.raises(error):
        check_gradients(Tanh(), normal(2, 2), **options)


def test_an_infinite_output_asks_for_another_forward() -> None:
    class Log(Operation):
        def _output(self):
            with np.errstate(divide="ignore"):
                return np.log(self.input_)

        def _input_grad(self, output_grad):
            return output_grad / self.input_

    report = check_gradients(Log(), np.array([[1.0, 0.0]]))
    assert report.verdict == "wrong"
    assert "correct forward" in str(report)
    assert "correct backward" not in str(report)


def test_output_gradients_have_both_signs_and_are_away_from_0() -> None:
    seen = []

    class Recording(Tanh):
        def _input_grad(self, output_grad):
            seen.append(output_grad.copy())
            return super()._input_grad(output_grad)

    check_gradients(Recording(), np.random.default_rng(0).normal(size=(5, 6)))
    assert 5 < np.sum(seen[0] < 0) < 25
    assert 0.5 <= np.abs(seen[0]).min() <= np.abs(seen[0]).max() <= 1.5


class ForgetsScale(ScaleMultiply):
    """Its mistake does not show while the scale is 1, as it is at first."""

    def _input_grad(self, output_grad):
        return output_grad


class Scaling(Layer):
    def _setup_layer(self, input_):
        self.operations = [ForgetsScale(np.ones((1, input_.shape[1])))]


@pytest.mark.parametrize("inside", [False, True])
def test_parameters_that_are_all_alike_are_moved(inside: bool) -> None:
    target = NeuralNetwork([Dense(3), Scaling()], MeanSquaredError()) if inside else Scaling()
    rng = np.random.default_rng(0)
    report = check_gradients(
        target, rng.normal(size=(4, 3)), y=rng.normal(size=(4, 3)) if inside else None
    )
    assert report.verdict == "wrong"


def test_everything_in_an_object_is_found_once_however_it_is_kept() -> None:
    inner, other = ReLU(), Tanh()
    thing: dict[str, object] = {"a": [inner], "b": (inner, {"c": other})}
    thing["itself"] = thing
    found = [part for part in walk(thing) if isinstance(part, Operation)]
    assert len(found) == 2
    assert found[0] is inner
    assert found[1] is other
