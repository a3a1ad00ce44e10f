"""Plots: a computational graph, the training history, filters, a confusion matrix; handles.

They need matplotlib (the extra "plots").
"""

import base64
import inspect
import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlfs.checks import as_float_array, check_finite, check_int, printable, shortened
from dlfs.train.output import in_notebook
from dlfs.types import Array, IntArray
from dlfs.utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#6c757d"


def plot_history(
    history: Iterable[dict[str, Any]],
    path: str | os.PathLike[str] | None = None,
    batch_losses: Sequence[float] | None = None,
) -> "Figure":
    """Plot the losses over the epochs, and the metrics beside them.

    Parameters
    ----------
    history : History
        A history, or its rows.
    path : str or path, optional
        Where to save the picture; the name's ending says in which format.
    batch_losses : sequence of float, optional
        The loss of every batch, to plot the course within the epochs.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there are no epochs to draw.

    Examples
    --------
    >>> from dlfs.train.history import History
    >>> history = History()
    >>> history.append({"epoch": 1, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1})
    >>> len(plot_history(history).axes)
    1
    """
    rows = list(history)
    if not rows:
        raise ValueError("plot_history: history must have at least one epoch, got none")
    known = ("epoch", "lr", "train_loss", "test_loss", "seconds")
    names = dict.fromkeys(name for row in rows for name in row if name not in known)
    metrics = [name for name in names if _column(rows, name)[0]]
    # One evaluation is a number, not a curve: it becomes the title.
    curves = [name for name in metrics if len(_column(rows, name)[0]) > 1]
    figure = _figure(width=5.2 * (1 + bool(curves)) + bool(not curves), height=3.6)
    axes = figure.subplots(1, 1 + bool(curves), squeeze=False)[0]
    if metrics and not curves:
        said = ", ".join(f"{name} {_number(name, _column(rows, name)[1][-1])}" for name in metrics)
        axes[0].set_title(plain(f"test {said}"), fontsize=11)
    if batch_losses is not None and len(batch_losses):
        _draw_batches(axes[0], batch_losses, len(rows))
    else:
        axes[0].plot(*_column(rows, "train_loss"), "o-", color=BLUE, label="training")
    if _column(rows, "test_loss")[0]:
        axes[0].plot(*_column(rows, "test_loss"), "o-", color=ORANGE, label="test")
    _label(axes[0], "epoch", "loss")
    axes[0].legend(frameon=False)
    for name in curves:
        label = f"{name}, at last {_number(name, _column(rows, name)[1][-1])}"
        axes[1].plot(*_column(rows, name), "o-", label=plain(label))
    if curves:
        _label(axes[1], "epoch", plain(", ".join(curves)))
        axes[1].legend(frameon=False)
    return _saved(figure, path)


def plot_rates(
    lrs: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float] | Array,
    suggestion: float,
    path: str | os.PathLike[str] | None = None,
) -> "Figure":
    """Plot the losses of batches over their learning rates, as ``RateSearch.plot`` does.

    Parameters
    ----------
    lrs, losses : sequence of float
        One of each for each batch.
    smoothed : sequence of float
        The losses, smoothed.
    suggestion : float
        The rate to mark.
    path : str or path, optional
        Where to save the picture; the name's ending says in which format.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_rates([0.1, 1.0], [3.0, 2.0], [3.0, 2.5], 1.0).axes)
    1
    """
    rows = {"lrs": lrs, "losses": losses, "smoothed": smoothed}
    shapes = [as_float_array(row, "plot_rates", name).shape for name, row in rows.items()]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0] == (0,):
        raise ValueError(
            "plot_rates: lrs, losses and smoothed must be rows with one number for each batch, got "
            f"shapes {', '.join(map(str, shapes))}"
        )
    figure = _figure(width=5.6, height=3.6)
    axes = figure.subplots()
    axes.plot(lrs, losses, color=GREY, linewidth=0.6, label="loss of the batch")
    axes.plot(lrs, smoothed, color=BLUE, label="smoothed")
    axes.axvline(suggestion, color=ORANGE, linestyle="--", label=f"suggestion {suggestion:.2g}")
    axes.set_xscale("log")
    # The end, where the loss explodes, would flatten all before it.
    lowest, first = float(np.min(smoothed)), float(smoothed[0])
    margin = 0.5 * max(first - lowest, 0.1 * abs(first))
    axes.set_ylim(lowest - margin, first + margin)
    _label(axes, "learning rate", "loss")
    axes.legend(frameon=False)
    return _saved(figure, path)


def plot_filters(
    W: Array, path: str | os.PathLike[str] | None = None, columns: int = 8
) -> "Figure":
    """Plot the kernels of a convolution: red is positive, blue negative.

    Parameters
    ----------
    W : ndarray, shape (in_channels, out_channels, height, width)
        For each output channel, the kernel of the first input channel is plotted.
    path : str or path, optional
        Where to save the picture; the name's ending says in which format.
    columns : int, default 8

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If W does not have 4 dimensions.

    Examples
    --------
    >>> len(plot_filters(np.ones((1, 16, 5, 5))).axes) >= 16
    True
    """
    W = as_float_array(W, "plot_filters", "W")
    if W.ndim != 4 or not W.size:
        raise ValueError(f"plot_filters: W must be (in, out, height, width), got shape {W.shape}")
    check_finite(W, "plot_filters", "W")
    count = W.shape[1]
    columns = min(check_int(columns, "plot_filters", "columns", 1), count)
    rows = math.ceil(count / columns)
    figure = _figure(width=1.05 * columns + 0.9, height=1.15 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False)
    limit = float(np.abs(W[0]).max()) or 1.0
    image = None
    for number, ax in enumerate(axes.ravel()):
        ax.set_axis_off()
        if number < count:
            image = ax.imshow(W[0, number], cmap="RdBu_r", vmin=-limit, vmax=limit)
            ax.set_title(str(number), fontsize=8, color=GREY, pad=2)
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.8, label="weight")
    return _saved(figure, path)


def plot_confusion(
    matrix: IntArray, names: Sequence[str] | None = None, path: str | os.PathLike[str] | None = None
) -> "Figure":
    """Plot a confusion matrix: rows are the true classes, columns the predicted ones.

    Parameters
    ----------
    matrix : ndarray of int, shape (classes, classes)
        A result of dlfs.train.metrics.confusion_matrix.
    names : sequence of str, optional
        The names of the classes. Default: their numbers.
    path : str or path, optional
        Where to save the picture; the name's ending says in which format.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the matrix is not square, or the number of names differs.

    Examples
    --------
    >>> len(plot_confusion(np.eye(3, dtype=int)).axes)
    1
    """
    counts = as_float_array(matrix, "plot_confusion", "matrix")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"plot_confusion: matrix must be square, got shape {counts.shape}")
    check_finite(counts, "plot_confusion", "matrix")
    labels = [str(i) for i in range(len(counts))] if names is None else [*map(str, names)]
    if len(labels) != len(counts):
        raise ValueError(f"plot_confusion: names must hold {len(counts)} names, got {len(labels)}")
    size = 0.5 * len(counts) + 1.5
    figure = _figure(width=size, height=size)
    ax = figure.subplots()
    # Only mistakes are coloured: next to the diagonal they would be invisible.
    mistakes = counts * (1 - np.eye(len(counts)))
    ax.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(mistakes.max(), 1))
    for i, j in np.ndindex(*counts.shape):
        if counts[i, j]:
            dark = i != j and mistakes[i, j] > mistakes.max() * 0.6
            colour = "white" if dark else GREY if i == j else "black"
            ax.text(j, i, f"{int(counts[i, j])}", ha="center", va="center", color=colour, size=8)
    ax.set_xticks(range(len(labels)), [*map(plain, labels)])
    ax.set_yticks(range(len(labels)), [*map(plain, labels)])
    _label(ax, "predicted", "true", grid=False)
    return _saved(figure, path)


def plot_chain(
    parts: Sequence[Any], path: str | os.PathLike[str] | None = None, backward: bool = True
) -> "Figure":
    """Plot a chain as a computational graph, with shapes forward and backward.

    Parameters
    ----------
    parts : sequence
        Operations, layers or a loss after a forward pass, in order. A part needs an ``input_`` (a
        loss: a ``prediction``) and an ``output``; its ``param`` or ``params`` are drawn above it.
    path : str or path, optional
        Where to save the picture; the name's ending says in which format.
    backward : bool, default True
        Whether to draw the gradients as well.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there are no parts, or forward was not called.

    Examples
    --------
    >>> from dlfs.activations import Sigmoid
    >>> sigmoid = Sigmoid()
    >>> sigmoid.forward(np.zeros((2, 3))).shape
    (2, 3)
    >>> len(plot_chain([sigmoid]).axes)
    1
    """
    parts = list(parts)
    if not parts:
        raise ValueError("plot_chain: parts must hold at least one part, got none")
    for part in parts:
        if not hasattr(part, "output"):
            raise ValueError(
                f"plot_chain: {type(part).__name__} must have an output, got none: call forward "
                "first"
            )
    held = [list(getattr(p, "params", [p.param] if hasattr(p, "param") else [])) for p in parts]
    figure = _figure(width=2.05 * len(parts) + 1.2, height=2.3 if any(held) else 1.3)
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set(xlim=(-1.1, 2 * len(parts) - 0.9), ylim=(-0.55, 1.65 if any(held) else 0.55))
    flowing = [getattr(parts[0], "input_", getattr(parts[0], "prediction", None))]
    flowing += [part.output for part in parts]
    for i, value in enumerate(flowing):
        start, end = 2 * i - 1.45 + 0.45 * (i == 0), 2 * i - 0.55
        end -= 0.0 if i < len(parts) else 0.45
        _arrow(ax, (start, 0.16), (end, 0.16), BLUE)
        ax.text((start + end) / 2, 0.25, _shape(value), ha="center", size=8, color=BLUE)
        if backward:
            _arrow(ax, (end, -0.16), (start, -0.16), ORANGE)
            ax.text((start + end) / 2, -0.4, "gradient", ha="center", size=7, color=ORANGE)
    for i, (part, arrays) in enumerate(zip(parts, held, strict=True)):
        ax.fill(
            2 * i + np.array([-0.52, 0.52, 0.52, -0.52]),
            [-0.34, -0.34, 0.34, 0.34],
            facecolor="#eef3f7",
            edgecolor=BLUE,
        )
        name = type(part).__name__
        ax.text(2 * i, 0, plain(name), ha="center", va="center", size=8 - (len(name) > 15))
        if arrays:
            ax.text(2 * i, 1.2, "\n".join(map(_shape, arrays)), ha="center", size=8, color=BLUE)
            _arrow(ax, (2 * i - 0.12, 1.12), (2 * i - 0.12, 0.36), BLUE)
            if backward:
                _arrow(ax, (2 * i + 0.12, 0.36), (2 * i + 0.12, 1.12), ORANGE)
    return _saved(figure, path)


def with_handles(draw: Callable[..., "Figure"], **handles: Sequence[Any]) -> Any:
    """Return a figure that handles change, or without widgets the figure of the defaults.

    As the last line of a notebook's cell it is shown: with a slider for each handle (a menu for
    texts) where ipywidgets is installed, else as a picture.

    Parameters
    ----------
    draw : callable
        Returns a figure. Each argument that has a handle has a default.
    **handles : sequence
        The values of the argument of this name, in order. Its default is one of them.

    Returns
    -------
    matplotlib.figure.Figure, or an object that IPython shows as a widget

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If a handle has a name that draw does not have, or lacks the default.

    Examples
    --------
    >>> def draw(power=2):
    ...     return plot_filters(np.arange(1.0, 5.0).reshape(1, 1, 2, 2) ** power)
    >>> len(with_handles(draw, power=[1, 2, 3]).axes)
    2
    """
    if not callable(draw):
        raise TypeError(f"with_handles: draw must be callable, got {type(draw).__name__}")
    arguments = inspect.signature(draw).parameters
    choices = {name: list(values) for name, values in handles.items()}
    for name, values in choices.items():
        if name not in arguments or arguments[name].default not in values:
            raise ValueError(
                f"with_handles: {name} must be an argument of draw whose default is one of the "
                f"handle's {len(values)} values"
            )
    figure = _once(draw)
    if not in_notebook():
        return figure
    import ipywidgets  # noqa: PLC0415 - an extra

    first = _png(figure)
    picture = ipywidgets.Image(value=first)
    sliders = {
        name: (ipywidgets.Dropdown if isinstance(values[0], str) else ipywidgets.SelectionSlider)(
            options=[(str(value), value) for value in values],
            value=arguments[name].default,
            description=name,
        )
        for name, values in choices.items()
    }

    def redraw(_: Any) -> None:
        now = {name: slider.value for name, slider in sliders.items()}
        picture.value = _png(_once(draw, **now))

    for slider in sliders.values():
        slider.observe(redraw, "value")
    return _Handles(ipywidgets.VBox([*sliders.values(), picture]), first)


class _Handles:
    """Sliders and their picture; where they cannot be shown, IPython shows the first picture."""

    def __init__(self, box: Any, first: bytes) -> None:
        self.box, self.first = box, first

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        widget: dict[str, Any] = self.box._repr_mimebundle_(**options)
        encoded = base64.b64encode(self.first).decode()
        return {**widget, "image/png": encoded, "text/plain": "a figure with handles"}


def plain(text: str) -> str:
    r"""Return a text in which matplotlib finds no formula.

    Examples
    --------
    >>> print(plain("$100"))
    \$100
    """
    return shortened(printable(text), 200).replace("$", r"\$")


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'dlfs[plots]'") from error
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _once(draw: Callable[..., "Figure"], **now: Any) -> "Figure":
    """Draw a figure that pyplot does not show a second time at the end of the cell."""
    figure = draw(**now)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    return figure


def _png(figure: "Figure") -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _arrow(ax: "Axes", start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=end, xytext=start, arrowprops=style)


def _shape(value: Any) -> str:
    """Return ``13 x 5`` for an array, and a number itself."""
    shape = np.shape(value)
    return " x ".join(map(str, shape)) if shape else f"{float(value):.4g}"


def _draw_batches(ax: "Axes", losses: Sequence[float], epochs: int) -> None:
    """Plot every batch faintly, and their running mean."""
    values = np.asarray(losses, dtype=float)
    at = np.arange(1, len(values) + 1) * epochs / len(values)
    window = max(len(values) // 50, 1)
    ax.plot(at, values, color=BLUE, alpha=0.25, linewidth=0.6)
    mean = np.convolve(values, np.ones(window) / window, mode="valid")
    ax.plot(at[window - 1 :], mean, color=BLUE, label="training")
    ax.set_yscale("log")
    # The high losses of the first batches would compress the rest of the scale.
    ax.set_ylim(bottom=max(np.quantile(values, 0.01), 1e-6) / 2, top=mean.max() * 1.5)


def _number(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.3g}"


def _column(rows: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Return the epochs that have a number in a column, and the numbers."""
    found = [row for row in rows if type(row.get(name)) in (int, float)]
    return [row["epoch"] for row in found], [row[name] for row in found]


def _label(ax: "Axes", x: str, y: str, grid: bool = True) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if grid:
        ax.grid(alpha=0.25)


def _saved(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    if path is not None:
        from matplotlib import rcParams  # noqa: PLC0415 - as in _figure

        target = Path(path)
        if not target.suffix:
            # as matplotlib does
            target = target.with_name(f"{target.name}.{rcParams['savefig.format']}")
        picture = io.BytesIO()
        figure.savefig(picture, format=target.suffix[1:].lower())
        write_atomically(target, picture.getvalue())
    return figure
