"""RNNModel and RNNTrainer: the names of the book's chapter 6, on top of what the library has.

A network that reads a text is an ordinary NeuralNetwork here, and an ordinary Trainer trains it.
The two classes serve readers of the book's listings: they take the same arguments, and
walk through the text as the book does.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlfs.base import Operation
from dlfs.checks import check_choice, check_instance, check_int
from dlfs.datasets import sonnets
from dlfs.layers import GRULayer, Layer, LSTMLayer, RNNLayer
from dlfs.losses import Loss, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.recurrent import CARRIES
from dlfs.text import Vocabulary, sample, windows
from dlfs.train.loop import NonFiniteLossError
from dlfs.types import Array, IntArray


class RNNModel(NeuralNetwork):
    """The book's network of recurrent layers: a NeuralNetwork that takes characters as integers.

    Parameters
    ----------
    layers : sequence of Layer
        The last must give ``vocab_size`` features. A recurrent layer that comes first is told
        vocab_size, and needs no one-hot rows.
    sequence_length : int
        How many characters the network reads at a time, and how far back gradients go.
    vocab_size : int
        The number of characters.
    loss : Loss, optional
        SoftmaxCrossEntropy() unless given.
    hidden_size : int, optional
        Some of the book's listings pass it; each layer has its own, and this is not used.
    seed, dtype
        As in NeuralNetwork.
    carry : {"mean", True, False}, default "mean"
        What recurrent layers made with ``carry=False`` do with their final state. The book starts
        each batch from the mean of the last one's states.

    Notes
    -----
    Book, chapter 6. Its loss is a sum over all characters of a batch, and so is the gradient of
    ``single_step``: a learning rate, and a limit for clipping, mean here what they mean there. (The
    loss that is returned is the mean, in nats a character.)

    Examples
    --------
    >>> layers = [GRULayer(hidden_size=8, output_size=4), LSTMLayer(hidden_size=8, output_size=3)]
    >>> model = RNNModel(layers, sequence_length=5, vocab_size=3)
    >>> model.forward(np.array([[0, 1, 2, 1, 0]])).shape
    (1, 5, 3)
    """

    def __init__(
        self,
        layers: Sequence[Layer | Operation],
        sequence_length: int,
        vocab_size: int,
        loss: Loss | None = None,
        hidden_size: int | None = None,
        seed: int | None = 1,
        dtype: Any = "float64",
        carry: bool | str = "mean",
    ) -> None:
        self.sequence_length = check_int(sequence_length, "RNNModel", "sequence_length", 1)
        self.vocab_size = check_int(vocab_size, "RNNModel", "vocab_size", 1)
        if hidden_size is not None:
            hidden_size = check_int(hidden_size, "RNNModel", "hidden_size", 1)
        self.hidden_size = hidden_size
        check_choice(carry, CARRIES, "RNNModel", "carry")
        super().__init__(layers, SoftmaxCrossEntropy() if loss is None else loss, seed, dtype)
        for number, layer in enumerate(self.layers):
            if isinstance(layer, RNNLayer | LSTMLayer | GRULayer):
                layer.carry = layer.carry or carry
                if number == 0 and layer.vocabulary_size is None:
                    layer.vocabulary_size = self.vocab_size

    def single_step(self, x_batch: IntArray, y_batch: IntArray) -> float:
        """Return the mean loss of a batch, and compute the gradients of its sum.

        Parameters
        ----------
        x_batch, y_batch : ndarray of integers, shape (batch, time)
            Characters, and for each the one that follows.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If the batch does not suit the layers, or the targets the loss.
        """
        loss = self.loss.forward(self.forward(x_batch), y_batch)
        grad: Array = self.loss.backward()
        self.backward(grad * math.prod(grad.shape[:-1]), input_grad=False)
        return loss


class RNNTrainer:
    """The book's trainer: walks through a text, and lets the model write from time to time.

    A batch is ``batch_size`` pieces of the text, each beginning one character after the one before;
    the next batch begins ``batch_size`` characters further on, and at the end of the text it all
    starts over.

    Parameters
    ----------
    text_file : path or None
        What to read; None: Shakespeare's sonnets, which are part of the package.
    model : RNNModel
    optim : Optimizer
    batch_size : int, default 32

    Attributes
    ----------
    data : str
        The text.
    vocabulary : Vocabulary
        Its characters, numbered.
    losses : list of float
        The mean loss of each batch so far, in nats a character.
    samples : list of (int, str)
        After how many batches the model wrote what.

    Raises
    ------
    TypeError, ValueError
        If the model is for another number of characters than the text has,
        its last layer gives another number of features, or the text is too short.
    OSError
        If the file cannot be read.

    Notes
    -----
    Book, chapter 6.

    Examples
    --------
    >>> from dlfs.optimizers import AdaGrad
    >>> layers = [LSTMLayer(hidden_size=16, output_size=62, weight_scale=0.01)]
    >>> model = RNNModel(layers, sequence_length=25, vocab_size=62, loss=SoftmaxCrossEntropy())
    >>> trainer = RNNTrainer(None, model, AdaGrad(lr=0.01, gradient_clipping=True), batch_size=32)
    >>> losses = trainer.train(20, sample_every=10, verbose=0)
    >>> losses[-1] < losses[0], [iteration for iteration, _ in trainer.samples]
    (True, [10, 20])
    """

    def __init__(
        self, text_file: str | Path | None, model: RNNModel, optim: Optimizer, batch_size: int = 32
    ) -> None:
        owner = "RNNTrainer"
        if not (text_file is None or isinstance(text_file, str | Path)):
            raise TypeError(f"{owner}: text_file must be a path or None, got {text_file!r:.80}")
        check_instance(model, RNNModel, owner, "model")
        check_instance(optim, Optimizer, owner, "optim")
        self.batch_size = check_int(batch_size, owner, "batch_size", 1)
        self.text_file = text_file
        self.data = sonnets() if text_file is None else Path(text_file).read_text("utf-8")
        needed = model.sequence_length + self.batch_size
        if len(self.data) < needed:
            raise ValueError(
                f"{owner}: sequences of {model.sequence_length} characters, {batch_size} a batch, "
                f"need a text of at least {needed}, got {len(self.data)}"
            )
        self.vocabulary = Vocabulary.of(self.data)
        if len(self.vocabulary) != model.vocab_size:
            raise ValueError(
                f"{owner}: the text has {len(self.vocabulary)} different characters, but the model "
                f"vocab_size={model.vocab_size}"
            )
        given = model.layers[-1].neurons
        if given is not None and given != model.vocab_size:
            raise ValueError(
                f"{owner}: the model's last layer must give vocab_size={model.vocab_size} "
                f"features, but {model.layers[-1]!r} gives {given}"
            )
        self.model = model
        self.optim = optim
        self.optim.net = model
        self.losses: list[float] = []
        self.samples: list[tuple[int, str]] = []

    def train(self, num_iterations: int, sample_every: int = 100, verbose: int = 1) -> list[float]:
        """Go through a number of batches, from the beginning of the text.

        Parameters
        ----------
        num_iterations : int
            How many batches.
        sample_every : int, default 100
            The model writes each time this many batches have passed.
        verbose : {0, 1}, default 1
            Whether to print what it writes, with the mean loss of the last hundred batches.

        Returns
        -------
        list of float
            The mean loss of each batch, in nats a character.

        Raises
        ------
        TypeError, ValueError
            If the model returns something else than a prediction for each
            character.
        NonFiniteLossError
            If the loss becomes NaN or infinite.
        """
        check_int(num_iterations, "RNNTrainer.train", "num_iterations", 1)
        check_int(sample_every, "RNNTrainer.train", "sample_every", 1)
        check_int(verbose, "RNNTrainer.train", "verbose", 0)
        X, y = windows(self.vocabulary.encode(self.data), self.model.sequence_length)
        before, start = len(self.losses), 0
        for _ in range(num_iterations):
            if start + self.batch_size > len(X):
                start = 0
            piece = slice(start, start + self.batch_size)
            loss = self.model.single_step(X[piece], y[piece])
            done = len(self.losses) + 1
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"RNNTrainer.train: the loss became {loss} in batch {done}; a smaller learning "
                    "rate or gradient clipping often helps"
                )
            self.optim.step()
            self.losses.append(loss)
            start += self.batch_size
            if done % sample_every == 0:
                text = self.sample_output(self.data[start % len(X)], 200)
                self.samples.append((done, text))
                if verbose:
                    recent = self.losses[-100:]
                    print(
                        f"--- after {done} batches, loss {sum(recent) / len(recent):.3f}:\n{text}"
                    )
        return self.losses[before:]

    def sample_output(self, input_char: int | str, sample_length: int) -> str:
        """Let the model write.

        Parameters
        ----------
        input_char : int or str
            What it reads first: a character, or its number in the vocabulary.
        sample_length : int
            How many characters to write.

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If the character is not in the vocabulary.

        Notes
        -----
        The same text each time, unless the model has learned in between. ``dlfs.text.sample``
        offers a temperature and a seed.
        """
        if not isinstance(input_char, str):
            number = check_int(input_char, "RNNTrainer.sample_output", "input_char", 0)
            input_char = self.vocabulary.decode([number])
        check_int(sample_length, "RNNTrainer.sample_output", "sample_length", 0)
        seed = len(self.losses)
        return sample(self.model, self.vocabulary, sample_length, input_char, seed=seed)
