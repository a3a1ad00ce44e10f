"""Run: one training, epoch by epoch: what Trainer.fit does once its arguments are checked."""

import inspect
import math
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from dlfs.base import Operation
from dlfs.network import NeuralNetwork
from dlfs.train.callbacks import Callback, Training
from dlfs.train.checkpoint import Checkpoint, Snapshot, Standing
from dlfs.train.fingerprint import fingerprint
from dlfs.train.history import History, Row
from dlfs.train.interrupt import PatientInterrupt
from dlfs.train.metrics import Decision, Metric
from dlfs.train.output import progress_bar, write_line
from dlfs.types import Array


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite: training cannot go on."""


class Run:
    """One training: where it stands, and how it goes on."""

    def __init__(
        self,
        trainer: Training,
        callbacks: Sequence[Callback],
        epochs: int,
        eval_every: int,
        batch_size: int,
        seed: int,
        patience: int | None,
        measures: dict[str, Metric],
        shuffle: bool = True,
    ) -> None:
        self.trainer = trainer
        self.net = trainer.net
        self.optim = trainer.optim
        self.epochs = epochs
        self.eval_every = eval_every
        self.batch_size = batch_size
        self.seed = seed
        self.patience = patience
        self.measures = measures
        self.shuffle = shuffle
        self.callbacks = callbacks
        self.checkpoint: Checkpoint | None = None
        self.standing = Standing(earlier=self.net.epochs_trained)
        # In order, the test data is streams of text, as the training data is.
        self._evaluated_at_a_time = None if shuffle else batch_size
        self._stateful: list[Operation] = []
        self._interrupt = PatientInterrupt()
        self._bar: Any = None
        self._silent = True

    def settings(self, X_train: Array, y_train: Array) -> dict[str, Any]:
        """Return what must be the same for a training to be resumed; epochs may become more."""
        X_test, y_test = self.trainer.X_test, self.trainer.y_test
        data = {"X_train": X_train, "y_train": y_train, "X_test": X_test, "y_test": y_test}
        return {
            "epochs": self.epochs,
            "eval_every": self.eval_every,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "patience": self.patience,
            "shuffle": self.shuffle,
            "metrics": list(self.measures),
            **{name: None if part is None else fingerprint(part) for name, part in data.items()},
        }

    def resume(self) -> None:
        """Go back to where the checkpoint was written, if there is one."""
        if self.checkpoint is not None and self.checkpoint.exists():
            self.standing = self.checkpoint.read(self.net, self.optim)
            history = self.standing.history
            early = history.stopped == "early"
            epochs = history.best_epoch if early and history.best_epoch else len(history)
            self.net.epochs_trained = self.standing.earlier + epochs

    def train(self, X_train: Array, y_train: Array, verbose: int) -> History:
        """Go through all epochs that are left."""
        history = self.standing.history
        done = len(history)
        batches = -(-len(X_train) // self.batch_size)
        self.optim.start_schedule(self.epochs, batches)
        if self.standing.base_lr is not None:
            self.optim.lr = self.standing.base_lr
        total = self.epochs * batches
        self._stateful = [op for layer in self.net for op in layer.operations if op.state()]
        bar = progress_bar(total, verbose != 1, done * batches, self.epochs)
        with bar, self._interrupt:
            self._bar, self._silent = bar, not verbose
            try:
                self._say_what_more_epochs_change()
                self._call("on_train_begin")
                if history.stopped != "early":
                    history.stopped = None
                    for epoch in range(done, self.epochs):
                        if not self._epoch(epoch, X_train, y_train):
                            break
            except KeyboardInterrupt:
                history.stopped = "interrupted"
                self.say("Interrupted: the training ends here; restart=False goes on from here.")
            finally:
                if history.stopped != "early" and self._put_back_best():
                    self.say(f"The network of epoch {history.best_epoch}, the best, is put back.")
                self.optim.end_schedule()
                self._call("on_train_end")
                self._bar = None
        return history

    def _epoch(self, epoch: int, X_train: Array, y_train: Array) -> bool:
        """Train for an epoch, and say whether to go on."""
        trainer, started, total = self.trainer, time.perf_counter(), 0.0
        # A stream for each epoch of the network's life: a resumed training, and one that goes on
        # from the last, shuffle as the whole one would.
        number = self.standing.earlier + epoch
        order = np.arange(len(X_train))
        if self.shuffle:
            order = np.random.default_rng((self.seed, number)).permutation(order)
        self.net.reset_state()
        self._bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)
        row = Row({"epoch": epoch + 1})
        for batch, start in enumerate(range(0, len(order), self.batch_size)):
            chosen = order[start : start + self.batch_size]
            self.optim.set_progress(epoch, batch)
            row.setdefault("lr", self.optim.lr)
            loss = self._step(X_train[chosen], y_train[chosen], epoch, batch)
            total += loss * len(chosen)
            self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self._bar.update()
            for callback in self.callbacks:
                callback.on_batch_end(trainer, epoch, batch, loss)
            complete = start + self.batch_size >= len(order)
            if not complete:
                # After the last step, the epoch is ended first: it is then in the checkpoint.
                self._interrupt.check()
            if trainer.stop:
                break
        if not all(np.isfinite(param).all() for param in self.net.params()):
            what = f"parameters became nan or inf in epoch {epoch + 1}"
            raise NonFiniteLossError(_explain(self.net, what))
        self.net.epochs_trained = number + 1
        row["train_loss"] = total / min(start + self.batch_size, len(order))
        row["seconds"] = time.perf_counter() - started
        self.standing.history.append(row)
        going_on = self._evaluate(epoch, row)
        try:
            self._end_epoch(row, going_on, complete)
        except KeyboardInterrupt:
            # The epoch is over, and must be in the checkpoint.
            self._write(complete)
            raise
        self._interrupt.check()
        return going_on and not trainer.stop

    def _step(self, X_batch: Array, y_batch: Array, epoch: int, batch: int) -> float:
        """Learn from a batch and return its loss; one that is not finite changes nothing."""
        before = [_copied(operation.state()) for operation in self._stateful]
        loss = self.net.train_batch(X_batch, y_batch)
        states = list(zip(self._stateful, before, strict=True))
        if math.isfinite(loss) and not any(_spoiled(op.state(), old) for op, old in states):
            self.optim.step()
            return loss
        became = "running statistics became nan or inf"
        if not math.isfinite(loss):
            became = f"the loss became {loss}"
        message = _explain(self.net, f"{became} in batch {batch} of epoch {epoch + 1}")
        for operation, old in states:
            for name, array in operation.state().items():
                np.copyto(array, old[name])
        raise NonFiniteLossError(message)

    def _end_epoch(self, row: Row, going_on: bool, complete: bool) -> None:
        self._call("on_epoch_end", row)
        if self.trainer.stop and going_on:
            self.standing.history.stopped = "callback"
        self._write(complete)

    def _write(self, complete: bool) -> None:
        """Write the checkpoint, if there is one, and if the epoch was not broken off."""
        if self.checkpoint is not None and complete:
            self.checkpoint.write(self.net, self.optim, self.standing)

    def _say_what_more_epochs_change(self) -> None:
        before = self.standing.epochs
        if before is not None and before < self.epochs and self.optim.decay_type is not None:
            self.say(
                f"Resumed with {self.epochs} epochs instead of {before}: from epoch "
                f"{len(self.standing.history) + 1} on the learning rate follows the "
                f"{self.optim.decay_type} decay over {self.epochs} epochs"
            )

    def _evaluate(self, epoch: int, row: Row) -> bool:
        """Evaluate if it is time to, and say whether to go on."""
        trainer, last = self.trainer, epoch + 1 == self.epochs
        if trainer.X_test is None or trainer.y_test is None:
            return True
        if not last and (epoch + 1) % self.eval_every:
            return True
        size = self._evaluated_at_a_time
        results = evaluate(self.net, trainer.X_test, trainer.y_test, self.measures, size)
        row["test_loss"] = results.pop("loss")
        row.update(results)
        if not math.isfinite(row["test_loss"]):
            self._fail_in_evaluation(trainer.X_test, row["test_loss"], epoch)
        said = "".join(f", {name} {value:.4f}" for name, value in results.items())
        self.say(f"Validation loss after {epoch + 1} epochs is {row['test_loss']:.4f}{said}")
        if self.patience is None:
            return True
        standing = self.standing
        if row["test_loss"] < standing.best_loss:
            standing.best_loss, standing.waited = row["test_loss"], 0
            standing.best = Snapshot.take(self.net, self.optim)
            return True
        standing.waited += 1
        if standing.waited < self.patience or standing.best is None:
            return True
        self._put_back_best()
        standing.history.stopped = "early"
        self.say(
            f"Loss increased after epoch {epoch + 1}: stopped, with the network of epoch "
            f"{standing.history.best_epoch}, whose loss was {standing.best_loss:.4f}"
        )
        return False

    def _put_back_best(self) -> bool:
        """Go back to the best evaluation, if there is one, and say whether steps are undone."""
        standing, steps = self.standing, self.optim.t
        if standing.best is None or standing.history.best_epoch is None:
            return False
        standing.best.restore(self.net, self.optim)
        self.net.epochs_trained = standing.earlier + standing.history.best_epoch
        return self.optim.t != steps

    def _fail_in_evaluation(self, X_test: Array, loss: float, epoch: int) -> NoReturn:
        """Name the layer that the observation with the worst prediction fails in."""
        prediction = self.net.predict(X_test, self._evaluated_at_a_time)
        size = np.abs(prediction).reshape(len(X_test), -1).max(axis=1)
        # NaN is the largest of all for argmax.
        worst = int(size.argmax())
        with self.net.fresh_start():
            self.net.forward(X_test[worst : worst + 1], inference=True)
        what = f"the test loss became {loss} after epoch {epoch + 1}"
        raise NonFiniteLossError(_explain(self.net, what))

    def say(self, text: str) -> None:
        """Print a line without tearing the progress bar; nothing with verbose=0."""
        if self._bar is not None and not self._silent:
            self._bar.clear()
            write_line(sys.stdout, text)
            self._bar.refresh()

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, method)(self.trainer, *arguments)


def evaluate(
    net: NeuralNetwork,
    X: Array,
    y: Array,
    measures: dict[str, Metric],
    batch_size: int | None = None,
) -> dict[str, float]:
    """Return the loss and the measures, in inference mode; y as the loss uses it."""
    prediction = net.predict(X, batch_size)
    results = {"loss": net.loss.forward(prediction, y)}
    for name, metric in measures.items():
        results[name] = _measured(metric, y, prediction, net.loss.decision)
    return results


def _measured(metric: Metric, y: Array, prediction: Array, decision: Decision) -> float:
    try:
        parameters = inspect.signature(metric).parameters
    except ValueError:  # some functions written in C cannot say what they take
        return float(metric(y, prediction))
    options = {"decision": decision} if "decision" in parameters else {}
    return float(metric(y, prediction, **options))


def _copied(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name: array.copy() for name, array in arrays.items()}


def _spoiled(arrays: dict[str, Array], before: dict[str, Array]) -> bool:
    """Say whether an array that was finite is so no longer."""
    return any(
        not np.isfinite(array).all() and bool(np.isfinite(before[name]).all())
        for name, array in arrays.items()
    )


def _place(path: str) -> str:
    """Return the number of a layer, or its place inside other layers."""
    number = path.removeprefix("layers.")
    return f"layer {number}" if number.isdigit() else path


def _explain(net: NeuralNetwork, what: str) -> str:
    """Say where the first numbers that are not finite are, and what helps."""
    cure = (
        "A smaller learning rate, another weight_init or gradient clipping (clip_norm) often helps"
    )
    # The first layer inside a block comes before the block itself.
    leaves = [(path, layer) for path, layer in net.walk() if not layer.layers]
    blocks = [(path, layer) for path, layer in net.walk() if path and layer.layers]
    for path, layer in leaves + blocks:
        states = [array for op in layer.operations for array in op.state().values()]
        places = {
            "parameters are": layer.params,
            "output is": [layer.output],
            "running statistics are": states,
        }
        for place, arrays in places.items():
            size = sum(array.size for array in arrays)
            bad = size - sum(int(np.isfinite(array).sum()) for array in arrays)
            if bad:
                return (
                    f"{what}; the first layer whose {place} not finite is {_place(path)}, "
                    f"{layer!r} ({bad} of {size} numbers). {cure}"
                )
    prediction = net.layers[-1].output
    largest = float(np.abs(prediction).max())
    if largest > math.sqrt(float(np.finfo(prediction.dtype).max) / prediction.size):
        return f"{what}: predictions of up to {largest:.1e} are too large for {net.loss!r}. {cure}"
    return f"{what}, although every layer's output is finite: look at {net.loss!r} and the targets"
