"""History: what happened in a training, epoch by epoch."""

import math
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLUMNS = ("epoch", "lr", "train_loss", "test_loss", "loss", "seconds")
"""The names that no metric can have."""


class History:
    """A row for each epoch: losses, metrics, learning rate, time.

    Attributes
    ----------
    rows : list of dict
        The keys are "epoch" (from 1), "lr", "train_loss", "seconds" and, in epochs with an
        evaluation, "test_loss" and one key for each metric.
    best_epoch : int or None
        The epoch with the smallest test loss so far.
    stopped : {None, "early", "interrupted", "callback"}
        Why the training ended before its last epoch.

    Examples
    --------
    >>> history = History()
    >>> history.append({"epoch": 1, "lr": 0.1, "train_loss": 2.0, "test_loss": 1.5, "seconds": 0.1})
    >>> history["test_loss"]
    [1.5]
    >>> history
    epoch   lr  train_loss  test_loss  seconds
        1  0.1      2.0000     1.5000     0.10
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stopped: str | None = None

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch."""
        self.rows.append(row)

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the smallest test loss so far, None without an evaluation."""
        evaluated = [row for row in self.rows if math.isfinite(row.get("test_loss", math.nan))]
        if not evaluated:
            return None
        return int(min(evaluated, key=lambda row: row["test_loss"])["epoch"])

    @property
    def columns(self) -> list[str]:
        """The keys of all rows, in the order in which they are shown."""
        first = ["epoch", "lr", "train_loss", "test_loss"]
        found = {key: None for row in self.rows for key in row}
        metrics = [key for key in found if key not in (*first, "seconds")]
        return [key for key in (*first, *metrics, "seconds") if key in found]

    def __getitem__(self, column: str) -> list[Any]:
        """Return one column, without the epochs that have no entry there.

        Raises
        ------
        KeyError
            If no epoch has one.
        """
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns) or 'none'}")
        return [row[column] for row in self.rows if column in row]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "History of no epochs"
        cells = self._cells()
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in _abridged(cells)
        ]
        if self.stopped:
            lines.append(f"stopped: {self.stopped}; best epoch: {self.best_epoch}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        header, *body = _abridged(self._cells()) if self.rows else [[""]]
        head = "".join(f"<th>{name}</th>" for name in header)
        rows = ("".join(f"<td>{cell}</td>" for cell in row) for row in body)
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>"
            + "".join(f"<tr>{row}</tr>" for row in rows)
            + "</tbody></table>"
        )

    def plot(self, path: str | PathLike[str] | None = None) -> "Figure":
        """Draw the losses, and beside them the metrics, over the epochs.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture; the name's ending says in which format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed (the extra "plots").
        ValueError
            If there are no epochs to draw.
        """
        from dlfs.plots import plot_history  # noqa: PLC0415 - matplotlib is an extra

        return plot_history(self, path)

    def _cells(self) -> list[list[str]]:
        columns = self.columns
        return [
            columns,
            *[[_cell(column, row.get(column)) for column in columns] for row in self.rows],
        ]


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column == "epoch":
        return str(value)
    if column == "lr":
        return f"{value:.4g}"
    return f"{value:.2f}" if column == "seconds" else f"{value:.4f}"


def _abridged(cells: list[list[str]]) -> list[list[str]]:
    """Show the first and last epochs of a long training."""
    if len(cells) <= 26:
        return cells
    return [*cells[:13], ["..."] * len(cells[0]), *cells[-12:]]
