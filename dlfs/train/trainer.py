"""Trainer: shows a network the data, batch by batch, and lets an optimizer learn from each."""

import itertools
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dlfs.advice import warn_of_unprepared_images
from dlfs.checks import (
    as_array,
    check_finite,
    check_flag,
    check_instance,
    check_int,
    plain_array,
    retold,
    shortened,
)
from dlfs.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.recurrent import check_streams, reads_streams
from dlfs.train.callbacks import Callback, ConvTesting
from dlfs.train.checkpoint import Checkpoint
from dlfs.train.history import COLUMNS, History
from dlfs.train.loop import Run, evaluate
from dlfs.train.metrics import METRICS, Metric
from dlfs.types import Array


class Trainer:
    """Trains a network with an optimizer.

    Parameters
    ----------
    net : NeuralNetwork
    optim : Optimizer

    Attributes
    ----------
    net, optim
        The objects that were passed, never copies.
    history : History
        What happened so far in the last ``fit``.
    stop : bool
        A callback sets it to end the training.

    Raises
    ------
    TypeError
        If net or optim is something else.

    Notes
    -----
    Book, chapters 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from dlfs.layers import Dense
    >>> from dlfs.optimizers import SGD
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> trainer = Trainer(NeuralNetwork([Dense(1)], seed=1), SGD(lr=0.1))
    >>> history = trainer.fit(X, 3 * X + 1, X, 3 * X + 1, epochs=60, verbose=0)
    >>> history["test_loss"][-1] < 1e-3
    True
    """

    def __init__(self, net: NeuralNetwork, optim: Optimizer) -> None:
        check_instance(net, NeuralNetwork, "Trainer", "net")
        check_instance(optim, Optimizer, "Trainer", "optim")
        self.net = net
        self.optim = optim
        self.optim.net = net
        self.history = History()
        self.stop = False
        self.X_test: Array | None = None
        self.y_test: Array | None = None
        self._run: Run | None = None

    def fit(
        self,
        X_train: Array,
        y_train: Array,
        X_test: Array | None = None,
        y_test: Array | None = None,
        epochs: int = 100,
        eval_every: int = 10,
        batch_size: int = 32,
        seed: int = 1,
        restart: bool | None = None,
        early_stopping: bool | int = True,
        conv_testing: bool = False,
        *,
        shuffle: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
        verbose: int = 1,
    ) -> History:
        """Train.

        Parameters
        ----------
        X_train, y_train : array_like, batch axis first
            They are shuffled anew in each epoch, unless told otherwise; the arrays themselves stay
            as they are.
        X_test, y_test : array_like, optional
            For the evaluation; never used for training.
        epochs : int
            How often to go through the training data.
        eval_every : int
            Evaluate after every so many epochs, and after the last.
        batch_size : int
            So many observations make one step. The last batch of an epoch may be smaller.
        seed : int
            For the shuffling. The global random state of NumPy is neither used nor changed. With
            restart=False the epochs of earlier trainings count: those that follow are shuffled as
            they would be in one long training.
        restart : bool, optional
            True begins a new training: with new parameters, and an optimizer that remembers
            nothing. False goes on from where things stand. Unless given, a new training begins,
            but weights that the network did not make itself (loaded, converted, assigned; see
            ``NeuralNetwork.given``) are kept: it starts from them, also at the next ``fit``.
        early_stopping : bool or int
            Stop after so many evaluations in a row without a new smallest test loss (True: 1).
            However the training ends, the parameters, and what the optimizer remembered, are then
            put back to the best evaluation.
        conv_testing : bool
            Report within an epoch, as the book does for its convolutional network.
        shuffle : bool
            False walks through the data in their order, and through the test data in batches of the
            same size: for sequences that go on from batch to batch (``dlfs.text.streams``), read by
            recurrent layers that carry their state, which is refused otherwise. Each epoch, and
            each evaluation, makes a new start.
        metrics : sequence of {"accuracy", "mae", "rmse"} or callables, optional
            What to evaluate on the test data besides the loss, which must therefore be there;
            accuracy for the cross-entropies unless given. A
            callable takes (y_true, y_pred), and ``net.loss.decision`` too if it has a parameter
            named ``decision``.
        callbacks : sequence of Callback
        checkpoint : path, optional
            A file that holds everything after each epoch, to resume from. An epoch that is broken
            off is not in it: it will be done again from its beginning.
        resume : bool
            Go on from the checkpoint if it is there: with the same data and arguments the result is
            the same as if nothing had happened in between. Other data (``dlfs.train.fingerprint``
            says what is compared), arguments or metrics are refused, except a larger number of
            epochs; see the notes. Callbacks start afresh: what they remember is not in the file.
        verbose : {0, 1, 2}
            Silent; a progress bar and a line for each evaluation; only the lines.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If data or arguments are unfit: shapes that do not suit the network or each other, NaN,
            no observations, a checkpoint of another training.
        NonFiniteLossError
            If the loss, parameters or running statistics become NaN or infinite; the message names
            the first layer where that happened. The step that would have followed is not taken.

        Notes
        -----
        Ctrl-C ends the training after the step that is being taken: the History is returned and
        says so. (A second Ctrl-C does not wait for that; a handler for SIGINT of your own stays in
        charge.) Afterwards, however the training ended, ``optim.lr`` is what it was before.

        Resumed with more epochs, a training goes on after its last epoch, unless early stopping
        ended it. A learning rate that depends on the number of epochs (``decay_type``) follows the
        schedule for the new number from there on, and so it may rise again. What is past stays as
        it was: the rates that were used, and the evaluation after what was then the last epoch.
        """
        owner = "Trainer.fit"
        epochs = check_int(epochs, owner, "epochs", 1)
        eval_every = check_int(eval_every, owner, "eval_every", 1)
        batch_size = check_int(batch_size, owner, "batch_size", 1)
        seed = check_int(seed, owner, "seed", 0)
        check_flag(restart is not None and restart, owner, "restart")
        check_flag(conv_testing, owner, "conv_testing")
        check_flag(resume, owner, "resume")
        shuffle = check_flag(shuffle, owner, "shuffle")
        verbose = check_int(verbose, owner, "verbose", 0)
        patience = _patience(early_stopping)
        measures = self._measures(metrics)
        callbacks = _callbacks(callbacks, conv_testing)
        if resume and checkpoint is None:
            raise ValueError(f"{owner}: resume=True needs a checkpoint to resume from")
        if (X_test is None) != (y_test is None):
            raise ValueError(f"{owner}: X_test and y_test go together, one of them is missing")
        if metrics and X_test is None:
            raise ValueError(
                f"{owner}: metrics are measured on test data: pass X_test and y_test, or leave "
                f"metrics={metrics!r:.80} out"
            )
        _check_order(self.net, shuffle)
        given = self.net.given and not restart
        self.X_test = self.y_test = None
        with _kept_if_data_are_unfit(self.net):
            if restart or (restart is None and not given):
                self.net.reset()
            X_train, y_train = self._data(X_train, y_train, "_train")
            if X_test is not None:
                self.X_test, self.y_test = self._data(X_test, y_test, "_test")
            if reads_streams(self.net):
                cure = "dlfs.text.streams arranges a text so that they are"
                check_streams(owner, batch_size, cure, X_train=X_train, X_test=self.X_test)
        # Another Trainer may have used the optimizer since.
        self.optim.net = self.net
        if restart is None or restart:
            self.optim.reset()
            self.net.epochs_trained = 0

        run = Run(
            self, callbacks, epochs, eval_every, batch_size, seed, patience, measures, shuffle
        )
        if checkpoint is not None:
            settings = run.settings(X_train, y_train)
            run.checkpoint = Checkpoint(checkpoint, settings, self.net, self.optim)
            if resume:
                run.resume()
        self.history, self.stop, self._run = run.standing.history, False, run
        try:
            return run.train(X_train, y_train, verbose)
        finally:
            self._run = None
            if not given:
                self.net.mark_weights_as_own()

    def evaluate(
        self,
        X: Array,
        y: Array,
        metrics: Sequence[str | Metric] = (),
        batch_size: int | None = None,
    ) -> dict[str, float]:
        """Return the loss, and other metrics, on some data, in inference mode.

        Parameters
        ----------
        X, y : array_like, batch axis first
        metrics : sequence of {"accuracy", "mae", "rmse"} or callables
        batch_size : int, optional
            So many observations at a time; 1000 unless given. It matters only where layers carry
            state, see ``NeuralNetwork.predict``.

        Returns
        -------
        dict
            "loss" and one key for each metric.

        Raises
        ------
        TypeError, ValueError
            If the data do not suit the network or the loss.
        """
        if batch_size is not None:
            check_int(batch_size, "Trainer.evaluate", "batch_size", 1)
        X, y = self._data(X, y)
        return evaluate(self.net, X, y, self._measures(metrics), batch_size)

    def generate_batches(self, X: Array, y: Array, size: int = 32) -> Iterator[tuple[Array, Array]]:
        """Cut data into batches, in their order, as the book's method of this name does.

        Parameters
        ----------
        X, y : ndarray, batch axis first
        size : int

        Raises
        ------
        TypeError, ValueError
            If X and y have different lengths, or size is no positive integer.
        """
        check_int(size, "Trainer.generate_batches", "size", 1)
        X = plain_array(X, "Trainer.generate_batches", "X")
        y = plain_array(y, "Trainer.generate_batches", "y")
        if len(X) != len(y):
            raise ValueError(f"Trainer.generate_batches: X has {len(X)} rows, but y has {len(y)}")
        return ((X[i : i + size], y[i : i + size]) for i in range(0, len(X), size))

    def say(self, text: str) -> None:
        """Print a line without tearing the progress bar; nothing with verbose=0."""
        if self._run is not None:
            self._run.say(text)

    def _measures(self, metrics: Sequence[str | Metric] | None) -> dict[str, Metric]:
        if metrics is None:
            classifies = isinstance(self.net.loss, SoftmaxCrossEntropy | BinaryCrossEntropy)
            metrics = ["accuracy"] if classifies else []
        if isinstance(metrics, str) or not isinstance(metrics, Sequence):
            raise TypeError(f"Trainer: metrics must be a list, got {metrics!r}")
        measures: dict[str, Metric] = {}
        for metric in metrics:
            if not callable(metric) and not (isinstance(metric, str) and metric in METRICS):
                known = ", ".join(repr(name) for name in METRICS)
                raise ValueError(f"Trainer: unknown metric {metric!r}; there are {known}")
            name = _metric_name(metric, measures) if callable(metric) else metric
            if name in measures or name in COLUMNS:
                raise ValueError(f"Trainer: the name {name!r} of a metric is taken already")
            measures[name] = metric if callable(metric) else METRICS[metric]
        return measures

    def _data(self, X: object, y: object, part: str = "") -> tuple[Array, Array]:
        """Check data, convert them once, and set the network up if need be."""
        X_name, y_name, owner = f"X{part}", f"y{part}", "Trainer"
        inputs = self.net.as_data(X)
        if len(inputs) < 1:
            raise ValueError(f"{owner}: {X_name} has no observations (shape {inputs.shape})")
        check_finite(inputs, owner, X_name)
        if part == "_train":
            warn_of_unprepared_images(self.net.layers, inputs)
        targets = as_array(y, owner, y_name)
        if targets.ndim < 1 or len(targets) != len(inputs):
            raise ValueError(
                f"{owner}: {X_name} and {y_name} need the same number of rows, "
                f"got shapes {inputs.shape} and {targets.shape}"
            )
        if targets.dtype.kind == "f":
            check_finite(targets, owner, y_name)
        # One row tells which shapes come out; an error is to speak of the user's data.
        words = {f"{(1, *inputs.shape[1:])}": f"{inputs.shape}"}
        note = f" (in the forward pass of one row of {X_name}, whose shape is {inputs.shape})"
        with self.net.fresh_start(), retold(words, note):
            one = self.net.forward(inputs[:1], inference=True)
            # What a layer that was just set up carries from this batch is not for training.
            self.net.reset_state()
        shape, loss = one.shape[1:], self.net.loss
        with retold({"target": y_name}):
            targets = loss.as_target(targets, (len(inputs), *shape), self.net.dtype)
        if isinstance(loss, SoftmaxCrossEntropy | BinaryCrossEntropy):
            # A label out of range is found now, not by the batch that happens to have it.
            for start in range(0, len(targets), 1000):
                labels = targets[start : start + 1000]
                loss.forward(np.zeros((len(labels), *shape), self.net.dtype), labels)
        return inputs, targets


@contextmanager
def _kept_if_data_are_unfit(net: NeuralNetwork) -> Iterator[None]:
    """Put a trained network back if a new training does not even begin."""
    before = [(layer, dict(vars(layer))) for _, layer in net.walk()]
    try:
        yield
    except BaseException:
        for layer, attributes in before:
            vars(layer).update(attributes)
        raise


def _check_order(net: NeuralNetwork, shuffle: bool) -> None:
    """Refuse to shuffle what a layer reads as going on from batch to batch."""
    carrying = [layer for _, layer in net.walk() if getattr(layer, "carry", False)]
    if carrying and shuffle:
        raise ValueError(
            f"Trainer.fit: {carrying[0]!r} carries its state from batch to batch, which has no "
            "meaning for shuffled data: pass shuffle=False (and data from dlfs.text.streams), "
            "or make the layer with carry=False"
        )


def _callbacks(callbacks: Iterable[Callback], conv_testing: bool) -> list[Callback]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"Trainer.fit: callbacks must be a list, got {callbacks!r:.80}")
    # An iterator can be gone through only once.
    given = list(callbacks)
    for callback in given:
        check_instance(callback, Callback, "Trainer.fit", "callbacks")
    return [*given, ConvTesting()] if conv_testing else given


def _metric_name(metric: Metric, taken: Container[str]) -> str:
    """Return a name that is the same in every process, for a checkpoint to be resumed."""
    name = getattr(metric, "__name__", None)
    if isinstance(name, str):
        return shortened(name)
    # An object, or a functools.partial: what it shows of itself, without addresses.
    name = shortened(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(metric)))
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(found for found in itertools.chain([name], numbered) if found not in taken)


def _patience(early_stopping: object) -> int | None:
    if isinstance(early_stopping, bool | np.bool_):
        return 1 if early_stopping else None
    return check_int(early_stopping, "Trainer.fit", "early_stopping", 1)
