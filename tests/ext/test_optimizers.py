"""The compiled updates against their reference: every array they change."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, arrays, assert_close, shapes, twins

fast, reference = twins("optimizers")

UPDATES = {
    "sgd_update": (0, [{"lr": 0.1}, {"lr": 1, "weight_decay": 0.5}]),
    "sgd_momentum_update": (1, [{"lr": 0.1}, {"lr": 0.3, "momentum": 0.5, "nesterov": True}]),
    "adagrad_update": (1, [{"lr": 0.1}, {"lr": 0.1, "eps": 1e-3}]),
    "rmsprop_update": (1, [{"lr": 0.1}, {"lr": 0.1, "decay": 0.0, "eps": 1e-3}]),
    "adam_update": (
        2,
        [
            {"t": 1, "lr": 0.1},
            {"t": 7, "lr": 0.1, "beta1": 0.5, "beta2": 0.5, "eps": 1e-3, "weight_decay": 0.1},
        ],
    ),
}


@given(data=st.data(), dtype=DTYPES, shape=shapes(max_dims=3), name=st.sampled_from([*UPDATES]))
def test_update_equals_reference(data, dtype, shape, name):
    memories, options = UPDATES[name]
    grad = data.draw(arrays(shape, dtype))
    # Gradients away from 0: there grad / sqrt(grad**2) turns rounding into something large.
    grad = np.where(grad < 0, grad - 1, grad + 1)
    ours = [data.draw(arrays(shape, dtype, 0.5, 2)) for _ in range(1 + memories)]
    for array in ours:
        if not array.flags.writeable:
            array.flags.writeable = True
    theirs = [array.copy() for array in ours]
    choice = dict(data.draw(st.sampled_from(options)))
    leading = [choice.pop("t")] if "t" in choice else []
    assert getattr(fast, name)(ours[0], grad, *ours[1:], *leading, **choice) is None
    getattr(reference, name)(theirs[0], grad, *theirs[1:], *leading, **choice)
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, 1, 32)


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
