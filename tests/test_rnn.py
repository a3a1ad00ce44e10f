"""RNNModel and RNNTrainer: the book's model and trainer."""

from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs.layers import Embedding, GRULayer, LSTMLayer, RNNLayer
from dlfs.optimizers import SGD, AdaGrad
from dlfs.text.book import RNNModel, RNNTrainer
from dlfs.train.loop import NonFiniteLossError

TEXT = "to be or not to be, that is the question. " * 8
SIZE = len(set(TEXT))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, "utf-8")
    return path


def model(*layers, **options) -> RNNModel:
    layers = layers or (LSTMLayer(hidden_size=12, output_size=SIZE),)
    return RNNModel(list(layers), sequence_length=9, vocab_size=SIZE, **options)


def test_a_batch_is_windows_that_begin_one_character_after_the_other(file: Path) -> None:
    net, seen = model(), []
    trainer = RNNTrainer(file, net, SGD(lr=0.001), batch_size=100)
    real = net.single_step

    def spied(x, y):
        seen.append(([trainer.vocabulary.decode(row) for row in x], y))
        return real(x, y)

    net.single_step = spied
    trainer.train(4, sample_every=100, verbose=0)
    wanted = [[TEXT[start + i :][:9] for i in range(100)] for start in (0, 100, 200, 0)]
    assert [texts for texts, _ in seen] == wanted
    assert trainer.vocabulary.decode(seen[1][1][7]) == TEXT[108:117]


def test_the_last_batch_of_a_text_may_end_where_the_text_ends(tmp_path: Path) -> None:
    """A text of 7 characters has 4 pieces of 3 with a successor: two batches of 2."""
    file, begins = tmp_path / "text.txt", []
    file.write_text("äbcdefg", "utf-8")
    net = RNNModel([LSTMLayer(4, output_size=7)], sequence_length=3, vocab_size=7)
    trainer = RNNTrainer(file, net, SGD(lr=0.001), batch_size=2)
    real = net.single_step
    net.single_step = lambda x, y: begins.append(x[:, 0].tolist()) or real(x, y)
    trainer.train(3, sample_every=1, verbose=0)
    letters = [trainer.vocabulary.decode(row) for row in begins]
    assert letters == ["äb", "cd", "äb"]
    assert [done for done, _ in trainer.samples] == [1, 2, 3]


def test_the_shortest_text_has_one_batch_more_than_its_pieces(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("abcd", "utf-8")
    net = RNNModel([GRULayer(4, output_size=4)], sequence_length=3, vocab_size=4, hidden_size=1)
    assert net.hidden_size == 1
    assert len(RNNTrainer(file, net, SGD(lr=0.1), batch_size=1).train(2, verbose=0)) == 2
    with pytest.raises(ValueError, match="need a text of at least 5, got 4"):
        RNNTrainer(file, net, SGD(lr=0.1), batch_size=2)
    with pytest.raises(ValueError, match=r"^RNNModel: hidden_size must "):
        model(hidden_size=0)


def test_the_loss_that_it_prints_is_the_mean_of_the_last_hundred(file: Path, capsys) -> None:
    trainer = RNNTrainer(file, model(), AdaGrad(lr=0.05), batch_size=4)
    trainer.train(120, sample_every=60)
    printed = capsys.readouterr().out
    for done in (60, 120):
        mean = np.mean(trainer.losses[:done][-100:])
        written = dict(trainer.samples)[done]
        assert f"--- after {done} batches, loss {mean:.3f}:\n{written}\n" in printed


@pytest.mark.parametrize("kind", [RNNLayer, LSTMLayer, GRULayer])
def test_its_gradient_is_that_of_the_sum(kind: type) -> None:
    x = np.random.default_rng(1).integers(0, SIZE, (3, 9))
    book, ordinary = model(kind(5, output_size=SIZE)), model(kind(5, output_size=SIZE))
    loss = book.single_step(x, x)
    assert loss == ordinary.train_batch(x, x)
    for ours, mean in zip(book.param_grads(), ordinary.param_grads(), strict=True):
        np.testing.assert_allclose(ours, 27 * mean, rtol=1e-12, atol=1e-15)


def test_layers_carry_the_mean_unless_told_otherwise() -> None:
    first, second = LSTMLayer(4), GRULayer(4, output_size=SIZE, carry=True)
    net = model(first, second)
    assert (first.carry, second.carry) == ("mean", True)
    assert (first.vocabulary_size, second.vocabulary_size) == (SIZE, None)
    net.forward(np.zeros((3, 9), dtype=int))
    assert [array.shape for array in first.carried] == [(1, 4), (1, 4)]
    after = RNNLayer(4)
    assert model(Embedding(SIZE, 3), after).layers[1] is after
    assert (after.carry, after.vocabulary_size) == ("mean", None)
    assert model(RNNLayer(4), carry=False).layers[0].carry is False  # type: ignore[attr-defined]


def test_clipping_is_the_books(file: Path) -> None:
    """Each number of the gradient lies between -2 and 2 when the optimizer takes its step."""
    net = model()
    optim = SGD(lr=1.0, gradient_clipping=True)
    RNNTrainer(file, net, optim, batch_size=32)
    x = np.random.default_rng(1).integers(0, SIZE, (32, 9))
    net.single_step(x, x)
    before = [param.copy() for param in net.params()]
    optim.step()
    for old, new, grad in zip(before, net.params(), net.param_grads(), strict=True):
        np.testing.assert_allclose(old - new, np.clip(grad, -2, 2), rtol=1e-12, atol=1e-12)
    assert max(np.abs(grad).max() for grad in net.param_grads()) > 2
    assert SGD(clip_value=0.5, gradient_clipping=True).clip_value == 0.5


def test_it_learns_and_shows_what_it_writes(file: Path, capsys) -> None:
    trainer = RNNTrainer(str(file), model(), AdaGrad(lr=0.05), batch_size=16)
    first = trainer.train(100, sample_every=50)
    assert "--- after 50 batches, loss " in capsys.readouterr().out
    second = trainer.train(100, sample_every=50, verbose=0)
    assert capsys.readouterr().out == ""
    assert trainer.losses == first + second
    assert np.mean(second[-20:]) < 0.5 * first[0]
    assert [done for done, _ in trainer.samples] == [50, 100, 150, 200]
    texts = [text for _, text in trainer.samples]
    assert all(len(text) == 200 and set(text) <= set(TEXT) for text in texts)
    assert trainer.sample_output("t", 30) == trainer.sample_output(
        trainer.vocabulary.encode("t")[0], 30
    )


def test_a_training_that_diverges_says_so(file: Path) -> None:
    net = model()
    trainer = RNNTrainer(file, net, SGD(lr=0.1))
    net.forward(np.zeros((1, 9), dtype=int))
    net.layers[0].params[1][:] = np.nan
    words = "^RNNTrainer.train: the loss became nan in batch 1; a smaller .* clipping often helps$"
    with pytest.raises(NonFiniteLossError, match=words):
        trainer.train(5)


def test_it_is_saved_as_the_network_that_it_is(tmp_path: Path) -> None:
    net = model()
    x = np.random.default_rng(1).integers(0, SIZE, (2, 9))
    net.forward(x)
    net.reset_state()
    dlfs.save(net, tmp_path / "net")
    again = dlfs.load(tmp_path / "net")
    assert np.array_equal(again.forward(x), net.forward(x))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        RNNTrainer(tmp_path / "nothing.txt", model(), SGD())


def test_a_last_layer_of_another_size_than_the_vocabulary_is_refused(file: Path) -> None:
    small = model(LSTMLayer(hidden_size=4, output_size=SIZE - 1))
    with pytest.raises(ValueError, match=rf"vocab_size={SIZE} features, but .* gives {SIZE - 1}"):
        RNNTrainer(file, small, SGD(lr=0.1))
    RNNTrainer(file, model(LSTMLayer(hidden_size=SIZE)), SGD(lr=0.1))
