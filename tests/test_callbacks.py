"""Callbacks that come with the library, and those that change the learning rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlfs
from dlfs.optimizers import SGD, SGDMomentum
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback, ReduceLROnPlateau
from tests.support.training import (
    classification,
    classifier,
    regression,
    regressor,
    same,
    weights,
    without_seconds,
)

OPTIONS = {"eval_every": 1, "early_stopping": False, "verbose": 0}


class Halve(Callback):
    """Halves the learning rate after certain epochs."""

    def __init__(self, *epochs):
        self.epochs = epochs

    def on_epoch_end(self, trainer, row):
        if row["epoch"] in self.epochs:
            trainer.optim.lr *= 0.5


def test_what_a_callback_sets_holds_until_the_training_ends():
    optim = SGD(0.2)
    history = Trainer(regressor(), optim).fit(
        *regression(), epochs=5, callbacks=[Halve(1, 3)], **OPTIONS
    )
    assert history["lr"] == [0.2, 0.1, 0.1, 0.05, 0.05]
    assert optim.lr == 0.2


@pytest.mark.parametrize("decay", ["linear", "exponential", "cosine"])
def test_what_a_callback_sets_is_what_a_decay_goes_on_from(decay):
    rates = []
    for callbacks in ([], [Halve(2)]):
        optim = SGD(0.2, final_lr=0.02, decay_type=decay, warmup=1)
        history = Trainer(regressor(), optim).fit(
            *regression(), epochs=5, callbacks=callbacks, **OPTIONS
        )
        rates.append(history["lr"])
        assert optim.lr == 0.2
    expected = [rate / (2 if epoch > 2 else 1) for epoch, rate in enumerate(rates[0], start=1)]
    assert rates[1] == pytest.approx(expected, rel=1e-12)


def test_a_callback_may_set_the_rate_before_the_first_batch_and_between_two():
    class Faster(Callback):
        def on_train_begin(self, trainer):
            trainer.optim.lr = 0.5

        def on_batch_end(self, trainer, epoch, batch, loss):
            seen.append(trainer.optim.lr)
            trainer.optim.lr *= 0.9

    seen = []
    history = Trainer(regressor(), SGD(0.1)).fit(
        *regression(), epochs=2, callbacks=[Faster()], **OPTIONS
    )
    assert history["lr"][0] == 0.5
    assert seen == pytest.approx([0.5 * 0.9**n for n in range(4)], rel=1e-12)


def watched(values, **options):
    """Return the rate of each epoch if these are the values of the metric after each."""
    left = list(values)

    def watched_metric(y_true, y_pred):
        return left.pop(0)

    optim = SGD(1.0)
    history = Trainer(regressor(), optim).fit(
        *regression(rows=4),
        epochs=len(values),
        metrics=[watched_metric],
        callbacks=[ReduceLROnPlateau("watched_metric", **options)],
        **OPTIONS,
    )
    assert optim.lr == 1.0
    return history["lr"]


@pytest.mark.parametrize(
    ("values", "options", "rates"),
    [
        ([5, 4, 3, 2, 1], {"patience": 1}, [1, 1, 1, 1, 1]),
        ([5, 5, 5, 5, 5], {"patience": 1}, [1, 1, 0.5, 0.25, 0.125]),
        ([5, 6, 6, 4, 6, 6, 3], {"patience": 2}, [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        ([5, 6, 4, 6, 3, 6, 6], {"patience": 2}, [1] * 7),
        ([5, 5, 5, 5, 5], {"patience": 1, "min_lr": 0.3}, [1, 1, 0.5, 0.3, 0.3]),
        ([1, 2, 3, 2, 2], {"patience": 1, "mode": "max"}, [1, 1, 1, 1, 0.5]),
        ([5, 4.9, 4.8, 4.7], {"patience": 2, "min_delta": 0.5}, [1, 1, 1, 0.5]),
        ([np.nan, np.nan, 3, 2], {"patience": 2}, [1, 1, 0.5, 0.5]),
    ],
)
def test_it_reduces_the_rate_when_patience_is_over(values, options, rates):
    assert watched(values, factor=0.5, **options) == pytest.approx(rates, rel=1e-15)


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=9),
    st.integers(1, 3),
    st.sampled_from(["min", "max"]),
)
def test_the_rate_falls_once_for_each_patience_without_something_better(values, patience, mode):
    rates = watched(values, factor=0.5, patience=patience, mode=mode)
    rate, waited, best = 1.0, 0, None
    for value, found in zip(values, rates, strict=True):
        assert found == rate
        if best is None or (value < best if mode == "min" else value > best):
            best, waited = value, 0
        else:
            waited += 1
            if waited == patience:
                rate, waited = rate / 2, 0


def test_epochs_without_an_evaluation_do_not_count():
    X, y, X_test, _ = regression()
    far = np.full((len(X_test), 1), 100.0)
    plateau = ReduceLROnPlateau(patience=1, min_delta=1e9)
    history = Trainer(regressor(), SGD(0.001)).fit(
        *(X, y, X_test, far),
        epochs=6,
        callbacks=[plateau],
        **OPTIONS | {"eval_every": 2},
    )
    assert history["lr"] == pytest.approx([0.001] * 4 + [1e-4] * 2, rel=1e-12)


def test_the_training_loss_can_be_watched_without_test_data():
    X, y, _, _ = regression()
    plateau = ReduceLROnPlateau("train_loss", patience=1, min_delta=1e9, factor=0.5)
    history = Trainer(regressor(), SGD(0.1)).fit(X, y, epochs=4, callbacks=[plateau], **OPTIONS)
    assert history["lr"] == [0.1, 0.1, 0.05, 0.025]


def test_it_says_what_it_does(capsys):
    X, y, _, _ = regression()
    plateau = ReduceLROnPlateau("train_loss", patience=1, min_delta=1e9, factor=0.5)
    Trainer(regressor(), SGD(0.1)).fit(
        X, y, epochs=2, callbacks=[plateau], **OPTIONS | {"verbose": 2}
    )
    assert "Reduced the learning rate after epoch 2: 0.05" in capsys.readouterr().out


def test_each_training_is_watched_from_its_beginning():
    plateau = ReduceLROnPlateau(patience=2, min_delta=1e9, factor=0.5)
    trainer = Trainer(regressor(), SGD(0.1))
    rates = [
        trainer.fit(*regression(), epochs=5, callbacks=[plateau], **OPTIONS)["lr"] for _ in range(2)
    ]
    assert rates[0] == rates[1]
    assert rates[0] == [0.1, 0.1, 0.1, 0.05, 0.05]


@pytest.mark.parametrize("decay", [{}, {"final_lr": 0.003, "decay_type": "cosine", "warmup": 2}])
@pytest.mark.parametrize("last", range(1, 8))
def test_a_resumed_training_has_the_rates_of_one_that_was_not_interrupted(decay, last, tmp_path):
    class Crash(Exception):
        pass

    class CrashIn(Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            if epoch == last:
                raise Crash

    def fit(*more, **options):
        net = classifier()
        plateau = ReduceLROnPlateau(patience=2, min_delta=0.1, factor=0.3)
        history = Trainer(net, SGDMomentum(0.07, **decay)).fit(
            *classification(), epochs=8, callbacks=[plateau, *more], **OPTIONS | options
        )
        return weights(net), without_seconds(history)

    expected = fit()
    with pytest.raises(Crash):
        fit(CrashIn(), checkpoint=tmp_path / "c")
    resumed = fit(checkpoint=tmp_path / "c", resume=True)
    assert same(resumed[0], expected[0])
    assert resumed[1] == expected[1]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"monitor": 3}, "monitor"),
        ({"factor": 1}, "factor"),
        ({"factor": 0}, "factor"),
        ({"factor": "0.1"}, "factor"),
        ({"patience": 0}, "patience"),
        ({"patience": 1.5}, "patience"),
        ({"mode": "auto"}, "mode"),
        ({"min_delta": -1}, "min_delta"),
        ({"min_lr": -1}, "min_lr"),
    ],
    ids=str,
)
def test_unfit_arguments_are_named(options, named):
    with pytest.raises((TypeError, ValueError), match=f"ReduceLROnPlateau: {named} must be"):
        ReduceLROnPlateau(**options)


def test_a_column_that_does_not_exist_is_named():
    X, y, X_test, y_test = regression()
    with pytest.raises(ValueError, match="needs X_test and y_test"):
        Trainer(regressor(), SGD()).fit(X, y, callbacks=[ReduceLROnPlateau()], verbose=0)
    with pytest.raises(ValueError, match=r"monitor must be one of .*'test_loss'.*got 'acuracy'"):
        Trainer(regressor(), SGD()).fit(
            X, y, X_test, y_test, callbacks=[ReduceLROnPlateau("acuracy")], **OPTIONS
        )


def test_it_is_at_the_top():
    assert dlfs.ReduceLROnPlateau is ReduceLROnPlateau
