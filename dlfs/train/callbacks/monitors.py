"""Callbacks that watch one column of the history: its best value so far, and how long ago."""

import math
from pathlib import Path
from typing import Any

from dlfs.checks import check_choice, check_flag, check_instance, check_int, check_real
from dlfs.saving import save
from dlfs.train.callbacks.base import Callback, Training
from dlfs.train.checkpoint import Snapshot
from dlfs.train.metrics import HIGHER_IS_BETTER
from dlfs.utils.files import check_writable

MODES = ("auto", "min", "max")


class Monitor(Callback):
    """Watches a column of the history; the base of the callbacks that do.

    Parameters
    ----------
    monitor : str, default "test_loss"
        The column: "test_loss", "train_loss" or a metric. Epochs without it, because they are not
        evaluated, do not count.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or larger values are better; "auto" is "max" for accuracy and other metrics
        of the library that grow, else "min".
    min_delta : float, default 0.0
        The least difference that counts as better.

    Raises
    ------
    TypeError, ValueError
        When a training begins without test data, or after its first evaluation, if the history has
        no column of that name.

    Examples
    --------
    >>> class Celebrate(Monitor):
    ...     def on_epoch_end(self, trainer, row):
    ...         if self.watch(row):
    ...             trainer.say(f"the best {self.monitor} so far: {self.best:.3f}")
    >>> Celebrate(monitor="train_loss").best
    inf
    """

    def __init__(
        self, monitor: str = "test_loss", mode: str = "auto", min_delta: float = 0.0
    ) -> None:
        owner = type(self).__name__
        check_instance(monitor, str, owner, "monitor")
        check_choice(mode, MODES, owner, "mode")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = check_real(min_delta, owner, "min_delta", 0)
        self.best = math.inf
        self.waited = 0

    def on_train_begin(self, trainer: Training) -> None:
        """Begin to watch; a resumed training is watched from its first epoch."""
        if trainer.X_test is None and self.monitor != "train_loss":
            raise ValueError(
                f"{type(self).__name__}: monitor={self.monitor!r} needs X_test and y_test; without "
                "them there is 'train_loss'"
            )
        self.best, self.waited = math.inf, 0
        for row in trainer.history:
            self.watch(row)

    def watch(self, row: dict[str, Any]) -> bool | None:
        """Return whether an epoch is the best so far; None if it has no value."""
        if self.monitor not in row:
            if "test_loss" in row:
                raise ValueError(
                    f"{type(self).__name__}: monitor must be one of "
                    f"{', '.join(map(repr, row))}, got {self.monitor!r}"
                )
            return None
        largest = self.mode == "max" or (self.mode == "auto" and self.monitor in HIGHER_IS_BETTER)
        value = -row[self.monitor] if largest else row[self.monitor]
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            return True
        self.waited += 1
        return False


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by a factor when an evaluation has stopped improving.

    Give it more patience than early stopping has, and the training ends before the rate falls: pass
    ``early_stopping=False``, or several times this patience.

    Parameters
    ----------
    monitor : str, default "test_loss"
    factor : float, default 0.1
        0 < factor < 1.
    patience : int, default 10
        How many values in a row must be no better before the rate falls, at least 1.
    mode : {"auto", "min", "max"}, default "auto"
    min_delta : float, default 0.0
        These three as in ``Monitor``.
    min_lr : float, default 0.0
        The rate is not reduced below this.

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> optim = SGD(lr=0.4)
    >>> history = Trainer(NeuralNetwork([Dense(1)], seed=1), optim).fit(
    ...     X,
    ...     np.sin(9 * X),
    ...     X,
    ...     np.sin(9 * X),
    ...     epochs=20,
    ...     eval_every=1,
    ...     early_stopping=False,
    ...     callbacks=[ReduceLROnPlateau(factor=0.5, patience=4)],
    ...     verbose=0,
    ... )
    >>> history["lr"][0], history["lr"][-1] < 0.4, optim.lr
    (0.4, True, 0.4)
    """

    def __init__(
        self,
        monitor: str = "test_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 0.0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        owner = "ReduceLROnPlateau"
        self.factor = check_real(factor, owner, "factor", 0, 1, low_open=True, high_open=True)
        self.patience = check_int(patience, owner, "patience", 1)
        self.min_lr = check_real(min_lr, owner, "min_lr", 0)

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Watch, and reduce the rate if it is time to."""
        optim = trainer.optim
        self.watch(row)
        due = self.waited and self.waited % self.patience == 0 and self.monitor in row
        if due and optim.lr > self.min_lr:
            optim.lr = max(optim.lr * self.factor, self.min_lr)
            trainer.say(f"Reduced the learning rate after epoch {row['epoch']}: {optim.lr:.3g}")


class EarlyStopping(Monitor):
    """Ends the training when an evaluation has stopped improving, and puts the best network back.

    It takes the place of ``fit(early_stopping=...)``, which watches the test loss only.

    Parameters
    ----------
    monitor : str, default "test_loss"
    patience : int, default 1
        How many values in a row must be no better before the training ends, at least 1.
    mode : {"auto", "min", "max"}, default "auto"
    min_delta : float, default 0.0
        As in ``Monitor``, and so are ``monitor`` and ``mode``.
    restore : bool, default True
        Whether to put the best network back, however the training ends. After ``resume=True`` that
        is the best of the epochs since.

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, SoftmaxCrossEntropy, Trainer
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> y = X[:, 0] > 0
    >>> history = Trainer(NeuralNetwork([Dense(2)], SoftmaxCrossEntropy()), SGD(lr=0.5)).fit(
    ...     X, y, X, y, eval_every=1, callbacks=[EarlyStopping("accuracy", patience=5)], verbose=0
    ... )
    >>> history.stopped, len(history) < 100
    ('callback', True)
    """

    def __init__(
        self,
        monitor: str = "test_loss",
        patience: int = 1,
        mode: str = "auto",
        min_delta: float = 0.0,
        restore: bool = True,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = check_int(patience, "EarlyStopping", "patience", 1)
        self.restore = check_flag(restore, "EarlyStopping", "restore")
        self._best: tuple[Snapshot, int, int] | None = None

    def on_train_begin(self, trainer: Training) -> None:
        """Begin to watch."""
        self._best = None
        super().on_train_begin(trainer)

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Keep the best network, or end the training if it is time to."""
        better = self.watch(row)
        net = trainer.net
        if better and self.restore:
            self._best = Snapshot.take(net, trainer.optim), net.epochs_trained, row["epoch"]
        if better is False and self.waited >= self.patience:
            trainer.stop = True
            trainer.say(f"Stopped after epoch {row['epoch']}: no better {self.monitor}")

    def on_train_end(self, trainer: Training) -> None:
        """Put the best network back."""
        if self._best is None:
            return
        (snapshot, epochs_trained, epoch), self._best = self._best, None
        if snapshot.t != trainer.optim.t:
            snapshot.restore(trainer.net, trainer.optim)
            trainer.net.epochs_trained = epochs_trained
            trainer.say(f"The network of epoch {epoch}, the best, is put back.")


class ModelCheckpoint(Monitor):
    """Saves the network after each epoch whose value is the best so far.

    ``dlfs.load`` reads the file. To go on with a training, use ``fit(checkpoint=...)``, which has
    the optimizer and the history as well.

    Parameters
    ----------
    path : path
        The file. A name with "{epoch}" in it gives a file for each epoch that is saved.
    monitor : str, default "test_loss"
    mode : {"auto", "min", "max"}, default "auto"
    min_delta : float, default 0.0
        As in ``Monitor``, and so are ``monitor`` and ``mode``.
    best_only : bool, default True
        False saves after every epoch.

    Examples
    --------
    >>> import tempfile
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer, load
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     best = ModelCheckpoint(f"{folder}/best.safetensors", monitor="train_loss")
    ...     trainer = Trainer(NeuralNetwork([Dense(1)]), SGD(lr=0.1))
    ...     _ = trainer.fit(X, 2 * X, epochs=5, callbacks=[best], verbose=0)
    ...     load(f"{folder}/best.safetensors").epochs_trained
    5
    """

    def __init__(
        self,
        path: str | Path,
        monitor: str = "test_loss",
        mode: str = "auto",
        min_delta: float = 0.0,
        best_only: bool = True,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not isinstance(path, str | Path):
            raise TypeError(f"ModelCheckpoint: path must be a path, got {type(path).__name__}")
        self.path = str(path)
        self.best_only = check_flag(best_only, "ModelCheckpoint", "best_only")

    def on_train_begin(self, trainer: Training) -> None:
        """Begin to watch, and check that the file can be written."""
        if self.best_only:
            super().on_train_begin(trainer)
        check_writable(self._path(1))

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Save the network, if it is the best."""
        if not self.best_only or self.watch(row):
            save(trainer.net, self._path(row["epoch"]))

    def _path(self, epoch: int) -> str:
        return self.path.replace("{epoch}", str(epoch))
