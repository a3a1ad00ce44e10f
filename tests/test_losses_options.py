"""Options of losses against their formulas, and what losses tell a trainer and metrics."""

import itertools
import math

import numpy as np
import pytest
from scipy import special

from dlfs import losses

LABELS = np.array([0, 2, 1, 1, 0, 2])
CLASS_WEIGHT = [2.0, 0.0, 0.5]
EACH = np.array([1.0, 0.5, 3.0, 0.0, 2.0, 0.25])


def logits(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def cross_entropy(z, target, class_weight, ignored, smoothing, each, reduction):
    """Return the loss and its gradient, row by row, as the docstring defines them."""
    value, over, grad = 0.0, 0.0, np.zeros_like(z)
    classes = z.shape[1]
    w = np.ones(classes) if class_weight is None else np.array(class_weight)
    for n, (row, t) in enumerate(zip(z, target, strict=True)):
        if np.ndim(t) == 0:
            if t == ignored:
                continue
            over += w[t]
            t = np.eye(classes)[t]
        else:
            over += 1
        t = w * ((1 - smoothing) * t + smoothing / classes)
        s = 1.0 if each is None else each[n]
        value -= s * (t * (row - special.logsumexp(row))).sum()
        grad[n] = s * (special.softmax(row) * t.sum() - t)
    over = over if reduction == "mean" else 1.0
    return value / over, grad / over


ROWS = np.array(
    [[0.2, 0.3, 0.5], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [0.1, 0.1, 0.8]],
    dtype=float,
)
OPTIONS = list(
    itertools.product((None, CLASS_WEIGHT), (None, 1), (0.0, 0.2), (None, EACH), ("mean", "sum"))
)


@pytest.mark.parametrize("kind", ["labels", "rows"])
@pytest.mark.parametrize(
    "made", ["(6, 3)", "(2, 3, 3)", "(2, 3, 3), axis 1", "(2, 3, 3, 1), axis 1"]
)
def test_all_options_of_cross_entropy_give_what_their_formula_says(kind: str, made: str) -> None:
    """An image has its classes along axis 1; one row of the formula is a pixel."""
    z = logits(6, 3)
    for class_weight, ignored, smoothing, each, reduction in OPTIONS:
        target = LABELS if kind == "labels" else ROWS
        value, grad = cross_entropy(z, target, class_weight, ignored, smoothing, each, reduction)
        x, weights = z, each
        if made != "(6, 3)":
            x, grad = z.reshape(2, 3, 3), grad.reshape(2, 3, 3)
            target = target.reshape(2, 3, *target.shape[1:])
            weights = None if each is None else each.reshape(2, 3)
        if "axis 1" in made:
            # the pixels last
            x, grad = np.moveaxis(x, -1, 1), np.moveaxis(grad, -1, 1)
            target = target if kind == "labels" else np.moveaxis(target, -1, 1)
        if "1)," in made:
            x, grad, target = x[..., None], grad[..., None], target[..., None]
            weights = None if weights is None else weights[..., None]
        loss = losses.SoftmaxCrossEntropy(
            label_smoothing=smoothing,
            class_weight=class_weight,
            ignore_index=ignored,
            axis=1 if "axis 1" in made else -1,
            reduction=reduction,
        )
        assert loss.forward(x, target, weights) == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(loss.backward(), grad, rtol=1e-12, atol=1e-15)
        if smoothing == 0:
            own = losses.NegativeLogLikelihood(class_weight, ignored, loss.axis, reduction)
            logs = x - special.logsumexp(x, axis=loss.axis, keepdims=True)
            assert own.forward(logs, target, weights) == pytest.approx(value, rel=1e-13)
        single = loss.forward(x.astype(np.float32), target, weights)
        # A few roundings of float32: of the logits, the shares and the weights.
        assert single == pytest.approx(value, rel=20 * float(np.finfo(np.float32).eps))
        assert loss.backward().dtype == np.float32


@pytest.mark.parametrize("each", [None, EACH[:4]])
@pytest.mark.parametrize("pos_weight", [3.0, [3.0, 0.5]])
def test_pos_weight_multiplies_the_term_of_yes(pos_weight, each) -> None:
    z, t = logits(4, 2), np.array([[0.0, 1.0], [1.0, 0.0], [0.25, 1.0], [0.0, 0.5]])
    yes, weights = np.array(pos_weight) * t, np.ones((4, 1)) if each is None else each[:, None]
    p = special.expit(z)
    loss = losses.BinaryCrossEntropy(pos_weight)
    expected = (weights * (-yes * np.log(p) - (1 - t) * np.log(1 - p))).sum() / 4
    assert loss.forward(z, t, each) == pytest.approx(expected, rel=1e-13)
    gradient = weights * ((1 - t) * p - yes * (1 - p)) / 4
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-12, atol=1e-16)


def test_a_single_column_of_logits_takes_options_as_two_do() -> None:
    """A logit z of yes against no is the row (0, z)."""
    z, yes = logits(4, 1), np.array([1, 0, 255, 1])
    rows = np.hstack([np.zeros((4, 1)), z])
    for options in ({"label_smoothing": 0.3}, {"reduction": "sum"}, {}):
        for each in (None, EACH[:4]):
            one = losses.SoftmaxCrossEntropy(ignore_index=255, **options)
            two = losses.SoftmaxCrossEntropy(ignore_index=255, **options)
            expected = pytest.approx(two.forward(rows, yes, each), rel=1e-13)
            assert one.forward(z, yes, each) == expected
            np.testing.assert_allclose(one.backward(), two.backward()[:, 1:], rtol=1e-12)


# --- what a trainer and metrics ask ---


def refused(loss: losses.Loss, target, shape: tuple[int, ...]) -> str:
    """Return why a training with these targets is refused; "" if it is not."""
    try:
        loss.check_targets(loss.as_target(target, shape, np.dtype(float)), shape)
    except ValueError as error:
        return str(error)
    return ""


def test_all_targets_of_a_training_are_checked_before_it() -> None:
    softmax, padded = losses.SoftmaxCrossEntropy(), losses.SoftmaxCrossEntropy(ignore_index=-1)
    binary, pixels = losses.BinaryCrossEntropy(), losses.SoftmaxCrossEntropy(axis=1)
    name = "SoftmaxCrossEntropy"
    assert refused(softmax, [0, 3], (2, 3)) == f"{name}: labels must lie in 0..2, got 0..3"
    assert refused(softmax, [0, 2], (2, 3)) == ""
    assert refused(padded, [0, -1], (2, 3)) == ""
    assert refused(padded, [-2, -1], (2, 3)) == f"{name}: labels must lie in 0..2, got -2..-2"
    assert (
        refused(softmax, [[0.0], [2.0]], (2, 1)) == f"{name}: target must lie in 0..1, got 0.0..2.0"
    )
    assert refused(padded, [0, 2], (2, 1)) == f"{name}: labels must lie in 0..1, got 0..2"
    assert refused(padded, [1, -1], (2, 1)) == ""
    assert refused(softmax, [[0.5, 0.6]], (1, 2)).startswith(
        f"{name}: each row of target must hold"
    )
    assert refused(pixels, np.full((1, 3, 4), 3), (1, 4, 3, 4)) == ""
    assert refused(pixels, np.full((1, 3, 4), 4), (1, 4, 3, 4)).endswith("in 0..3, got 4..4")
    halves = np.full((1, 2, 3), 0.5)
    assert refused(pixels, halves, (1, 2, 3)) == ""
    assert refused(pixels, halves * 1.1, (1, 2, 3)).endswith("and sums 1.1..1.1")
    assert (
        refused(binary, [[0.0, 1.5]], (1, 2))
        == "BinaryCrossEntropy: target must lie in 0..1, got 0.0..1.5"
    )
    assert refused(losses.MeanSquaredError(), [[7.0]], (1, 1)) == ""


def test_rows_of_probabilities_may_miss_1_by_their_own_rounding_alone() -> None:
    loss, eps = losses.SoftmaxCrossEntropy(), float(np.finfo(float).eps)
    assert refused(loss, [[0.5, 0.5 + 8 * eps]], (1, 2)) == ""
    assert "sum to 1" in refused(loss, [[0.5, 0.5 + 9 * eps]], (1, 2))


def test_metrics_get_rows_of_classes_without_what_is_ignored() -> None:
    z, labels = logits(2, 3, 4), np.array([[0, 9, 2, 1], [9, 9, 1, 0]])
    each = np.array([2.0, 3.0])
    loss = losses.SoftmaxCrossEntropy(ignore_index=9, axis=1)
    for weights in (None, each):
        target, prediction, kept = loss.measured(labels, z, weights)
        assert target.tolist() == [0, 2, 1, 1, 0]
        assert np.array_equal(prediction, np.moveaxis(z, 1, -1)[labels != 9])
        assert kept is None if weights is None else kept.tolist() == [2, 2, 2, 3, 3]
    rows = special.softmax(logits(2, 3, 4, seed=1), axis=1)
    target, prediction, kept = loss.measured(rows, z, None)
    assert np.array_equal(target, np.moveaxis(rows, 1, -1).reshape(8, 3))
    assert np.array_equal(prediction, np.moveaxis(z, 1, -1).reshape(8, 3))
    plain = losses.SoftmaxCrossEntropy()
    assert all(
        a is b for a, b in zip(plain.measured(labels, z, each), (labels, z, each), strict=True)
    )


def test_probabilities_of_each_loss() -> None:
    z, one = logits(2, 3, 4), logits(5, 1)
    pair = np.hstack([special.expit(-one), special.expit(one)])
    for axis in (-1, 1):
        found = losses.SoftmaxCrossEntropy(axis=axis).probabilities(z)
        np.testing.assert_allclose(found, special.softmax(z, axis=axis), rtol=1e-15)
        found = losses.NegativeLogLikelihood(axis=axis).probabilities(special.log_softmax(z, axis))
        np.testing.assert_allclose(found, special.softmax(z, axis=axis), rtol=1e-14)
    assert np.array_equal(losses.SoftmaxCrossEntropy().probabilities(one), pair)
    assert np.array_equal(losses.BinaryCrossEntropy().probabilities(one), pair)
    assert np.array_equal(losses.BinaryCrossEntropy().probabilities(z), special.expit(z))


def test_decisions_of_each_loss() -> None:
    z = np.array([[[1.0, 3.0], [2.0, -1.0]]])
    assert losses.SoftmaxCrossEntropy().decision(z).tolist() == [[1, 0]]
    assert losses.SoftmaxCrossEntropy(axis=1).decision(z).tolist() == [[1, 0]]
    assert losses.SoftmaxCrossEntropy(axis=1).decision(z * [1, -1]).tolist() == [[1, 1]]
    assert losses.BinaryCrossEntropy().decision(np.array([[0.1, 0.0, -2.0]])).tolist() == [
        [1, 0, 0]
    ]
    column = np.array([[[0.5], [0.51], [-1.0], [0.0], [1e-9]]])
    assert losses.MeanSquaredError().decision(column).tolist() == [[0, 1, 0, 0, 0]]
    assert losses.SoftmaxCrossEntropy().decision(column).tolist() == [[1, 1, 0, 0, 1]]
    assert losses.MeanAbsoluteError().decision(np.array([[[0.0, 1.0, 0.5]]])).tolist() == [[1]]
    # divided by its sum, -1, the second of three is the largest
    rows = np.array([[[0.5, -2.0, 0.5], [0.0, -3.0, 1.0]]])
    assert losses.MeanSquaredError().decision(rows).tolist() == [[0, 2]]
    assert losses.MeanSquaredError(normalize=True).decision(rows).tolist() == [[1, 1]]
    for loss in (losses.BinaryCrossEntropy(), losses.SoftmaxCrossEntropy()):
        assert loss.decision(column).dtype == np.int64


def test_weighted_targets_are_cut_with_their_weights() -> None:
    both = losses.Weighted(np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0]))
    assert len(both) == 3
    part = both[1:]
    assert part.target.tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert part.weights.tolist() == [2.0, 3.0]
    prediction = np.ones((2, 2))
    plain = losses.MeanSquaredError().forward(prediction, part.target, part.weights)
    assert losses.MeanSquaredError().forward(prediction, part) == plain == (2 * 5 + 3 * 25) / 2


def test_labels_to_ignore_may_be_any_number_of_32_bits() -> None:
    for number in (-(2**31), 2**31, -100):
        assert losses.SoftmaxCrossEntropy(ignore_index=number).ignore_index == number
    for number in (-(2**31) - 1, 2**31 + 1):
        with pytest.raises(ValueError, match=r"^SoftmaxCrossEntropy: ignore_index must "):
            losses.SoftmaxCrossEntropy(ignore_index=number)


def test_a_target_that_cannot_be_reshaped_gets_no_advice() -> None:
    loss, shape = losses.MeanSquaredError(), (2, 3)
    for target in (np.ones((3, 2)), np.ones(5), np.ones((1, 2, 3))):
        with pytest.raises(ValueError, match=rf"\(2, 3\), got \({target.shape[0]}.*\)$"):
            loss.forward(np.ones(shape), target)


def test_a_sample_weight_may_be_of_each_entry() -> None:
    x, t, each = logits(2, 3), logits(2, 3, seed=1), np.arange(6.0).reshape(2, 3)
    loss = losses.MeanSquaredError()
    assert loss.forward(x, t, each) == pytest.approx((each * (x - t) ** 2).sum() / 2, rel=1e-14)
    np.testing.assert_allclose(loss.backward(), each * (x - t), rtol=1e-14)
    for wrong in (1.0, np.ones(3), np.ones((2, 2)), np.ones((2, 3, 1))):
        with pytest.raises(
            ValueError, match=r"must have the first axes of \(2, 3\), or all of them"
        ):
            loss.forward(x, t, wrong)
    assert loss.forward(x, t) == pytest.approx(((x - t) ** 2).sum() / 2, rel=1e-14)


def test_a_yes_is_as_likely_as_its_logit_says() -> None:
    p = losses.BinaryCrossEntropy().probabilities(np.array([[math.log(3)]]))
    np.testing.assert_allclose(p, [[0.25, 0.75]], rtol=1e-15)


@pytest.mark.parametrize(
    ("loss", "shape", "target", "words"),
    [
        (
            losses.BinaryCrossEntropy(pos_weight=2),
            (1, 1),
            [[1.5]],
            r"^BinaryCrossEntropy: target must lie in 0\.\.1, got 1\.5\.\.1\.5$",
        ),
        (
            losses.BinaryCrossEntropy(pos_weight=[1, 2]),
            (4, 1, 3),
            np.ones((4, 1, 3)),
            r"^BinaryCrossEntropy: pos_weight must be a number, or 3 numbers .*, got 2 numbers$",
        ),
        (
            losses.SoftmaxCrossEntropy(class_weight=[1, 2, 3]),
            (2, 3),
            [0, 3],
            r"^SoftmaxCrossEntropy: labels must lie in 0\.\.2, got 0\.\.3$",
        ),
        (
            losses.NegativeLogLikelihood(class_weight=[1, 2]),
            (2, 3),
            [0, 1],
            r"^NegativeLogLikelihood: class_weight must have .* the 3 columns.*, got 2 numbers$",
        ),
        (
            losses.NegativeLogLikelihood(),
            (2, 1),
            [0, 0],
            r"^NegativeLogLikelihood: the prediction must have a log-probability for each of at le",
        ),
    ],
)
def test_what_an_option_does_not_allow_is_refused(loss, shape, target, words) -> None:
    with pytest.raises(ValueError, match=words):
        loss.forward(np.zeros(shape), target)


def test_gradients_keep_float32() -> None:
    loss = losses.BinaryCrossEntropy(pos_weight=[3.0, 0.1])
    assert loss.pos_weight == (3.0, 0.1)
    assert losses.BinaryCrossEntropy(pos_weight=0.5).pos_weight == 0.5
    assert losses.BinaryCrossEntropy().pos_weight is None
    loss.forward(np.zeros((2, 2), np.float32), np.eye(2))
    assert loss.backward().dtype == np.float32
    logs = losses.NegativeLogLikelihood()
    logs.forward(np.zeros((2, 2), np.float32), [0, 1])
    assert logs.backward().dtype == np.float32
