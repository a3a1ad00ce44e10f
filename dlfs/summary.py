"""A table of a network's layers, for the terminal and for notebooks."""

import html
from collections.abc import Sequence
from typing import TypeAlias

from dlfs.checks import printable

HEADERS = ("layer", "output", "parameters")

Row: TypeAlias = tuple[str, str, str]


def summary_text(title: str, rows: Sequence[Row], total: str) -> str:
    """Return the table as lines of text."""
    cells = [HEADERS, *[tuple(map(printable, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADERS))]
    lines = [
        f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
        for name, shape, count in cells
    ]
    rule = "-" * max(len(line) for line in lines)
    return "\n".join([printable(title), rule, lines[0], rule, *lines[1:], rule, printable(total)])


def summary_html(rows: Sequence[Row], total: str) -> str:
    """Return the table for a notebook."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in HEADERS)
    body = "".join(
        f"<tr><td style='text-align:left'><code>{name}</code></td>"
        f"<td style='text-align:left'>{shape}</td><td style='text-align:right'>{count}</td></tr>"
        for name, shape, count in (map(html.escape, map(printable, row)) for row in rows)
    )
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{html.escape(printable(total))}</p>"
    )
