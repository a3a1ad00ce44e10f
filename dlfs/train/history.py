"""History: what happened in a training, epoch by epoch."""

import csv
import html
import io
import math
from collections.abc import Iterator, Mapping, MutableMapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from dlfs.checks import printable, shortened, shown
from dlfs.utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLUMNS = ("epoch", "lr", "train_loss", "test_loss", "loss", "seconds")
"""The names that no metric can have."""

STOPPED = (None, "early", "interrupted", "callback")
"""What ``History.stopped`` can be."""

NEEDED = ("epoch", "lr", "train_loss", "seconds")
"""The entries that every row of a training has."""

LONGEST = 1000
"""The largest number of characters of a text in a row."""


class Row(dict[str, Any]):
    """The row of one epoch: a dict of entries that a checkpoint can hold.

    An entry is a number, True or False, a text of at most 1,000 characters, or None. NumPy's
    numbers become Python's when they are put in. Anything else is refused there and then, and so
    is whatever would take away the entries of the Trainer.

    Parameters
    ----------
    entries : mapping

    Raises
    ------
    TypeError, ValueError
        If an entry has another kind, or a loss, a rate or a time is not a number; if the number of
        the epoch is changed, or an entry that every epoch has is removed.

    Examples
    --------
    >>> row = Row({"epoch": 1})
    >>> row["note"], row["norm"] = "warm", np.float32(0.5)
    >>> row
    {'epoch': 1, 'note': 'warm', 'norm': 0.5}
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        super().__init__()
        self.update(entries)

    def __setitem__(self, column: str, value: Any) -> None:
        if not isinstance(column, str) or len(column) > LONGEST:
            raise TypeError(f"a row's column must be named by a short text, got {column!r:.80}")
        entry = _entry(column, value)
        if column == "epoch" and self.get(column, entry) != entry:
            raise ValueError(f"a row's 'epoch' must stay {self[column]}, got {value!r:.80}")
        super().__setitem__(column, entry)

    def __delitem__(self, column: str) -> None:
        if column in NEEDED:
            raise ValueError(f"a row's {column!r} must stay, it cannot be removed")
        super().__delitem__(column)

    def __ior__(self, entries: Any) -> "Row":  # type: ignore[override,misc]
        self.update(entries)
        return self

    # Those of dict would pass the two methods above by.
    update = MutableMapping.update
    setdefault = MutableMapping.setdefault
    pop = MutableMapping.pop
    popitem = MutableMapping.popitem
    clear = MutableMapping.clear


def _entry(column: str, value: Any) -> Any:
    """Return an entry as what JSON gives back, or refuse it."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    number = type(value) in (int, float)
    if column in COLUMNS and not number:
        raise TypeError(f"a row's {column!r} must be a number, got {value!r:.80}")
    if not (number or value is None or type(value) in (bool, str)):
        raise TypeError(
            f"a row's {column!r:.80} must be a number, a text, True, False or None, "
            f"got {type(value).__name__}"
        )
    if type(value) is int and not -(2**63) <= value < 2**64:
        raise ValueError(f"a row's {column!r:.80} must be an integer of at most 64 bits")
    if type(value) is str and len(value) > LONGEST:
        raise ValueError(
            f"a row's {column!r:.80} must be a text of at most {LONGEST} characters, "
            f"got {len(value)}"
        )
    return value


class History:
    """A row for each epoch: losses, metrics, learning rate, time.

    Attributes
    ----------
    rows : list of dict
        The keys are "epoch" (from 1), "lr", "train_loss", "seconds" and, in epochs with an
        evaluation, "test_loss" and one key for each metric. A callback may put in more: numbers,
        short texts, True, False and None (``Row``).
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
        self.rows: list[Row] = []
        self.stopped: str | None = None

    @classmethod
    def of(cls, rows: Any, stopped: Any) -> "History":
        """Return the history of a training, epoch by epoch, from rows as a file holds them.

        Parameters
        ----------
        rows : list of dict
        stopped : {None, "early", "interrupted", "callback"}

        Raises
        ------
        TypeError, ValueError
            If that is not what they are: a row for each epoch, numbered from 1, with its learning
            rate, its loss and its time.

        Examples
        --------
        >>> row = {"epoch": 1, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1}
        >>> len(History.of([row], "interrupted"))
        1
        """
        if stopped not in STOPPED:
            raise ValueError(f"a history's stopped must be one of {STOPPED}, got {stopped!r:.80}")
        if not isinstance(rows, list):
            raise TypeError(f"a history's rows must be a list, got {type(rows).__name__}")
        history = cls()
        for number, row in enumerate(rows, start=1):
            if (
                not isinstance(row, dict)
                or row.get("epoch") != number
                or not row.keys() >= {*NEEDED}
            ):
                raise ValueError(
                    f"a history's row {number} must be a dict of that epoch with {NEEDED}, "
                    f"got {row!r:.80}"
                )
            history.append(row)
        history.stopped = stopped
        return history

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch; a ``Row`` as it is, any other dict as a new Row.

        Raises
        ------
        TypeError, ValueError
            If a Row cannot have an entry.
        """
        self.rows.append(row if isinstance(row, Row) else Row(row))

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the smallest test loss so far, None without an evaluation."""
        evaluated = [row for row in self.rows if _is_finite(row.get("test_loss"))]
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
        head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in body)
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

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write a row for each epoch into a CSV file; entries that an epoch has not are empty.

        Parameters
        ----------
        path : str or path

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> history = History()
        >>> history.append({"epoch": 1, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     history.to_csv(f"{folder}/run.csv")
        ...     Path(folder, "run.csv").read_text().splitlines()
        ['epoch,lr,train_loss,seconds', '1,0.1,2.0,0.1']
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(path, text.getvalue())

    def _cells(self) -> list[list[str]]:
        columns = self.columns
        return [
            [shortened(printable(str(column))) for column in columns],
            *[[_cell(column, row.get(column)) for column in columns] for row in self.rows],
        ]


def _is_finite(value: Any) -> bool:
    try:
        return value is not None and math.isfinite(value)
    except (OverflowError, TypeError):
        return False


def _cell(column: str, value: Any) -> str:
    """Return what to show of an entry. Rows can be put in unchecked: any value can be shown."""
    if value is None:
        return ""
    if isinstance(value, str):
        return shortened(printable(" ".join(value.split())))
    if column == "epoch" or isinstance(value, bool):
        return printable(shown(value))
    form = {"lr": ".4g", "seconds": ".2f"}.get(column, ".4f")
    try:
        return shortened(f"{value:{form}}")
    except (OverflowError, TypeError, ValueError):
        return printable(shown(value))


def _abridged(cells: list[list[str]]) -> list[list[str]]:
    """Show the first and last epochs of a long training."""
    if len(cells) <= 26:
        return cells
    return [*cells[:13], ["..."] * len(cells[0]), *cells[-12:]]
