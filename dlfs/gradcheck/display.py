"""Gradients as pictures: matplotlib figures, and an HTML fragment without dependencies.

The functions take the parts of a report, not the report: report.py imports this module.
"""

import html as escaping
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dlfs.gradcheck.compare import GradientResult
from dlfs.plots import plain
from dlfs.types import Array

_GREEN, _RED = "#1a7f37", "#b3261e"
_LARGEST = 400


def figure(title: str, results: Iterable[GradientResult]) -> Any:
    """Draw a row of pictures for every variable: analytic, numeric, difference, error/tolerance."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and an extra

    results = [result for result in results if result.analytic.size]
    drawing = Figure(figsize=(12, 2.6 * max(len(results), 1)), layout="constrained")
    drawing.suptitle(plain(title))
    if not results:
        return drawing
    grid = drawing.subplots(len(results), 4, squeeze=False)
    for row, result in zip(grid, results, strict=True):
        analytic, numeric, ratio = map(_picture, (result.analytic, result.numeric, result.ratio))
        known = numeric[np.isfinite(numeric)]
        limit = max(np.abs(analytic).max(), np.abs(known).max(initial=0.0), 1e-300)
        pictures = {
            "analytic": analytic,
            "numeric": numeric,
            "difference": analytic - numeric,
        }
        for axes, (title, values) in zip(row[:3], pictures.items(), strict=True):
            image = axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
            axes.set_title(plain(f"{result.name}: {title}"), fontsize=9)
            drawing.colorbar(image, ax=axes)
        with np.errstate(divide="ignore", invalid="ignore"):
            orders = np.log10(np.maximum(ratio, 1e-6))
        image = row[3].imshow(orders, cmap="RdYlGn_r", vmin=-3, vmax=3, aspect="auto")
        row[3].set_title("log10(error / tolerance)", fontsize=9)
        drawing.colorbar(image, ax=row[3])
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
    return drawing


def html(
    title: str,
    where: str,
    passed: bool,
    notes: Sequence[str],
    causes: Sequence[str],
    results: Iterable[tuple[GradientResult, Sequence[str]]],
) -> str:
    """Return an HTML fragment: verdict, notes, causes, and each gradient as a table of colours.

    Each result comes with the lines that describe it in words.
    """
    color = _GREEN if passed else _RED
    verdict = f"<b style='color:{color}'>{escaping.escape(title)}</b> ({escaping.escape(where)})"
    parts = [f"<div style='font-family:sans-serif'>{verdict}"]
    parts += [f"<p>{escaping.escape(note)}</p>" for note in notes]
    if causes:
        items = "".join(f"<li>{escaping.escape(cause)}</li>" for cause in causes)
        parts.append(f"<p>Likely causes:</p><ol>{items}</ol>")
    parts += [_result_html(result, lines) for result, lines in results]
    return "".join(parts) + "</div>"


def _result_html(result: GradientResult, lines: Sequence[str]) -> str:
    color = _GREEN if result.passed else _RED
    words = "<br>".join(" ".join(escaping.escape(line).split()) for line in lines)
    head = f"<p><b style='color:{color}'>{escaping.escape(result.name)}</b> {words}</p>"
    if not result.analytic.size:
        return head
    if result.analytic.size > _LARGEST:
        return f"{head}<p><small>Too large to show here; report.plot() draws it.</small></p>"
    analytic, numeric, ratio = map(_picture, (result.analytic, result.numeric, result.ratio))
    limit = float(max(np.abs(analytic).max(), np.nanmax(np.abs(numeric), initial=0.0))) or 1.0
    pictures = (
        ("analytic (backward)", _cells(analytic, analytic / limit)),
        ("numeric (differences)", _cells(numeric, numeric / limit)),
        ("difference", _cells(analytic - numeric, (analytic - numeric) / limit)),
        ("red where rounding does not explain it", _marks(ratio)),
    )
    columns = "".join(
        f"<td style='vertical-align:top;padding-right:1em'><small>{title}</small>{table}</td>"
        for title, table in pictures
    )
    return f"{head}<table><tr>{columns}</tr></table>"


def _cells(values: Array, shades: Array) -> str:
    """Return a table: blue for positive, red for negative, the number as a tooltip."""
    colors = np.empty(values.shape, dtype=object)
    for index in np.ndindex(values.shape):
        shade = float(shades[index])
        if not np.isfinite(shade):
            colors[index] = "#ddd"
            continue
        faded = round(255 * (1 - min(abs(shade), 1.0)))
        colors[index] = f"rgb({faded},{faded},255)" if shade > 0 else f"rgb(255,{faded},{faded})"
    return _table(values, colors)


def _marks(ratio: Array) -> str:
    colors = np.empty(ratio.shape, dtype=object)
    for index in np.ndindex(ratio.shape):
        value = float(ratio[index])
        colors[index] = "#ddd" if not np.isfinite(value) else _RED if value > 1 else "#d7f0dc"
    return _table(ratio, colors)


def _table(values: Array, colors: Array) -> str:
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td title='{value:.6g}' style='width:10px;height:10px;padding:0;background:{color}'>"
            "</td>"
            for value, color in zip(line, shades, strict=True)
        )
        + "</tr>"
        for line, shades in zip(values, colors, strict=True)
    )
    return f"<table style='border-collapse:collapse;border:1px solid #ddd'>{rows}</table>"


def _picture(array: Array) -> Array:
    """Arrange an array of any rank in two dimensions: images below each other, else by rows."""
    if array.ndim == 4:
        # (a, b, height, width): a rows of b images.
        a, b, height, width = array.shape
        return array.transpose(0, 2, 1, 3).reshape(a * height, b * width)
    if array.ndim < 2:
        return array.reshape(1, -1)
    return array.reshape(-1, array.shape[-1])
