"""Initial weights: their scale by name, or from the user's function."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import dlfs
from dlfs import activations, layers, normalization
from dlfs.initializers import RELU_FAMILY, LayerSeed, draw_weights, seed_layers
from dlfs.network import NeuralNetwork

SCALES = {"standard": 1.0, "normal": 1.0, "glorot": (2 / 50) ** 0.5, "he": (2 / 20) ** 0.5}


@pytest.mark.parametrize("name", SCALES)
def test_the_weights_are_normal_with_the_scale_of_their_name(name: str) -> None:
    weights = draw_weights(name, np.random.default_rng(0), (200, 300), 20, 30, np.float64)
    uncertainty = SCALES[name] / (2 * weights.size) ** 0.5
    assert abs(weights.std() - SCALES[name]) < 5 * uncertainty
    assert abs(weights.mean()) < 5 * SCALES[name] / weights.size**0.5
    within_one = np.mean(np.abs(weights) < SCALES[name])
    assert abs(within_one - 0.6827) < 5 * (0.6827 * 0.3173 / weights.size) ** 0.5


@pytest.mark.parametrize("name", SCALES)
def test_float32_weights_are_the_rounded_float64_ones(name: str) -> None:
    single, double = (
        draw_weights(name, np.random.default_rng(3), (4, 5), 4, 5, dtype)
        for dtype in (np.float32, np.float64)
    )
    assert single.dtype == np.float32
    assert np.array_equal(single, double.astype(np.float32))


def test_a_function_gets_what_it_needs_and_its_result_is_copied() -> None:
    asked = []
    shared = np.asfortranarray(np.arange(12.0).reshape(3, 4))

    def own(rng: np.random.Generator, shape, fan_in: int, fan_out: int) -> np.ndarray:
        asked.append((type(rng), shape, fan_in, fan_out))
        return shared

    layer = layers.Dense(4, weight_init=own)
    layer.forward(np.ones((2, 3)))
    assert asked == [(np.random.Generator, (3, 4), 3, 4)]
    assert np.array_equal(layer.params[0], shared)
    assert not np.shares_memory(layer.params[0], shared)
    assert layer.params[0].flags.c_contiguous


def test_a_function_may_return_lists_integers_and_read_only_arrays() -> None:
    frozen = np.ones((3, 4), dtype=np.float32)
    frozen.flags.writeable = False
    for result in ([[1] * 4] * 3, np.ones((3, 4), dtype=int), frozen):
        layer = layers.Dense(4, weight_init=lambda *_, result=result: result)
        NeuralNetwork([layer], seed=1).forward(np.ones((2, 3)))
        assert layer.params[0].dtype == np.float64
        layer.params[0] += 1  # the optimizer will


@pytest.mark.parametrize(
    ("make", "shape", "fans"),
    [
        (layers.Dense, (5,), (5, 6)),
        (lambda n, **o: layers.Conv2D(n, (2, 3), **o), (4, 5, 5), (24, 36)),
        (lambda n, **o: layers.Conv2D(n, (2, 3), groups=2, **o), (4, 5, 5), (12, 18)),
        (lambda n, **o: layers.Conv1D(n, 3, **o), (4, 5), (12, 18)),
        (lambda n, **o: layers.ConvTranspose2D(n, 4, stride=2, **o), (4, 5, 5), (16, 96)),
        (lambda n, **o: layers.Embedding(7, n, **o), (3,), (7, 6)),
    ],
)
def test_every_layer_counts_its_fans(make, shape, fans) -> None:
    asked = []

    def own(rng, shape, fan_in, fan_out):
        asked.append((fan_in, fan_out))
        return np.zeros(shape)

    NeuralNetwork([make(6, weight_init=own)], seed=1).build(shape)
    assert asked == [fans]


def test_biases_start_at_0_and_scales_at_1() -> None:
    net = NeuralNetwork([layers.Conv2D(3, 2), layers.BatchNorm()], seed=1)
    net.build((2, 4, 4))
    conv, norm = net.layers
    assert conv.params[1].shape == norm.params[0].shape == norm.params[1].shape == (1, 3, 1, 1)
    assert not conv.params[1].any()
    assert (norm.params[0] == 1).all()
    assert not norm.params[1].any()


# --- the default depends on the activation ---

LAYERS = {
    "Dense": (layers.Dense, (60,)),
    "Conv2D": (lambda n, *a, **o: layers.Conv2D(n, 3, *a, **o), (20, 6, 6)),
    "Conv1D": (lambda n, *a, **o: layers.Conv1D(n, 3, *a, **o), (20, 6)),
    "ConvTranspose2D": (
        lambda n, *a, **o: layers.ConvTranspose2D(n, 4, *a, stride=2, **o),
        (20, 6, 6),
    ),
}
HE = [dlfs.ReLU(), dlfs.LeakyReLU(0.2), dlfs.ELU(), dlfs.GELU(), dlfs.SiLU(), dlfs.Softplus()]
HE += [dlfs.Mish(), dlfs.HardSwish()]
GLOROT = [dlfs.Linear(), dlfs.Sigmoid(), dlfs.Tanh(), dlfs.Softmax(), activations.SwiGLU()]
GLOROT += [dlfs.SELU(), dlfs.LogSoftmax()]
SUITING = [(a, "he") for a in HE] + [(a, "glorot") for a in GLOROT]


class Cube(dlfs.Operation):
    """An activation that is not in the library."""

    def _output(self) -> np.ndarray:
        return self.input_**3

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return output_grad * 3 * self.input_**2


def first_weights(parts: list, shape: tuple[int, ...]) -> np.ndarray:
    """Return the initial weights of the first layer of a network."""
    net = NeuralNetwork(parts, seed=5)
    net.reset()  # a layer may have been in another network
    net.build(shape)
    return net.layers[0].params[0]


def test_every_activation_of_the_library_is_on_one_side() -> None:
    known = {
        thing
        for thing in vars(activations).values()
        if isinstance(thing, type) and issubclass(thing, dlfs.Operation)
    } - {dlfs.Operation, dlfs.ParamOperation, activations.PReLU_Op}  # not within a layer
    assert {type(activation) for activation, _ in SUITING} == known, "name each in HE or GLOROT"
    assert {type(activation) for activation in HE} == set(RELU_FAMILY)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("activation", "suiting"), SUITING, ids=str)
def test_the_default_suits_the_activation_wherever_it_stands(kind, activation, suiting) -> None:
    make, shape = LAYERS[kind]
    named = first_weights([make(40, activation=activation, weight_init=suiting)], shape)
    own = first_weights([make(40, activation=activation)], shape)
    apart = first_weights([make(40), activation], shape)
    assert np.array_equal(own, named)
    assert np.array_equal(apart, named)


@pytest.mark.parametrize(("activation", "suiting"), SUITING, ids=str)
def test_the_spread_of_the_default(activation, suiting) -> None:
    fan_in, fan_out = 300, 100
    weights = first_weights([layers.Dense(fan_out, activation=activation)], (fan_in,))
    scale = {"he": (2 / fan_in) ** 0.5, "glorot": (2 / (fan_in + fan_out)) ** 0.5}[suiting]
    # the standard deviation of n normal numbers is uncertain by one part in sqrt(2 n)
    assert abs(weights.std() - scale) < 5 * scale / (2 * weights.size) ** 0.5


BETWEEN = st.sampled_from(
    [
        dlfs.Linear,
        layers.BatchNorm,
        layers.LayerNorm,
        lambda: dlfs.Dropout(0.9),
        lambda: dlfs.MaxPool2D(3, stride=1, padding="same"),
        lambda: dlfs.AvgPool2D(3, stride=1, padding="same"),
        normalization.BatchNorm_Op,
        normalization.LayerNorm_Op,
    ]
)
FLAT = st.sampled_from([dlfs.Flatten, lambda: dlfs.Reshape((-1,)), dlfs.GlobalAvgPool2D])


@given(
    between=st.lists(BETWEEN, max_size=4),
    flat=st.lists(FLAT, max_size=1),
    activation=st.sampled_from([*HE, *GLOROT, Cube()]),
)
def test_what_has_no_weights_and_does_not_bend_is_looked_past(between, flat, activation) -> None:
    parts = [layers.Conv2D(6, 3), *(make() for make in [*between, *flat]), activation]
    # The next layer alone: later layers do not matter.
    parts += [dlfs.Flatten(), layers.Dense(3), dlfs.Sigmoid()]
    suiting = "he" if activation in HE else "glorot"
    named = first_weights([layers.Conv2D(6, 3, weight_init=suiting)], (2, 5, 6))
    assert np.array_equal(first_weights(parts, (2, 5, 6)), named)


@pytest.mark.parametrize(
    "behind",
    [
        [layers.Dense(4), dlfs.ReLU()],
        [Cube(), dlfs.ReLU()],
        [dlfs.Tanh(), dlfs.ReLU()],
        [dlfs.Dropout(0.5)],
        [],
    ],
    ids=str,
)
def test_an_activation_behind_something_else_does_not_count(behind) -> None:
    named = first_weights([layers.Dense(40, weight_init="glorot")], (60,))
    assert np.array_equal(first_weights([layers.Dense(40), *behind], (60,)), named)


def test_the_layers_own_activation_counts_before_the_one_behind_it() -> None:
    named = first_weights([layers.Dense(40, weight_init="glorot")], (60,))
    both = [layers.Dense(40, activation=dlfs.Tanh()), dlfs.ReLU()]
    assert np.array_equal(first_weights(both, (60,)), named)


def test_a_layer_in_a_new_network_looks_at_its_new_neighbour() -> None:
    layer = layers.Dense(40)
    for init, behind in (("he", [dlfs.ReLU()]), ("glorot", []), ("he", [dlfs.GELU()])):
        named = first_weights([layers.Dense(40, weight_init=init)], (60,))
        assert np.array_equal(first_weights([layer, *behind], (60,)), named)


def test_a_name_counts_before_the_activation() -> None:
    standard = first_weights([layers.Dense(40, weight_init="standard"), dlfs.ReLU()], (60,))
    assert abs(standard.std() - 1) < 5 / (2 * standard.size) ** 0.5


def test_a_table_of_vectors_starts_with_spread_1() -> None:
    default, named = (
        first_weights([layers.Embedding(50, 40, weight_init=init)], (3,))
        for init in (None, "standard")
    )
    assert np.array_equal(default, named)
    assert abs(default.std() - 1) < 5 / (2 * default.size) ** 0.5


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (layers.Dense(3), "Dense(3, activation=Linear())"),
        (
            layers.Dense(3, weight_init="standard"),
            "Dense(3, activation=Linear(), weight_init='standard')",
        ),
        (
            layers.Conv2D(3, 2, weight_init="normal"),
            "Conv2D(3, 2, weight_init='normal', activation=Linear())",
        ),
        (layers.Embedding(5, 3, weight_init="glorot"), "Embedding(5, 3, weight_init='glorot')"),
    ],
    ids=str,
)
def test_shown_and_saved_is_what_the_user_wrote(layer, shown, tmp_path) -> None:
    assert repr(layer) == shown
    shape = {"Dense": (4,), "Conv2D": (2, 5, 5), "Embedding": (3,)}[type(layer).__name__]
    net = NeuralNetwork([layer, dlfs.ReLU()], seed=2)
    net.build(shape)
    dlfs.save(net, tmp_path / "net.safetensors")
    again = dlfs.load(tmp_path / "net.safetensors")
    assert repr(again.layers[0]) == shown
    again.reset()
    again.build(shape)
    assert np.array_equal(again.layers[0].params[0], layer.params[0])


@pytest.mark.parametrize("activation", [dlfs.Tanh, dlfs.ReLU])
def test_the_default_learns_the_digits_as_well_as_glorot(activation) -> None:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)

    def accuracy(init: str | None) -> float:
        parts = [
            layers.Dense(64, weight_init=init),
            activation(),
            layers.Dense(10, weight_init=init),
        ]
        net = NeuralNetwork(parts, dlfs.SoftmaxCrossEntropy(), seed=1)
        dlfs.Trainer(net, dlfs.Adam()).fit(X_train, y_train, epochs=20, verbose=0)
        return float(np.mean(net.predict(X_test).argmax(axis=1) == y_test))

    glorot = accuracy("glorot")
    # The difference of two shares of n rows is uncertain by this much.
    uncertainty = (2 * glorot * (1 - glorot) / len(y_test)) ** 0.5
    assert accuracy(None) > glorot - 3 * uncertainty
    assert accuracy("standard") < glorot - 3 * uncertainty


# --- seeds ---


def _nested() -> list[layers.Layer]:
    inner = layers.Residual([layers.Dense(3), layers.LayerBlock([layers.Dense(3)])])
    return [layers.Dense(3), inner, layers.Dense(3)]


def _states(parts: list[layers.Layer]) -> list[tuple[int, ...]]:
    """Return the seed of every layer within layers, as the numbers that a generator gets."""
    states = []
    for part in parts:
        states += [tuple(np.random.default_rng(part.seed).integers(0, 2**62, 2))]
        states += _states(part.layers)
    return states


def test_every_layer_within_layers_gets_a_seed_of_its_own_that_one_number_decides() -> None:
    first, again, other, undecided = _nested(), _nested(), _nested(), _nested()
    for parts, seed in ((first, 5), (again, 5), (other, 6), (undecided, None)):
        seed_layers(parts, seed)
    assert len(set(_states(first))) == 6
    assert _states(first) == _states(again)
    assert len({*_states(first), *_states(other), *_states(undecided)}) == 18


def test_the_seed_of_a_layer_serves_generators_of_the_book() -> None:
    """They take whole numbers up to 2**32 - 1."""
    seeds = [LayerSeed(20190501, spawn_key=(number,)) for number in range(50)]
    drawn = {np.random.RandomState(int(seed)).randint(2**31) for seed in seeds}
    assert len(drawn) == 50
    assert all(seed.__index__() == int(seed) < 2**32 for seed in seeds)
