"""Early stopping: the end of a training whose test loss no longer falls, and its best network."""

from dataclasses import dataclass

from dlfs.train.callbacks import Training
from dlfs.train.checkpoint import Snapshot, Standing
from dlfs.train.output import Display


@dataclass
class EarlyStopping:
    """Remembers the best evaluation, and says when to stop.

    Parameters
    ----------
    patience : int, optional
        Stop after this many evaluations in a row without a new smallest loss; never if None.
    standing : Standing
        Where the best network is kept, which is part of a checkpoint.
    trainer : Training
    display : Display
    """

    patience: int | None
    standing: Standing
    trainer: Training
    display: Display

    def goes_on(self, loss: float, epoch: int) -> bool:
        """Return False, with the best network put back, after ``patience`` bad evaluations."""
        standing = self.standing
        if self.patience is None:
            return True
        if loss < standing.best_loss:
            standing.best_loss, standing.waited = loss, 0
            standing.best = Snapshot.take(self.trainer.net, self.trainer.optim)
            return True
        standing.waited += 1
        if standing.waited < self.patience or standing.best is None:
            return True
        self._put_back()
        standing.history.stopped = "early"
        self.display.say(
            f"Loss increased after epoch {epoch + 1}: stopped, with the network of epoch "
            f"{standing.history.best_epoch}, whose loss was {standing.best_loss:.4f}"
        )
        return False

    def end(self) -> None:
        """Put the best network back, however the training ended, and say so."""
        history = self.standing.history
        if history.stopped != "early" and self._put_back():
            self.display.say(f"The network of epoch {history.best_epoch}, the best, is put back.")

    def _put_back(self) -> bool:
        """Go back to the best evaluation, if there is one; return whether steps are undone."""
        standing, net, optim = self.standing, self.trainer.net, self.trainer.optim
        steps = optim.t
        if standing.best is None or standing.history.best_epoch is None:
            return False
        standing.best.restore(net, optim)
        net.epochs_trained = standing.earlier + standing.history.best_epoch
        return optim.t != steps
