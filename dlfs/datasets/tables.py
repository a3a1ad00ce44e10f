"""Tables: CSV files and data frames as arrays that a network takes."""

import csv
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dlfs.checks import check_choice, check_instance, shown
from dlfs.labels import as_labels
from dlfs.types import Array

MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""What stands for a missing value in a file, in small letters."""

TRUTHS = {"true": True, "false": False}

MOST_CATEGORIES = 1000
"""The largest number of categories of a column."""

POLICIES = ("error", "drop", "fill")


@dataclass(frozen=True)
class Column:
    """One column of a table, and how it becomes numbers.

    Parameters
    ----------
    name : str
    categories : list of str, optional
        The categories, each of which becomes a column of zeros and ones; None for numbers.
    fill : float or str, optional
        What stands for a missing value, if anything does.
    """

    name: str
    categories: list[str] | None = None
    fill: float | str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns of numbers that it becomes."""
        if self.categories is None:
            return [self.name]
        return [f"{self.name}={category}" for category in self.categories]

    def numbers(self, values: Array, owner: str) -> Array:
        """Return the column as numbers, (rows, columns)."""
        lacking = _lacking(values)
        if lacking.any():
            if self.fill is None:
                raise ValueError(f"{owner}: {_missing_said(self.name, lacking)}")
            values = values.astype(object)
            values[lacking] = self.fill
        if self.categories is None:
            return _as_numbers(values, self.name, owner)[:, np.newaxis]
        texts = values.astype(str)
        unknown = sorted(set(texts.tolist()) - set(self.categories))
        if unknown:
            raise ValueError(
                f"{owner}: column {self.name!r} must hold categories that were there in training, "
                f"{shown(self.categories)}, got {shown(unknown[0])}"
            )
        return (texts[:, np.newaxis] == np.array(self.categories)).astype(np.float64)


@dataclass(frozen=True)
class TableLayout:
    """How the columns of a table become the columns of numbers that a network takes.

    Parameters
    ----------
    columns : list of Column
        In the order of the numbers. Other columns of a table are not used.
    target : str
        The name of the column to predict.

    Examples
    --------
    >>> layout = TableLayout([Column("size"), Column("colour", ["blue", "red"])], "price")
    >>> layout.transform({"colour": ["red", "blue"], "size": [3, 4]})
    array([[3., 0., 1.],
           [4., 1., 0.]])
    """

    columns: list[Column]
    target: str

    @property
    def names(self) -> list[str]:
        """The names of the columns of numbers."""
        return [name for column in self.columns for name in column.names]

    def transform(self, data: Any) -> Array:
        """Return the inputs of another table with the same columns, in any order.

        Parameters
        ----------
        data : path of a CSV file, data frame, or mapping of columns

        Raises
        ------
        ValueError
            If a column or a value is missing, or holds a category that was not in training.
        """
        return self._of(_columns_of(data, "TableLayout.transform"), "TableLayout.transform")

    def labelled(self, data: Any) -> tuple[Array, Array]:
        """Return the inputs of another table, and its target as it is.

        Raises
        ------
        ValueError
            As ``transform``, also if the target is missing.
        """
        owner = "TableLayout.labelled"
        columns = _columns_of(data, owner)
        if self.target not in columns:
            raise ValueError(
                f"{owner}: the table must have the target's column {self.target!r:.80}, it has "
                f"{shown(list(columns), 200)}"
            )
        lacking = _lacking(columns[self.target])
        if lacking.any():
            raise ValueError(f"{owner}: {_missing_said(self.target, lacking)}")
        return self._of(columns, owner), columns[self.target]

    def _of(self, table: dict[str, Array], owner: str) -> Array:
        absent = [column.name for column in self.columns if column.name not in table]
        if absent:
            raise ValueError(
                f"{owner}: the table must have the column {absent[0]!r}, as in training; it has "
                f"{shown(list(table), 200)}"
            )
        parts = [column.numbers(table[column.name], owner) for column in self.columns]
        return np.concatenate(parts, axis=1)

    def as_notes(self) -> dict[str, Any]:
        """Return the layout as JSON values, for ``net.notes``."""
        return asdict(self)

    @classmethod
    def from_notes(cls, notes: Any) -> Self:
        """Return what ``as_notes`` returned; the values may come from a file.

        Raises
        ------
        ValueError
            If they are anything else.
        """
        try:
            columns = [Column(**column) for column in notes["columns"]]
            target = notes["target"]
        except (TypeError, KeyError) as error:
            raise ValueError(f"the layout of the table is malformed: {shown(notes)}") from error
        for column in columns:
            texts = [column.name, *(column.categories or [])]
            if not all(isinstance(text, str) for text in texts):
                raise ValueError(f"the layout of the table is malformed: {shown(column)}")
            if not isinstance(column.fill, str | float | int | None):
                raise ValueError(f"the layout of the table is malformed: {shown(column)}")
        if not isinstance(target, str):
            raise ValueError(f"the layout of the table is malformed: {shown(target)}")
        return cls(columns, target)


class Table(NamedTuple):
    """Inputs, target, the names of the inputs, and the layout that prepares further tables.

    Examples
    --------
    >>> frame = {"size": [50, 80, 65], "price": [200, 320, 260]}
    >>> prices = table(frame, target="price")
    >>> prices.X.shape, prices.y.tolist()
    ((3, 1), [200.0, 320.0, 260.0])
    """

    X: Array
    y: Array
    names: tuple[str, ...]
    layout: TableLayout


def table(data: Any, target: str, missing: str = "error") -> Table:
    """Return a table as arrays: numbers as they are, categories as columns of zeros and ones.

    Parameters
    ----------
    data : path of a CSV file, data frame, or mapping of columns
        The first row of a file has the names of the columns; commas stand between values. A frame
        of any library will do whose columns have ``to_numpy``: pandas, polars.
    target : str
        The name of the column to predict.
    missing : {"error", "drop", "fill"}, default "error"
        What to do where a value is missing: refuse the table, leave the row out, or put in the
        median of a column of numbers, and a category of its own, "missing", in one of categories.
        Rows whose target is missing are refused or left out.

    Returns
    -------
    Table
        A named tuple ``(X, y, names, layout)``. X is float64, (rows, columns). y has floats,
        or the labels of classes: texts, or True and False; a Trainer takes these as they are, if
        the network's loss is a cross-entropy. ``layout.transform`` prepares another table.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If data is neither of these, a row has too few values, a column is missing or empty, or a
        value is missing (its column and row are named).

    Notes
    -----
    Columns keep their scales; ``dlfs.datasets.prepare.standardize`` gives all of them mean 0 and
    variance 1.

    Examples
    --------
    >>> frame = {"size": [50, 80, 65], "town": ["Ulm", "Bonn", "Ulm"], "price": [200, 320, 260]}
    >>> X, y, names, layout = table(frame, target="price")
    >>> names
    ('size', 'town=Bonn', 'town=Ulm')
    >>> X
    array([[50.,  0.,  1.],
           [80.,  1.,  0.],
           [65.,  0.,  1.]])
    >>> y
    array([200., 320., 260.])
    """
    owner = "table"
    check_instance(target, str, owner, "target")
    check_choice(missing, POLICIES, owner, "missing")
    columns = _columns_of(data, owner)
    if target not in columns:
        raise ValueError(
            f"{owner}: target must be one of the columns, {shown(list(columns), 200)}, "
            f"got {target!r:.80}"
        )
    if len(columns) < 2:
        raise ValueError(f"{owner}: the table must have a column besides the target {target!r}")
    lacking = {name: _lacking(values) for name, values in columns.items()}
    if missing == "error":
        for name, places in lacking.items():
            if places.any():
                raise ValueError(
                    f"{owner}: {_missing_said(name, places)}; missing='drop' leaves such rows out, "
                    "missing='fill' puts in the median, or a category of its own"
                )
    dropped = lacking[target].copy()
    if missing == "drop":
        dropped = np.logical_or.reduce(list(lacking.values()))
    if dropped.all():
        raise ValueError(f"{owner}: no row is left, because every row has a missing value")
    kept = {name: values[~dropped] for name, values in columns.items()}
    layout = TableLayout(
        [_laid_out(name, values, owner) for name, values in kept.items() if name != target], target
    )
    return Table(layout._of(kept, owner), target_of(kept[target]), tuple(layout.names), layout)


def target_of(values: Array) -> Array:
    """Return a target as floats, booleans or texts, whichever it is.

    Examples
    --------
    >>> target_of(np.array(["1", "2"])), target_of(np.array(["True", "False"]))
    (array([1., 2.]), array([ True, False]))
    """
    values = as_labels(values, "table", "target")
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    small = [str(value).strip().lower() for value in values.ravel()]
    if set(small) <= set(TRUTHS):
        return np.array([TRUTHS[value] for value in small])
    if all(_is_number(value) for value in small):
        return values.astype(str).astype(np.float64)
    return values.astype(str)


def read_csv(path: str | os.PathLike[str], owner: str = "table") -> dict[str, Array]:
    r"""Return the columns of a CSV file as texts, by their names.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no file, or it is not a table with a header.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text('size,town\n50,Ulm\n80,"Bonn, Rhine"\n')
    ...     read_csv(path)["town"].tolist()
    ['Ulm', 'Bonn, Rhine']
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{owner}: there is no file {path}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{owner}: {path} must be a CSV file in UTF-8: {error}") from error
    names = [name.strip() for name in header]
    if not names or not rows:
        raise ValueError(
            f"{owner}: {path} must have a first row with the names of the columns, and rows of "
            f"values, got {len(rows)} rows of values"
        )
    if "" in names or len(set(names)) < len(names):
        raise ValueError(
            f"{owner}: the columns of {path} must have different names, got {shown(names, 200)}"
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(
                f"{owner}: row {number} of {path} must have {len(names)} values, as the header "
                f"has names, got {len(row)}"
            )
    return {
        name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def _columns_of(data: Any, owner: str) -> dict[str, Array]:
    """Return columns of values by name."""
    if isinstance(data, str | os.PathLike):
        return read_csv(data, owner)
    if isinstance(data, Mapping):
        named = dict(data)
    elif hasattr(data, "columns") and hasattr(data, "__getitem__"):
        named = {name: data[name] for name in data.columns}
    else:
        raise TypeError(
            f"{owner}: data must be the path of a CSV file, a data frame or a mapping of columns, "
            f"got {type(data).__name__}"
        )
    columns: dict[str, Array] = {}
    for name, values in named.items():
        if not isinstance(name, str):
            raise TypeError(f"{owner}: names of columns must be texts, got {shown(name)}")
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
        if array.ndim != 1 or (columns and len(array) != len(next(iter(columns.values())))):
            raise ValueError(
                f"{owner}: column {name!r:.80} must be one row of as many values as the others, "
                f"got shape {array.shape}"
            )
        if array.dtype.kind in "Mm":
            raise TypeError(
                f"{owner}: column {name!r:.80} must hold numbers or texts, got {array.dtype}; "
                "make numbers of dates first"
            )
        columns[name] = array
    if not columns or not len(next(iter(columns.values()))):
        raise ValueError(f"{owner}: the table must have at least one row, got none")
    return columns


def _lacking(values: Array) -> Array:
    """Return where values are missing."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind in "iub":
        return np.zeros(len(values), dtype=bool)
    # None, and what is not equal to itself: NaN, pandas.NA, NaT.
    return np.array([v is None or _is_blank(v) for v in values.tolist()], dtype=bool)


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _missing_said(name: str, lacking: Array) -> str:
    rows = np.flatnonzero(lacking) + 1
    said = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    values = "value" if len(rows) == 1 else "values"
    return f"column {name!r:.80} lacks {len(rows)} {values} (row {said})"


def _laid_out(name: str, values: Array, owner: str) -> Column:
    """Return how a column becomes numbers, by its values."""
    lacking = _lacking(values)
    present = values[~lacking]
    if not len(present):
        raise ValueError(f"{owner}: column {name!r:.80} must have values, all are missing")
    if present.dtype.kind in "iufb" or all(_is_number(value) for value in present.tolist()):
        numbers = _as_numbers(present, name, owner)
        return Column(name, None, float(np.median(numbers)) if lacking.any() else None)
    categories = sorted({str(value) for value in present.tolist()})
    fill = None
    if lacking.any():
        fill = "missing"
        categories = sorted({*categories, fill})
    if len(categories) > MOST_CATEGORIES:
        raise ValueError(
            f"{owner}: column {name!r:.80} must have at most {MOST_CATEGORIES} different texts, "
            f"got {len(categories)}; leave it out, if it is a name or a number of each row"
        )
    return Column(name, categories, fill)


def _is_number(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in TRUTHS:
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _as_numbers(values: Array, name: str, owner: str) -> Array:
    """Return values, or the numbers in texts, as floats."""
    if values.dtype.kind in "iufb":
        numbers = values.astype(np.float64)
    else:
        try:
            numbers = np.array([_number(value) for value in values.tolist()])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{owner}: column {name!r:.80} must hold numbers: {error}") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{owner}: column {name!r:.80} must hold finite numbers, got inf")
    return numbers


def _number(value: Any) -> float:
    if isinstance(value, str):
        truth = TRUTHS.get(value.strip().lower())
        return float(value) if truth is None else float(truth)
    return float(value)
