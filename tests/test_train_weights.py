"""Weights of observations: in training, in evaluation and in metrics."""

import numpy as np
import pytest

from dlfs.activations import Linear
from dlfs.layers import Conv2D, Dense
from dlfs.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.train import Trainer, metrics

RNG = np.random.default_rng(4)
X, LABELS, TIMES = RNG.standard_normal((6, 3)), np.array([0, 1, 0, 1, 1, 0]), [1, 2, 1, 3, 0, 1]


def trained(X, labels, epochs=5, **options):
    net = NeuralNetwork([Dense(2)], SoftmaxCrossEntropy(), seed=1)
    trainer = Trainer(net, SGD(0.1))
    history = trainer.fit(X, labels, epochs=epochs, batch_size=100, verbose=0, **options)
    return trainer, history


@pytest.mark.parametrize("scale", [1, 100.0])
def test_a_weight_of_two_counts_as_two_observations(scale):
    weighted, history = trained(X, LABELS, sample_weight=scale * np.array(TIMES))
    each = np.repeat(np.arange(6), TIMES)
    repeated, other = trained(X[each], LABELS[each])
    for found, wanted in zip(weighted.net.params(), repeated.net.params(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    np.testing.assert_allclose(history["train_loss"], other["train_loss"], rtol=1e-13)
    measures = ["accuracy", metrics.mae]
    targets = np.eye(2)[LABELS]
    found = weighted.evaluate(X, targets, measures, sample_weight=np.array(TIMES) * scale)
    assert found == pytest.approx(repeated.evaluate(X[each], targets[each], measures))
    assert found["accuracy"] != weighted.evaluate(X, targets, measures)["accuracy"]


def test_weights_follow_their_observations_when_they_are_shuffled():
    """A wrong label without weight changes nothing, in whatever batch it is."""
    wrong = np.where(np.array(TIMES) == 0, 1 - LABELS, LABELS)
    options = {"sample_weight": TIMES, "epochs": 3}
    nets = [trained(X, labels, **options)[0].net for labels in (LABELS, wrong)]
    for ours, other in zip(*(net.params() for net in nets), strict=True):
        np.testing.assert_array_equal(ours, other)


def test_weights_of_steps_in_sequences():
    X, y = RNG.standard_normal((4, 3, 2)), RNG.standard_normal((4, 3, 1))
    mask = np.ones((4, 3))
    mask[:, 2] = 0
    nets = []
    for last in (0.0, 50.0):
        y[:, 2] = last
        trainer = Trainer(NeuralNetwork([Dense(1)], seed=1), SGD(0.01))
        trainer.fit(X, y, epochs=2, sample_weight=mask, verbose=0)
        nets.append(trainer.net.params())
        assert trainer.evaluate(X, y, ["mae"], sample_weight=mask)["mae"] < 10
    for ours, other in zip(*nets, strict=True):
        np.testing.assert_array_equal(ours, other)


def test_metrics_see_neither_ignored_labels_nor_another_axis():
    images, labels = RNG.standard_normal((2, 1, 4, 4)), RNG.integers(0, 3, (2, 4, 4))
    labels[:, 0] = 255
    loss = SoftmaxCrossEntropy(ignore_index=255, axis=1)
    net = NeuralNetwork([Conv2D(3, 3)], loss, seed=1)
    trainer = Trainer(net, SGD(0.1))
    trainer.fit(images, labels, images, labels, epochs=1, verbose=0)
    decided = net.loss.decision(net.predict(images))
    assert decided.shape == labels.shape
    right = (decided == labels)[:, 1:]
    assert trainer.history["accuracy"][-1] == pytest.approx(right.mean())
    weights = np.array([1.0, 3.0])
    found = trainer.evaluate(images, labels, ["accuracy"], sample_weight=weights)["accuracy"]
    assert found == pytest.approx((right[0].mean() + 3 * right[1].mean()) / 4)


class Own(Loss):
    def _output(self):
        return float(np.square(self.prediction).sum())

    def _input_grad(self):
        return 2 * self.prediction


@pytest.mark.parametrize(
    ("loss", "weights", "words"),
    [
        (MeanSquaredError(), np.ones(5), "for each of the 6 observations"),
        (MeanSquaredError(), 1.0, "for each of the 6 observations"),
        (MeanSquaredError(), -np.ones(6), "must not be negative"),
        (MeanSquaredError(), np.zeros(6), "nor zero everywhere"),
        (MeanSquaredError(), np.full(6, np.inf), "must be finite"),
        (MeanSquaredError(), ["a"] * 6, "must be an array of real numbers"),
        (Own(), np.ones(6), "must be None for Own"),
    ],
)
def test_weights_that_cannot_be_used_are_refused_before_training(loss, weights, words):
    trainer = Trainer(NeuralNetwork([Linear()], loss), SGD(0.1))
    for call in (trainer.fit, trainer.evaluate):
        with pytest.raises((TypeError, ValueError), match=f"sample_weight .*{words}"):
            call(X, X, sample_weight=weights)


def test_metrics_refuse_weights_that_do_not_fit():
    for metric in (metrics.mae, metrics.rmse):
        with pytest.raises(ValueError, match="sample_weight must have the first axes"):
            metric([1.0, 2.0], [1.0, 2.0], sample_weight=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="a sum above 0"):
        metrics.accuracy([0, 1], [[0.0, 1.0]] * 2, sample_weight=[0, 0])
