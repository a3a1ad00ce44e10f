"""Compares the estimators with scikit-learn's networks on the tables that it brings along.

Run ``make bench-scikit-learn``, or ``python -m benchmarks.scikit_learn`` from the root of the
project; it writes ``docs/scikit_learn.md``. Both networks have their defaults, and get the same
parts of a cross-validation, in turns, so that other work on the machine slows down both. The
inputs are scaled, and so are the targets of a regression.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from dlfs.estimators import NetworkClassifier, NetworkRegressor

PAGE = Path(__file__).parents[1] / "docs" / "scikit_learn.md"
PARTS = 10

CLASSES = ["load_iris", "load_wine", "load_breast_cancer", "load_digits"]
NUMBERS = ["load_diabetes", "load_linnerud"]

_HEAD = """# Estimators compared with those of scikit-learn

`NetworkClassifier` and `NetworkRegressor` (`dlfs.estimators`), and scikit-learn's `MLPClassifier`
and `MLPRegressor`, on all tables that scikit-learn brings along, each with its defaults. Written by
`make bench-scikit-learn`, with scikit-learn {sklearn} and NumPy {numpy}, {threads}.

The score is the accuracy of a classification, and the coefficient of determination R² of a
regression: the mean over the {parts} parts of a cross-validation, each part tested once. The
difference is ours minus theirs, and its standard error comes from the differences of the parts.
Time is that of `fit` with the scaling; the ratio is theirs by ours, the median over the parts. Both
fit the same part in turns.

{columns}
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""

_COLUMNS = "table, rows, features, score: dlfs, scikit-learn, difference, standard error"
_COLUMNS += ", seconds: dlfs, scikit-learn, ratio"

_FOOT = """
Our score is at least theirs, or within two standard errors of it, {good}.
Our time is at most half of theirs {fast}.

- Both have a hidden layer of 100 neurons with ReLU, batches of 200, and weights from Glorot's
  distribution. Ours train for at most 150 epochs with AdamW and a learning rate of 0.002. Theirs
  train for at most 200 with Adam and 0.001, and often stop there with a warning that they have
  not converged.
- Linnerud has 20 rows: 18 to train and 2 to test. Neither network predicts it; the mean of the
  targets is better than both.
- The smaller a table, the more of the time is spent in Python and not in kernels. On larger
  networks and data, `make bench` compares with PyTorch.
"""


@dataclass
class Result:
    """Scores and seconds of both for each part: ours, theirs."""

    name: str
    shape: tuple[int, int]
    scores: np.ndarray
    seconds: np.ndarray

    @property
    def difference(self) -> tuple[float, float]:
        """Return how much higher our score is, and the standard error of that."""
        differences = self.scores[0] - self.scores[1]
        return differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))

    @property
    def ratio(self) -> float:
        return statistics.median(self.seconds[1] / self.seconds[0])

    @property
    def as_good(self) -> bool:
        difference, error = self.difference
        return bool(difference >= -2 * error)

    def row(self) -> str:
        """Return the line of the table."""
        (ours, theirs), (difference, error) = self.scores.mean(axis=1), self.difference
        times = [f"{statistics.median(seconds):.3f}" for seconds in self.seconds]
        numbers = [f"{ours:.3f}", f"{theirs:.3f}", f"{difference:+.3f}", f"{error:.3f}", *times]
        cells = [self.name, *map(str, self.shape), *numbers, f"{self.ratio:.1f}"]
        return f"| {' | '.join(cells)} |"


def compared(loader: str, folds: Any, kinds: list[Callable[[int], Any]]) -> Result:
    """Fit both in turns on each part of a table's cross-validation."""
    X, y = getattr(datasets, loader)(return_X_y=True)
    scores, seconds = np.empty((2, PARTS)), np.empty((2, PARTS))
    for part, (train, test) in enumerate(folds.split(X, y)):
        # Who comes first changes, because a cache filled by one may serve the other.
        for number in (0, 1) if part % 2 else (1, 0):
            model = kinds[number](part)
            start = time.perf_counter()
            model.fit(X[train], y[train])
            seconds[number, part] = time.perf_counter() - start
            scores[number, part] = model.score(X[test], y[test])
    return Result(loader.removeprefix("load_").replace("_", " "), X.shape, scores, seconds)


def classifier(kind: type) -> Callable[[int], Any]:
    """Return what makes a classifier of scaled inputs from a seed."""
    return lambda seed: make_pipeline(StandardScaler(), kind(random_state=seed))


def regressor(kind: type) -> Callable[[int], Any]:
    """Return what makes a regressor of scaled inputs and targets from a seed."""
    return lambda seed: TransformedTargetRegressor(
        make_pipeline(StandardScaler(), kind(random_state=seed)), transformer=StandardScaler()
    )


def page(results: list[Result]) -> str:
    """Return the text of the page."""
    worse = [result.name for result in results if not result.as_good]
    slow = [result.name for result in results if result.ratio < 2]
    threads = os.environ.get("OPENBLAS_NUM_THREADS")
    head = _HEAD.format(
        sklearn=sklearn.__version__,
        numpy=np.__version__,
        parts=PARTS,
        threads=f"OPENBLAS_NUM_THREADS={threads}" if threads else "any number of threads",
        columns=f"| {' | '.join(_COLUMNS.split(', '))} |",
    )
    rows = "".join(f"{result.row()}\n" for result in results)
    return head + rows + _FOOT.format(good=_where(worse), fast=_where(slow))


def _where(names: list[str]) -> str:
    return f"on every table but {', '.join(names)}" if names else "on every table"


def main() -> None:
    """Compare on all tables, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="the file to write")
    path = parser.parse_args().page
    warnings.simplefilter("ignore", ConvergenceWarning)
    settings: dict[str, Any] = {"n_splits": PARTS, "shuffle": True, "random_state": 0}
    classes = [classifier(NetworkClassifier), classifier(MLPClassifier)]
    numbers = [regressor(NetworkRegressor), regressor(MLPRegressor)]
    tasks = [(loader, StratifiedKFold(**settings), classes) for loader in CLASSES]
    tasks += [(loader, KFold(**settings), numbers) for loader in NUMBERS]
    results = [compared(*task) for task in tqdm(tasks)]
    text = page(results)
    path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
