"""Boston house prices, 1970: the data of the book's chapters 2 and 3."""

import csv
from typing import NamedTuple

import numpy as np

from dlfs.datasets import files
from dlfs.types import Array


class Boston(NamedTuple):
    """Features, prices and the features' names, also under scikit-learn's former names.

    Examples
    --------
    >>> from dlfs.datasets import boston
    >>> prices = boston()
    >>> prices.data is prices.X, prices.target is prices.y
    (True, True)
    """

    X: Array
    y: Array
    feature_names: tuple[str, ...]

    @property
    def data(self) -> Array:
        """The features, ``X``: the name in the book's listings."""
        return self.X

    @property
    def target(self) -> Array:
        """The prices, ``y``: the name in the book's listings."""
        return self.y


def boston() -> Boston:
    """Return the Boston house prices of 1970, to reproduce the figures of chapters 2 and 3.

    Returns
    -------
    Boston
        A named tuple ``(X, y, feature_names)``: features (506, 13) and prices (506,) in thousands
        of dollars, both float64, and the 13 names. ``X`` is also called ``data`` and ``y`` also
        ``target``, as in the book. A network's predictions have shape (506, 1): give it
        ``to_2d(y)``.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or damaged; the message names it and the remedy.

    Warnings
    --------
    **Column B encodes race.** It is 1000 (b - 0.63)^2, b being the share of Black residents of the
    town: the study assumed that segregation raises prices and built that assumption into the data.
    A model fitted to it learns this assumption; do not draw conclusions about houses from such a
    model. The data is included only to reproduce the book's figures.
    To leave the column out: ``np.delete(X, feature_names.index("B"), axis=1)``.

    Notes
    -----
    CRIM: crime rate; ZN: share of large plots; INDUS: share of industry; CHAS: at the river; NOX:
    nitric oxides; RM: rooms; AGE: share built before 1940; DIS: distance to work; RAD: access to
    highways; TAX: property tax; PTRATIO: pupils per teacher; B: see above; LSTAT: share of
    residents of "lower status", in the study's words. Prices above 50 were cut off to 50.

    D. Harrison, D. L. Rubinfeld, "Hedonic housing prices and the demand for clean air", Journal of
    Environmental Economics and Management 5, 1978; StatLib, Carnegie Mellon University; public
    domain.

    Examples
    --------
    >>> from dlfs.datasets import boston
    >>> X, y, feature_names = boston()
    >>> X.shape, y.shape
    ((506, 13), (506,))
    >>> feature_names[:3]
    ('CRIM', 'ZN', 'INDUS')
    """
    lines = files.read("boston_house_prices.csv").decode("ascii").splitlines()
    names, *rows = csv.reader(lines)
    values = np.array(rows, dtype=np.float64)
    return Boston(values[:, :-1].copy(), values[:, -1].copy(), tuple(names[:-1]))
