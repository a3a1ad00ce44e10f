"""A network as a table, for the terminal and for notebooks."""

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlfs.network import NeuralNetwork

HEADERS = ("layer", "output", "parameters")


def summary_rows(net: "NeuralNetwork") -> list[tuple[str, str, str]]:
    """Return (layer, output shape, number of parameters) for each layer, as text."""
    rows = []
    for layer in net.layers:
        if layer.first or not hasattr(layer, "output"):
            rows.append((repr(layer), "?", "?"))
        else:
            shape = ("batch", *layer.output.shape[1:])
            text = f"({', '.join(str(size) for size in shape)})"
            rows.append((repr(layer), text, f"{layer.parameter_count():,}"))
    return rows


def summary_total(net: "NeuralNetwork") -> str:
    """Return the line below the table."""
    if not net.built:
        return (
            f"loss: {net.loss!r}; {net.dtype}; set up at the first batch, or by build(input_shape)"
        )
    count = net.parameter_count()
    size = count * net.dtype.itemsize
    memory = f"{size / 1024:,.1f} KiB" if size < 1024**2 else f"{size / 1024**2:,.1f} MiB"
    return f"loss: {net.loss!r}; {count:,} parameters, {net.dtype}, {memory}"


def summary_text(net: "NeuralNetwork") -> str:
    """Return the table as lines of text."""
    rows = [HEADERS, *summary_rows(net)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADERS))]
    lines = [
        f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
        for name, shape, count in rows
    ]
    rule = "-" * max(len(line) for line in lines)
    total = summary_total(net)
    return "\n".join([type(net).__name__, rule, lines[0], rule, *lines[1:], rule, total])


def summary_html(net: "NeuralNetwork") -> str:
    """Return the table for a notebook."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in HEADERS)
    body = "".join(
        f"<tr><td style='text-align:left'><code>{html.escape(name)}</code></td>"
        f"<td style='text-align:left'>{shape}</td><td style='text-align:right'>{count}</td></tr>"
        for name, shape, count in summary_rows(net)
    )
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{html.escape(summary_total(net))}</p>"
    )
