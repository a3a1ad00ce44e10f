"""Trainer.fit: which data it uses, in which order, and what it does not change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.activations import Linear, Tanh
from dlfs.dropout import Dropout
from dlfs.layers import Conv2D, Dense, Layer
from dlfs.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.normalization import BatchNorm_Op
from dlfs.optimizers import SGD, AdaGrad, Adam, AdamW, RegularizedSGD, RMSProp, SGDMomentum
from dlfs.train import Trainer
from dlfs.train.callbacks import BatchLosses, Callback
from tests.support.training import (
    classification,
    classifier,
    memory,
    regression,
    regressor,
    same,
    weights,
    without_seconds,
)


class Watch(Layer):
    """Passes batches through, and records those of training."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def _setup_layer(self, input_):
        self.operations = [Linear()]

    def forward(self, input_, inference=False):
        if not inference:
            self.seen.append(input_.copy())
        return super().forward(input_, inference)


class Calls(Callback):
    """Records the name of each call, with its important arguments."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, trainer):
        self.calls.append("begin")

    def on_batch_end(self, trainer, epoch, batch, loss):
        self.calls.append((epoch, batch))

    def on_epoch_end(self, trainer, row):
        self.calls.append(("epoch", row["epoch"]))

    def on_train_end(self, trainer):
        self.calls.append("end")


class Rates(Callback):
    """Keeps the learning rate of each batch."""

    def __init__(self):
        self.rates = []

    def on_batch_end(self, trainer, epoch, batch, loss):
        self.rates.append(trainer.optim.lr)


class StopAfter(Callback):
    """Ends the training after a number of batches."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer, epoch, batch, loss):
        self.left -= 1
        trainer.stop = self.left == 0


def order_seen(seed=1, epochs=3, rows=10, batch_size=4, **options):
    """Return the rows that the network saw, as one list of numbers for each epoch."""
    watch = Watch()
    X = np.arange(rows, dtype=float).reshape(-1, 1)
    net = NeuralNetwork([watch, Dense(1)], seed=1)
    Trainer(net, SGD(1e-4)).fit(
        X, X, epochs=epochs, batch_size=batch_size, seed=seed, verbose=0, **options
    )
    sizes = [len(batch) for batch in watch.seen]
    return np.concatenate(watch.seen).ravel().astype(int).reshape(epochs, rows).tolist(), sizes


def test_each_epoch_shows_every_observation_once_and_the_last_batch_is_what_is_left():
    epochs, sizes = order_seen()
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert sizes == [4, 4, 2] * 3


def test_epochs_are_shuffled_differently_and_the_seed_decides():
    epochs, _ = order_seen(seed=1)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert list(range(10)) not in epochs
    assert order_seen(seed=1)[0] == epochs
    assert not any(epoch in epochs for epoch in order_seen(seed=2)[0])


def test_inputs_and_their_targets_stay_together():
    X = np.arange(12, dtype=float).reshape(-1, 1)

    class Together(Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            np.testing.assert_array_equal(
                trainer.net.loss.target, 10 * trainer.net.layers[0].input_
            )

    Trainer(NeuralNetwork([Dense(1)]), SGD(1e-5)).fit(
        X, 10 * X, epochs=3, batch_size=5, callbacks=[Together()], verbose=0
    )


@pytest.mark.parametrize("as_data", [np.asarray, np.asfortranarray, lambda a: a.tolist()])
def test_the_data_is_left_as_it_was(as_data):
    data = regression(rows=20)
    before = [array.copy() for array in data]
    given = [as_data(array) for array in data]
    Trainer(regressor(dtype="float32"), SGD(0.01)).fit(*given, epochs=2, verbose=0)
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(np.asarray(array), copy)


def test_read_only_data_can_be_trained_on():
    data = regression(rows=20)
    for array in data:
        array.flags.writeable = False
    assert len(Trainer(regressor(), SGD(0.01)).fit(*data, epochs=2, verbose=0)) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [regressor, classifier])
def test_one_seed_gives_one_network_to_the_bit(make, dtype):
    data = regression() if make is regressor else classification()

    def train():
        net, optim = make(dtype=dtype), Adam(0.01)
        history = Trainer(net, optim).fit(*data, epochs=4, eval_every=2, batch_size=7, verbose=0)
        return weights(net), memory(optim), without_seconds(history)

    first = train()
    # The state of the global generator does not matter; conftest checks that it is not changed.
    state = np.random.get_state()
    np.random.seed(99)
    second = train()
    np.random.set_state(state)
    assert same(first[0], second[0])
    assert same(first[1], second[1])
    assert first[2] == second[2]
    assert all(array.dtype == dtype for array in first[0])


def test_another_shuffle_or_network_seed_gives_another_network():
    data = regression()

    def train(net_seed, seed):
        net = regressor(seed=net_seed)
        Trainer(net, SGD(0.05)).fit(*data, epochs=2, seed=seed, verbose=0)
        return weights(net)

    first = train(7, 1)
    assert not same(first, train(7, 2))
    assert not same(first, train(8, 1))


def test_a_batch_larger_than_the_data_is_one_step_an_epoch():
    calls = Calls()
    Trainer(regressor(), SGD(0.01)).fit(
        *regression(rows=6), epochs=2, batch_size=100, callbacks=[calls], verbose=0
    )
    assert calls.calls == ["begin", (0, 0), ("epoch", 1), (1, 0), ("epoch", 2), "end"]


def test_the_train_loss_is_the_mean_over_observations_not_over_batches():
    data = regression(rows=10)
    losses = []

    class Keep(Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            losses.append(loss)

    history = Trainer(regressor(), SGD(0.1)).fit(
        *data, epochs=1, batch_size=8, callbacks=[Keep()], verbose=0
    )
    assert history["train_loss"] == [pytest.approx((8 * losses[0] + 2 * losses[1]) / 10, rel=1e-15)]


@pytest.mark.parametrize(
    "optim",
    [SGDMomentum(0.05), AdaGrad(0.05), RMSProp(0.01), Adam(0.01), AdamW(0.01), RegularizedSGD(0.1)],
    ids=lambda optim: type(optim).__name__,
)
def test_restart_forgets_the_weights_and_all_that_the_optimizer_remembers(optim):
    net, data = classifier(), classification()
    trainer = Trainer(net, optim)

    def fit():
        history = trainer.fit(*data, epochs=3, early_stopping=False, verbose=0)
        return weights(net), memory(optim), without_seconds(history)

    first, second = fit(), fit()
    assert same(first[0], second[0])
    assert same(first[1], second[1])
    assert first[2] == second[2]
    assert optim.t == 3 * 2


def test_restart_forgets_the_statistics_of_a_normalization_that_stands_for_a_layer():
    data = regression()
    net = NeuralNetwork([Dense(4), BatchNorm_Op(), Dropout(0.8), Dense(1)], seed=3)
    trainer = Trainer(net, SGD(0.01))
    results = []
    for _ in range(2):
        trainer.fit(*data, epochs=2, verbose=0)
        results.append(weights(net))
    assert same(*results)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 9))
def test_without_restart_trainings_continue_one_another_to_the_bit(parts, seed):
    options = {"batch_size": 16, "early_stopping": False, "verbose": 0, "seed": seed}
    data = classification()
    whole, pieces = classifier(), classifier()
    whole_optim, piece_optim = SGDMomentum(0.05), SGDMomentum(0.05)
    Trainer(whole, whole_optim).fit(*data, epochs=sum(parts), **options)
    for number, epochs in enumerate(parts):
        # Each with its own Trainer: the network counts its epochs.
        Trainer(pieces, piece_optim).fit(*data, epochs=epochs, restart=number == 0, **options)
    assert same(weights(whole), weights(pieces))
    assert same(memory(whole_optim), memory(piece_optim))
    assert whole.epochs_trained == pieces.epochs_trained == sum(parts)


def test_without_restart_the_arrays_stay_the_callers():
    net = regressor()
    trainer = Trainer(net, SGD(0.05))
    trainer.fit(*regression(), epochs=1, verbose=0)
    arrays = list(net.params())
    trainer.fit(*regression(), epochs=1, restart=False, verbose=0)
    assert all(a is b for a, b in zip(arrays, net.params(), strict=True))


def test_a_new_training_counts_its_epochs_from_the_start():
    net = regressor()
    trainer = Trainer(net, SGD(0.05))
    for restart in (None, True, None):
        trainer.fit(*regression(), epochs=3, early_stopping=False, restart=restart, verbose=0)
        assert net.epochs_trained == 3


def test_forgetting_the_velocity_alone_would_give_another_result():
    """Otherwise the test above would pass with a library that always starts again."""
    X, y, _, _ = regression(rows=32)
    options = {"batch_size": 32, "epochs": 1, "verbose": 0}
    results = []
    for forget in (False, True):
        net, optim = regressor(), SGDMomentum(0.05)
        trainer = Trainer(net, optim)
        trainer.fit(X, y, **options)
        if forget:
            optim.reset()
        trainer.fit(X, y, restart=False, **options)
        results.append(weights(net))
    assert not np.allclose(results[0][0], results[1][0], rtol=1e-6)


@pytest.mark.parametrize("decay", ["linear", "exponential", "cosine"])
@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_the_rate_goes_from_the_first_to_the_last_and_is_the_callers_afterwards(decay, epochs):
    optim, rates = SGD(0.1, final_lr=0.01, decay_type=decay), Rates()
    history = Trainer(regressor(), optim).fit(
        *regression(), epochs=epochs, early_stopping=False, callbacks=[rates], verbose=0
    )
    assert history["lr"][0] == 0.1
    assert history["lr"] == rates.rates[::2]
    if epochs > 1:
        assert history["lr"][-1] == pytest.approx(0.01, rel=1e-12)
    assert sorted(history["lr"], reverse=True) == history["lr"]
    assert optim.lr == 0.1


def test_the_second_training_has_the_same_rates_as_the_first():
    trainer = Trainer(regressor(), SGD(0.1, final_lr=0.01, decay_type="linear"))
    first = trainer.fit(*regression(), epochs=3, early_stopping=False, verbose=0)["lr"]
    assert trainer.fit(*regression(), epochs=3, early_stopping=False, verbose=0)["lr"] == first
    again = trainer.fit(*regression(), epochs=3, early_stopping=False, restart=False, verbose=0)
    assert again["lr"] == first


def test_the_rate_is_the_callers_after_an_error_too():
    optim = SGD(0.1, final_lr=0.01, decay_type="linear")

    class Fail(Callback):
        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 2:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Trainer(regressor(), optim).fit(
            *regression(), epochs=4, early_stopping=False, callbacks=[Fail()], verbose=0
        )
    assert optim.lr == 0.1


@pytest.mark.parametrize(
    ("epochs", "eval_every", "evaluated"),
    [(6, 2, [2, 4, 6]), (7, 3, [3, 6, 7]), (3, 10, [3]), (2, 1, [1, 2])],
)
def test_evaluation_comes_after_every_so_many_epochs_and_after_the_last(
    epochs, eval_every, evaluated
):
    history = Trainer(regressor(), SGD(0.001)).fit(
        *regression(), epochs=epochs, eval_every=eval_every, early_stopping=False, verbose=0
    )
    assert [row["epoch"] for row in history if "test_loss" in row] == evaluated
    assert history["epoch"] == list(range(1, epochs + 1))


def test_without_test_data_nothing_is_evaluated_and_nothing_stops():
    X, y, _, _ = regression()
    history = Trainer(regressor(), SGD(0.1)).fit(X, y, epochs=12, eval_every=1, verbose=0)
    assert len(history) == 12
    assert "test_loss" not in history.columns


def test_evaluation_is_in_inference_mode_and_changes_nothing():
    X, y, X_test, y_test = classification()
    alone, watched = classifier(), classifier()
    Trainer(alone, SGD(0.05)).fit(X, y, epochs=3, verbose=0)
    history = Trainer(watched, SGD(0.05)).fit(
        X, y, X_test, y_test, epochs=3, eval_every=1, early_stopping=False, verbose=0
    )
    assert same(weights(alone), weights(watched))
    prediction = watched.predict(X_test)
    assert history["test_loss"][-1] == watched.loss.forward(prediction, y_test)
    assert history["accuracy"][-1] == np.mean(prediction.argmax(axis=1) == y_test)


def test_the_evaluation_does_not_depend_on_the_size_of_its_batches():
    X, y, X_test, y_test = classification(rows=200)
    net = classifier()
    trainer = Trainer(net, Adam(0.01))
    trainer.fit(X, y, epochs=2, verbose=0)
    whole = net.predict(X_test, batch_size=len(X_test))
    # Sums of at most 8 terms; a BLAS may sum another number of rows in another order.
    tolerance = 16 * np.finfo(np.float64).eps * np.abs(whole).max()
    for size in (1, 7, 199, 10**6):
        np.testing.assert_allclose(net.predict(X_test, size), whole, rtol=0, atol=tolerance)
    results = trainer.evaluate(X_test, y_test, ["accuracy"])
    assert results["loss"] == pytest.approx(net.loss.forward(whole, y_test), rel=1e-13)
    assert results["accuracy"] == np.mean(whole.argmax(axis=1) == y_test)


def test_the_evaluation_never_holds_all_outputs_of_a_layer_at_once():
    largest = []

    class Size(Layer):
        def _setup_layer(self, input_):
            self.operations = [Linear()]

        def forward(self, input_, inference=False):
            largest.append(len(input_))
            return super().forward(input_, inference)

    X = np.zeros((2500, 1))
    Trainer(NeuralNetwork([Size(), Dense(1)]), SGD()).evaluate(X, X)
    assert sum(largest) >= 2500
    assert max(largest) <= 1000


def test_metrics_by_name_and_of_ones_own():
    def largest_error(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    X, y, X_test, y_test = regression()
    net = regressor()
    history = Trainer(net, SGD(0.01)).fit(
        X, y, X_test, y_test, epochs=1, metrics=["mae", "rmse", largest_error], verbose=0
    )
    error = net.predict(X_test) - y_test
    assert history["mae"] == [pytest.approx(np.abs(error).mean())]
    assert history["rmse"] == [pytest.approx(np.sqrt(np.square(error).mean()))]
    assert history["largest_error"] == [pytest.approx(np.abs(error).max())]


@pytest.mark.parametrize(
    ("loss", "names"),
    [(None, []), (SoftmaxCrossEntropy(), ["accuracy"]), (BinaryCrossEntropy(), ["accuracy"])],
)
def test_accuracy_is_the_metric_of_cross_entropies_unless_others_are_given(loss, names):
    X, _, X_test, _ = regression()
    y, y_test = (X[:, :1] > 0).astype(float), (X_test[:, :1] > 0).astype(float)
    trainer = Trainer(NeuralNetwork([Dense(1)], loss), SGD(0.5))
    history = trainer.fit(X, y, X_test, y_test, epochs=60, early_stopping=False, verbose=0)
    assert history.columns[4:-1] == names
    if names:
        assert history["accuracy"][-1] > 0.9
    history = trainer.fit(X, y, X_test, y_test, epochs=1, metrics=[], verbose=0)
    assert history.columns == ["epoch", "lr", "train_loss", "test_loss", "seconds"]


def test_callbacks_are_called_in_order_each_at_its_turn():
    first, second = Calls(), Calls()
    shared = []
    first.calls = second.calls = shared
    Trainer(regressor(), SGD(0.01)).fit(
        *regression(rows=4), epochs=1, batch_size=2, callbacks=[first, second], verbose=0
    )
    turns = ["begin", (0, 0), (0, 1), ("epoch", 1), "end"]
    assert shared == [turn for turn in turns for _ in range(2)]


def test_a_callback_sees_the_evaluation_and_can_end_the_training():
    class StopAt(Callback):
        def on_epoch_end(self, trainer, row):
            assert "test_loss" in row
            assert row is trainer.history.rows[-1]
            trainer.stop = row["epoch"] == 2

    trainer = Trainer(regressor(), SGD(0.01))
    history = trainer.fit(
        *regression(), epochs=9, eval_every=1, callbacks=[StopAt()], early_stopping=False, verbose=0
    )
    assert len(history) == 2
    assert history.stopped == "callback"
    assert "stopped: callback" in repr(history)
    # A stop request does not affect the next training.
    assert len(trainer.fit(*regression(), epochs=3, early_stopping=False, verbose=0)) == 3


def test_a_callback_can_end_the_training_within_an_epoch():
    X, y, _, _ = regression(rows=10)
    optim = SGD(0.01)
    history = Trainer(regressor(), optim).fit(
        X, y, epochs=5, batch_size=2, callbacks=[StopAfter(3)], verbose=0
    )
    assert optim.t == 3
    assert len(history) == 1
    assert history.stopped == "callback"


def test_the_train_loss_of_an_epoch_that_a_callback_ends_is_the_mean_over_what_was_seen():
    X, y, _, _ = regression(rows=10)
    kept = BatchLosses()
    history = Trainer(regressor(), SGD(0.01)).fit(
        X, y, epochs=5, batch_size=2, callbacks=[kept, StopAfter(3)], verbose=0
    )
    assert history["train_loss"] == [pytest.approx(np.mean(kept.losses), rel=1e-15)]
    assert len(kept.losses) == 3


def test_a_callback_that_says_nothing_is_no_callback():
    with pytest.raises(TypeError, match="callbacks"):
        Trainer(regressor(), SGD()).fit(*regression(), callbacks=[print], verbose=0)
    with pytest.raises(TypeError, match=r"Calls\(\)"):
        Trainer(regressor(), SGD()).fit(*regression(), callbacks=[Calls], verbose=0)


def test_callbacks_from_an_iterator_are_called_too():
    calls = [Calls(), Calls()]
    Trainer(regressor(), SGD()).fit(*regression(), epochs=1, callbacks=iter(calls), verbose=0)
    assert calls[0].calls == calls[1].calls
    assert calls[0].calls[-1] == "end"
    with pytest.raises(TypeError, match="callbacks must be a list, got 3"):
        Trainer(regressor(), SGD()).fit(*regression(), callbacks=3, verbose=0)


def test_two_trainers_of_one_optimizer_each_train_their_own_network():
    data = regression()
    expected = regressor()
    Trainer(expected, SGD(0.05)).fit(*data, epochs=2, verbose=0)
    optim, first, second = SGD(0.05), regressor(), regressor(seed=8)
    trainer = Trainer(first, optim)
    Trainer(second, optim)
    trainer.fit(*data, epochs=2, verbose=0)
    assert same(weights(first), weights(expected))


def test_dropout_is_drawn_anew_for_each_batch_and_from_the_networks_seed():
    def masks(seed):
        kept = []

        class Keep(Callback):
            def on_batch_end(self, trainer, epoch, batch, loss):
                kept.append(trainer.net.layers[0].operations[-1].mask.copy())

        net = NeuralNetwork([Dense(50, dropout=0.5), Dense(1)], seed=seed)
        Trainer(net, SGD(1e-4)).fit(
            *regression(rows=6)[:2], epochs=2, batch_size=3, callbacks=[Keep()], verbose=0
        )
        return kept

    first = masks(1)
    assert len(first) == 4
    assert len({mask.tobytes() for mask in first}) == 4
    assert same(first, masks(1))
    assert not same(first, masks(2))


def test_batch_norm_learns_its_statistics_from_the_training_data_alone():
    X, y, _, _ = regression(rows=64)
    far = X + 1000
    net = NeuralNetwork([BatchNorm_Op(momentum=0.3), Dense(1)], seed=1)
    Trainer(net, SGD(0.01)).fit(
        X, y, far, y, epochs=3, batch_size=64, eval_every=1, early_stopping=False, verbose=0
    )
    mean, var = net.layers[0].operations[0].state().values()
    # Each epoch is one batch, and replaces 0.3 of what there was: at first 0 and 1.
    left = 0.7**3
    np.testing.assert_allclose(mean.ravel(), (1 - left) * X.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(var.ravel(), left + (1 - left) * X.var(axis=0, ddof=1), rtol=1e-12)


def test_a_convolutional_network_learns_where_a_bar_is():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, size=80)
    X = 0.3 * rng.normal(size=(80, 1, 6, 5))
    X[y == 0, 0, 2, :] += 1
    X[y == 1, 0, :, 2] += 1
    net = NeuralNetwork(
        [Conv2D(4, 3, activation=Tanh(), dropout=0.8, flatten=True), Dense(2)],
        SoftmaxCrossEntropy(),
        seed=1,
    )
    history = Trainer(net, SGDMomentum(0.02)).fit(
        X[:60], y[:60], X[60:], y[60:], epochs=20, eval_every=20, batch_size=10, verbose=0
    )
    assert history["accuracy"] == [1.0]


def test_an_embedding_takes_integers_and_learns():
    from dlfs.layers import Embedding
    from dlfs.reshape import Flatten

    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, size=(60, 2))
    y = (X[:, 0] == X[:, 1]).astype(int)
    layers = [Embedding(5, 6), Flatten(), Dense(20, activation=Tanh()), Dense(2)]
    net = NeuralNetwork(layers, SoftmaxCrossEntropy())
    history = Trainer(net, Adam(0.02)).fit(X, y, X, y, epochs=60, eval_every=60, verbose=0)
    assert history["accuracy"] == [1.0]


def test_generate_batches_cuts_in_order():
    trainer = Trainer(regressor(), SGD())
    X = np.arange(7)
    batches = list(trainer.generate_batches(X, 2 * X, 3))
    assert [x.tolist() for x, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [y.tolist() for _, y in batches] == [[0, 2, 4], [6, 8, 10], [12]]
    with pytest.raises(ValueError, match="7 rows, but y has 6"):
        trainer.generate_batches(X, X[:6])
    with pytest.raises(ValueError, match="size"):
        trainer.generate_batches(X, X, 0)
