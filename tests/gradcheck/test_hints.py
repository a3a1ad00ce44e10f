"""What a hint says to the word: places, factors and their names."""

import itertools

import numpy as np
import pytest

from dlfs.activations import Tanh
from dlfs.base import Operation
from dlfs.embedding import Embedding_Op
from dlfs.gradcheck import check_gradients
from dlfs.gradcheck.report import wrapped
from dlfs.normalization import BatchNorm_Op, RMSNorm_Op

MISTAKE = {"factors": np.ones(1), "scale": 1.0}
"""Not in the class below, in whose own code nothing can be changed to mend it."""


class Scaled(Operation):
    """``scale * tanh(x)``, with a gradient times ``factors``."""

    def _output(self) -> np.ndarray:
        return MISTAKE["scale"] * np.tanh(self.input_)

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return wrong_gradient(self, output_grad)


def wrong_gradient(op: Scaled, output_grad: np.ndarray) -> np.ndarray:
    slope = 1 - np.tanh(op.input_) ** 2
    return MISTAKE["factors"] * MISTAKE["scale"] * slope * output_grad


def told_of(factors: object, scale: float, *shape: int) -> list[str]:
    MISTAKE.update(factors=np.asarray(factors), scale=scale)
    report = check_gradients(Scaled(), np.random.default_rng(0).normal(size=shape))
    assert report.verdict == "wrong"
    told = [*report.hints, *report.facts]
    assert all(hint.variable == "input_" for hint in told)
    return [hint.message for hint in told]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ([1.5, 1, 1, 1, 1], "have index 0 of 5 on axis 1, the first; the others are correct."),
        ([1, 1, 1, 1.5, 1], "have index 3 of 5 on axis 1; the others are correct."),
        ([1, 1, 1, 1, 1.5], "have index 4 of 5 on axis 1, the last; the others are correct."),
        ([1, 1.5, 1.7, 1, 1], "have indices 1 to 2 of 5 on axis 1; the others are correct."),
    ],
)
def test_a_block_of_wrong_entries_is_located(factors, words, scale) -> None:
    assert told_of(factors, scale, 3, 5) == [f"all wrong entries {words}"]


def test_wrong_entries_with_right_ones_between_are_no_block() -> None:
    assert not any("wrong entries" in text for text in told_of([1.5, 1, 1.7, 1, 1], 1.0, 3, 5))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_factor_is_told_at_any_scale(scale) -> None:
    assert told_of(23, scale, 2, 3) == ["every entry is 23 times the right one."]


def test_two_entries_have_a_factor_and_one_has_none() -> None:
    assert "every entry is 7 times the right one" in told_of(7, 1.0, 1, 2)[0]
    assert not any("every entry" in text for text in told_of(7, 1.0, 1, 1))


def test_a_norm_of_three_numbers_whose_mean_is_taken_for_a_constant() -> None:
    class Constant(RMSNorm_Op):
        def _input_grad(self, output_grad):
            return output_grad / np.sqrt((self.input_**2).mean(-1, keepdims=True) + self.eps)

    report = check_gradients(Constant(), np.random.default_rng(0).normal(size=(4, 3)))
    assert report.hints[0].kind == "statistics"


@pytest.mark.parametrize("width", [20, 40])
def test_a_line_of_a_report_is_as_full_as_it_can_be(width) -> None:
    text = "Differences are too imprecise at these places; choose other values, or float64 there."
    lines = wrapped(text, "- ", "  ", width)
    assert " ".join(line[2:] for line in lines) == text
    for line, after in itertools.pairwise(lines):
        assert len(line) < width <= len(f"{line} {after.split()[0]}")


def test_a_right_operation_has_no_hints() -> None:
    assert check_gradients(Tanh(), np.ones((2, 2))).hints == []


class Product(Operation):
    """Forward has two parts that depend on the input, besides the input itself."""

    scale = 1.0

    def _output(self):
        a = np.cos(self.input_)
        b = np.exp(self.input_)
        self.parts = a, b
        return np.abs(self.scale * self.input_) * a * b

    def _input_grad(self, output_grad):
        return output_grad * self.scale * np.sign(self.input_) * self.parts[0] * self.parts[1]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("on_a_kink", [True, False])
def test_two_parts_of_forward_that_are_held_constant_are_named(scale, on_a_kink) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3))
    if on_a_kink:
        x[0, 1] = 0
    target = Product()
    target.scale = scale
    first = Product._output.__code__.co_firstlineno
    (hint,) = check_gradients(target, x).hints
    assert (hint.kind, hint.file) == ("held_constant", "")
    assert hint.message == (
        f"it is the gradient of forward with `np.cos(self.input_)` (_output, line {first + 1}) and "
        f"`np.exp(self.input_)` (_output, line {first + 2}) held constant. But each depends on "
        "input_, so its own derivative adds a term."
    )


class AssertingSoftmax(Operation):
    """A softmax that checks itself, times the row's length, which backward takes for a constant."""

    def _output(self):
        e = np.exp(self.input_)
        self.p = e / e.sum(axis=1, keepdims=True)
        assert np.allclose(self.p.sum(axis=1), 1.0)
        return self.p * np.sqrt(np.square(self.input_).sum(axis=1, keepdims=True))

    def _input_grad(self, output_grad):
        along = (output_grad * self.p).sum(axis=1, keepdims=True)
        length = np.sqrt(np.square(self.input_).sum(axis=1, keepdims=True))
        return length * self.p * (output_grad - along)


def test_a_part_is_named_though_forward_refuses_to_run_with_others_held() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    (hint,) = check_gradients(AssertingSoftmax(), x).hints
    assert hint.kind == "held_constant"
    assert "forward with `np.sqrt(np.square(self.input_).sum(" in hint.message


@pytest.mark.parametrize("indices", [[0, 1, 3], [0, 1, 1], [4, 4, 4]])
def test_a_wrong_table_is_not_blamed_on_repeated_rows(indices) -> None:
    class Adds(Embedding_Op):
        def _param_grad(self, output_grad):
            extra = np.zeros_like(self.param)
            extra[::2, ::2] = 0.5
            return 1.5 * super()._param_grad(output_grad) + extra

    table = np.random.default_rng(0).normal(size=(5, 3))
    report = check_gradients(Adds(table), np.array(indices))
    assert report.verdict == "wrong"
    assert report.hints == []


def test_the_output_in_place_of_a_derivative_is_named_for_a_batch_of_two_as_well() -> None:
    class Times(BatchNorm_Op):
        def _input_grad(self, output_grad):
            return output_grad * self.output

    (hint,) = check_gradients(Times(), np.random.default_rng(0).normal(size=(2, 3))).hints
    assert "multiplied by the output instead of the derivative" in hint.message
