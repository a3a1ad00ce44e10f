"""Networks: input data, forward and backward, prediction in batches, the summary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference
from dlfs.activations import ReLU, Sigmoid, Tanh
from dlfs.backend import use_backend
from dlfs.dropout import Dropout
from dlfs.layers import BatchNorm, Conv1D, Conv2D, ConvTranspose2D, Dense, Embedding, LayerNorm
from dlfs.losses import MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import LayerBlock, NeuralNetwork
from dlfs.pooling import GlobalAvgPool2D, MaxPool2D
from dlfs.reshape import Flatten, Reshape


def digits_network(**options) -> NeuralNetwork:
    layers = [Conv2D(3, 3, activation=ReLU()), MaxPool2D(2), Flatten(), Dense(4)]
    return NeuralNetwork(layers, SoftmaxCrossEntropy(), seed=1, **options)


def images(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 1, 6, 8))


# --- training never computes the gradient of the data ---

# The kernels that compute only the gradient of an input.
INPUT_GRADS = [name for name in reference.KERNELS if name.endswith("_grad") and "param" not in name]
FIRST = {
    # first layers, the shape of an observation, and how often a kernel may run in training
    "dense": (lambda: [Dense(4, Tanh()), Dense(2)], (3,), {"weight_multiply_input_grad": 1}),
    "conv2d": (lambda: [Conv2D(4, 3, flatten=True), Dense(2)], (1, 5, 5), {"conv2d_input_grad": 0}),
    "two conv2d": (
        lambda: [Conv2D(4, 3), Conv2D(4, 3, flatten=True), Dense(2)],
        (1, 5, 5),
        {"conv2d_input_grad": 1},
    ),
    "conv1d": (lambda: [Conv1D(4, 3, flatten=True), Dense(2)], (1, 5), {"conv1d_input_grad": 0}),
    "transposed": (
        lambda: [ConvTranspose2D(4, 3, flatten=True), Dense(2)],
        (1, 5, 5),
        {"conv_transpose2d_input_grad": 0},
    ),
    "layers without parameters": (
        lambda: [Sigmoid(), Dropout(0.9), MaxPool2D(2), Flatten(), Dense(2)],
        (1, 6, 6),
        {"sigmoid_grad": 0, "max_pool2d_grad": 0, "weight_multiply_input_grad": 0},
    ),
    "flattening in the layer": (
        lambda: [Dense(2, conv_in=True)],
        (1, 6, 6),
        {"weight_multiply_input_grad": 0},
    ),
    "normalization": (lambda: [BatchNorm(), Dense(2)], (3,), {"batch_norm_grad": 0}),
    "normalization of rows": (lambda: [LayerNorm(), Dense(2)], (3,), {"layer_norm_grad": 0}),
    "embedding": (lambda: [Embedding(9, 4), Dense(2)], (3,), {"weight_multiply_input_grad": 1}),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the calls of every kernel of the reference that gives an input gradient."""
    counts = dict.fromkeys(INPUT_GRADS, 0)

    def counting(name: str):
        kernel = getattr(reference, name)

        def spy(*args, **kwargs):
            counts[name] += 1
            return kernel(*args, **kwargs)

        return spy

    for name in INPUT_GRADS:
        monkeypatch.setattr(reference, name, counting(name))
    return counts


# The kernel of a fused normalization gives all gradients in one pass.
FIRST_OF = [(name, False) for name in FIRST]
FIRST_OF += [(name, True) for name in FIRST if "normalization" not in name]


@pytest.mark.parametrize(("name", "fuses"), FIRST_OF)
def test_training_never_computes_the_gradient_of_the_data_yet_backward_does(
    name: str, fuses: bool, calls: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, shape, allowed = FIRST[name]
    monkeypatch.setattr(reference, "FUSES", fuses, raising=False)
    net = NeuralNetwork(make(), seed=1)
    X = np.random.default_rng(0).random((4, *shape))
    if name == "embedding":
        X = np.zeros((4, *shape), dtype=int)
    y = np.zeros((4, 2)) if name != "embedding" else np.zeros((4, 3, 2))
    with use_backend("reference"):
        net.train_batch(X, y)
        in_training = {kernel: calls[kernel] for kernel in allowed}
        assert in_training == allowed
        grads = [grad.copy() for grad in net.param_grads()]
        data_grad = net.backward(net.loss.backward())
    assert data_grad.shape == X.shape
    assert all(np.array_equal(a, b) for a, b in zip(net.param_grads(), grads, strict=True))
    if name != "embedding":
        assert data_grad.any()
        more = {kernel: calls[kernel] - allowed[kernel] for kernel in allowed}
        assert all(more[kernel] >= allowed[kernel] for kernel in allowed)
        assert any(more[kernel] > allowed[kernel] for kernel in allowed)


def test_the_gradient_of_the_data_is_right() -> None:
    """By central differences of a smooth network: h**2 off, with errors of eps / h."""
    net = NeuralNetwork([Dense(4, Tanh(), weight_init="glorot"), Dense(2)], seed=3)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3, 5)), rng.standard_normal((3, 2))
    net.train_batch(X, y)
    grad = net.backward(net.loss.backward())
    h = 1e-5
    for at in np.ndindex(*X.shape):
        step = np.zeros_like(X)
        step[at] = h
        slope = (net.forward_loss(X + step, y) - net.forward_loss(X - step, y)) / (2 * h)
        assert slope == pytest.approx(grad[at], abs=1e-8)


def test_a_block_without_parameters_needs_no_backward_pass() -> None:
    net = NeuralNetwork([Tanh(), Flatten()])
    assert net.train_batch(np.ones((2, 3)), np.zeros((2, 3))) == pytest.approx(
        6 / 2 * np.tanh(1) ** 2
    )
    assert list(net.params()) == list(net.param_grads()) == []
    assert net.backward(net.loss.backward()).shape == (2, 3)


# --- input data ---


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64")])
def test_everything_has_the_networks_dtype(dtype) -> None:
    net = digits_network(dtype=dtype)
    wanted = np.dtype(dtype)
    for X in (images(), images().astype(np.float32), images().astype(np.float16)):
        assert net.train_batch(X, np.zeros(5, dtype=int)) > 0
        assert net.predict(X).dtype == wanted
        assert all(param.dtype == wanted for param in net.params())
        assert all(grad.dtype == wanted for grad in net.param_grads())
        assert net.loss.backward().dtype == wanted


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_whole_numbers_are_converted_at_the_door(dtype: type) -> None:
    net = digits_network()
    X = (images() > 0).astype(dtype)
    assert np.array_equal(net.predict(X), net.predict(X.astype(float)))
    assert np.array_equal(net.predict(X.tolist()), net.predict(X))


def test_an_embedding_gets_its_integers() -> None:
    net = NeuralNetwork([Embedding(9, 4), LayerNorm(), Dense(2)], seed=1)
    X = np.random.default_rng(0).integers(0, 9, (6, 3))
    y = np.zeros((6, 3, 2))
    forms = (X, X.astype(np.uint8), X.tolist())
    assert len({net.train_batch(indices, y) for indices in forms}) == 1
    with pytest.raises(TypeError, match="the input must be integers, got float64"):
        net.predict(X.astype(float))


@pytest.mark.parametrize("layout", ["C", "F", "reversed", "read-only"])
def test_data_of_any_layout_is_left_alone(layout: str) -> None:
    X = np.ascontiguousarray(images()) if layout != "F" else np.asfortranarray(images())
    if layout == "reversed":
        X = X[::-1, :, ::-1][::-1, :, ::-1]
    kept = X.copy()
    X.flags.writeable = layout != "read-only"
    net = digits_network()
    plain = digits_network()
    assert net.train_batch(X, [0, 1, 2, 3, 0]) == plain.train_batch(kept, [0, 1, 2, 3, 0])
    assert np.array_equal(X, kept)


def test_another_number_of_dimensions_than_before_is_refused() -> None:
    net = digits_network()
    net.build((1, 6, 8))
    with pytest.raises(ValueError, match=r"X must be \(batch, 1, 6, 8\), got shape \(5, 48\)"):
        net.predict(images().reshape(5, 48))


# --- prediction ---


@given(st.integers(0, 12), st.integers(1, 15))
def test_predictions_come_in_batches_of_any_size(count: int, batch_size: int) -> None:
    net = digits_network()
    net.build((1, 6, 8))
    X = images(12)[:count]
    predictions = net.predict(X, batch_size)
    assert predictions.shape == (count, 4)
    whole = net.forward(X, inference=True)
    # products of matrices of other sizes may add up in another order
    tolerance = 64 * np.finfo(float).eps * max(np.abs(whole).max(initial=0), 1)
    assert np.abs(predictions - whole).max(initial=0) <= tolerance


def test_prediction_is_inference() -> None:
    net = NeuralNetwork([Dense(50, dropout=0.5), BatchNorm(), Dense(2)], seed=1)
    X = np.random.default_rng(0).standard_normal((8, 3))
    net.train_batch(X, np.zeros((8, 2)))
    running = net.layers[1].operations[0].running_mean.copy()
    first = net.predict(X)
    assert np.array_equal(net.predict(X), first)
    assert np.array_equal(net.layers[1].operations[0].running_mean, running)
    loss = net.forward_loss(X, np.zeros((8, 2)), inference=True)
    assert loss == pytest.approx((first**2).sum() / 8, rel=1e-12)
    assert not np.array_equal(net.forward(X), first), "training drops and normalizes"


# --- set-up ---


def test_build_and_the_first_batch_set_up_the_same_network() -> None:
    built, fed = digits_network(), digits_network()
    assert not built.built
    built.build((1, 6, 8))
    assert built.built
    assert built.input_shape == (1, 6, 8)
    fed.forward(images())
    assert fed.input_shape == (1, 6, 8)
    assert all(np.array_equal(a, b) for a, b in zip(built.params(), fed.params(), strict=True))
    assert built.parameter_count() == 3 * 9 + 3 + 36 * 4 + 4


def test_reset_starts_anew_from_the_same_seed() -> None:
    net = digits_network()
    y = [0, 1, 2, 3, 0]
    losses = []
    for _ in range(2):
        losses.append(net.train_batch(images(), y))
        for param, grad in zip(net.params(), net.param_grads(), strict=True):
            param -= 0.1 * grad
        net.reset()
        assert not net.built
        assert net.input_shape is None
    assert losses[0] == losses[1]


def test_without_a_seed_each_network_is_another() -> None:
    nets = [NeuralNetwork([Dense(4)], seed=None) for _ in range(2)]
    for net in nets:
        net.build((3,))
    assert not np.array_equal(*(next(net.params()) for net in nets))


def test_an_operation_may_stand_for_a_layer() -> None:
    net = NeuralNetwork([Reshape((1, 4, 6)), Conv2D(2, 3), GlobalAvgPool2D(), Dense(3)], seed=1)
    assert net.predict(np.ones((2, 24))).shape == (2, 3)
    assert len(net) == len(list(net)) == 4
    assert len(LayerBlock([Tanh()])) == 1


def test_the_default_loss_is_made_for_each_network() -> None:
    first, second = NeuralNetwork([Dense(1)]), NeuralNetwork([Dense(1)])
    assert isinstance(first.loss, MeanSquaredError)
    assert first.loss is not second.loss


# --- the summary ---


def test_the_summary_shows_layers_shapes_and_counts() -> None:
    net = digits_network(dtype="float32")
    text = net.summary((1, 6, 8))
    assert text == repr(net)
    lines = text.splitlines()
    assert lines[0] == "NeuralNetwork"
    assert lines[2].split() == ["layer", "output", "parameters"]
    assert [line.split("  ")[0] for line in lines[4:8]] == [repr(layer) for layer in net.layers]
    assert "(batch, 3, 6, 8)" in lines[4]
    assert lines[4].endswith(" 30")
    assert "(batch, 3, 3, 4)" in lines[5]
    assert lines[7].endswith(" 148")
    assert "178 parameters, float32, 0.7 KiB" in lines[-1]
    assert "SoftmaxCrossEntropy()" in lines[-1]
    assert len({len(line) for line in lines[4:8]}) == 1, "the columns are flush"


def test_a_network_that_has_seen_nothing_says_how_to_go_on() -> None:
    net = digits_network()
    assert net.summary() == repr(net)
    assert "set up at the first batch, or by build(input_shape)" in repr(net)
    assert "?" in repr(net)
    assert net.parameter_count() == 0


def test_notebooks_get_a_table_that_is_escaped() -> None:
    class Angle(Tanh):
        def __repr__(self) -> str:
            return "<script>"

    net = NeuralNetwork([Angle(), Dense(2)])
    for page in (net._repr_html_(), (net.build((3,)), net._repr_html_())[1]):
        assert page.startswith("<table>")
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        assert page.count("<tr>") == 3
    assert "8 parameters" in net._repr_html_()


def test_large_networks_are_measured_in_mebibytes() -> None:
    net = NeuralNetwork([Dense(1024)], seed=1)
    assert "4.0 MiB" not in net.summary()
    assert "1,048,576 parameters, float64, 8.0 MiB" in NeuralNetwork(
        [Dense(1024, weight_init=lambda rng, shape, *_: np.zeros(shape))], seed=1
    ).summary((1023,))
