"""Data and arguments that are not valid for training, and losses that become nan."""

import numpy as np
import pytest

from dlfs.activations import Linear, Tanh
from dlfs.layers import BatchNorm, Conv2D, Dense, Layer
from dlfs.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.reshape import Reshape
from dlfs.train import NonFiniteLossError, Trainer
from tests.support.training import (
    classification,
    classifier,
    regression,
    regressor,
    same,
    weights,
    without_seconds,
)


def changed(data, **parts):
    """Return the data with some of its four parts replaced."""
    names = ("X_train", "y_train", "X_test", "y_test")
    return [parts.get(name, array) for name, array in zip(names, data, strict=True)]


def with_value(array, value):
    array = array.astype(float)
    array[3, 0] = value
    return array


def bad_regression_data():
    data = X, y, X_test, _ = regression(rows=10)
    for value in (np.nan, np.inf, -np.inf):
        for name, array in zip(("X_train", "y_train", "X_test", "y_test"), data, strict=True):
            yield f"{value} in {name}", changed(data, **{name: with_value(array, value)}), name
    yield "no rows", changed(data, X_train=X[:0], y_train=y[:0]), "X_train"
    yield "no test rows", changed(data, X_test=X[:0], y_test=y[:0]), "X_test"
    yield "lengths", changed(data, y_train=y[:9]), "y_train"
    yield "test lengths", changed(data, X_test=X_test[:9]), "X_test"
    yield "wide target", changed(data, y_train=np.hstack([y, y])), "y_train must have"
    yield "wide test target", changed(data, y_test=np.hstack([y, y])), "y_test must have"
    yield "other features", changed(data, X_test=np.hstack([X_test, X_test])), r"\(batch, 3\), got"
    yield "images", changed(data, X_train=X.reshape(10, 1, 3, 1)), "Dense"
    yield "a number", changed(data, X_train=3.0), "X"
    yield "numberless target", changed(data, y_train=3.0), "y_train"
    yield "text", changed(data, X_train=np.full((10, 3), "a")), "X"
    yield "text target", changed(data, y_train=np.full((10, 1), "a")), "y_train"
    yield "objects", changed(data, X_train=np.full((10, 3), None)), "X"
    yield "complex", changed(data, X_train=X + 1j), "X"
    yield "ragged", changed(data, X_train=[[1.0], [1.0, 2.0]] * 5), "X"
    yield "nothing", changed(data, X_train=None), "X"
    yield "half a test", changed(data, y_test=None), "X_test and y_test"
    yield "other half", changed(data, X_test=None), "X_test and y_test"


@pytest.mark.parametrize(
    ("data", "named"),
    [pytest.param(data, named, id=name) for name, data, named in bad_regression_data()],
)
def test_data_that_no_training_can_use_is_named(data, named):
    with pytest.raises((TypeError, ValueError), match=named):
        Trainer(regressor(), SGD()).fit(*data, verbose=0)


class Series:
    """What a pandas Series has in common with an array: not reshape."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize(
    "as_y", [np.ravel, lambda y: y.ravel().tolist(), lambda y: Series(y[:, 0])]
)
def test_targets_of_a_single_column_may_be_flat(as_y):
    X, y, X_test, y_test = regression()
    flat, column = regressor(), regressor()
    options = {"epochs": 2, "eval_every": 1, "metrics": ["mae"], "verbose": 0}
    expected = Trainer(column, SGD(0.05)).fit(X, y, X_test, y_test, **options)
    trainer = Trainer(flat, SGD(0.05))
    history = trainer.fit(X, as_y(y), X_test, as_y(y_test), **options)
    assert same(weights(flat), weights(column))
    assert without_seconds(history) == without_seconds(expected)
    assert trainer.evaluate(X, as_y(y)) == trainer.evaluate(X, y)


def test_advice_works_for_what_was_passed():
    X, y, _, _ = regression(rows=10)
    wide = np.hstack([y, y])
    for flat in (wide.ravel(), Series(wide.ravel())):
        with pytest.raises(ValueError, match="need the same number of rows"):
            Trainer(NeuralNetwork([Dense(2)]), SGD()).fit(X, flat, verbose=0)
    images = NeuralNetwork([Dense(6), Reshape((2, 3))])
    with pytest.raises(ValueError, match=r"np\.asarray\(y_train\)\.reshape\(-1, 2, 3\)"):
        Trainer(images, SGD()).fit(X, np.ones((10, 6)), verbose=0)
    with pytest.raises(ValueError, match=r"np\.asarray\(y\)\.reshape\(-1, 2, 3\)"):
        Trainer(images, SGD()).evaluate(X, np.ones((10, 6)))


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        ([Conv2D(2, 3)], (50, 28, 28), r"got \(50, 28, 28\)"),
        ([Conv2D(2, 3)], (50, 3), r"got \(50, 3\)"),
        ([Dense(2), Conv2D(2, 3)], (50, 3), r"X_train, whose shape is \(50, 3\)"),
        ([Conv2D(2, 5, padding="valid")], (50, 1, 3, 3), r"X_train, whose shape is"),
    ],
)
def test_errors_speak_of_the_users_images_not_of_one_row(layers, shape, words):
    with pytest.raises(ValueError, match=words):
        Trainer(NeuralNetwork(layers), SGD()).fit(np.ones(shape), np.ones(50), verbose=0)


def test_errors_of_predict_speak_of_the_users_images_not_of_a_batch():
    net = NeuralNetwork([Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"got \(1500, 4, 4\)"):
        net.predict(np.ones((1500, 4, 4)))


def test_metrics_without_test_data_are_refused():
    X, y, _, _ = regression()
    net = regressor()
    with pytest.raises(ValueError, match=r"metrics are measured on test data.*\['mae'\]"):
        Trainer(net, SGD()).fit(X, y, metrics=["mae"], verbose=0)
    assert not net.built
    Trainer(net, SGD()).fit(X, y, epochs=1, metrics=[], verbose=0)


def bad_labels():
    _, y, _, _ = classification(rows=10)
    yield "too large", np.where(np.arange(10) == 5, 3, y)
    yield "negative", np.where(np.arange(10) == 5, -1, y)
    yield "floats", y.astype(float)
    yield "NaN", np.full((10, 3), np.nan)
    yield "four classes", np.eye(4)[y]
    yield "column", y.reshape(-1, 1)
    yield "negative shares", np.eye(3)[y] - 0.5
    yield "rows of zeros", np.zeros((10, 3))
    yield "four texts", np.array(list("abcdabcdab"))


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("labels", [pytest.param(labels, id=name) for name, labels in bad_labels()])
def test_labels_that_fit_no_class_are_refused(labels, part):
    data = list(classification(rows=10))
    data[1 if part == "train" else 3] = labels
    with pytest.raises((TypeError, ValueError), match=r"label|target|y_train|y_test"):
        Trainer(classifier(), SGD()).fit(*data, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1.0}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"eval_every": 0}, "eval_every"),
        ({"eval_every": None}, "eval_every"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -5}, "batch_size"),
        ({"batch_size": "32"}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"restart": 1}, "restart"),
        ({"conv_testing": "no"}, "conv_testing"),
        ({"resume": 1}, "resume"),
        ({"resume": True}, "checkpoint"),
        ({"verbose": -1}, "verbose"),
        ({"verbose": None}, "verbose"),
        ({"metrics": "accuracy"}, "metrics"),
        ({"metrics": ["acuracy"]}, "acuracy"),
        ({"metrics": [3]}, "3"),
        ({"metrics": [["mae"]]}, "mae"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_named(options, named):
    with pytest.raises((TypeError, ValueError), match=named):
        Trainer(regressor(), SGD()).fit(*regression(), **{"verbose": 0, **options})


def test_a_trainer_needs_a_network_and_an_optimizer():
    with pytest.raises(TypeError, match="net"):
        Trainer([Dense(1)], SGD())
    with pytest.raises(TypeError, match="optim"):
        Trainer(regressor(), 0.1)
    with pytest.raises(TypeError, match=r"SGD\(\)"):
        Trainer(regressor(), SGD)


@pytest.mark.parametrize("restart", [True, False])
def test_bad_data_does_not_cost_a_trained_network(restart):
    """The arguments are checked before any state is reset."""
    data = X, y, _, _ = regression()
    trainer = Trainer(regressor(), SGD(0.05))
    trainer.fit(*data, epochs=2, verbose=0)
    before, prediction = weights(trainer.net), trainer.net.predict(X)
    for bad in (
        changed(data, X_train=with_value(X, np.nan)),
        changed(data, X_train=X[:, :2]),
        changed(data, y_train=y[:4]),
        changed(data, X_test=X[:3]),
        changed(data, X_test=X[:, :2], y_test=y),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - which, the tests above say
            trainer.fit(*bad, restart=restart, verbose=0)
        assert same(weights(trainer.net), before)
        np.testing.assert_array_equal(trainer.net.predict(X), prediction)


def test_restart_may_change_the_number_of_features():
    net = regressor()
    trainer = Trainer(net, SGD(0.01))
    X, y, _, _ = regression()
    trainer.fit(X, y, epochs=1, verbose=0)
    trainer.fit(X[:, :2], y, epochs=1, verbose=0)
    assert net.input_shape == (2,)
    with pytest.raises(ValueError, match=r"\(batch, 2\), got"):
        trainer.fit(X, y, epochs=1, restart=False, verbose=0)


class Overflow(Layer):
    """Multiplies by a factor so large that the output is infinite for large inputs."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def _setup_layer(self, input_):
        self.operations = [Tanh()]

    def forward(self, input_, inference=False):
        output = super().forward(input_, inference)
        self.output = np.where(input_ > 0.5, self.value, output)
        return self.output


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_first_layer_whose_output_is_no_number_is_named(value):
    X = np.array([[0.0], [0.1], [0.9]])
    net = NeuralNetwork(
        [Dense(1, weight_init=lambda *_: np.ones((1, 1))), Overflow(value), Dense(1)], seed=1
    )
    optim = SGD(1e-3, final_lr=1e-4, decay_type="linear")
    with pytest.raises(NonFiniteLossError, match=r"layer 1, Overflow.*1 of 1 num") as caught:
        Trainer(net, optim).fit(X, X, epochs=2, batch_size=1, verbose=0)
    assert "epoch 1" in str(caught.value)
    assert "layer 2" not in str(caught.value)
    assert optim.lr == 1e-3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("eval_every", [1, 100])
def test_a_rate_that_is_far_too_large_ends_in_this_error(eval_every):
    X, y, X_test, y_test = regression()
    large = {"weight_init": "standard"}
    net = NeuralNetwork([Dense(5, **large), Dense(1, **large)], seed=1)
    with pytest.raises(NonFiniteLossError, match=r"loss became (nan|inf).*Dense"):
        Trainer(net, SGD(1e3)).fit(
            X, y, X_test, y_test, epochs=100, eval_every=eval_every, verbose=0
        )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_test_loss_that_is_no_number_is_an_error_too():
    # One step: its effect on the loss appears only in the evaluation.
    X, y, X_test, y_test = regression(rows=30)
    net = NeuralNetwork([Dense(5), Dense(1)], seed=1)
    with pytest.raises(NonFiniteLossError, match="layer 1, Dense"):
        Trainer(net, SGD(1e200)).fit(
            X, y, X_test, y_test, epochs=1, batch_size=30, eval_every=1, verbose=0
        )


def test_the_error_is_caught_before_the_step_that_would_spoil_the_weights():
    class Spoil(MeanSquaredError):
        calls = 0

        def _output(self):
            Spoil.calls += 1
            return np.nan if Spoil.calls == 3 else super()._output()

    X, y, _, _ = regression(rows=30)
    net, expected = regressor(loss=Spoil()), regressor()
    with pytest.raises(NonFiniteLossError, match="although every layer's output is finite"):
        Trainer(net, SGD(0.1)).fit(X, y, epochs=3, batch_size=30, verbose=0)
    Trainer(expected, SGD(0.1)).fit(X, y, epochs=2, batch_size=30, verbose=0)
    assert same(weights(net), weights(expected))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_running_statistics_are_those_of_the_batches_before_the_error(value):
    options = {"batch_size": 25, "verbose": 0}

    class Spoil(Layer):
        """Passes its input through, but as nan in a certain batch."""

        def __init__(self, batch):
            super().__init__()
            self.batch = batch

        def _setup_layer(self, input_):
            self.operations = [Linear()]

        def forward(self, input_, inference=False):
            self.batch -= not inference
            factor = value if self.batch == 0 else 1.0
            return super().forward(input_ * factor, inference)

    net, expected = (
        NeuralNetwork([Dense(4), Spoil(batch), BatchNorm(), Dense(1)], seed=1) for batch in (3, 0)
    )
    Trainer(expected, SGD(0.01)).fit(*regression()[:2], epochs=1, **options)
    with pytest.raises(NonFiniteLossError, match="layer 1, Spoil"):
        Trainer(net, SGD(0.01)).fit(*regression()[:2], epochs=2, **options)
    assert same(weights(net), weights(expected))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_running_statistics_that_overflow_are_an_error_though_the_loss_is_finite():
    X, y, _, _ = regression()
    X = np.where(np.arange(50)[:, np.newaxis] == 30, 1e200, X)
    net = NeuralNetwork([BatchNorm(), Dense(1)], seed=1)
    with pytest.raises(NonFiniteLossError, match=r"running statistics.*layer 0, BatchNorm"):
        Trainer(net, SGD(0.01)).fit(X, y, batch_size=25, verbose=0)
    assert all(np.isfinite(array).all() for array in weights(net))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("lr", [1e6, 1e30, 1e300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("test_data", [True, False])
def test_a_rate_that_is_far_too_large_is_not_blamed_on_the_loss(lr, dtype, test_data):
    data = regression() if test_data else regression()[:2]
    for make in (regressor, lambda **options: NeuralNetwork([Dense(1)], **options)):
        with pytest.raises(NonFiniteLossError) as caught:
            Trainer(make(dtype=dtype), SGD(lr)).fit(*data, epochs=200, verbose=0)
        assert "smaller learning rate" in str(caught.value)
        assert "although" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_parameters_that_the_last_step_spoils_are_an_error_too():
    X, y, _, _ = regression()
    with pytest.raises(NonFiniteLossError, match=r"parameters became nan or inf.*layer 0, Dense"):
        Trainer(regressor(), SGD(1e308)).fit(100 * X, 100 * y, epochs=1, batch_size=50, verbose=0)


def test_metrics_of_one_name_are_refused_rather_than_lost():
    def named(name):
        def metric(y_true, y_pred):
            return 0.0

        metric.__name__ = name
        return metric

    for names in (["a", "a"], ["loss"], ["test_loss"], ["epoch"], ["seconds"]):
        with pytest.raises(ValueError, match=names[0]):
            Trainer(regressor(), SGD()).fit(
                *regression(), metrics=[named(name) for name in names], verbose=0
            )


def test_a_label_out_of_range_in_any_batch_is_found_before_training():
    X, y, _, _ = classification(rows=50)
    y[-1] = 3
    net = NeuralNetwork([Dense(3)], SoftmaxCrossEntropy())
    optim = SGD()
    with pytest.raises(ValueError, match=r"label|target"):
        Trainer(net, optim).fit(X, y, batch_size=1, verbose=0)
    assert optim.t == 0


@pytest.mark.parametrize(
    ("loss", "columns", "y", "named"),
    [
        (
            SoftmaxCrossEntropy(),
            3,
            np.array([0, 1, 3, 2]),
            r"labels must lie in 0\.\.2, got 0\.\.3",
        ),
        (SoftmaxCrossEntropy(), 1, np.array([0, 1, 1, 2]), r"target must lie in 0\.\.1"),
        (SoftmaxCrossEntropy(), 2, np.full((4, 2), 0.7), "probabilities that sum to 1"),
        (BinaryCrossEntropy(), 1, np.array([0.0, 0.5, 1.0, 1.5]), r"target must lie in 0\.\.1"),
    ],
)
def test_impossible_targets_are_found_before_the_first_batch(loss, columns, y, named):
    net = NeuralNetwork([Dense(columns)], loss, seed=1)
    with pytest.raises(ValueError, match=named):
        Trainer(net, SGD(0.1)).fit(np.ones((4, 2)), y, batch_size=1, epochs=1, verbose=0)


def test_test_data_of_the_same_shape_need_no_pass_to_be_checked(monkeypatch):
    net = NeuralNetwork([Dense(1)], seed=1)
    rows = []
    forward = NeuralNetwork.forward

    def counted(self, X_batch, inference=False):
        rows.append(len(X_batch))
        return forward(self, X_batch, inference)

    monkeypatch.setattr(NeuralNetwork, "forward", counted)
    X, y = np.ones((4, 2)), np.ones((4, 1))
    Trainer(net, SGD(0.1)).fit(X, y, X, y, epochs=1, verbose=0)
    assert rows == [1, 4, 4]  # the set-up, the step, the evaluation
