"""Early stopping: when it stops, and that it restores the state of the best evaluation."""

import numpy as np
import pytest

from dlfs.layers import Dense
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork
from dlfs.normalization import BatchNorm_Op
from dlfs.optimizers import SGD, AdaGrad, Adam, NAdam, RMSProp, SGDMomentum
from dlfs.train import NonFiniteLossError, Trainer
from dlfs.train.callbacks import Callback
from tests.support.training import memory, regression, same, weights


class Recorder(Callback):
    """Keeps what can be restored, at the end of each epoch."""

    def __init__(self):
        self.weights, self.memory, self.steps = {}, {}, {}

    def on_batch_end(self, trainer, epoch, batch, loss):
        # After the epoch's last batch: on_epoch_end comes after early stopping has restored.
        self.weights[epoch + 1] = weights(trainer.net)
        self.memory[epoch + 1] = memory(trainer.optim)
        self.steps[epoch + 1] = trainer.optim.t


class Scripted(Loss):
    """A loss with prescribed values in evaluations, and real ones in training."""

    def __init__(self, script):
        self.script = list(script)

    def forward(self, prediction, target):
        self.prediction, self.target = prediction, target
        self.input_grad = 2 * (prediction - target) / len(target)
        if len(prediction) == EVALUATED:
            return self.script.pop(0)
        return float(np.square(prediction - target).sum(axis=1).mean())

    def backward(self):
        return self.input_grad


EVALUATED = 13


def scripted_fit(script, optim=None, layers=None, **options):
    """Train with evaluations that give these losses; return all results."""
    X, y, X_test, y_test = regression(rows=20)
    net = NeuralNetwork(layers or [Dense(3), Dense(1)], Scripted(script), seed=1)
    recorder = Recorder()
    optim = optim or SGDMomentum(0.01)
    options = {"epochs": 8, "eval_every": 1, "verbose": 0, "callbacks": [recorder]} | options
    history = Trainer(net, optim).fit(X, y, X_test[:EVALUATED], y_test[:EVALUATED], **options)
    return net, optim, history, recorder


@pytest.mark.parametrize(
    ("script", "patience", "best", "epochs"),
    [
        ([3, 2, 4], True, 2, 3),
        ([3, 2, 2], True, 2, 3),  # not smaller: the first of equals is the best
        ([1, 2], True, 1, 2),
        ([3, 2, 4, 1, 5, 6], 2, 4, 6),
        ([3, 2, 4, 5], 2, 2, 4),
        ([3, 4, 2, 4, 5, 6], 3, 3, 6),
        ([8, 7, 6, 5, 4, 3, 2, 9], True, 7, 8),  # in the very last epoch
    ],
)
def test_it_stops_when_patience_is_over_and_restores_the_best_epoch(script, patience, best, epochs):
    net, optim, history, recorder = scripted_fit(script, early_stopping=patience)
    assert len(history) == epochs
    assert history.stopped == "early"
    assert history.best_epoch == best
    assert same(weights(net), recorder.weights[best])
    assert not same(weights(net), recorder.weights[epochs])
    assert same(memory(optim), recorder.memory[best])
    assert optim.t == recorder.steps[best]


@pytest.mark.parametrize("script", [[8, 7, 6, 5, 4, 3, 2, 1], [3, 2, 4, 1, 5, 0.5, 6, 0.1]])
def test_it_does_not_stop_while_the_loss_falls_often_enough(script):
    net, _, history, recorder = scripted_fit(script, early_stopping=2)
    assert len(history) == 8
    assert history.stopped is None
    assert same(weights(net), recorder.weights[8])


def assert_best_is_back(net, optim, recorder, best):
    assert same(weights(net), recorder.weights[best])
    assert same(memory(optim), recorder.memory[best])
    assert optim.t == recorder.steps[best]
    assert net.epochs_trained == best


class In(Callback):
    """Does something in the batch of a certain epoch, or at its end."""

    def __init__(self, epoch, act, at_end=False):
        self.epoch, self.act, self.at_end = epoch, act, at_end

    def on_batch_end(self, trainer, epoch, batch, loss):
        if not self.at_end and epoch + 1 == self.epoch:
            self.act(trainer)

    def on_epoch_end(self, trainer, row):
        if self.at_end and row["epoch"] == self.epoch:
            self.act(trainer)


def test_the_best_comes_back_where_the_epochs_end():
    net, optim, history, recorder = scripted_fit([3, 1, 4, 2, 5, 6, 7, 8], early_stopping=9)
    assert history.stopped is None
    assert history.best_epoch == 2
    assert_best_is_back(net, optim, recorder, 2)


@pytest.mark.parametrize("at_end", [True, False])
def test_the_best_comes_back_where_a_callback_stops(at_end):
    recorder = Recorder()
    stop = In(4, lambda trainer: setattr(trainer, "stop", True), at_end)
    net, optim, history, _ = scripted_fit(
        [3, 1, 4, 2], early_stopping=9, callbacks=[recorder, stop]
    )
    assert history.stopped == "callback"
    assert_best_is_back(net, optim, recorder, 2)


@pytest.mark.parametrize("at_end", [True, False])
def test_the_best_comes_back_after_ctrl_c(at_end, capsys):
    def interrupt(trainer):
        raise KeyboardInterrupt

    recorder = Recorder()
    net, optim, history, _ = scripted_fit(
        [3, 1, 4, 2], early_stopping=9, callbacks=[recorder, In(4, interrupt, at_end)], verbose=2
    )
    assert history.stopped == "interrupted"
    assert_best_is_back(net, optim, recorder, 2)
    assert "network of epoch 2, the best, is put back" in capsys.readouterr().out


def test_the_best_comes_back_after_an_error_in_a_callback():
    def fail(trainer):
        raise OSError("disk full")

    recorder, found = Recorder(), []

    class Keep(Callback):
        def on_train_end(self, trainer):
            found.append((trainer.net, trainer.optim))

    with pytest.raises(OSError, match="disk full"):
        scripted_fit([3, 1, 4, 2], early_stopping=9, callbacks=[recorder, In(4, fail), Keep()])
    assert_best_is_back(*found[0], recorder, 2)


@pytest.mark.parametrize("script", [[3, 1, 4, np.nan], [3, 1, 4, np.inf]])
def test_the_best_comes_back_where_the_loss_becomes_no_number(script):
    recorder, found = Recorder(), []

    class Keep(Callback):
        def on_train_end(self, trainer):
            found.append((trainer.net, trainer.optim))

    with pytest.raises(NonFiniteLossError):
        scripted_fit(script, early_stopping=9, callbacks=[recorder, Keep()])
    assert_best_is_back(*found[0], recorder, 2)


def test_nothing_comes_back_where_the_last_network_is_the_best(capsys):
    net, optim, _, recorder = scripted_fit([8, 7, 6, 5, 4, 3, 2, 1], verbose=2)
    assert_best_is_back(net, optim, recorder, 8)
    assert "put back" not in capsys.readouterr().out


def test_without_it_nothing_stops_and_nothing_is_restored():
    net, _, history, recorder = scripted_fit([1, 2, 3, 4, 5, 6, 7, 8], early_stopping=False)
    assert len(history) == 8
    assert history.stopped is None
    assert same(weights(net), recorder.weights[8])


def test_the_best_epoch_is_one_that_was_evaluated():
    net, _, history, recorder = scripted_fit([3, 2, 4], epochs=9, eval_every=3)
    assert history.best_epoch == 6
    assert len(history) == 9
    assert same(weights(net), recorder.weights[6])


@pytest.mark.parametrize("optimizer", [SGD, SGDMomentum, AdaGrad, RMSProp, Adam, NAdam])
def test_what_each_optimizer_remembered_comes_back(optimizer):
    net, optim, _, recorder = scripted_fit([3, 2, 4], optim=optimizer(0.01))
    assert same(memory(optim), recorder.memory[2])
    assert same(weights(net), recorder.weights[2])
    assert optim.t == recorder.steps[2] == 2


def test_running_statistics_come_back():
    net, _, _, recorder = scripted_fit([3, 2, 4], layers=[Dense(3), BatchNorm_Op(), Dense(1)])
    assert len(weights(net)) == 4 + 2
    assert same(weights(net), recorder.weights[2])


def test_they_come_back_into_the_arrays_that_the_caller_holds():
    X, y, X_test, y_test = regression(rows=20)
    net = NeuralNetwork([Dense(3), Dense(1)], Scripted([3, 2, 4]), seed=1)
    net.build((3,))
    optim = SGDMomentum(0.01)
    trainer = Trainer(net, optim)
    held = list(net.params())
    operations = [op for layer in net for op in layer.operations if hasattr(op, "param")]
    trainer.fit(
        X, y, X_test[:EVALUATED], y_test[:EVALUATED], eval_every=1, restart=False, verbose=0
    )
    assert trainer.net is net
    assert trainer.optim is optim
    assert optim.net is net
    assert all(a is b for a, b in zip(held, net.params(), strict=True))
    assert all(a is op.param for a, op in zip(held, operations, strict=True))


def test_training_can_go_on_from_the_restored_state_as_if_it_had_never_gone_further():
    X, y, X_test, y_test = regression(rows=20)

    def fit(net, optim, epochs, **options):
        data = (X, y, X_test[:EVALUATED], y_test[:EVALUATED])
        Trainer(net, optim).fit(*data, epochs=epochs, eval_every=1, verbose=0, **options)

    stopped = NeuralNetwork([Dense(3), Dense(1)], Scripted([3, 2, 4, 1]), seed=1)
    straight = NeuralNetwork([Dense(3), Dense(1)], Scripted([3, 2, 1]), seed=1)
    optims = Adam(0.01), Adam(0.01)
    fit(stopped, optims[0], 8)
    fit(straight, optims[1], 2)
    assert same(weights(stopped), weights(straight))
    for net, optim in zip((stopped, straight), optims, strict=True):
        fit(net, optim, 1, restart=False)
    assert same(weights(stopped), weights(straight))
    assert same(memory(optims[0]), memory(optims[1]))


def test_the_learning_rate_is_the_callers_after_stopping_early():
    optim = SGDMomentum(0.01, final_lr=0.001, decay_type="linear")
    _, _, history, _ = scripted_fit([3, 2, 4], optim=optim)
    assert history["lr"][-1] < 0.01
    assert optim.lr == 0.01


def test_a_real_loss_that_passes_its_minimum():
    # The training moves w from its start to 3; the test loss is smallest at w = 1.
    X = np.ones((4, 1))
    net = NeuralNetwork([Dense(1, weight_init=lambda rng, shape, *_: np.zeros(shape))])
    recorder = Recorder()
    history = Trainer(net, SGD(0.05)).fit(
        X, 3 * X, X, X, epochs=100, eval_every=1, callbacks=[recorder], verbose=0
    )
    assert history.stopped == "early"
    assert history.best_epoch == int(np.argmin(history["test_loss"])) + 1 == len(history) - 1
    assert same(weights(net), recorder.weights[history.best_epoch])
    assert Trainer(net, SGD(0.05)).evaluate(X, X)["loss"] == min(history["test_loss"])


@pytest.mark.parametrize("patience", [0, -1, 1.5, "yes", None])
def test_patience_that_makes_no_sense_is_refused(patience):
    with pytest.raises((TypeError, ValueError), match="early_stopping"):
        scripted_fit([1], early_stopping=patience)


def test_it_says_which_epoch_it_went_back_to(capsys):
    scripted_fit([3, 2, 4], verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "epoch 3" in lines[-1]
    assert "epoch 2" in lines[-1]
    assert "2.0000" in lines[-1]
