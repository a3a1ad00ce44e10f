"""Vocabulary, streams, sampling; state carried from batch to batch; saving."""

from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs import text
from dlfs.layers import GRULayer, LSTMLayer, RNNLayer
from dlfs.models import writer

KINDS = ("rnn", "lstm", "gru")
LAYERS = (RNNLayer, LSTMLayer, GRULayer)


def test_a_character_outside_of_the_vocabulary_is_named() -> None:
    with pytest.raises(ValueError, match="character 'z' at index 1, which is not among the 2"):
        text.Vocabulary("ab").encode("az")


def test_streams_go_on_from_batch_to_batch() -> None:
    X, y = text.streams(np.arange(100), streams=3, length=4)
    for batch in range(1, len(X) // 3):
        now, before = slice(3 * batch, 3 * batch + 3), slice(3 * batch - 3, 3 * batch)
        assert np.array_equal(X[now, 0], X[before, -1] + 1)
    assert np.array_equal(y, X + 1)
    with pytest.raises(ValueError, match="need a text of at least 13 characters, got 12"):
        text.streams(np.arange(12), streams=3, length=4)


@pytest.mark.parametrize("kind", LAYERS)
def test_carried_state_makes_one_sequence_of_two_batches(kind: type) -> None:
    x = np.random.default_rng(1).standard_normal((3, 8, 2))
    layer = kind(4, carry=True)
    parts = [layer.forward(x[:, :5]), layer.forward(x[:, 5:])]
    layer.reset_state()
    whole = layer.forward(x)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match=r"is for 3 sequences, but the batch has 2; reset_state"):
        layer.forward(x[:2])


@pytest.mark.parametrize("kind", LAYERS)
def test_the_mean_is_carried_as_in_the_book(kind: type) -> None:
    x = np.random.default_rng(1).standard_normal((3, 8, 2))
    layer = kind(4, carry="mean")
    h = layer.forward(x)
    np.testing.assert_array_equal(layer.carried[0], h[:, -1].mean(axis=0, keepdims=True))
    assert layer.forward(x[:1]).shape == (1, 8, 4)  # any number of sequences may come


@pytest.mark.parametrize("kind", LAYERS)
def test_integers_are_one_hot_rows(kind: type) -> None:
    x = np.random.default_rng(1).integers(0, 5, (3, 6))
    by_number, by_row = kind(4, vocabulary_size=5), kind(4)
    by_number.seed = by_row.seed = 7
    np.testing.assert_allclose(
        by_number.forward(x), by_row.forward(np.eye(5)[x]), rtol=1e-12, atol=1e-13
    )


def trained(kind: str) -> tuple[dlfs.NeuralNetwork, text.Vocabulary, float]:
    words = "to be or not to be, that is the question. " * 30
    vocabulary = text.Vocabulary.of(words)
    X, y = text.streams(vocabulary.encode(words), streams=4, length=16)
    net = writer(kind, len(vocabulary), hidden=32)
    trainer = dlfs.Trainer(net, dlfs.Adam(lr=0.01, clip_norm=1.0))
    trainer.fit(X, y, epochs=12, batch_size=4, shuffle=False, early_stopping=False, verbose=0)
    return net, vocabulary, trainer.evaluate(X, y, batch_size=4)["loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_to_write_and_is_saved(kind: str, tmp_path: Path) -> None:
    net, vocabulary, loss = trained(kind)
    assert loss < 0.3 * np.log(len(vocabulary))
    carried = [array.copy() for array in net.layers[1].carried]
    written = text.sample(net, vocabulary, 60, prompt="to be", temperature=0.0)
    assert "question" in written
    for now, before in zip(net.layers[1].carried, carried, strict=True):
        assert np.array_equal(now, before)
    dlfs.save(net, tmp_path / "net.safetensors")
    again = dlfs.load(tmp_path / "net.safetensors")
    assert text.sample(again, vocabulary, 40, seed=3, prompt="t") == text.sample(
        net, vocabulary, 40, seed=3, prompt="t"
    )


def test_seed_and_temperature_decide_what_is_written() -> None:
    vocabulary = text.Vocabulary("abcdef")
    net = dlfs.NeuralNetwork([LSTMLayer(8, output_size=6, vocabulary_size=6)])
    hot = [text.sample(net, vocabulary, 50, "a", seed=seed) for seed in (1, 1, 2)]
    assert hot[0] == hot[1] != hot[2]
    cold = {text.sample(net, vocabulary, 50, "a", 0.0, seed) for seed in (1, 2)}
    assert cold == {text.sample(net, vocabulary, 50, "a", 1e-300, 5)}
    with pytest.raises(ValueError, match="sample: prompt must hold at least one character"):
        text.sample(net, vocabulary, 5, "")
