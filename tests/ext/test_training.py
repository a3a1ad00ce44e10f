"""Training has the same curve on every backend, fused or not, with any number of threads."""

import functools

import numpy as np
import pytest

import dlfs
import dlfs_ext
from tests.ext.common import each_number_of_threads
from tests.ext.nets import NETS, OPTIMIZERS, data, train

pytestmark = pytest.mark.usefixtures("isa")

STEPS = 8
SUM = 300  # no sum in these networks has more terms


def curve(make, optimizer, dtype, nudge=0.0, seed=0):
    """Losses of a training whose initial parameters are off by a relative `nudge`."""
    net, shape = make(dtype)
    net.build(shape)
    rng = np.random.default_rng(seed)
    for param in net.params():
        param *= (1 + nudge * rng.choice([-1.0, 1.0], param.shape)).astype(param.dtype)
    optim = OPTIMIZERS[optimizer]()
    optim.net = net
    losses = []
    for step in range(STEPS):
        losses.append(net.train_batch(*data(shape, 16, step)))
        optim.step()
    return np.array(losses)


@functools.cache
def bound(make, optimizer, dtype):
    """A bound of the effect of rounding on a curve.

    A rounded sum of n terms is what an exact sum of terms off by up to n * eps / 2 would be. How
    such errors grow from step to step is measured: with initial parameters off by that much, four
    times. The 4 is for what the other numbers, off as well, add; the first step, where nothing
    has grown yet, is bounded directly.
    """
    error = SUM * np.finfo(dtype).eps / 2
    with dlfs.use_backend("reference"):
        plain = curve(make, optimizer, dtype)
        off = [abs(curve(make, optimizer, dtype, error, seed) - plain) for seed in range(4)]
    return plain, 4 * np.max(off, axis=0) + error * abs(plain)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETS)
def test_both_backends_follow_one_curve(name, optimizer, dtype):
    expected, allowed = bound(NETS[name], optimizer, dtype)
    with dlfs.use_backend("fast"):
        found = curve(NETS[name], optimizer, dtype)
    assert (abs(found - expected) <= allowed).all(), (found, expected, allowed)
    # The bound must distinguish one network from another.
    if dtype == "float64":
        assert (allowed < 1e-6 * abs(expected)).all()


@pytest.mark.parametrize("name", NETS)
def test_a_fused_chain_learns_what_the_chain_learns(name, monkeypatch):
    expected, allowed = bound(NETS[name], "momentum", "float64")
    with dlfs.use_backend("fast"):
        fused = curve(NETS[name], "momentum", "float64")
        monkeypatch.setattr(dlfs_ext, "FUSES", False)
        chained = curve(NETS[name], "momentum", "float64")
    assert (abs(fused - chained) <= allowed).all()
    assert (abs(chained - expected) <= allowed).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETS)
def test_any_number_of_threads_learns_the_same_bits(name, dtype):
    results = []
    for _ in each_number_of_threads(1, 2, 3):
        with dlfs.use_backend("fast"):
            results.append(train(NETS[name], "adam", 4, dtype, rows=90))
    for losses, params in results[1:]:
        assert losses == results[0][0]
        for one, other in zip(params, results[0][1], strict=True):
            np.testing.assert_array_equal(one, other)
