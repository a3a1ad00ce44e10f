"""Optimizers over several steps of a network, against the formulas; clipping; schedules."""

import math
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import optimizers
from dlfs.layers import BatchNorm, Conv2D, Dense
from dlfs.network import NeuralNetwork

STEPS = 5


def network(dtype: str = "float64") -> NeuralNetwork:
    """Return a network with weights, biases and the scale and shift of a normalization."""
    net = NeuralNetwork(
        [Conv2D(2, 2, flatten=False), BatchNorm(), Dense(3, conv_in=True)], seed=1, dtype=dtype
    )
    net.build((1, 3, 2))
    return net


def give_gradients(net: NeuralNetwork, rng: np.random.Generator) -> list[np.ndarray]:
    """Put random gradients where a backward pass would leave them."""
    for layer in net.layers:
        layer.param_grads = [
            rng.standard_normal(param.shape).astype(param.dtype) for param in layer.params
        ]
    return [grad.astype(np.float64) for grad in net.param_grads()]


def sgd(p, g, memory, t, penalized):
    return p - 0.1 * g


def regularized(p, g, memory, t, penalized):
    return p - 0.1 * (g + (0.3 * p if penalized else 0))


def momentum(p, g, memory, t, penalized):
    v = memory["v"] = 0.8 * memory.get("v", 0) + 0.1 * g
    return p - v


def nesterov(p, g, memory, t, penalized):
    v = memory["v"] = 0.8 * memory.get("v", 0) + 0.1 * g
    return p - (0.8 * v + 0.1 * g)


def adagrad(p, g, memory, t, penalized):
    s = memory["s"] = memory.get("s", 0) + 1e-7 + g**2
    return p - 0.1 * g / np.sqrt(s)


def rmsprop(p, g, memory, t, penalized):
    s = memory["s"] = 0.7 * memory.get("s", 0) + 0.3 * g**2
    return p - 0.1 * g / (np.sqrt(s) + 1e-8)


def adam(p, g, memory, t, penalized):
    m = memory["m"] = 0.8 * memory.get("m", 0) + 0.2 * g
    s = memory["s"] = 0.9 * memory.get("s", 0) + 0.1 * g**2
    return p - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(s / (1 - 0.9**t)) + 1e-8)


def adamw(p, g, memory, t, penalized):
    return adam(p, g, memory, t, penalized) - (0.1 * 0.3 * p if penalized else 0)


def nadam(p, g, memory, t, penalized):
    m = memory["m"] = 0.8 * memory.get("m", 0) + 0.2 * g
    s = memory["s"] = 0.9 * memory.get("s", 0) + 0.1 * g**2
    now, after = (0.8 * (1 - 0.96 ** (0.1 * step) / 2) for step in (t, t + 1))
    product = memory["product"] = memory.get("product", 1) * now
    ahead = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
    return p - 0.1 * ahead / (np.sqrt(s / (1 - 0.9**t)) + 1e-8)


def with_penalty(rule):
    """The rule, for gradients to which weight decay is added."""
    return lambda p, g, memory, t, penalized: rule(
        p, g + 0.3 * p if penalized else g, memory, t, penalized
    )


BETAS = {"beta1": 0.8, "beta2": 0.9}
RULES: dict[str, tuple[Any, Any]] = {
    "SGD": (lambda **o: optimizers.SGD(0.1, **o), sgd),
    "SGDMomentum": (lambda **o: optimizers.SGDMomentum(0.1, momentum=0.8, **o), momentum),
    "Nesterov": (
        lambda **o: optimizers.SGDMomentum(0.1, momentum=0.8, nesterov=True, **o),
        nesterov,
    ),
    "AdaGrad": (lambda **o: optimizers.AdaGrad(0.1, **o), adagrad),
    "RMSProp": (lambda **o: optimizers.RMSProp(0.1, decay=0.7, **o), rmsprop),
    "Adam": (lambda **o: optimizers.Adam(0.1, **BETAS, **o), adam),
    "NAdam": (lambda **o: optimizers.NAdam(0.1, momentum_decay=0.1, **BETAS, **o), nadam),
    "SGD with decay": (
        lambda **o: optimizers.SGD(0.1, weight_decay=0.3, **o),
        with_penalty(sgd),
    ),
    "NAdam with decay": (
        lambda **o: optimizers.NAdam(0.1, momentum_decay=0.1, weight_decay=0.3, **BETAS, **o),
        with_penalty(nadam),
    ),
    "RMSProp with decay": (
        lambda **o: optimizers.RMSProp(0.1, decay=0.7, weight_decay=0.3, **o),
        with_penalty(rmsprop),
    ),
    "Nesterov with decay": (
        lambda **o: optimizers.SGDMomentum(0.1, momentum=0.8, nesterov=True, weight_decay=0.3, **o),
        with_penalty(nesterov),
    ),
    "AdamW": (lambda **o: optimizers.AdamW(0.1, **BETAS, weight_decay=0.3, **o), adamw),
    "RegularizedSGD": (lambda **o: optimizers.RegularizedSGD(0.1, alpha=0.3, **o), regularized),
}


def norm(grads: list[np.ndarray]) -> float:
    return math.sqrt(math.fsum(float(number) ** 2 for grad in grads for number in grad.ravel()))


CLIPPINGS = {
    "none": ({}, lambda grads: grads),
    "value": ({"clip_value": 0.5}, lambda grads: [np.clip(grad, -0.5, 0.5) for grad in grads]),
    "norm": ({"clip_norm": 2.0}, lambda grads: [grad * 2.0 / norm(grads) for grad in grads]),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("clipping", CLIPPINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_steps_follow_the_formula(name: str, clipping: str, dtype: str) -> None:
    make, rule = RULES[name]
    options, clip = CLIPPINGS[clipping]
    net, optim, rng = network(dtype), make(**options), np.random.default_rng(2)
    optim.net = net
    arrays = list(net.params())
    expected = [param.astype(np.float64) for param in arrays]
    # weights decay; biases, and the scale and shift of the normalization, do not
    penalized = [True, False, False, False, True, False]
    memories: list[dict[str, Any]] = [{} for _ in expected]
    for t in range(1, STEPS + 1):
        grads = clip(give_gradients(net, rng))
        optim.step()
        for i, grad in enumerate(grads):
            expected[i] = rule(expected[i], grad, memories[i], t, penalized[i])
    tolerance = 32 * STEPS * np.finfo(dtype).eps
    for array, param, right in zip(arrays, net.params(), expected, strict=True):
        assert array is param, "parameters are changed in place"
        assert param.dtype == dtype
        np.testing.assert_allclose(param, right, rtol=tolerance, atol=tolerance)
    assert optim.t == STEPS
    assert all(array.dtype == dtype for slot in optim.state().values() for array in slot)


def test_a_small_gradient_is_not_scaled_up_to_the_norm() -> None:
    net, optim = network(), optimizers.SGD(1.0, clip_norm=1e6)
    optim.net = net
    before = [param.copy() for param in net.params()]
    grads = give_gradients(net, np.random.default_rng(0))
    optim.step()
    for old, grad, new in zip(before, grads, net.params(), strict=True):
        assert np.array_equal(new, old - grad)


def test_clipping_leaves_the_gradients_themselves_alone() -> None:
    net, optim = network(), optimizers.SGD(0.1, clip_value=1e-3, clip_norm=1e-3)
    optim.net = net
    kept = give_gradients(net, np.random.default_rng(0))
    optim.step()
    assert all(np.array_equal(a, b) for a, b in zip(net.param_grads(), kept, strict=True))


def test_the_global_norm_does_not_overflow_in_float32() -> None:
    assert optimizers.global_norm([np.array([3e30], dtype=np.float32)]) == pytest.approx(3e30)
    assert optimizers.global_norm([]) == 0


# --- memory ---


@pytest.mark.parametrize("name", RULES)
def test_what_is_remembered_can_be_put_back(name: str) -> None:
    """Three steps plus two more equal five, whatever happened in between."""
    make, _ = RULES[name]
    results = []
    for interrupted in (False, True):
        net, optim, rng = network(), make(), np.random.default_rng(2)
        optim.net = net
        for t in range(STEPS):
            if t == 3 and interrupted:
                state = {slot: [a.copy() for a in arrays] for slot, arrays in optim.state().items()}
                other = make()
                other.net = net
                other.load_state(state, optim.t)
                for arrays in state.values():
                    for array in arrays:
                        array += 9  # copies were taken
                optim = other
            give_gradients(net, rng)
            optim.step()
        results.append([param.copy() for param in net.params()])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", RULES)
def test_reset_forgets_everything(name: str) -> None:
    make, _ = RULES[name]
    results = []
    for used in (False, True):
        net, optim = network(), make()
        optim.net = net
        if used:
            give_gradients(net, np.random.default_rng(9))
            optim.step()
            net = network()
            optim.net = net
            optim.reset()
        assert optim.state() == {}
        give_gradients(net, np.random.default_rng(2))
        optim.step()
        results.append([param.copy() for param in net.params()])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_another_network_without_a_reset_is_noticed() -> None:
    optim = optimizers.SGDMomentum()
    optim.net = network()
    give_gradients(optim.net, np.random.default_rng(0))
    optim.step()
    optim.net = NeuralNetwork([Dense(2)])
    optim.net.train_batch(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(RuntimeError, match="the network differs from what is remembered of it"):
        optim.step()


# --- schedules ---


def rates(optim: optimizers.Optimizer, epochs: int, batches: int = 1) -> list[list[float]]:
    optim.start_schedule(epochs, batches)
    found = []
    for epoch in range(epochs):
        found.append([])
        for batch in range(batches):
            optim.set_progress(epoch, batch)
            found[-1].append(optim.lr)
    optim.end_schedule()
    return found


SHAPES = {
    "exponential": lambda f, lr, final: lr * (final / lr) ** f,
    "linear": lambda f, lr, final: lr + (final - lr) * f,
    "cosine": lambda f, lr, final: final + (lr - final) * (1 + math.cos(math.pi * f)) / 2,
}


@given(
    st.sampled_from(list(SHAPES)),
    st.floats(1e-3, 1),
    st.floats(1e-3, 1),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 4),
    st.sampled_from(["epoch", "batch"]),
)
def test_warm_up_and_decay(
    decay_type: str,
    lr: float,
    final_lr: float,
    epochs: int,
    batches: int,
    warmup: int,
    decay_each: str,
) -> None:
    optim = optimizers.SGD(lr, final_lr, decay_type, warmup=warmup, decay_each=decay_each)
    found = rates(optim, epochs, batches)
    assert optim.lr == lr
    per_epoch = batches if decay_each == "batch" else 1
    flat = [rate for row in found for rate in (row if decay_each == "batch" else row[:1])]
    if decay_each == "epoch":
        assert all(len(set(row)) == 1 for row in found)
    rising = min(warmup * per_epoch, len(flat))
    for i, rate in enumerate(flat[:rising]):
        assert rate == pytest.approx(lr * (i + 1) / (rising + 1), rel=1e-12)
    falling = flat[rising:]
    for i, rate in enumerate(falling):
        f = i / (len(falling) - 1) if len(falling) > 1 else 0
        assert rate == pytest.approx(SHAPES[decay_type](f, lr, final_lr), rel=1e-12)


@given(
    st.sampled_from([None, *SHAPES]),
    st.integers(2, 6),
    st.integers(1, 4),
    st.integers(0, 4),
    st.sampled_from(["epoch", "batch"]),
    st.data(),
)
def test_a_rate_that_is_set_meanwhile_scales_all_that_follow(
    decay_type: str | None, epochs: int, batches: int, warmup: int, each: str, data: st.DataObject
) -> None:
    final = 0.01 if decay_type else 0
    optim = optimizers.SGD(0.3, final, decay_type, warmup=warmup, decay_each=each)
    planned = [rate for row in rates(optim, epochs, batches) for rate in row]
    changes = data.draw(
        st.dictionaries(st.integers(0, epochs * batches - 1), st.floats(0.01, 100), max_size=3)
    )
    optim.start_schedule(epochs, batches)
    scale = 1.0
    for number, rate in enumerate(planned):
        optim.set_progress(*divmod(number, batches))
        assert optim.lr == pytest.approx(scale * rate, rel=1e-12)
        if number in changes:
            optim.lr *= changes[number]
            scale *= changes[number]
        assert optim.base_lr == pytest.approx(scale * 0.3, rel=1e-12)
    optim.end_schedule()
    assert optim.lr == optim.base_lr == 0.3


def test_without_decay_the_rate_is_exactly_what_was_set() -> None:
    optim = optimizers.SGD(0.1)
    optim.start_schedule(9)
    for rate in (0.03, 0.7, 1e-5):
        optim.lr = rate
        optim.set_progress(1)
        assert optim.lr == rate


def test_a_rate_that_is_set_where_the_schedule_says_0_stays_for_that_epoch() -> None:
    optim = optimizers.SGD(0.2, 0, "cosine")
    optim.start_schedule(3, 2)
    optim.set_progress(2, 0)
    assert optim.lr == 0
    optim.lr = 0.05
    optim.set_progress(2, 1)
    assert optim.lr == 0.05
    optim.end_schedule()
    assert optim.lr == 0.2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, "fast", None])
def test_a_rate_that_is_set_to_no_rate_is_refused(value: Any) -> None:
    optim = optimizers.SGD(0.2)
    optim.start_schedule(3)
    optim.lr = value
    with pytest.raises((TypeError, ValueError), match="SGD: lr must be a"):
        optim.set_progress(1)


def test_without_decay_the_rate_stays() -> None:
    assert rates(optimizers.SGD(0.3), 4) == [[0.3]] * 4
    optim = optimizers.SGD(0.3)
    optim.set_progress(7)
    assert optim.lr == 0.3, "nothing happens outside of a schedule"


def test_a_cosine_may_end_at_0() -> None:
    assert rates(optimizers.SGD(0.2, 0, "cosine"), 3)[-1] == [0.0]
    assert rates(optimizers.SGD(0.2, 0, "linear"), 3)[-1] == [0.0]


def test_the_arguments_shown_are_the_users_even_in_the_middle_of_a_schedule() -> None:
    optim = optimizers.SGDMomentum(0.2, 0.05, "linear", momentum=0.8, clip_norm=1.0)
    optim.start_schedule(3)
    optim.set_progress(2)
    assert optim.lr == pytest.approx(0.05)
    assert optim.arguments() == {
        "lr": 0.2,
        "final_lr": 0.05,
        "decay_type": "linear",
        "momentum": 0.8,
        "nesterov": False,
        "decay_each": "epoch",
        "warmup": 0,
        "clip_value": None,
        "clip_norm": 1.0,
        "gradient_clipping": False,
        "weight_decay": 0.0,
    }
    assert repr(optim) == "SGDMomentum(lr=0.2, final_lr=0.05, decay_type='linear')"


# --- a subclass with slots of its own ---


class Averaged(optimizers.Optimizer):
    """Steps along the mean of all gradients so far; it remembers their sum."""

    slots: ClassVar[dict[str, str]] = {"sums": "total"}
    penalizes = True

    def _update_rule(self, param: Any, grad: Any, total: Any, penalized: bool) -> None:
        total += grad * (2 if penalized else 1)
        param -= self.lr * total / self.t


def test_a_subclass_only_names_what_it_remembers() -> None:
    net, optim = network(), Averaged(0.5)
    optim.net = net
    weights, bias = net.layers[0].params[0].copy(), net.layers[0].params[1].copy()
    first = give_gradients(net, np.random.default_rng(0))
    optim.step()
    np.testing.assert_allclose(net.layers[0].params[0], weights - 0.5 * 2 * first[0], rtol=1e-14)
    np.testing.assert_allclose(net.layers[0].params[1], bias - 0.5 * first[1], rtol=1e-14)
    assert set(optim.state()) == {"sums"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e20, 1e30, 1e200, 1e300, 1e-30, 1e-200])
def test_the_global_norm_neither_overflows_nor_vanishes(dtype, scale):
    if dtype == "float32" and not 1e-35 < scale < 1e35:
        scale = 1e35
    arrays = [np.array([3.0, 0.0], dtype) * scale, np.array([[4.0]], dtype) * scale]
    with np.errstate(all="raise"):
        assert optimizers.global_norm(arrays) == pytest.approx(5 * scale, rel=1e-6, abs=0)


@pytest.mark.parametrize("scale", [1.0, 1e-25])
def test_the_global_norm_is_summed_in_float64(scale):
    arrays = [np.random.default_rng(0).standard_normal(50).astype("float32") * np.float32(scale)]
    expected = math.sqrt(math.fsum(float(number) ** 2 for number in arrays[0]))
    assert optimizers.global_norm(arrays) == pytest.approx(expected, rel=1e-14, abs=0)


def test_the_global_norm_of_nothing_infinity_and_nan():
    assert optimizers.global_norm([]) == 0
    assert optimizers.global_norm([np.zeros((0, 2)), np.zeros(3)]) == 0
    assert optimizers.global_norm([np.array([1.0, -np.inf])]) == np.inf
    assert np.isnan(optimizers.global_norm([np.array([1.0, np.nan])]))
    assert optimizers.global_norm([np.array([3, -4])]) == 5


@pytest.mark.parametrize(
    ("dtype", "number", "norm"),
    [
        ("float32", 1e20, 0.5),
        ("float32", 1e38, 0.5),
        ("float64", 1e200, 0.5),
        ("float32", 3e38, 1e-3),
    ],
)
def test_clipping_large_gradients_keeps_their_direction(dtype, number, norm):
    optim = optimizers.SGD(lr=1.0, clip_norm=norm)
    net = NeuralNetwork([Dense(2, weight_init="glorot")], seed=1, dtype=dtype)
    net.build((1,))
    optim.net = net
    for layer in net.layers:
        layer.param_grads = [np.zeros(param.shape, dtype) for param in layer.params]
        layer.param_grads[0][0] = np.array([3.0, -4.0], dtype) * np.array(number / 4, dtype)
    net.layers[0].params[0][...] = 0
    optim.step()
    clipped = -net.layers[0].params[0][0]
    assert clipped.dtype == dtype
    np.testing.assert_allclose(clipped, [0.6 * norm, -0.8 * norm], rtol=1e-6)
