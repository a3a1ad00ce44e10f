"""A table of a network's layers, for the terminal and for notebooks."""

import html
from typing import Any, TypeAlias

from dlfs.checks import printable

HEADERS = ("layer", "output", "parameters")

Row: TypeAlias = tuple[str, str, str]


def summary_text(net: Any) -> str:
    """Return the table of a NeuralNetwork as lines of text."""
    cells = [HEADERS, *[tuple(map(printable, row)) for row in _rows(net)]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADERS))]
    lines = [
        f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
        for name, shape, count in cells
    ]
    rule = "-" * max(len(line) for line in lines)
    title, total = printable(type(net).__name__), printable(_total(net))
    return "\n".join([title, rule, lines[0], rule, *lines[1:], rule, total])


def summary_html(net: Any) -> str:
    """Return the table of a NeuralNetwork for a notebook."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in HEADERS)
    body = "".join(
        f"<tr><td style='text-align:left'><code>{name}</code></td>"
        f"<td style='text-align:left'>{shape}</td><td style='text-align:right'>{count}</td></tr>"
        for name, shape, count in (map(html.escape, map(printable, row)) for row in _rows(net))
    )
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{html.escape(printable(_total(net)))}</p>"
    )


def _rows(net: Any) -> list[Row]:
    """Return (layer, output shape, number of parameters) for each layer, as text."""
    rows = []
    for path, layer in list(net.walk())[1:]:
        indent = "  " * path.count(".layers.")
        # A layer that is made of layers shows them below it, indented.
        title = f"{indent}{type(layer).__name__ if layer.layers else repr(layer)}"
        if layer.first or not hasattr(layer, "output"):
            rows.append((title, "?", "?"))
        else:
            shape = ", ".join(str(size) for size in ("batch", *layer.output.shape[1:]))
            count = "" if layer.layers else f"{layer.parameter_count():,}"
            rows.append((title, f"({shape})", count))
    return rows


def _total(net: Any) -> str:
    """Return the line below the table."""
    facts = f"loss: {net.loss!r}; "
    if not net.built:
        return f"{facts}{net.dtype}; set up at the first batch, or by build(input_shape)"
    count = net.parameter_count()
    size = count * net.dtype.itemsize
    memory = f"{size / 1024:,.1f} KiB" if size < 1024**2 else f"{size / 1024**2:,.1f} MiB"
    return f"{facts}{count:,} parameters, {net.dtype}, {memory}"
