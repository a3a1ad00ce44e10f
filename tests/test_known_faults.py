"""The known faults of the book's library: each is absent here, and would be detected.

Every test names the fault and fails for code that has it.
"""

from typing import Any

import numpy as np
import pytest

from dlfs import activations, layers, losses, optimizers, reference
from dlfs.conv import Conv1D_Op, Conv2D_Op
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.network import NeuralNetwork
from dlfs.train import Trainer
from tests.support import windows
from tests.support.windows import Axis, Case

# --- one activation object, made once as a default argument, serves all layers ---


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3),
        lambda: layers.Conv2D(3, 2),
        lambda: layers.Conv1D(3, 2),
        lambda: layers.ConvTranspose2D(3, 2),
    ],
)
def test_no_two_layers_share_their_default_activation(make) -> None:
    assert make().activation is not make().activation


def test_one_activation_given_to_two_layers_does_not_mix_up_their_gradients() -> None:
    """A shared Tanh would use the second layer's output in the first layer's gradient."""
    X, y = np.random.default_rng(0).standard_normal((2, 5, 3))
    shared = activations.Tanh()
    nets = [
        NeuralNetwork([layers.Dense(3, first), layers.Dense(3, second)], seed=4)
        for first, second in ((shared, shared), (activations.Tanh(), activations.Tanh()))
    ]
    for net in nets:
        net.train_batch(X, y)
    for ours, right in zip(nets[0].param_grads(), nets[1].param_grads(), strict=True):
        assert np.array_equal(ours, right)
    assert not hasattr(shared, "output"), "the user's own activation is left alone"


@pytest.mark.parametrize("shared", [layers.Dense(3), activations.Tanh()])
def test_one_layer_in_two_places_is_refused(shared) -> None:
    with pytest.raises(ValueError, match="the same layer stands in two places"):
        NeuralNetwork([shared, layers.Dense(3), shared])


# --- every layer is seeded alike ---


def test_equal_layers_do_not_start_equal_but_equal_networks_do() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        net = NeuralNetwork([layers.Dense(4), layers.Dense(4), layers.Dense(4)], seed=seed)
        net.build((4,))
        return [layer.params[0] for layer in net.layers]

    first, second, third = weights(7)
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)
    assert all(
        np.array_equal(a, b) for a, b in zip(weights(7), (first, second, third), strict=True)
    )
    assert not np.array_equal(weights(8)[0], first)


def test_equal_layers_do_not_drop_the_same_numbers() -> None:
    ones = layers.Dense(50, dropout=0.5, weight_init=lambda rng, shape, *fans: np.eye(*shape))
    again = layers.Dense(50, dropout=0.5, weight_init=lambda rng, shape, *fans: np.eye(*shape))
    net = NeuralNetwork([ones, again], seed=3)
    net.forward(np.ones((4, 50)))
    masks = [layer.operations[-1].mask for layer in net.layers]
    assert not np.array_equal(*masks)


# --- the global random state is overwritten, and decides the result ---


def legacy_state() -> tuple[Any, Any]:
    _, key, position, *_ = np.random.get_state(legacy=True)
    return key.tobytes(), position


def test_training_neither_changes_nor_uses_the_global_random_state() -> None:
    X = np.random.default_rng(0).standard_normal((20, 3))
    results = []
    kept = np.random.get_state()
    try:
        for state in (1, 2):
            np.random.seed(state)
            before = legacy_state()
            net = NeuralNetwork([layers.Dense(4, dropout=0.5), layers.Dense(1)], seed=5)
            Trainer(net, optimizers.SGD()).fit(X, X[:, :1], X, X[:, :1], epochs=2, verbose=0)
            assert legacy_state() == before
            results.append([param.copy() for param in net.params()])
    finally:
        np.random.set_state(kept)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


# --- learning-rate decay ---

DECAYS = {
    "exponential": lambda f: 0.2 * (0.05 / 0.2) ** f,
    "linear": lambda f: 0.2 + (0.05 - 0.2) * f,
    "cosine": lambda f: 0.05 + 0.15 * (1 + np.cos(np.pi * f)) / 2,
}


def rates(optim: optimizers.Optimizer, epochs: int) -> list[float]:
    optim.start_schedule(epochs)
    found = []
    for epoch in range(epochs):
        optim.set_progress(epoch)
        found.append(optim.lr)
    optim.end_schedule()
    return found


@pytest.mark.parametrize("decay_type", DECAYS)
def test_one_epoch_of_decay_divides_nothing_by_zero(decay_type: str) -> None:
    optim = optimizers.SGD(lr=0.2, final_lr=0.05, decay_type=decay_type)
    assert rates(optim, 1) == [0.2]


@pytest.mark.parametrize("decay_type", DECAYS)
@pytest.mark.parametrize("epochs", [2, 3, 10])
def test_decay_ends_at_the_final_rate_and_takes_no_step_more(decay_type: str, epochs: int) -> None:
    optim = optimizers.SGD(lr=0.2, final_lr=0.05, decay_type=decay_type)
    expected = [DECAYS[decay_type](epoch / (epochs - 1)) for epoch in range(epochs)]
    np.testing.assert_allclose(rates(optim, epochs), expected, rtol=1e-12)


@pytest.mark.parametrize("decay_type", DECAYS)
def test_decay_leaves_the_optimizer_as_it_was(decay_type: str) -> None:
    """A second training must start from the rate that the user set, not from the decayed one."""
    optim = optimizers.SGDMomentum(lr=0.2, final_lr=0.05, decay_type=decay_type)
    first = rates(optim, 4)
    assert optim.lr == 0.2
    assert rates(optim, 4) == first
    optim.start_schedule(4)
    optim.set_progress(3)
    optim.start_schedule(4)  # the previous training was not finished
    optim.set_progress(0)
    assert optim.lr == 0.2


@pytest.mark.parametrize("decay_type", ["Linear", "step", "", 3])
def test_an_unknown_decay_type_is_not_ignored(decay_type: object) -> None:
    with pytest.raises(ValueError, match="SGD: decay_type must be one of"):
        optimizers.SGD(lr=0.2, final_lr=0.05, decay_type=decay_type)


def test_a_final_rate_that_nothing_would_reach_is_not_ignored() -> None:
    with pytest.raises(ValueError, match=r"final_lr=0.05 needs a decay_type"):
        optimizers.SGD(lr=0.2, final_lr=0.05)
    with pytest.raises(ValueError, match="an exponential decay needs a final_lr above 0"):
        optimizers.SGD(lr=0.2, decay_type="exponential")


# --- AdaGrad passes its decay arguments in the wrong order ---


def test_adagrads_two_final_rates_mean_what_they_say() -> None:
    """The book's passes the linear rate where the decay's type belongs."""
    exponential = optimizers.AdaGrad(lr=0.2, final_lr_exp=0.05)
    linear = optimizers.AdaGrad(lr=0.2, final_lr_linear=0.05)
    third = [1 / 3]
    np.testing.assert_allclose(rates(exponential, 4)[1], DECAYS["exponential"](*third))
    np.testing.assert_allclose(rates(linear, 4)[1], DECAYS["linear"](*third))


# --- RegularizedSGD: the penalty ignores the learning rate, and shrinks biases ---


def test_the_penalty_goes_with_the_learning_rate_and_spares_biases() -> None:
    net = NeuralNetwork([layers.Dense(2)], seed=1)
    net.build((3,))
    weights, bias = net.layers[0].params
    weights[...], bias[...] = 2.0, 5.0
    net.layers[0].param_grads = [np.full((3, 2), 0.5), np.full((1, 2), 0.5)]
    optim = optimizers.RegularizedSGD(lr=0.01, alpha=0.1)
    optim.net = net
    optim.step()
    np.testing.assert_allclose(weights, 2 - 0.01 * (0.5 + 0.1 * 2), rtol=1e-15)
    np.testing.assert_allclose(bias, 5 - 0.01 * 0.5, rtol=1e-15)


# --- the softmax of one column is always 1, and its loss always 0 ---


def test_one_column_is_a_choice_between_yes_and_no() -> None:
    logits, answers = np.array([[2.0], [-1.0], [0.5]]), np.array([[1.0], [1.0], [0.0]])
    loss = losses.SoftmaxCrossEntropy()
    value = loss.forward(logits, answers)
    yes = 1 / (1 + np.exp(-logits))
    expected = -np.mean(answers * np.log(yes) + (1 - answers) * np.log(1 - yes))
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(loss.backward(), (yes - answers) / 3, rtol=1e-14)
    # two columns, the second of which is the logit 0 of "no", say the same
    two = losses.SoftmaxCrossEntropy()
    both = np.hstack([logits, np.zeros_like(logits)])
    assert two.forward(both, np.hstack([answers, 1 - answers])) == pytest.approx(value, rel=1e-14)
    assert loss.forward(logits, np.array([1, 1, 0])) == value


def test_a_network_with_one_column_learns() -> None:
    X = np.linspace(-1, 1, 60).reshape(-1, 1)
    y = (X > 0.2).astype(float)
    net = NeuralNetwork([layers.Dense(1)], losses.SoftmaxCrossEntropy(), seed=1)
    history = Trainer(net, optimizers.SGD(lr=2.0)).fit(
        X, y, X, y, epochs=150, early_stopping=False, verbose=0
    )
    assert history["accuracy"][-1] == 1.0
    assert history["test_loss"][-1] < history["test_loss"][0] / 2


# --- convolutions work for odd kernels and square images only, and their gradients are wrong ---


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (4, 4), (2, 3), (5, 2), (7, 7)])
@pytest.mark.parametrize("size", [(5, 5), (4, 6), (7, 3), (1, 5)])
def test_even_kernels_and_images_that_are_not_square(
    kernel: tuple[int, int], size: tuple[int, int]
) -> None:
    """Whole numbers, so everything is exact: an unflipped kernel or swapped axes would show."""
    rng = np.random.default_rng(5)
    ends = [windows.same_padding(s, k, 1, 1) for s, k in zip(size, kernel, strict=True)]
    axes = [Axis(s, k, 1, *end, 1) for s, k, end in zip(size, kernel, ends, strict=True)]
    case = Case(2, 3, 4, tuple(axes), 1, "same", 1, 1)
    x = rng.integers(-3, 4, case.x_shape).astype(float)
    op = Conv2D_Op(rng.integers(-3, 4, case.W_shape).astype(float))
    output = op.forward(x)
    assert output.shape == (2, 4, *size)
    assert np.array_equal(output, windows.convolve(case, x, op.param))
    grad = rng.integers(-3, 4, output.shape).astype(float)
    assert np.array_equal(op.backward(grad), windows.convolve_input_grad(case, grad, op.param))
    assert np.array_equal(op.param_grad, windows.convolve_param_grad(case, grad, x))


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_even_kernels_on_sequences(kernel: int) -> None:
    op = Conv1D_Op(np.ones((1, 1, kernel)))
    assert op.forward(np.ones((2, 1, 5))).shape == (2, 1, 5)
    assert op.backward(np.ones((2, 1, 5))).shape == (2, 1, 5)


# --- ReLU's mask is True everywhere ---


def test_relu_stops_the_gradient_below_0() -> None:
    relu = activations.ReLU()
    relu.forward(np.array([[-1.0, 0.0, 2.0]]))
    assert relu.backward(np.array([[5.0, 5.0, 5.0]])).tolist() == [[0.0, 0.0, 5.0]]


# --- Glorot's scale without its square root, and without the kernel's area ---


def spread(layer: layers.Layer, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the standard deviation of the weights, and its own uncertainty."""
    net = NeuralNetwork([layer], seed=11)
    net.build(shape)
    weights = layer.params[0]
    assert abs(weights.mean()) < 5 * weights.std() / weights.size**0.5
    return float(weights.std()), float(weights.std()) / (2 * weights.size) ** 0.5


SCALES = [
    (lambda init: layers.Dense(100, weight_init=init), (300,), 300, 100),
    (lambda init: layers.Conv2D(20, (5, 4), weight_init=init), (30, 6, 6), 600, 400),
    (lambda init: layers.Conv1D(40, 7, weight_init=init), (50, 9), 350, 280),
    (lambda init: layers.Conv2D(20, 5, weight_init=init, groups=5), (30, 6, 6), 150, 100),
]


@pytest.mark.parametrize(("make", "shape", "fan_in", "fan_out"), SCALES)
def test_the_spread_of_the_first_weights(make, shape, fan_in: int, fan_out: int) -> None:
    for init, expected in (
        ("glorot", (2 / (fan_in + fan_out)) ** 0.5),
        ("he", (2 / fan_in) ** 0.5),
        ("standard", 1.0),
    ):
        found, uncertainty = spread(make(init), shape)
        assert abs(found - expected) < 5 * uncertainty


def test_glorot_neither_shrinks_nor_blows_up_the_signal() -> None:
    net = NeuralNetwork([layers.Dense(200, weight_init="glorot") for _ in range(6)], seed=2)
    X = np.random.default_rng(0).standard_normal((500, 200))
    assert 0.5 < net.forward(X).std() < 2


# --- gradients of parameters that were given as read-only or in odd layouts ---


def test_the_parameter_gradients_are_the_products_that_the_book_derives() -> None:
    rng = np.random.default_rng(6)
    X, W, B, grad = (
        rng.integers(-5, 6, shape).astype(float) for shape in ((4, 3), (3, 2), (1, 2), (4, 2))
    )
    multiply, add = WeightMultiply(W), BiasAdd(B)
    add.forward(multiply.forward(X))
    assert np.array_equal(multiply.backward(add.backward(grad)), grad @ W.T)
    assert np.array_equal(multiply.param_grad, X.T @ grad)
    assert np.array_equal(add.param_grad, grad.sum(axis=0, keepdims=True))
    assert reference.weight_multiply(X, W).tolist() == (X @ W).tolist()
