"""What the cells of several chapters share: the style of their plots, and quoted lines of dlfs."""

import inspect
import textwrap
from typing import Any

STYLE: Any = {
    "figure.dpi": 80,
    "figure.figsize": (7, 3.2),
    "figure.constrained_layout.use": True,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "image.interpolation": "nearest",
    "legend.frameon": False,
}


def plot_style() -> None:
    """Draw all following plots in the style of the chapters.

    Examples
    --------
    >>> import matplotlib
    >>> with matplotlib.rc_context():
    ...     plot_style()
    """
    from matplotlib import rcParams  # noqa: PLC0415 - an extra, and slow to import

    rcParams.update(STYLE)


def quote(function: Any, *starts: str) -> None:
    """Print the lines of a function that begin like this.

    Raises
    ------
    ValueError
        If no line does.

    Examples
    --------
    >>> from dlfs import reference
    >>> quote(reference.sigmoid_grad, "return")
    return output_grad * output * (1 - output)
    """
    lines = inspect.getsource(function).splitlines()
    found = [line for line in lines if line.strip().startswith(starts)]
    if not found:
        raise ValueError(f"quote: {function.__name__} must have a line that starts with {starts}")
    print(textwrap.dedent("\n".join(found)))
