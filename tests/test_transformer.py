"""Transformers: what the block is made of, what it sees, and the tied embedding."""

import copy

import numpy as np
import pytest

import dlfs
from dlfs.attention import RotaryPositions
from dlfs.backend import available_backends, use_backend
from dlfs.embedding import PositionAdd, SinusoidAdd
from dlfs.layers import (
    Dense,
    FeedForward,
    LayerNorm,
    PositionEmbedding,
    Residual,
    SelfAttention,
    TiedEmbedding,
    TransformerBlock,
)
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import AdamW
from dlfs.text import Vocabulary, sample

RNG = np.random.default_rng(0)


def gpt(**options) -> NeuralNetwork:
    inside = [PositionEmbedding(9), TransformerBlock(2, **options), LayerNorm()]
    return NeuralNetwork([TiedEmbedding(7, 8, inside)], SoftmaxCrossEntropy(), seed=3)


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 7, (4, 6)), rng.integers(0, 7, (4, 6))


@pytest.mark.parametrize("causal", [False, True])
def test_a_block_is_two_residuals(causal: bool) -> None:
    x = RNG.normal(size=(2, 5, 6))
    block = TransformerBlock(3, expand=2, causal=causal)
    block.seed = 1
    output = block.forward(x)
    first, second = block.layers
    assert isinstance(first, Residual)
    norm, attention = copy.deepcopy(first.layers)
    other, feed_forward = copy.deepcopy(second.layers)
    assert isinstance(attention, SelfAttention)
    assert isinstance(feed_forward, FeedForward)
    h = x + attention.forward(norm.forward(x))
    np.testing.assert_array_equal(output, h + feed_forward.forward(other.forward(h)))


def test_a_causal_block_does_not_see_what_comes_later() -> None:
    x = RNG.normal(size=(2, 7, 6))
    for causal in (False, True):
        block = TransformerBlock(3, causal=causal, rotary=True)
        before = block.forward(x)[:, :4]
        changed = x.copy()
        changed[:, 4:] += 1
        after = block.forward(changed)[:, :4]
        assert np.array_equal(before, after) == causal


def test_dropout_applies_to_both_branches_in_training_alone() -> None:
    block = TransformerBlock(2, dropout=0.5)
    block.seed = 1
    x = RNG.normal(size=(2, 3, 4))
    block.forward(x)
    assert [len(residual.layers) for residual in block.layers] == [3, 3]
    assert not np.array_equal(block.forward(x), block.forward(x))
    np.testing.assert_array_equal(block.forward(x, inference=True), block.forward(x, True))


def test_dropout_of_the_weights_is_for_training_alone_and_follows_the_seed() -> None:
    x = RNG.normal(size=(3, 5, 6))
    without = NeuralNetwork([SelfAttention(2)], seed=1)
    one, same, other = (
        NeuralNetwork([SelfAttention(2, dropout=0.5)], seed=seed) for seed in (1, 1, 2)
    )
    first = one.forward(x)
    assert one.layers[0].operations[3].mask.shape == (3, 2, 5, 5)
    np.testing.assert_array_equal(same.forward(x), first)
    assert not np.array_equal(other.forward(x), first)
    assert not np.array_equal(one.forward(x), first)
    np.testing.assert_array_equal(one.predict(x), without.predict(x))


def test_without_positions_the_order_of_the_input_does_not_matter() -> None:
    """Attention alone sees a set; with positions of either kind it sees a sequence."""
    x = RNG.normal(size=(1, 5, 4))
    order = [3, 1, 4, 0, 2]
    for make, sees in (
        (list, False),
        (lambda: [PositionEmbedding(5)], True),
        (lambda: [PositionEmbedding(5, sinusoidal=True)], True),
    ):
        net = NeuralNetwork([*make(), TransformerBlock(2, causal=False)], seed=1)
        same = np.allclose(net.predict(x)[:, order], net.predict(x[:, order]))
        assert same != sees


def test_rotary_scores_depend_on_distances_alone() -> None:
    turn = RotaryPositions(1)
    qkv = np.tile(RNG.normal(size=12), (1, 9, 1))
    q, k, v = np.split(turn.forward(qkv), 3, axis=2)
    scores = q[0] @ k[0].T
    for distance in range(-8, 9):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, np.full_like(diagonal, diagonal[0]), rtol=1e-12)
    np.testing.assert_array_equal(v, qkv[..., 8:])
    np.testing.assert_allclose(turn.backward(turn.output), qkv, rtol=1e-12)


def test_positions_beyond_the_sequence_get_no_gradient() -> None:
    add = PositionAdd(RNG.normal(size=(6, 2)))
    add.forward(RNG.normal(size=(3, 4, 2)))
    grad = RNG.normal(size=(3, 4, 2))
    add.backward(grad)
    np.testing.assert_array_equal(add.param_grad[:4], grad.sum(axis=0))
    assert not add.param_grad[4:].any()


def test_the_first_sinusoids_are_those_of_the_paper() -> None:
    waves = SinusoidAdd(50).forward(np.zeros((1, 50, 5)))[0]
    for t in (0, 1, 49):
        for i in range(5):
            angle = t / 10000 ** (2 * (i // 2) / 5)
            wanted = np.cos(angle) if i % 2 else np.sin(angle)
            assert waves[t, i] == pytest.approx(wanted, abs=1e-12)


def test_the_table_is_one_parameter_whose_gradients_add_up() -> None:
    net, (X, y) = gpt(), batch()
    net.train_batch(X, y)
    tied = net.layers[0]
    look_up, multiply = tied.layers[0].operations[0], tied.layers[-1].operations[0]
    assert look_up.param is multiply.param
    assert len(net.params) == len(net.param_grads) == 16
    np.testing.assert_array_equal(net.param_grads[0], look_up.param_grad + multiply.param_grad)
    optim = AdamW(0.1)
    optim.net = net
    optim.step()
    assert look_up.param is multiply.param
    net.reset()
    net.train_batch(X, y)
    look_up, multiply = tied.layers[0].operations[0], tied.layers[-1].operations[0]
    assert look_up.param is multiply.param


def test_a_copy_has_a_table_of_its_own() -> None:
    net, (X, y) = gpt(), batch()
    net.train_batch(X, y)
    twin = copy.deepcopy(net)
    tied = twin.layers[0]
    assert tied.layers[0].operations[0].param is tied.layers[-1].operations[0].param
    assert tied.layers[0].operations[0].param is not net.layers[0].layers[0].operations[0].param
    twin.reset()
    twin.train_batch(X, y)
    assert tied.layers[0].operations[0].param is tied.layers[-1].operations[0].param


def test_a_saved_table_is_in_the_file_once(tmp_path) -> None:
    net, (X, y) = gpt(), batch()
    net.train_batch(X, y)
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
    assert len(loaded.params) == len(net.params)
    assert repr(loaded) == repr(net)
    assert net.train_batch(X, y) == loaded.train_batch(X, y)


def test_a_summary_counts_the_table_once() -> None:
    net, (X, _) = gpt(), batch()
    net.predict(X)
    counted = sum(param.size for param in net.params)
    assert f"{counted:,} parameters" in str(net)
    assert "SelfAttention(2, causal=True)" in str(net)


@pytest.mark.parametrize("backend", available_backends())
def test_a_small_transformer_learns_to_reverse(backend: str) -> None:
    """Four digits, and then the same four backwards: no position is like another."""
    rng = np.random.default_rng(2)
    digits = rng.integers(0, 5, (256, 4))
    X = np.concatenate([digits, digits[:, ::-1]], axis=1)
    layers = [
        dlfs.Embedding(5, 16),
        PositionEmbedding(7, weight_init="standard"),
        TransformerBlock(2),
        LayerNorm(),
        Dense(5),
    ]
    with use_backend(backend):
        net = NeuralNetwork(layers, SoftmaxCrossEntropy(), seed=1)
        optim = AdamW(0.01)
        optim.net = net
        first = net.train_batch(X[:, :-1], X[:, 1:])
        for _ in range(100):
            optim.step()
            last = net.train_batch(X[:, :-1], X[:, 1:])
        guessed = net.predict(X[:, :-1])[:, 3:].argmax(axis=2)
    assert last < first
    assert (guessed == X[:, 4:]).mean() > 0.95


# --- going on with a sequence: the keys and values are kept ---


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("kind", ["learned", "sinusoidal", "rotary"])
@pytest.mark.parametrize("parts", [[1] * 40, [17, 1, 20, 2], [40], [3, 37]])
def test_parts_of_a_sequence_give_what_the_whole_gives(parts, kind, backend) -> None:
    positions = [] if kind == "rotary" else [PositionEmbedding(40, kind == "sinusoidal")]
    net = NeuralNetwork(
        [*positions, *(TransformerBlock(2, rotary=kind == "rotary") for _ in range(2))], seed=1
    )
    x = RNG.normal(size=(3, 40, 8))
    with use_backend(backend):
        whole = net.predict(x)
        ends = np.cumsum(parts)
        with net.fresh_start(carry=True):
            found = [
                net.forward(x[:, end - part : end], inference=True)
                for part, end in zip(parts, ends, strict=True)
            ]
        again = net.predict(x)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-12)
    np.testing.assert_array_equal(again, whole)


def test_what_is_kept_does_not_reach_training() -> None:
    net, (X, y) = gpt(), batch()
    twin = copy.deepcopy(net)
    with net.fresh_start(carry=True):
        net.forward(X[:, :2], inference=True)
        first = net.train_batch(X, y)
    assert first == twin.train_batch(X, y)


def test_going_on_needs_a_causal_attention_and_the_same_number_of_sequences() -> None:
    x = RNG.normal(size=(2, 3, 4))
    attention = SelfAttention(2)
    attention.forward(x)
    with (
        attention.fresh_start(carry=True),
        pytest.raises(ValueError, match="causal must be True"),
    ):
        attention.forward(x, inference=True)
    attention = SelfAttention(2, causal=True)
    attention.forward(x)
    with attention.fresh_start(carry=True):
        attention.forward(x, inference=True)
        with pytest.raises(ValueError, match="backward needs the whole sequence"):
            attention.backward(x)
        with pytest.raises(ValueError, match="1 sequences cannot go on with 2"):
            attention.forward(x[:1], inference=True)


def test_going_on_beyond_the_positions_is_refused() -> None:
    layer = PositionEmbedding(4)
    x = RNG.normal(size=(2, 3, 4))
    layer.forward(x)
    with layer.fresh_start(carry=True):
        layer.forward(x, inference=True)
        with pytest.raises(ValueError, match="may have 4 positions, got 6"):
            layer.forward(x, inference=True)
        layer.reset_state()
        layer.forward(x, inference=True)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prompt", ["a", "abcde", "abcdefg" * 3])
def test_text_is_the_same_with_and_without_the_cache(prompt: str, temperature: float) -> None:
    """Within the context of 9 characters, and past it."""
    net, (X, y) = gpt(), batch()
    optim = AdamW(0.02)
    optim.net = net
    for _ in range(30):
        net.train_batch(X, y)
        optim.step()
    options = {"length": 30, "prompt": prompt, "temperature": temperature, "seed": 3}
    vocabulary = Vocabulary("abcdefg")
    texts = [sample(net, vocabulary, cache=cache, **options) for cache in (True, False)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 1


def test_past_the_context_the_last_half_is_read_again() -> None:
    net = gpt()
    net.build((9,))
    read = []

    def forward(X: np.ndarray, inference: bool = False) -> np.ndarray:
        read.append(X.shape[1])
        return type(net).forward(net, X, inference)

    net.forward = forward
    sample(net, Vocabulary("abcdefg"), length=12, prompt="abcdefg", seed=1)
    assert read == [7, 1, 1, 4, 1, 1, 1, 1, 1, 4, 1, 1]
