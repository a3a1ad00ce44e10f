"""The loop of a training: epochs of batches, a step for each batch, evaluations in between."""

import math
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from dlfs.ranks import Alone
from dlfs.train.accumulate import train_in_parts
from dlfs.train.beginning import say_what_more_epochs_change
from dlfs.train.callbacks import Callback, Training
from dlfs.train.callbacks.base import Calls
from dlfs.train.checkpoint import Checkpoint, Standing
from dlfs.train.data import Data
from dlfs.train.early_stopping import EarlyStopping
from dlfs.train.evaluation import evaluate
from dlfs.train.failure import NonFiniteLossError, RunningStatistics, failure, failure_in_evaluation
from dlfs.train.history import History, Row
from dlfs.train.interrupt import PatientInterrupt
from dlfs.train.output import Display
from dlfs.train.plan import Plan
from dlfs.types import Array

__all__ = ["NonFiniteLossError", "Run"]


@dataclass
class Run:
    """One training, from where it stands to its end.

    Callbacks see ``trainer``, and may set its ``stop``. ``ranks`` are the processes that share each
    batch; mostly it is one process.
    """

    trainer: Training
    data: Data
    plan: Plan
    standing: Standing
    callbacks: Sequence[Callback]
    display: Display
    checkpoint: Checkpoint | None = None
    ranks: Alone = field(default_factory=Alone)

    def __post_init__(self) -> None:
        self.net = self.trainer.net
        self.optim = self.trainer.optim
        self._early_stopping = EarlyStopping(
            self.plan.patience, self.standing, self.trainer, self.display
        )
        self._statistics = RunningStatistics(self.net)
        self._interrupt = PatientInterrupt(shared=self.ranks.size > 1)

    def train(self) -> History:
        """Go through all epochs that are left."""
        history, plan = self.standing.history, self.plan
        self._calls = Calls(self.callbacks, self.trainer, self.ranks)
        done, batches = len(history), len(self.data.train)
        self.optim.start_schedule(plan.epochs, batches)
        if self.standing.base_lr is not None:  # a callback had set it before the checkpoint
            self.optim.lr = self.standing.base_lr
        total = plan.epochs * batches
        with self.display.shown(total, done * batches, plan.epochs), self._interrupt:
            try:
                say_what_more_epochs_change(self.standing, plan, self.optim, self.display)
                self._calls("on_train_begin")
                if history.stopped != "early":
                    history.stopped = None
                    for epoch in range(done, plan.epochs):
                        if not self._epoch(epoch):
                            break
            except KeyboardInterrupt:
                if self.ranks.size > 1 and not self._interrupt.agreed:
                    raise  # the other ranks do not know of it
                history.stopped = "interrupted"
                self.display.say(
                    "Interrupted: the training ends here; restart=False goes on from here."
                )
            finally:
                self._early_stopping.end()
                self.optim.end_schedule()
                self._calls("on_train_end")
        return history

    def _epoch(self, epoch: int) -> bool:
        """Train for an epoch, and return whether to go on."""
        plan, source = self.plan, self.data.train
        started, batches = time.perf_counter(), len(source)
        number, ahead = self.standing.earlier + epoch, source.works_ahead(plan.transform)
        self.net.reset_state()
        self.display.begin_epoch(epoch + 1, plan.epochs)
        row, total, seen = Row({"epoch": epoch + 1}), 0.0, 0
        with closing(source.epoch(plan.seed, number, plan.transform, ahead)) as drawn:
            for batch, (X_batch, y_batch) in enumerate(drawn):
                self.optim.set_progress(epoch, batch)
                row.setdefault("lr", self.optim.lr)
                loss = self._step(X_batch, y_batch, epoch, batch)
                total += loss * len(X_batch)
                seen += len(X_batch)
                self.display.end_batch(loss)
                self._calls("on_batch_end", epoch, batch, loss)
                if batch + 1 < batches:
                    # After the last batch, the epoch is recorded first: see below.
                    self._interrupt.check()
                if self.trainer.stop:
                    break
        if not all(np.isfinite(param).all() for param in self.net.params()):
            raise failure(self.net, f"parameters became nan or inf in epoch {epoch + 1}")
        self.ranks.end_epoch(epoch + 1, self.net, X_batch, self._interrupt)
        self.net.epochs_trained = number + 1
        row["train_loss"] = total / seen
        row["seconds"] = time.perf_counter() - started
        self.standing.history.append(row)
        going_on = self._evaluate(epoch, row)
        complete = batch + 1 == batches
        try:
            self._end_epoch(row, going_on, complete)
        except KeyboardInterrupt:
            # The epoch is over, and must be in the checkpoint.
            self._write(complete)
            raise
        self._interrupt.check()
        return going_on and not self.trainer.stop

    def _step(self, X_batch: Array, y_batch: Array, epoch: int, batch: int) -> float:
        """Learn from a batch and return its loss; one that is not finite changes nothing."""
        self._statistics.remember()
        ranks, parts = self.ranks, self.plan.accumulate
        loss = train_in_parts(self.net, X_batch, y_batch, parts, ranks.train_batch)
        loss = ranks.add_up(self.net, loss, self._interrupt)
        if math.isfinite(loss) and not self._statistics.are_spoiled():
            self.optim.step()
            return loss
        became = "running statistics became nan or inf"
        if not math.isfinite(loss):
            became = f"the loss became {loss}"
        error = failure(self.net, f"{became} in batch {batch} of epoch {epoch + 1}")
        self._statistics.put_back()
        raise ranks.same_error(error, mine=not math.isfinite(self.net.loss.output))

    def _evaluate(self, epoch: int, row: Row) -> bool:
        """Evaluate if it is time to, and return whether to go on."""
        plan, X_test, y_test = self.plan, self.data.X_test, self.data.y_test
        due = (epoch + 1) % plan.eval_every == 0 or epoch + 1 == plan.epochs
        if X_test is None or y_test is None or not due:
            return True
        # Without shuffling, the test data is streams of text, as the training data is.
        size = None if plan.shuffle else plan.batch_size
        results = evaluate(self.net, X_test, y_test, plan.measures, size, self.ranks)
        results = self.ranks.of_first(results)
        loss = row["test_loss"] = results.pop("loss")
        row.update(results)
        if not math.isfinite(loss):
            what = f"the test loss became {loss} after epoch {epoch + 1}"
            raise failure_in_evaluation(self.net, X_test, size, what)
        said = "".join(f", {name} {value:.4f}" for name, value in results.items())
        self.display.say(f"Validation loss after {epoch + 1} epochs is {loss:.4f}{said}")
        return self._early_stopping.goes_on(loss, epoch)

    def _end_epoch(self, row: Row, going_on: bool, complete: bool) -> None:
        self._calls("on_epoch_end", row)
        row.update(self.ranks.of_first(dict(row)))
        if self.trainer.stop and going_on:
            self.standing.history.stopped = "callback"
        self._write(complete)

    def _write(self, complete: bool) -> None:
        """Write the checkpoint if the epoch was not broken off."""
        if self.checkpoint is not None and complete:
            self.checkpoint.write(self.net, self.optim, self.standing)
