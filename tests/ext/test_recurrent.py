"""The compiled recurrent kernels against their reference, in every memory layout."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs.reference
import dlfs_ext
from tests.ext.common import DTYPES, arrays, each_number_of_threads

reference = dlfs.reference

KINDS = ("rnn", "lstm", "gru before", "gru after")
GATES = {"rnn": 1, "lstm": 4, "gru before": 3, "gru after": 3}


pytestmark = pytest.mark.usefixtures("isa")


def function(package, kind, suffix=""):
    """The kernel as a function of arrays only, without the reset order; it returns a tuple."""
    name, *reset = kind.split()

    def call(*given):
        result = getattr(package, name + suffix)(*given, *reset)
        return result if isinstance(result, tuple) else (result,)

    return call


def shapes(kind, batch, time, hidden):
    """Of z, the initial states and W_h."""
    states = [(batch, hidden)] * (2 if kind == "lstm" else 1)
    width = GATES[kind] * hidden
    return [(batch, time, width), *states, (hidden + (kind == "gru after"), width)]


def backward_arguments(kind, inputs, h_grad, ends):
    """What backward takes, if forward took `inputs`."""
    kept = function(reference, kind)(*inputs)
    return [h_grad, *ends, *kept, *inputs[1:]]


def nudged(array, error, seed):
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], array.shape)
    return array * (1 + error * signs)


def assert_equal_but_for_rounding(found, call, given, terms):
    """Compare with what the reference computes in float64.

    A rounded sum of n terms is what an exact sum of terms off by up to n * eps / 2 would be. How
    such errors grow from step to step is measured: with all numbers that come in off by that much,
    four times. The 4 is for what is computed on the way, off as well.
    """
    dtype = given[0].dtype
    error = (terms + 8) * np.finfo(dtype).eps / 2
    exact_given = [array.astype(np.float64) for array in given]
    exact = call(*exact_given)
    tries = [call(*(nudged(a, error, seed) for a in exact_given)) for seed in range(4)]
    assert len(found) == len(exact)
    for k, (one, wanted) in enumerate(zip(found, exact, strict=True)):
        assert one.dtype == dtype
        assert one.shape == wanted.shape
        if wanted.size:
            grown = max(abs(other[k] - wanted).max() for other in tries)
            allowed = 4 * grown + error * abs(wanted).max()
            assert abs(one - wanted).max() <= allowed, (k, allowed)


@pytest.mark.parametrize("kind", KINDS)
@given(
    data=st.data(),
    dtype=DTYPES,
    batch=st.integers(0, 20),
    time=st.integers(0, 4),
    hidden=st.integers(1, 60),
)
def test_equals_reference(kind, data, dtype, batch, time, hidden):
    inputs = [data.draw(arrays(s, dtype, -2, 2)) for s in shapes(kind, batch, time, hidden)[:-1]]
    # As large as typical weights: a random sum of this many is about as large as its terms.
    scale = 1 / np.sqrt(hidden)
    inputs.append(data.draw(arrays(shapes(kind, batch, time, hidden)[-1], dtype, -scale, scale)))
    h_grad = data.draw(arrays((batch, time, hidden), dtype, -1, 1))
    ends = [data.draw(arrays((batch, hidden), dtype, -1, 1)) for _ in inputs[1:-1]]
    call = function(reference, kind)
    copies = [array.copy() for array in inputs]
    found = function(dlfs_ext, kind)(*inputs)
    assert_equal_but_for_rounding(found, call, inputs, hidden)
    for array, copy in zip(inputs, copies, strict=True):
        np.testing.assert_array_equal(array, copy)

    given = backward_arguments(kind, inputs, h_grad, ends)
    copies = [array.copy() for array in given]
    found = function(dlfs_ext, kind, "_grad")(*given)
    terms = max(GATES[kind] * hidden, batch * time)
    assert_equal_but_for_rounding(found, function(reference, kind, "_grad"), given, terms)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def numbers(kind, dtype, batch, time, hidden, seed=0):
    """Inputs of forward, and what backward needs besides."""
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal(s).astype(dtype) for s in shapes(kind, batch, time, hidden)]
    inputs[-1] /= np.sqrt(hidden).astype(dtype)
    h_grad = rng.standard_normal((batch, time, hidden)).astype(dtype)
    return inputs, h_grad, [rng.standard_normal((batch, hidden)).astype(dtype) for _ in inputs[2:]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_more_sequences_than_are_done_at_once(kind, dtype):
    """They are done 32 at a time, and the weights' gradient sums 128 steps at a time."""
    inputs, h_grad, ends = numbers(kind, dtype, 71, 5, 17)
    call = function(reference, kind)
    assert_equal_but_for_rounding(function(dlfs_ext, kind)(*inputs), call, inputs, 17)
    given = backward_arguments(kind, inputs, h_grad, ends)
    found = function(dlfs_ext, kind, "_grad")(*given)
    assert_equal_but_for_rounding(found, function(reference, kind, "_grad"), given, 71 * 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [5, 50])
def test_any_number_of_threads_gives_the_same_bits(kind, dtype, batch):
    inputs, h_grad, ends = numbers(kind, dtype, batch, 12, 129)
    given = backward_arguments(kind, inputs, h_grad, ends)
    results = []
    for _ in each_number_of_threads(1, 2, 3, 7):
        forward = function(dlfs_ext, kind)(*inputs)
        results.append(forward + function(dlfs_ext, kind, "_grad")(*given))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_stays_in_its_sequence_and_large_numbers_saturate(kind):
    inputs, h_grad, ends = numbers(kind, np.float64, 11, 4, 7)
    inputs[0][3, 1, 2] = np.nan
    inputs[0][5] = 1e4
    inputs[0][6] = -np.inf
    found, wanted = function(dlfs_ext, kind)(*inputs), function(reference, kind)(*inputs)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    given = backward_arguments(kind, inputs, h_grad, ends)
    found = function(dlfs_ext, kind, "_grad")(*given)[0]
    wanted = function(reference, kind, "_grad")(*given)[0]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))


def misfits():
    """Calls that are refused: the kind, whether backward, and which argument becomes what."""
    for kind in KINDS:
        count = len(shapes(kind, 1, 1, 1))
        for k in range(count):
            yield kind, "", k, lambda array: array[..., :-1]
            yield kind, "", k, lambda array: array.astype(np.float16)
            yield kind, "", k, lambda array: array.tolist()
            yield kind, "", k, lambda array: array[0]
            yield kind, "", k, lambda array: array.astype(np.float32)
        inputs, h_grad, ends = numbers(kind, np.float64, 3, 4, 2)
        for k in range(len(backward_arguments(kind, inputs, h_grad, ends))):
            yield kind, "_grad", k, lambda array: array[:-1]
            yield kind, "_grad", k, lambda array: array[..., None]
            yield kind, "_grad", k, lambda array: array.astype(np.float32)
            yield kind, "_grad", k, lambda array: None


@pytest.mark.parametrize(("kind", "suffix", "which", "spoil"), [*misfits()])
def test_refuses_what_the_reference_refuses(kind, suffix, which, spoil):
    given, h_grad, ends = numbers(kind, np.float64, 3, 4, 2)
    if suffix:
        given = backward_arguments(kind, given, h_grad, ends)
    given[which] = spoil(given[which])
    with pytest.raises((TypeError, ValueError)) as wanted:
        function(reference, kind, suffix)(*given)
    with pytest.raises(type(wanted.value)) as got:
        function(dlfs_ext, kind, suffix)(*given)
    assert str(got.value) == str(wanted.value)


@pytest.mark.parametrize("reset", ["between", None, 1, np.zeros(2)])
def test_refuses_an_unknown_reset(reset):
    inputs, h_grad, ends = numbers("gru before", np.float64, 3, 4, 2)
    for name, arguments in (
        ("gru", inputs),
        ("gru_grad", backward_arguments("gru before", inputs, h_grad, ends)),
    ):
        with pytest.raises(ValueError, match="reset must be one of") as wanted:
            getattr(reference, name)(*arguments, reset)
        with pytest.raises(ValueError, match="reset must be one of") as got:
            getattr(dlfs_ext, name)(*arguments, reset)
        assert str(got.value) == str(wanted.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_out_can_be_multiplied_without_a_copy(kind):
    """The next layer gets all steps of all sequences as one matrix."""
    inputs, h_grad, ends = numbers(kind, np.float64, 3, 4, 2)
    h = function(dlfs_ext, kind)(*inputs)[0]
    assert np.shares_memory(h.reshape(12, 2), h)
    given = backward_arguments(kind, inputs, h_grad, ends)
    z_grad = function(dlfs_ext, kind, "_grad")(*given)[0]
    assert np.shares_memory(z_grad.reshape(12, -1), z_grad)
