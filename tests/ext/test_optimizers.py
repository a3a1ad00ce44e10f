"""The compiled updates against their reference: every array they change."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, arrays, assert_within, shapes, twins, widened

fast, reference = twins("optimizers")

pytestmark = pytest.mark.usefixtures("isa")

# No two of the numbers of a call are alike, and none is a default or its own complement (as 0.5).
UPDATES = {
    "sgd_update": (0, [{"lr": 0.1}, {"lr": 1, "weight_decay": 0.3}]),
    "sgd_momentum_update": (
        1,
        [{"lr": 0.1}, {"lr": 0.3, "momentum": 0.7, "nesterov": True}, {"lr": 0.2, "momentum": 0.6}],
    ),
    "adagrad_update": (1, [{"lr": 0.1}, {"lr": 0.3, "eps": 1e-2}]),
    "rmsprop_update": (
        1,
        [{"lr": 0.1}, {"lr": 0.3, "decay": 0.0, "eps": 1e-2}, {"lr": 0.2, "decay": 0.7}],
    ),
    "adam_update": (
        2,
        [
            {"t": 1, "lr": 0.1},
            {"t": 7, "lr": 0.2, "beta1": 0.7, "beta2": 0.9, "eps": 1e-2, "weight_decay": 0.3},
            {"t": 100_000, "lr": 0.1},
        ],
    ),
}


def magnitudes(name, param, grad, memories, lr, **options):
    """What the new parameter and the new memories are sums of, and how large that is together."""
    p, g = np.abs(param), np.abs(grad)
    m = [np.abs(memory) for memory in memories]
    if name == "sgd_update":
        return [p + lr * (g + options.get("weight_decay", 0.0) * p)]
    if name == "sgd_momentum_update":
        share = options.get("momentum", 0.9)
        velocity = share * m[0] + lr * g
        return [p + (share * velocity + lr * g if options.get("nesterov") else velocity), velocity]
    if name == "adagrad_update":
        total = m[0] + options.get("eps", 1e-7) + g * g
        return [p + lr * g / np.sqrt(total), total]
    if name == "rmsprop_update":
        decay = options.get("decay", 0.9)
        total = decay * m[0] + (1 - decay) * g * g
        return [p + lr * g / (np.sqrt(total) + options.get("eps", 1e-8)), total]
    beta1, beta2, t = options.get("beta1", 0.9), options.get("beta2", 0.999), options["t"]
    mean = beta1 * m[0] + (1 - beta1) * g
    square = beta2 * m[1] + (1 - beta2) * g * g
    root = np.sqrt(square / (1 - beta2**t)) + options.get("eps", 1e-8)
    step = mean / (1 - beta1**t) / root + options.get("weight_decay", 0.0) * p
    return [p + lr * step, mean, square]


# Each number is the result of at most this many roundings, with those of the options to float32.
ROUNDINGS = 12

PLAIN = st.sampled_from(["plain", "first", "last"])
CONTIGUOUS = PLAIN | st.just("read-only")
# Zeros are planted by default; beyond 2**63 the gradient's square overflows in float32.
GRADIENTS = (0.0, -0.0, 1e-30, 1e5, -1e15)


@pytest.mark.parametrize("name", UPDATES)
@given(data=st.data(), dtype=DTYPES, shape=shapes(max_dims=3, max_side=20))
def test_update_equals_reference(name, data, dtype, shape):
    count, options = UPDATES[name]
    grad = data.draw(arrays(shape, dtype, layouts=CONTIGUOUS, planted=GRADIENTS))
    param = data.draw(arrays(shape, dtype, layouts=PLAIN))
    # The memories of squares are never below 0; the others may be.
    lows = [-2.0 if name in ("sgd_momentum_update", "adam_update") else 0.0, 0.0]
    memories = [data.draw(arrays(shape, dtype, lows[i], 2, layouts=PLAIN)) for i in range(count)]
    choice = dict(data.draw(st.sampled_from(options)))
    kept = grad.copy()
    exact = [widened(array.copy()) for array in (param, grad, *memories)]
    with np.errstate(all="ignore"):
        sizes = magnitudes(name, exact[0], exact[1], exact[2:], **choice)
    leading = [choice.pop("t")] if "t" in choice else []
    assert getattr(fast, name)(param, grad, *memories, *leading, **choice) is None
    getattr(reference, name)(exact[0], exact[1], *exact[2:], *leading, **choice)
    allowed = ROUNDINGS * np.finfo(dtype).eps / 2
    # What is added up first, the memory, and then the parameter that it moves.
    for found, wanted, size in zip((param, *memories), (exact[0], *exact[2:]), sizes, strict=True):
        assert_within(found, wanted, allowed * size)
    np.testing.assert_array_equal(grad, kept)


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_and_infinity_stay_in_their_place(name, dtype):
    count, options = UPDATES[name]
    for size in (5, 37):
        arrays_ = [np.ones(size, dtype) for _ in range(2 + count)]
        arrays_[1][:5] = [np.nan, np.inf, -np.inf, 0.0, -0.0]
        theirs = [array.copy() for array in arrays_]
        choice = dict(options[0])
        leading = [choice.pop("t")] if "t" in choice else []
        getattr(fast, name)(*arrays_, *leading, **choice)
        getattr(reference, name)(*theirs, *leading, **choice)
        for found, wanted in zip(arrays_, theirs, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", UPDATES)
def test_refuses_what_the_reference_refuses(name):
    memories, options = UPDATES[name]
    one = np.ones(3)
    frozen = np.ones(3)
    frozen.flags.writeable = False
    choice = dict(options[0])
    leading = [choice.pop("t")] if "t" in choice else []
    for position, bad in [
        (0, frozen),
        (1, np.ones(4)),
        (1, np.ones(3, np.float32)),
        (memories + 1, np.ones(2)),
        (0, [1.0, 2.0, 3.0]),
    ]:
        arguments = [one.copy() for _ in range(2 + memories)]
        arguments[position] = bad
        with pytest.raises((TypeError, ValueError)) as wanted:
            getattr(reference, name)(*arguments, *leading, **choice)
        with pytest.raises(type(wanted.value)) as got:
            getattr(fast, name)(*arguments, *leading, **choice)
        assert str(got.value) == str(wanted.value)
    for number in (np.nan, np.inf, "0.1", True, None):
        arguments = [one.copy() for _ in range(2 + memories)]
        with pytest.raises((TypeError, ValueError), match="lr must be"):
            getattr(fast, name)(*arguments, *leading, **{**choice, "lr": number})
