"""Trainer: checks the data and the arguments of a training, and starts its loop."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlfs.checks import check_instance, check_int, optional, plain_array
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.ranks import Ranks
from dlfs.train.batches import Batches, Transform
from dlfs.train.beginning import begin
from dlfs.train.callbacks import Callback
from dlfs.train.data import (
    checked_data,
    checked_weights,
    gathered,
    given_test_data,
    kept_if_refused,
    training_data,
)
from dlfs.train.evaluation import evaluate, named_metrics
from dlfs.train.history import History
from dlfs.train.loop import Run
from dlfs.train.metrics import Metric
from dlfs.train.output import Display
from dlfs.train.plan import Plan, check_beginning, checked_callbacks
from dlfs.types import Array


class Trainer:
    """Trains a network with an optimizer (book, chapters 3 and 4).

    Parameters
    ----------
    net : NeuralNetwork
    optim : Optimizer
    ranks : mpi4py.MPI.Comm, optional
        Several processes, such as ``MPI.COMM_WORLD``, train together: each computes a share of
        every batch (see ``dlfs.ranks``). Each must call ``fit`` with the same data and arguments.

    Attributes
    ----------
    net, optim
        The objects that were passed, never copies.
    history : History
        The rows of the last ``fit`` so far.
    stop : bool
        A callback sets it to end the training.

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> from dlfs.optimizers import SGD
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> trainer = Trainer(NeuralNetwork([Dense(1)], seed=1), SGD(lr=0.1))
    >>> history = trainer.fit(X, 3 * X + 1, X, 3 * X + 1, epochs=60, verbose=0)
    >>> history["test_loss"][-1] < 1e-3
    True
    """

    def __init__(self, net: NeuralNetwork, optim: Optimizer, ranks: Any = None) -> None:
        self.net = check_instance(net, NeuralNetwork, "Trainer", "net")
        self.optim = check_instance(optim, Optimizer, "Trainer", "optim")
        self.optim.net = net
        self.history = History()
        self.stop = False
        self.X_test: Array | None = None
        self.y_test: Array | None = None
        self._display = Display()
        self._ranks = Ranks.of(ranks)

    def fit(
        self,
        X_train: Array | Batches,
        y_train: Array | None = None,
        X_test: Array | Batches | None = None,
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
        sample_weight: Array | None = None,
        metrics: Sequence[str | Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
        transform: Transform | Sequence[Transform] | None = None,
        accumulate: int = 1,
        verbose: int = 1,
    ) -> History:
        """Train.

        Parameters
        ----------
        X_train, y_train : array_like, batch axis first
            They are not changed. Of a memory-mapped array, each batch is read, checked and
            converted when its turn comes. Labels of classes may be texts, any integers, or booleans
            (``NeuralNetwork.classes``). Data that no array holds: ``Batches``, without y_train.
        X_test, y_test : array_like, optional
            For the evaluation; never used for training. Batches are read once, and kept.
        epochs : int, default 100
            How often to go through the training data.
        eval_every : int, default 10
            Evaluate each time this many epochs have passed, and after the last.
        batch_size : int, default 32
            The number of observations in one step. The last batch of an epoch may be smaller.
        seed : int, default 1
            For the shuffling; NumPy's global random state is not used. restart=False continues the
            sequence of shuffles, as in one long training.
        restart : bool, optional
            True begins a new training, with new parameters and a reset optimizer; False goes on
            from the last one. Unless given, a new training begins, but from weights that were
            loaded, converted or assigned (see ``NeuralNetwork.given``).
        early_stopping : bool or int, default True
            Stop after this many evaluations in a row without a new smallest test loss (True: 1). It
            limits overfitting: fitting the training data ever better, but other data worse.
            However the training ends, the parameters, and what the optimizer remembered, are then
            put back to the best evaluation. A callback ``EarlyStopping`` takes its place.
        conv_testing : bool, default False
            Report within an epoch, as the book does for its convolutional network.
        shuffle : bool, default True
            Whether the order is new in each epoch. Layers that carry their state, for sequences
            that go on from batch to batch (``dlfs.text.streams``), need False: then the test data
            comes in batches of the same size, too, and each epoch and evaluation makes a new start.
        sample_weight : array_like, optional
            How much each training observation counts: (observations,), or (observations, time) for
            sequences, where 0 leaves out padding. Only their proportions matter: the weights are
            first divided by their mean.
        metrics : sequence of str or callables, optional
            What to evaluate on the test data besides the loss, which must therefore be there;
            accuracy for the cross-entropies unless given. The names are those of
            ``dlfs.metrics.METRICS``: "accuracy", "mae", "f1_macro", "roc_auc", ... A callable
            takes (y_true, y_pred), and ``net.loss.decision`` or ``net.loss.probabilities`` too if
            it has a parameter named ``decision`` or ``probabilities``.
        callbacks : sequence of Callback
        checkpoint : path, optional
            A file that holds everything after each complete epoch, to resume from.
        resume : bool, default False
            Go on from the checkpoint if it is there: the result is the same as if nothing had
            happened in between. Other data (``dlfs.train.fingerprint`` says what is compared),
            arguments or metrics are refused, except a larger number of epochs; see the notes.
            Callbacks start afresh: what they remember is not in the file.
        transform : callable, or list of callables, optional
            Augmentation: called with the inputs of each training batch and a
            ``numpy.random.Generator`` (from the seed and the number of the epoch), it returns
            changed inputs of any new shape that the network takes, as many rows as before.
            ``dlfs.datasets.augment`` has some for images. On arrays it runs in a thread of its own,
            one batch ahead of the network; on Batches only with their ``prefetch=True``.
        accumulate : int, default 1
            In how many parts, one after the other, the gradient of a batch is computed: a large
            batch in the memory of a small one. Batch normalization then normalizes each part.
        verbose : {0, 1, 2}, default 1
            Silent; a progress bar and a line for each evaluation; only the lines.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If shapes do not suit the network or each other, a number is NaN, there are no
            observations, or the checkpoint belongs to another training.
        NonFiniteLossError
            If the loss, parameters or running statistics become NaN or infinite; the message names
            the first layer where that happened. A loss or statistics stop it before the step;
            parameters are checked at the end of an epoch.

        Notes
        -----
        Ctrl-C ends the training after the step that is being taken: the History is returned and
        says so. (A second Ctrl-C does not wait for that; a handler for SIGINT of your own stays in
        charge.) However the training ends, ``optim.lr`` is then what it was before.

        Resumed with more epochs, a training goes on after its last epoch, unless early stopping
        ended it. A learning rate that depends on the number of epochs (``decay_type``) follows the
        schedule for the new number from there on, and so it may rise again; what is past, rates and
        evaluations, stays as it was.
        """
        callbacks = checked_callbacks(callbacks, conv_testing)
        training = (epochs, eval_every, batch_size, seed, early_stopping, shuffle)
        plan = Plan.checked(self.net, *training, metrics, transform, accumulate, callbacks)
        check_beginning(restart, resume, checkpoint)
        verbose = check_int(verbose, "Trainer.fit", "verbose", 0)
        X_test, y_test = given_test_data(X_test, y_test, metrics)
        given = self.net.given and not restart
        self.X_test = self.y_test = None
        ranks, leads = self._ranks, self._ranks.rank == 0
        with ranks.all_or_none(), kept_if_refused(self.net):
            if restart or (restart is None and not given):
                self.net.reset()
            order = (plan.batch_size, plan.shuffle, plan.seed)
            data = training_data(self.net, X_train, y_train, sample_weight, X_test, y_test, *order)
            self.X_test, self.y_test = data.X_test, data.y_test
        # Another Trainer may have used the optimizer since.
        self.optim.net = self.net
        if restart is None or restart:
            self.optim.reset()
            self.net.epochs_trained = 0
        standing, file = begin(ranks, self.net, self.optim, plan, data, checkpoint, resume)
        self.history, self.stop = standing.history, False
        self._display = Display(verbose if leads else 0)
        callbacks = callbacks if leads else []
        run = Run(self, data, plan, standing, callbacks, self._display, file, ranks)
        try:
            with ranks.ending_together(checkpoint):
                return run.train()
        finally:
            if not given:
                self.net.mark_weights_as_own()

    def evaluate(
        self,
        X: Array | Batches,
        y: Array | None = None,
        metrics: Sequence[str | Metric] = (),
        batch_size: int | None = None,
        sample_weight: Array | None = None,
    ) -> dict[str, float]:
        """Return the loss, and other metrics, on some data, in inference mode.

        Parameters
        ----------
        X, y : array_like, batch axis first
            Or Batches as X, without y.
        metrics : sequence of str or callables
            As in ``fit``.
        batch_size : int, optional
            The number of observations in a pass; 1000 unless given. See ``NeuralNetwork.predict``.
        sample_weight : array_like, optional
            As in ``fit``: for the loss, and for metrics with a parameter of this name.

        Returns
        -------
        dict
            "loss" and one key for each metric.
        """
        optional(check_int, batch_size, "Trainer.evaluate", "batch_size", 1)
        X, y = checked_data(self.net, *gathered(X, y, "X", "y"))
        measures = named_metrics(metrics, self.net.loss)
        weights = None if sample_weight is None else checked_weights(self.net, sample_weight, X)
        return evaluate(self.net, X, y, measures, batch_size, weights=weights)

    def generate_batches(self, X: Array, y: Array, size: int = 32) -> Iterator[tuple[Array, Array]]:
        """Cut data into batches, in their order, as the book's method of this name does."""
        check_int(size, "Trainer.generate_batches", "size", 1)
        X = plain_array(X, "Trainer.generate_batches", "X")
        y = plain_array(y, "Trainer.generate_batches", "y")
        if len(X) != len(y):
            raise ValueError(f"Trainer.generate_batches: X has {len(X)} rows, but y has {len(y)}")
        return ((X[i : i + size], y[i : i + size]) for i in range(0, len(X), size))

    def say(self, text: str) -> None:
        """Print a line without tearing the progress bar; nothing with verbose=0."""
        self._display.say(text)
