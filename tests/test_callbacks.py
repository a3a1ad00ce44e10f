"""Callbacks that come with the library, and those that change the learning rate."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlfs
from dlfs.optimizers import SGD, SGDMomentum
from dlfs.train import Trainer
from dlfs.train.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
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
        ({"mode": "best"}, "mode"),
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


# --- callbacks that watch, save and write ---


class Values(Callback):
    """Puts a value of its own into each row of the history."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, trainer, row):
        row["value"] = self.values[row["epoch"] - 1]


class Weights(Callback):
    """Keeps the weights after each epoch."""

    def __init__(self):
        self.kept = []

    def on_epoch_end(self, trainer, row):
        self.kept.append(weights(trainer.net))


def trained_with(values, *callbacks, **options):
    """Train for as many epochs as there are values, and return the network and its history."""
    net, kept = classifier(), Weights()
    given = [Values(values), kept, *callbacks]
    options = OPTIONS | options
    history = Trainer(net, SGDMomentum(0.05)).fit(
        *classification(), epochs=len(values), callbacks=given, **options
    )
    return net, history, kept.kept


@pytest.mark.parametrize(
    ("mode", "values", "best", "ended"),
    [
        ("max", [1, 3, 2, 2, 9], 2, 4),
        ("min", [3, 1, 2, 2, 0], 2, 4),
        ("auto", [3, 2, 1, 2, 2, 9], 3, 5),
        ("max", [1, 2, 3, 4, 5], 5, 5),
    ],
)
def test_early_stopping_by_any_column_puts_the_best_network_back(mode, values, best, ended):
    stopping = EarlyStopping("value", patience=2, mode=mode)
    net, history, kept = trained_with(values, stopping, early_stopping=True)
    assert len(history) == ended
    assert history.stopped == ("callback" if ended < len(values) else None)
    assert same(weights(net), kept[best - 1])
    assert net.epochs_trained == best
    last = EarlyStopping("value", patience=2, mode=mode, restore=False)
    net, _, kept = trained_with(values, last)
    assert same(weights(net), kept[-1])


def test_a_change_that_is_too_small_is_no_improvement():
    values = [1.0, 1.05, 1.09, 1.2, 1.2]
    _, history, _ = trained_with(values, EarlyStopping("value", 2, "max", min_delta=0.1))
    assert len(history) == 3


def test_more_is_better_for_accuracy(tmp_path):
    X, y, _, _ = classification()
    for monitor in (EarlyStopping("accuracy"), ModelCheckpoint(tmp_path / "net", "accuracy")):
        assert monitor.watch({"accuracy": 0.5})
        assert not monitor.watch({"accuracy": 0.4})
        assert monitor.watch({"accuracy": 0.6})
        assert monitor.watch({"loss": 1}) is None
    with pytest.raises(ValueError, match=r"EarlyStopping: monitor must be one of 'epoch',.*'accu'"):
        EarlyStopping("accu").watch({"epoch": 1, "test_loss": 2.0})
    best = ModelCheckpoint(tmp_path / "net")
    with pytest.raises(ValueError, match="ModelCheckpoint: monitor='test_loss' needs X_test"):
        Trainer(classifier(), SGD()).fit(X, y, callbacks=[best], verbose=0)


def test_the_best_network_is_saved(tmp_path):
    path = tmp_path / "best.safetensors"
    _, _, kept = trained_with([1, 3, 2, 5, 4], ModelCheckpoint(path, "value", "max"))
    assert same(weights(dlfs.load(path)), kept[3])
    each = ModelCheckpoint(tmp_path / "net-{epoch}", "value", "max")
    trained_with([1, 3, 2, 5, 4], each)
    assert sorted(file.name for file in tmp_path.iterdir()) == (
        ["best.safetensors", "net-1", "net-2", "net-4"]
    )
    trained_with([1, 3], ModelCheckpoint(tmp_path / "all-{epoch}", best_only=False))
    assert (tmp_path / "all-1").exists()
    assert (tmp_path / "all-2").exists()
    with pytest.raises(OSError, match="does not exist"):
        trained_with([1], ModelCheckpoint(tmp_path / "no" / "net"))


def test_the_history_is_written_as_a_table(tmp_path):
    path = tmp_path / "run.csv"
    _, history, _ = trained_with([1, 2, 3], CSVLogger(path), eval_every=2)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == history.columns
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["train_loss"]) for row in rows] == history["train_loss"]
    assert rows[0]["test_loss"] == ""
    assert [float(rows[i]["test_loss"]) for i in (1, 2)] == history["test_loss"]


def test_the_table_of_a_resumed_training_has_all_rows(tmp_path):
    path, data = tmp_path / "checkpoint", classification()
    for epochs in (2, 4):
        Trainer(classifier(), SGD()).fit(
            *data,
            epochs=epochs,
            checkpoint=path,
            resume=True,
            callbacks=[CSVLogger(tmp_path / "run.csv")],
            **OPTIONS,
        )
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 5


def test_functions_are_called_as_methods_are():
    names = ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
    calls: list[str] = []
    functions = {name: lambda *args, name=name: calls.append(name) for name in names}
    trained_with([1], LambdaCallback(**functions), batch_size=30)
    assert calls == [names[0], names[1], names[1], names[2], names[3]]
    batches: list[tuple[int, int]] = []

    def ended(trainer, epoch, batch, loss):
        assert isinstance(trainer, Trainer)
        assert isinstance(loss, float)
        batches.append((epoch, batch))

    trained_with([1], LambdaCallback(on_batch_end=ended), batch_size=30)
    assert batches == [(0, 0), (0, 1)]
    trained_with([1], LambdaCallback())
    with pytest.raises(TypeError, match="LambdaCallback: on_epoch_end must be a function, got 3"):
        LambdaCallback(on_epoch_end=3)
    for kind in (CSVLogger, ModelCheckpoint):
        with pytest.raises(TypeError, match="path must be a path, got int"):
            kind(3)


# --- the search for a learning rate ---


def test_a_search_leaves_the_network_and_the_optimizer_as_they_are(tmp_path):
    X, y, _, _ = regression(rows=200)
    net, optim = regressor(), SGDMomentum(0.3, final_lr=0.1, decay_type="linear", warmup=2)
    Trainer(net, optim).fit(X, y, epochs=1, verbose=0)
    before = weights(net), repr(optim), optim.t, net.epochs_trained
    search = dlfs.find_lr(net, optim, X, y)
    assert (repr(optim), optim.t, net.epochs_trained) == before[1:]
    assert same(weights(net), before[0])
    assert search.lrs[0] == pytest.approx(1e-6)
    ratios = np.array(search.lrs[1:]) / np.array(search.lrs[:-1])
    np.testing.assert_allclose(ratios, 1e7 ** (1 / 99), rtol=1e-9)
    assert len(search.lrs) == len(search.losses) == len(search.smoothed)


def test_the_suggested_rate_trains_and_a_hundred_times_more_does_not():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = X.sum(axis=1)
    search = dlfs.find_lr(dlfs.NeuralNetwork([dlfs.Dense(1)]), SGD(), X, y)
    assert 1e-3 < search.suggestion < 1
    assert len(search.lrs) < 100  # it has exploded
    net = dlfs.NeuralNetwork([dlfs.Dense(1)])
    history = Trainer(net, SGD(search.suggestion)).fit(X, y, epochs=20, verbose=0)
    assert history["train_loss"][-1] < 1e-3


def test_a_search_is_shown_in_a_line_and_drawn(tmp_path):
    X, y, _, _ = regression()
    search = dlfs.find_lr(regressor(), SGD(), X, y, lowest=1e-3, highest=0.1, steps=8)
    assert repr(search) == (
        f"RateSearch of 8 batches, 0.001 to 0.1; suggestion {search.suggestion:.3g}"
    )
    pytest.importorskip("matplotlib")
    (ax,) = search.plot(tmp_path / "rates.png").axes
    assert any(np.array_equal(line.get_ydata(), search.losses) for line in ax.get_lines())
    assert (tmp_path / "rates.png").stat().st_size > 0


def test_a_search_ends_with_the_sixth_batch_at_the_earliest():
    X, y, _, _ = regression()
    search = dlfs.find_lr(dlfs.NeuralNetwork([dlfs.Dense(1)]), SGD(), X, y, lowest=2, highest=4)
    assert len(search.lrs) == 6
    assert search.losses[1] > 8 * search.losses[0]


def test_mistakes_with_a_search_are_named():
    X, y, _, _ = regression()
    for options, named in (
        ({"lowest": 0}, "lowest"),
        ({"lowest": 2.0, "highest": 1.0}, "highest"),
        ({"steps": 4}, "steps"),
        ({"lowest": 1e200, "highest": 1e201}, "lowest"),
    ):
        with pytest.raises(ValueError, match=f"find_lr: {named} must be"):
            dlfs.find_lr(regressor(), SGD(), X, y, **options)
    with pytest.raises(TypeError, match="find_lr: optim must be"):
        dlfs.find_lr(regressor(), None, X, y)
    with pytest.raises(TypeError, match=r"^find_lr: net must be"):
        dlfs.find_lr(None, SGD(), X, y)
