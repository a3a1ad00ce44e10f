"""What a training shows and says, word for word: histories, failures, progress in notebooks."""

import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlfs.activations import ReLU
from dlfs.layers import BatchNorm, Dense, LayerBlock
from dlfs.losses import MeanSquaredError
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.train import NonFiniteLossError, Trainer
from dlfs.train.callbacks import ConvTesting
from dlfs.train.failure import CURE, failure, failure_in_evaluation
from dlfs.train.history import History
from dlfs.train.output import progress_bar
from tests.support.training import regression, regressor

# --- histories ---


def history(epochs: int) -> History:
    rows: list[dict[str, Any]] = [
        {"epoch": n, "lr": 0.0125, "train_loss": 12.0 / n, "seconds": 1.255}
        for n in range(1, epochs + 1)
    ]
    rows[-1] |= {"test_loss": 0.25, "note": "a\n <b>", "worst": math.nan}
    return History.of(rows, "callback")


def test_a_history_is_a_table_with_its_columns_to_the_right() -> None:
    assert repr(History()) == "History of no epochs"
    assert repr(history(2)).splitlines() == [
        "epoch      lr  train_loss  test_loss   note  worst  seconds",
        "    1  0.0125     12.0000                              1.25",
        "    2  0.0125      6.0000     0.2500  a <b>    nan     1.25",
        "stopped: callback; best epoch: 2",
    ]


def test_a_history_in_a_notebook_is_a_table_too() -> None:
    empty = "<table><thead><tr><th></th></tr></thead><tbody></tbody></table>"
    assert History()._repr_html_() == empty
    assert history(2)._repr_html_() == (
        "<table><thead><tr><th>epoch</th><th>lr</th><th>train_loss</th><th>test_loss</th>"
        "<th>note</th><th>worst</th><th>seconds</th></tr></thead><tbody>"
        "<tr><td>1</td><td>0.0125</td><td>12.0000</td><td></td><td></td><td></td><td>1.25</td></tr>"
        "<tr><td>2</td><td>0.0125</td><td>6.0000</td><td>0.2500</td><td>a &lt;b&gt;</td>"
        "<td>nan</td><td>1.25</td></tr></tbody></table>"
    )


@pytest.mark.parametrize("epochs", [25, 26, 40])
def test_a_long_history_shows_its_first_and_last_epochs(epochs) -> None:
    numbers = [line.split()[0] for line in repr(history(epochs)).splitlines()[:-1]]
    every = ["epoch", *map(str, range(1, epochs + 1))]
    assert numbers == (every if epochs == 25 else [*every[:13], "...", *every[-12:]])


# --- failures ---


@pytest.mark.parametrize("place", ["layer 1", "layers.1.layers.1"])
def test_the_layer_that_fails_is_named_by_its_number_or_its_place(place) -> None:
    inner = Dense(3)
    second = inner if place == "layer 1" else LayerBlock([ReLU(), inner])
    net = NeuralNetwork([Dense(3), second, Dense(1)], seed=1)
    X, y, _, _ = regression()
    net.build(X.shape[1:])
    inner.params[0][0, 0] = np.nan
    with pytest.raises(NonFiniteLossError) as caught:
        Trainer(net, SGD(0.1)).fit(X, y, epochs=1, restart=False, verbose=0)
    assert str(caught.value) == (
        "the loss became nan in batch 0 of epoch 1; the first layer whose parameters are not "
        f"finite is {place}, {inner!r} (1 of 12 numbers). {CURE}"
    )


def test_running_statistics_that_are_not_finite_are_named() -> None:
    net = NeuralNetwork([BatchNorm(), Dense(1)], seed=1)
    net.forward(regression()[0])
    net.layers[0].operations[0].running_mean[0, 0] = np.inf
    message = str(failure(net, "something"))
    assert message.startswith("something; the first layer whose running statistics are not finite")
    assert "is layer 0, BatchNorm() (1 of" in message


def test_a_failing_evaluation_leaves_running_statistics_alone() -> None:
    net = NeuralNetwork([BatchNorm(), Dense(1)], seed=1)
    X, y, X_test, y_test = regression()
    X_test = np.where(np.arange(len(X_test))[:, None] == 3, 1e300, X_test)
    kept = []

    class Keep(ConvTesting):
        def on_batch_end(self, trainer, epoch, batch, loss):
            kept[:] = [array.copy() for array in net.layers[0].operations[0].state().values()]

    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteLossError, match="the test loss became inf after epoch 1"),
    ):
        Trainer(net, SGD(0.1)).fit(X, y, X_test, y_test, epochs=1, callbacks=[Keep()], verbose=0)
    for before, now in zip(kept, net.layers[0].operations[0].state().values(), strict=True):
        np.testing.assert_array_equal(now, before)


# --- arguments ---


@pytest.mark.parametrize("value", [0, -1])
def test_sizes_of_batches_are_named(value) -> None:
    trainer, (X, y, _, _) = Trainer(regressor(), SGD()), regression()
    with pytest.raises(ValueError, match=r"^Trainer.evaluate: batch_size must"):
        trainer.evaluate(X, y, batch_size=value)
    with pytest.raises(ValueError, match=r"^Trainer.generate_batches: size must"):
        trainer.generate_batches(X, y, size=value)
    assert trainer.evaluate(X, y, batch_size=1)["loss"] > 0
    assert len(list(trainer.generate_batches(X, y, size=1))) == len(X)


@pytest.mark.parametrize("name", ["X", "y"])
def test_batches_are_cut_from_arrays_only(name) -> None:
    data = dict(zip("Xy", regression()[:2], strict=True))
    with pytest.raises((TypeError, ValueError), match=f"^Trainer.generate_batches: {name} must"):
        Trainer(regressor(), SGD()).generate_batches(**data | {name: np.ma.masked_all((50, 1))})


def test_conv_testing_counts_by_the_decision_of_the_loss() -> None:
    """A probability of 0.4 means no; as a logit it would mean yes."""
    net = NeuralNetwork([Dense(1)], MeanSquaredError(), seed=1)
    net.build((1,))
    net.layers[0].params = [np.zeros((1, 1)), np.full((1, 1), 0.4)]
    said: list[str] = []
    trainer = SimpleNamespace(
        net=net, X_test=np.zeros((4, 1)), y_test=np.array([[1], [1], [1], [0]]), say=said.append
    )
    ConvTesting().on_batch_end(trainer, 0, 100, 0.5)
    assert said == ["batch 100 loss 0.5000", "Validation accuracy after 100 batches is 25.00%"]


# --- notebooks ---


@pytest.mark.parametrize(
    ("config", "widgets", "notebook"),
    [
        ({"IPKernelApp": {}}, True, True),
        ({"IPKernelApp": {}}, False, False),
        ({}, True, False),
        (None, True, False),
    ],
)
def test_a_notebook_with_widgets_gets_a_widget(config, widgets, notebook, monkeypatch) -> None:
    ipython = ModuleType("IPython")
    shell = None if config is None else SimpleNamespace(config=config)
    vars(ipython)["get_ipython"] = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    found = ModuleType("ipywidgets")
    found.__spec__ = SimpleNamespace() if widgets else None
    if widgets:
        monkeypatch.setitem(sys.modules, "ipywidgets", found)
    else:
        monkeypatch.delitem(sys.modules, "ipywidgets", raising=False)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    made = ModuleType("tqdm.notebook")
    vars(made)["tqdm"] = lambda **options: ("widget", options)
    monkeypatch.setitem(sys.modules, "tqdm.notebook", made)
    bar = progress_bar(7, False, initial=2)
    widget = ("widget", {"total": 7, "initial": 2, "unit": "batch", "leave": True})
    assert (bar == widget) == notebook


@pytest.mark.parametrize(("net", "optim"), [(None, SGD()), (Dense(1), SGD())])
def test_a_trainer_needs_a_network(net, optim):
    with pytest.raises(TypeError, match=r"^Trainer: net must be a NeuralNetwork, got "):
        Trainer(net, optim)


def test_a_trainer_needs_an_optimizer():
    with pytest.raises(TypeError, match=r"^Trainer: optim must be an Optimizer, got "):
        Trainer(NeuralNetwork([Dense(1)]), 0.1)


def test_a_trainer_begins_without_a_decision_to_stop():
    trainer = Trainer(NeuralNetwork([Dense(1)]), SGD())
    assert trainer.stop is False
    assert len(trainer.history) == 0


def test_a_failing_evaluation_is_looked_at_in_the_batches_that_fit_into_memory():
    sizes = []

    class Spied(NeuralNetwork):
        def predict(self, X, batch_size=None):
            sizes.append(batch_size)
            return super().predict(X, batch_size)

    net = Spied([Dense(1)])
    net.build((2,))
    failure_in_evaluation(net, np.ones((6, 2)), 3, "the test loss is nan")
    assert sizes == [3]


def test_a_failing_evaluation_names_what_one_observation_does():
    net = NeuralNetwork([Dense(2)])
    net.build((2,))
    net.layers[0].params[0][...] = 1
    X = np.ones((6, 2))
    X[4] = 1e308
    with np.errstate(over="ignore"):
        said = str(failure_in_evaluation(net, X, None, "the test loss is inf"))
    assert "whose output is not finite is layer 0, " in said
    assert "(2 of 2 numbers)" in said
