"""Callbacks that write down what happens."""

from pathlib import Path
from typing import Any

from dlfs.train.callbacks.base import Callback, Training
from dlfs.utils.files import check_writable


class CSVLogger(Callback):
    """Writes the history into a CSV file, a row for each epoch.

    The file is complete after each epoch, and replaces one that is there. Cells without an entry,
    such as the test loss of an epoch that is not evaluated, are empty.

    Parameters
    ----------
    path : path

    Examples
    --------
    >>> import tempfile
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> X = np.ones((4, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = Path(folder, "run.csv")
    ...     trainer = Trainer(NeuralNetwork([Dense(1)]), SGD())
    ...     _ = trainer.fit(X, X, epochs=2, callbacks=[CSVLogger(log)], verbose=0)
    ...     print(log.read_text().splitlines()[0])
    epoch,lr,train_loss,seconds
    """

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | Path):
            raise TypeError(f"CSVLogger: path must be a path, got {type(path).__name__}")
        self.path = Path(path)

    def on_train_begin(self, trainer: Training) -> None:
        """Check that the file can be written."""
        check_writable(self.path)

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Write all rows so far."""
        trainer.history.to_csv(self.path)
