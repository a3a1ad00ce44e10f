"""Vocabulary, streams, sampling; state carried from batch to batch; saving."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs import text
from dlfs.commands.recipes import writer
from dlfs.layers import GRULayer, LSTMLayer, RNNLayer

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


def test_the_smallest_and_the_usual_cuts_of_a_text() -> None:
    """The defaults are those of the documentation: 16 streams of 64, windows of 25."""
    assert [part.tolist() for part in text.streams([3, 4], 1, 1)] == [[[3]], [[4]]]
    assert [part.tolist() for part in text.windows([3, 4], 1)] == [[[3]], [[4]]]
    assert text.streams(range(2 * 16 * 64 + 1))[0].shape == (32, 64)
    assert text.windows(range(60))[0].shape == (35, 25)
    for call, name in (
        (text.streams, "streams"),
        (text.streams, "length"),
        (text.windows, "length"),
    ):
        words = f"^{call.__name__}: {name} must be at least 1, got 0$"
        with pytest.raises(ValueError, match=words):
            call([3, 4], **{name: 0})
    with pytest.raises(ValueError, match=r"^Vocabulary\.of: text must hold at least one character"):
        text.Vocabulary.of("")


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
    carried = [array.copy() for array in net.layers[1].carried]  # type: ignore[attr-defined]
    written = text.sample(net, vocabulary, 60, prompt="to be", temperature=0.0)
    assert "question" in written
    for now, before in zip(net.layers[1].carried, carried, strict=True):  # type: ignore[attr-defined]
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


class Constant(dlfs.Operation):
    """Gives the same logits after every character."""

    def __init__(self, p: list[float]) -> None:
        super().__init__()
        self.p = p

    def _output(self) -> np.ndarray:
        return np.tile(np.log(self.p), (*self.input_.shape, 1))

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return np.zeros(self.input_.shape)


@pytest.mark.parametrize(
    ("options", "characters"),
    [
        ({}, "abcde"),
        ({"top_k": 9}, "abcde"),
        ({"top_k": 2}, "bd"),
        ({"top_k": 1}, "d"),
        ({"top_p": 0.4}, "d"),
        ({"top_p": 0.41}, "bd"),
        ({"top_p": 0.69}, "bd"),
        ({"top_p": 0.71}, "bde"),
        ({"top_p": 1e-9}, "d"),
        # Of the two likeliest, the first one has 4/7.
        ({"top_p": 0.56, "top_k": 2}, "d"),
        ({"top_p": 0.58, "top_k": 2}, "bd"),
        # At temperature 1/2 the probabilities are 4, 9, 4, 16, 4 over 33 or so.
        ({"top_p": 0.5, "temperature": 0.5}, "d"),
        ({"top_p": 0.5, "temperature": 1.0}, "bd"),
        ({"temperature": 0.0, "top_k": 3, "top_p": 0.9}, "d"),
    ],
)
def test_characters_are_drawn_from_the_likeliest(
    options: dict[str, float], characters: str
) -> None:
    net = dlfs.NeuralNetwork([Constant([0.09, 0.3, 0.09, 0.4, 0.12])])
    vocabulary = text.Vocabulary("abcde")
    written = text.sample(net, vocabulary, 400, "a", seed=1, **options)
    assert set(written) == set(characters)
    if len(characters) == 2:
        # the probabilities that are left keep their ratio
        assert written.count("d") / 400 == pytest.approx(4 / 7, abs=0.08)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("context", [1, 2, 7])
def test_past_its_context_a_text_goes_on_from_the_last_half(context: int, cache: bool) -> None:
    layers = [dlfs.Embedding(5, 4), dlfs.PositionEmbedding(context), dlfs.Dense(5)]
    net, vocabulary = dlfs.NeuralNetwork(layers, seed=1), text.Vocabulary("abcde")
    net.build((context,))
    rng = np.random.default_rng(2)
    for param in net.params():
        param[...] = rng.standard_normal(param.shape)
    for prompt in ("a", "bcdea"):
        read, written = prompt, ""
        for _ in range(20):
            if len(read) > context:
                read = read[-max(1, context // 2) :]
            number = net.predict(vocabulary.encode(read)[np.newaxis])[0, -1].argmax()
            written += vocabulary.characters[number]
            read += written[-1]
        assert text.sample(net, vocabulary, 20, prompt, 0.0, cache=cache) == written


def test_200_characters_follow_a_new_line_unless_told_otherwise() -> None:
    vocabulary = text.Vocabulary("\nab")
    net = dlfs.NeuralNetwork([Constant([0.2, 0.4, 0.4])])
    written = text.sample(net, vocabulary, seed=0)
    assert len(written) == 200
    assert written == text.sample(net, vocabulary, 200, "\n", 1.0, 0)


@pytest.mark.filterwarnings("error")
def test_of_equally_likely_characters_the_first_is_the_likeliest() -> None:
    letters = "".join(map(chr, range(ord("0"), ord("0") + 60)))
    vocabulary, p = text.Vocabulary(letters), [1.0] * 30 + [2.0] * 30
    net = dlfs.NeuralNetwork([Constant(p)])
    first, third = letters[30], letters[32]
    assert text.sample(net, vocabulary, 3, "0", temperature=0.0) == first * 3
    assert max(text.sample(net, vocabulary, 200, "0", seed=1, top_k=3)) == third
    # a difference of ln 2 over 1e-320 overflows, without a warning
    assert min(text.sample(net, vocabulary, 50, "0", temperature=1e-320, seed=1)) >= first


@pytest.mark.parametrize("carry", [False, True, "mean"])
@pytest.mark.parametrize("kind", LAYERS)
def test_each_character_is_written_as_if_the_whole_text_were_read_again(
    kind: type, carry: bool | str
) -> None:
    vocabulary = text.Vocabulary("abcdef")
    layer = kind(8, output_size=6, vocabulary_size=6, weight_scale=1.0, carry=carry)
    net = dlfs.NeuralNetwork([layer], seed=1)
    seconds: dict[str, set[str]] = {}
    for letters in itertools.product("abcdef", repeat=2):
        prompt = whole = "".join(letters)
        for _ in range(3):
            logits = net.predict(vocabulary.encode(whole)[np.newaxis])
            whole += vocabulary.characters[logits[0, -1].argmax()]
        assert prompt + text.sample(net, vocabulary, 3, prompt, temperature=0.0) == whole
        seconds.setdefault(whole[2], set()).add(whole[3])
    # What is written depends on more than the character before.
    assert max(len(characters) for characters in seconds.values()) > 1


# --- an ordinary network with an ordinary Trainer ---


def pieces(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    indices = np.random.default_rng(seed).integers(0, 5, 200)
    return text.streams(indices, streams=4, length=7)


def stacked(carry: bool | str = True) -> dlfs.NeuralNetwork:
    layers = [
        dlfs.Embedding(5, 3),
        GRULayer(6, carry=carry),
        dlfs.Dropout(0.8),
        LSTMLayer(5, output_size=4, carry=carry),
        RNNLayer(3, carry=carry),
        dlfs.Dense(5, weight_init="glorot"),
    ]
    return dlfs.NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed=3)


def test_layers_stack_and_mix_and_train_and_are_saved(tmp_path: Path) -> None:
    X, y = text.streams(text.Vocabulary("abcde").encode("abcde" * 40), streams=4, length=7)
    net = stacked()
    history = dlfs.Trainer(net, dlfs.Adam(lr=0.02)).fit(
        X, y, X, y, epochs=30, batch_size=4, shuffle=False, early_stopping=False, verbose=0
    )
    assert history["test_loss"][-1] < 0.2 < 1.5 < history["train_loss"][0]
    summary = net.summary()
    assert "GRULayer(6, carry=True)" in summary
    assert "(batch, 7, 4)" in summary
    dlfs.save(net, tmp_path / "net")
    again = dlfs.load(tmp_path / "net")
    assert again.summary() == summary
    assert np.array_equal(again.predict(X, 4), net.predict(X, 4))


def test_a_resumed_training_is_the_whole_one(tmp_path: Path) -> None:
    """The carried state is reset at the start of each epoch."""
    X, y = pieces()
    options = {"batch_size": 4, "shuffle": False, "early_stopping": False, "verbose": 0}
    nets = [stacked(), stacked()]
    dlfs.Trainer(nets[0], dlfs.Adam(lr=0.01)).fit(X, y, epochs=4, **options)

    class Stop(dlfs.Callback):
        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    again = {**options, "checkpoint": tmp_path / "c", "epochs": 4}
    for callbacks in ([Stop()], []):
        trainer = dlfs.Trainer(nets[1], dlfs.Adam(lr=0.01))
        trainer.fit(X, y, resume=True, callbacks=callbacks, **again)
    for a, b in zip(nets[0].params(), nets[1].params(), strict=True):
        assert np.array_equal(a, b)


def test_predictions_begin_anew_and_leave_the_carried_state_alone() -> None:
    X, _ = pieces()
    net = stacked()
    net.build((7,))
    first = net.predict(X[:4])
    net.forward(X[:3], inference=True)
    carried = [array.copy() for array in net.layers[1].carried]  # type: ignore[attr-defined]
    assert np.array_equal(net.predict(X[:4]), first)
    assert np.array_equal(net.layers[1].carried[0], carried[0])  # type: ignore[attr-defined]
    one_by_one = np.concatenate([net.predict(X[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(one_by_one, first, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("carry", [True, "mean", False])
@pytest.mark.parametrize("built", [True, False])
def test_rows_are_sequences_of_their_own_unless_batches_are_asked_for(
    carry: bool | str, built: bool
) -> None:
    """1,500 rows, more than are predicted at a time."""
    net, X = stacked(carry), np.random.default_rng(0).integers(0, 5, (1500, 7))
    if built:
        net.build((7,))
        net.forward(X[:3], inference=True)
    predictions = net.predict(X)
    one_by_one = np.concatenate([net.predict(X[i : i + 1]) for i in (0, 999, 1000, 1499)])
    np.testing.assert_allclose(predictions[[0, 999, 1000, 1499]], one_by_one, atol=1e-12)
    if not built:
        assert net.layers[1].carried is None  # type: ignore[attr-defined]
    if carry is True:
        with pytest.raises(ValueError, match=r"rows of X must be a multiple.* leave batch_size"):
            net.predict(X, batch_size=1000)
    halves = net.predict(X, batch_size=750)
    assert np.allclose(halves, predictions) == (carry is False)
    assert np.allclose(halves[:750], predictions[:750])


def test_an_evaluation_takes_rows_as_sequences_of_their_own() -> None:
    net, X = stacked(), np.random.default_rng(0).integers(0, 5, (1500, 7))
    net.build((7,))
    loss = dlfs.Trainer(net, dlfs.SGD()).evaluate(X, X)["loss"]
    assert loss == net.loss.forward(net.predict(X), X)


def test_an_evaluation_in_batches_goes_on_from_batch_to_batch() -> None:
    net, X = stacked(), np.random.default_rng(0).integers(0, 5, (60, 7))
    net.build((7,))
    trainer = dlfs.Trainer(net, dlfs.SGD())
    losses = [trainer.evaluate(X, X, batch_size=size)["loss"] for size in (20, 30, None)]
    assert losses == [net.loss.forward(net.predict(X, size), X) for size in (20, 30, None)]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("carry", [True, "mean"])
def test_carried_state_and_shuffled_data_are_refused(carry: bool | str) -> None:
    X, y = pieces()
    net = stacked(carry)
    with pytest.raises(ValueError, match=r"Trainer.fit: GRULayer\(6, carry=.* pass shuffle=False"):
        dlfs.Trainer(net, dlfs.Adam()).fit(X, y, batch_size=4, verbose=0)
    dlfs.Trainer(stacked(carry=False), dlfs.Adam()).fit(X, y, epochs=1, batch_size=4, verbose=0)


def test_batches_of_another_size_are_refused_before_the_training() -> None:
    X, y = pieces()
    trainer = dlfs.Trainer(stacked(), dlfs.Adam())
    options = {"epochs": 1, "shuffle": False, "verbose": 0}
    with pytest.raises(ValueError, match="rows of X_train must be a multiple of batch_size=5"):
        trainer.fit(X, y, batch_size=5, **options)
    with pytest.raises(ValueError, match="rows of X_test must be a multiple of batch_size=4"):
        trainer.fit(X, y, X[:5], y[:5], batch_size=4, **options)
    # The mean is one state, whatever the number of sequences.
    dlfs.Trainer(stacked("mean"), dlfs.Adam()).fit(X, y, batch_size=5, **options)


def test_a_network_is_saved_with_its_vocabulary(tmp_path: Path) -> None:
    vocabulary = text.Vocabulary("abcde")
    net = stacked()
    net.build((7,))
    net.epochs_trained = 3
    path = tmp_path / "net"
    text.save_writer(net, vocabulary, path)
    again, characters = text.load_writer(path)
    assert characters.characters == "abcde"
    for loaded in (again, dlfs.load(path)):
        assert loaded.epochs_trained == 3
        assert text.sample(loaded, vocabulary, 20, "a", seed=1) == text.sample(
            net, vocabulary, 20, "a", seed=1
        )
    dlfs.save(net, path)
    with pytest.raises(ValueError, match="holds no vocabulary"):
        text.load_writer(path)


class Doubled(dlfs.Operation):
    """A class of the user's own."""

    def _output(self) -> np.ndarray:
        return 2 * self.input_

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return 2 * output_grad


def test_a_writer_may_have_classes_of_ones_own(tmp_path: Path) -> None:
    layers = [GRULayer(4, output_size=3, vocabulary_size=3), Doubled()]
    net, vocabulary = dlfs.NeuralNetwork(layers, seed=1), text.Vocabulary("abc")
    net.build((5,))
    text.save_writer(net, vocabulary, tmp_path / "net")
    name = f"{Doubled.__module__}.Doubled"
    again, _ = text.load_writer(tmp_path / "net", custom={name: Doubled})
    written = [text.sample(each, vocabulary, 30, "a", seed=2) for each in (net, again)]
    assert written[0] == written[1]
    with pytest.raises(ValueError, match="Doubled"):
        text.load_writer(tmp_path / "net")


def test_a_file_that_claims_endless_sequences_is_not_believed(tmp_path: Path) -> None:
    """Even with no sequence at all, each step would cost time."""
    net = dlfs.NeuralNetwork([GRULayer(2, vocabulary_size=3, reset="after")])
    net.build((5,))
    net.input_shape = (2**26,)
    dlfs.save(net, tmp_path / "net")
    with pytest.raises(ValueError, match="67108864 steps; a file may ask for"):
        dlfs.load(tmp_path / "net")
