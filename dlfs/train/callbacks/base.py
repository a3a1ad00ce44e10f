"""The base of all callbacks, and the simplest ones."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.ranks import Alone
from dlfs.train.history import History
from dlfs.train.metrics import accuracy
from dlfs.types import Array


class Training(Protocol):
    """What a callback sees of the Trainer.

    Attributes
    ----------
    net, optim, history
        What is trained, how, and what happened so far.
    stop : bool
        Set it to end the training after the current batch.
    X_test, y_test : ndarray or None
        The data for the evaluation.

    Examples
    --------
    >>> class Show(Callback):
    ...     def on_epoch_end(self, trainer, row):
    ...         trainer.say(f"epoch {row['epoch']}: the rate is {trainer.optim.lr}")
    """

    net: NeuralNetwork
    optim: Optimizer
    history: History
    stop: bool
    X_test: Array | None
    y_test: Array | None

    def say(self, text: str) -> None:
        """Print a line without tearing the progress bar."""


class Callback:
    """Called by a Trainer before, during and after a training; a subclass overrides what it needs.

    To end the training after the current batch, set ``trainer.stop = True``. To change the learning
    rate from here on, set ``trainer.optim.lr``: a decay or warm-up then multiplies the new rate.
    After ``fit`` the rate is the user's own again.

    Examples
    --------
    >>> class StopBelow(Callback):
    ...     def on_epoch_end(self, trainer, row):
    ...         trainer.stop = row["train_loss"] < 0.1
    """

    def on_train_begin(self, trainer: Training) -> None:
        """Act before the first batch."""

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Act after a batch, both counted from 0, and its step."""

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Act after an epoch and its evaluation; ``row`` is the history's newest."""

    def on_train_end(self, trainer: Training) -> None:
        """Act when the training has ended, also by an error."""


class Calls:
    """The callbacks of a training. They run on rank 0 alone, and decide for all ranks.

    Parameters
    ----------
    callbacks : sequence of Callback
        Empty on the other ranks.
    trainer : Training
        They may set its ``stop``, and the learning rate of its optimizer.
    ranks : Alone or Ranks
    """

    def __init__(self, callbacks: Sequence[Callback], trainer: Training, ranks: Alone) -> None:
        self.callbacks = callbacks
        self.trainer = trainer
        self.ranks = ranks
        self._any = ranks.of_first(bool(callbacks))

    def __call__(self, method: str, *arguments: Any) -> None:
        """Call a method of all callbacks; before the end, take over what they decide."""
        for callback in self.callbacks:
            getattr(callback, method)(self.trainer, *arguments)
        if self._any and method != "on_train_end":
            trainer, optim = self.trainer, self.trainer.optim
            trainer.stop, optim.lr = self.ranks.of_first((trainer.stop, optim.lr))


class ConvTesting(Callback):
    """What the book's conv_testing does: report within an epoch, which takes long for images.

    Every 10 batches the loss of the batch, every 100 the accuracy on the test data.

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> X = np.ones((8, 2))
    >>> trainer = Trainer(NeuralNetwork([Dense(1)], seed=1), SGD(lr=0.1))
    >>> history = trainer.fit(X, X[:, :1], epochs=1, callbacks=[ConvTesting()], verbose=0)
    """

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Report."""
        if batch % 10 == 0:
            trainer.say(f"batch {batch} loss {loss:.4f}")
        due = batch % 100 == 0 and batch > 0
        if due and trainer.X_test is not None and trainer.y_test is not None:
            prediction = trainer.net.predict(trainer.X_test)
            share = accuracy(trainer.y_test, prediction, trainer.net.loss.decision)
            trainer.say(f"Validation accuracy after {batch} batches is {share:.2%}")


class BatchLosses(Callback):
    """Keeps the loss of every batch, for a curve finer than one point an epoch.

    Attributes
    ----------
    losses : list of float

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> X = np.ones((8, 2))
    >>> curve = BatchLosses()
    >>> trainer = Trainer(NeuralNetwork([Dense(1)], seed=1), SGD(lr=0.1))
    >>> _ = trainer.fit(X, X[:, :1], epochs=3, batch_size=4, callbacks=[curve], verbose=0)
    >>> len(curve.losses)
    6
    """

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Keep it."""
        self.losses.append(loss)


class LambdaCallback(Callback):
    """Calls functions, for a callback of one line.

    Parameters
    ----------
    on_train_begin, on_batch_end, on_epoch_end, on_train_end : callable, optional
        Each takes the arguments of the method of its name: ``on_epoch_end(trainer, row)``.

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> epochs = []
    >>> callback = LambdaCallback(on_epoch_end=lambda trainer, row: epochs.append(row["epoch"]))
    >>> X = np.ones((4, 1))
    >>> trainer = Trainer(NeuralNetwork([Dense(1)]), SGD())
    >>> _ = trainer.fit(X, X, epochs=2, callbacks=[callback], verbose=0)
    >>> epochs
    [1, 2]
    """

    def __init__(
        self,
        on_train_begin: Callable[..., Any] | None = None,
        on_batch_end: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
    ) -> None:
        given = {
            "on_train_begin": on_train_begin,
            "on_batch_end": on_batch_end,
            "on_epoch_end": on_epoch_end,
            "on_train_end": on_train_end,
        }
        self.functions = {name: f for name, f in given.items() if f is not None}
        for name, function in self.functions.items():
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function, got {function!r:.80}")

    def on_train_begin(self, trainer: Training) -> None:
        """Call the function."""
        self._call("on_train_begin", trainer)

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Call the function."""
        self._call("on_batch_end", trainer, epoch, batch, loss)

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Call the function."""
        self._call("on_epoch_end", trainer, row)

    def on_train_end(self, trainer: Training) -> None:
        """Call the function."""
        self._call("on_train_end", trainer)

    def _call(self, name: str, *arguments: Any) -> None:
        if name in self.functions:
            self.functions[name](*arguments)
