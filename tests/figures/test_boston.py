"""The book's chapter 3: three networks on the Boston house prices.

As in the book, all 506 rows are standardized together, before the split; standardized with the
training rows' mean and deviation alone, the figures are the same within 0.05.
"""

import numpy as np
import pytest

from dlfs import datasets
from dlfs.activations import Sigmoid
from dlfs.layers import Dense
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.train import Trainer
from dlfs.train.metrics import rmse

SEEDS = range(1, 6)


@pytest.fixture(scope="module")
def data():
    model_selection = pytest.importorskip("sklearn.model_selection")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    boston = datasets.boston()
    X = preprocessing.StandardScaler().fit_transform(boston.data)
    y = boston.target.reshape(-1, 1)
    X_train, X_test, y_train, y_test = model_selection.train_test_split(
        X, y, test_size=0.3, random_state=80718
    )
    return X_train, y_train, X_test, y_test


@pytest.mark.parametrize(
    ("hidden", "printed"),
    [
        pytest.param(0, 5.01, id="linear regression"),
        pytest.param(1, 4.03, id="13 hidden"),
        pytest.param(2, 3.83, id="13 + 13 hidden"),
    ],
)
def test_networks_are_as_good_as_those_that_the_book_prints(hidden, printed, data):
    errors = []
    for seed in SEEDS:
        start = {"weight_init": "standard"}
        layers = [Dense(13, activation=Sigmoid(), **start) for _ in range(hidden)]
        net = NeuralNetwork([*layers, Dense(1, **start)], seed=seed)
        # The book's call: 50 epochs, an evaluation every 10, early stopping, batches of 32.
        Trainer(net, SGD(lr=0.01)).fit(*data, epochs=50, eval_every=10, seed=seed, verbose=0)
        errors.append(rmse(data[3], net.predict(data[2])))
    assert np.median(errors) <= printed + 0.3
