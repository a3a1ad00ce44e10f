"""The initial weights of a training: given weights are never discarded silently."""

import copy

import numpy as np
import pytest

import dlfs
from dlfs.layers import BatchNorm, Dense
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, Adam
from dlfs.train import Trainer
from tests.support.training import (
    classification,
    classifier,
    memory,
    regression,
    regressor,
    same,
    weights,
)

TINY = 1e-12
"""A learning rate too small to change the weights noticeably."""


def loaded(path):
    net = regressor()
    Trainer(net, Adam(0.01)).fit(*regression(), epochs=2, verbose=0)
    dlfs.save(net, path)
    return dlfs.load(path)


def of_a_checkpoint(path):
    net = regressor()
    Trainer(net, Adam(0.01)).fit(*regression(), epochs=2, checkpoint=path, verbose=0)
    return dlfs.load(path)


def assigned(path):
    net = regressor()
    net.build((3,))
    for param in net.params():
        param[...] = 0.25
    return net


def assigned_after_fit(path):
    net = regressor()
    Trainer(net, Adam(0.01)).fit(*regression(), epochs=2, verbose=0)
    next(net.params())[0, 0] += 1
    return net


def trained_by_hand(path):
    net, optim = regressor(), SGD(0.05)
    optim.net = net
    X, y, _, _ = regression()
    net.train_batch(X, y)
    optim.step()
    return net


def of_anothers_layers(path):
    old = regressor()
    Trainer(old, Adam(0.01)).fit(*regression(), epochs=2, verbose=0)
    return NeuralNetwork([copy.deepcopy(old.layers[0]), Dense(1)], seed=3)


def converted(path):
    torch = pytest.importorskip("torch")
    from dlfs.pytorch import from_torch

    return from_torch(torch.nn.Sequential(torch.nn.Linear(3, 1)).double())


GIVEN = [
    loaded,
    of_a_checkpoint,
    assigned,
    assigned_after_fit,
    trained_by_hand,
    of_anothers_layers,
    converted,
]


@pytest.fixture(params=GIVEN, ids=lambda make: make.__name__)
def given_net(request, tmp_path):
    return request.param(tmp_path / "net")


def first_weight(net):
    return next(net.params()).copy()


def test_given_weights_are_where_a_training_starts(given_net):
    assert given_net.given
    before = first_weight(given_net)
    trainer = Trainer(given_net, SGD(TINY))
    for _ in range(2):
        trainer.fit(*regression(), epochs=1, verbose=0)
        np.testing.assert_allclose(first_weight(given_net), before, rtol=0, atol=1e-6)
        assert given_net.given


def test_given_weights_are_discarded_where_that_is_the_wish(given_net):
    before = first_weight(given_net)
    trainer = Trainer(given_net, SGD(TINY))
    trainer.fit(*regression(), epochs=1, restart=True, verbose=0)
    new = first_weight(given_net)
    assert not np.allclose(new, before, rtol=0, atol=1e-3)
    assert not given_net.given
    trainer.fit(*regression(), epochs=1, verbose=0)
    assert same([first_weight(given_net)], [new])


def test_build_keeps_given_weights(given_net):
    before = first_weight(given_net)
    given_net.build((3,))
    assert same([first_weight(given_net)], [before])
    assert given_net.given
    assert given_net.built
    assert given_net.input_shape == (3,)


def test_build_refuses_a_shape_that_given_weights_do_not_fit(given_net):
    before, shape = first_weight(given_net), given_net.input_shape
    with pytest.raises(ValueError, match=r"observations of shape \(5,\); call reset\(\) first"):
        given_net.build((5,))
    assert same([first_weight(given_net)], [before])
    assert given_net.input_shape == shape
    given_net.reset()
    given_net.build((5,))
    assert first_weight(given_net).shape[0] == 5
    assert not given_net.given


def test_given_weights_can_be_saved_after_build(given_net, tmp_path):
    given_net.build((3,))
    X = regression()[0]
    dlfs.save(given_net, tmp_path / "again")
    again = dlfs.load(tmp_path / "again")
    assert same([again.predict(X)], [given_net.predict(X)])


def test_what_fit_or_build_made_is_begun_anew():
    """The book's behaviour."""
    data = regression()
    net, fresh = regressor(), regressor()
    assert not net.given
    net.build((3,))
    assert not net.given
    net.predict(data[0])
    trainer = Trainer(net, SGD(0.05))
    for _ in range(2):
        trainer.fit(*data, epochs=2, verbose=0)
        assert not net.given
        Trainer(fresh, SGD(0.05)).fit(*data, epochs=2, restart=True, verbose=0)
        assert same(weights(net), weights(fresh))


@pytest.mark.parametrize("false", [False, np.False_])
def test_going_on_keeps_what_the_optimizer_remembers(false):
    optim = Adam(0.01)
    trainer = Trainer(regressor(), optim)
    trainer.fit(*regression(), epochs=1, early_stopping=False, verbose=0)
    trainer.fit(*regression(), epochs=1, early_stopping=False, restart=false, verbose=0)
    assert optim.t == 4


def test_going_on_from_what_fit_made_leaves_it_the_networks_own():
    net = regressor()
    trainer = Trainer(net, SGD(0.05))
    trainer.fit(*regression(), epochs=1, verbose=0)
    trainer.fit(*regression(), epochs=1, restart=False, verbose=0)
    assert not net.given


def test_a_training_that_fails_leaves_what_it_made_the_networks_own():
    class Fail(dlfs.Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            raise OSError("disk full")

    net = regressor()
    with pytest.raises(OSError, match="disk full"):
        Trainer(net, SGD(0.05)).fit(*regression(), callbacks=[Fail()], verbose=0)
    assert not net.given


def test_unfit_data_does_not_make_given_weights_the_networks_own(given_net):
    X, y, _, _ = regression()
    before = first_weight(given_net)
    for restart in (None, True, False):
        with pytest.raises(ValueError, match="number of rows"):
            Trainer(given_net, SGD()).fit(X, y[:3], restart=restart, verbose=0)
    assert given_net.given
    assert same([first_weight(given_net)], [before])


def test_a_batch_that_a_later_layer_refuses_does_not_set_the_network_up():
    net = NeuralNetwork([Dense(4), BatchNorm(), dlfs.Reshape((2, 2)), dlfs.Conv2D(1, 1)])
    with pytest.raises(ValueError, match="Conv2D"):
        net.predict(regression()[0])
    assert not net.given
    assert not any(layer.operations and not layer.first for layer in net)


def test_a_new_training_from_given_weights_has_an_optimizer_that_remembers_nothing(tmp_path):
    net, optim = classifier(), Adam(0.01)
    data = classification()
    Trainer(net, optim).fit(*data, epochs=2, early_stopping=False, verbose=0)
    dlfs.save(net, tmp_path / "net")
    results = []
    for used in (optim, Adam(0.01)):
        again = dlfs.load(tmp_path / "net")
        Trainer(again, used).fit(*data, epochs=1, early_stopping=False, verbose=0)
        results.append((weights(again), memory(used), used.t))
    assert same(results[0][0], results[1][0])
    assert same(results[0][1], results[1][1])
    assert results[0][2] == results[1][2] == 2
