"""The suite's results as a table, for a terminal and as an HTML page."""

import html
from collections.abc import Mapping, Sequence
from typing import Protocol

from dlfs.gradcheck.report import GradientReport


class Row(Protocol):
    """The attributes of a row that the tables use."""

    name: str
    kind: str
    verdicts: dict[str, str]
    cases: int
    worst: float
    seconds: float
    failures: list[str]

    @property
    def passed(self) -> bool:
        """Whether nothing is known to be wrong."""


def as_text(rows: Sequence[Row]) -> str:
    """Return a table of all rows, and a summary as its last line."""
    columns = list(rows[0].verdicts) if rows else []
    width = max([len(row.name) for row in rows], default=4) + 2
    head = f"{'':<{width}}{'cases':>7}{'worst error':>13}" + "".join(
        f"{name:>11}" for name in columns
    )
    lines = [head, f"{'':<{width}}{'':>7}{'(1 = allowed)':>13}"]
    for row in rows:
        verdicts = "".join(f"{row.verdicts[name]:>11}" for name in columns)
        lines.append(f"{row.name:<{width}}{row.cases:>7}{row.worst:>13.2g}{verdicts}")
    lines += ["", summary(rows)]
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Summarize all rows in one line."""
    failed = [row.name for row in rows if not row.passed]
    cases, seconds = sum(row.cases for row in rows), sum(row.seconds for row in rows)
    what = f"{len(rows)} {'class' if len(rows) == 1 else 'classes'}, {cases} cases, {seconds:.0f} s"
    if failed:
        return f"{what}: {len(failed)} FAILED ({', '.join(failed)})"
    undecided = [row.name for row in rows if "UNDECIDED" in row.verdicts.values()]
    if undecided:
        names = ", ".join(undecided)
        return f"{what}: {len(undecided)} UNDECIDED ({names}), the others are correct"
    return f"{what}: every gradient is correct"


def as_html(rows: Sequence[Row], reports: Mapping[str, GradientReport]) -> str:
    """Return an HTML page with the table and, for each row, one report with its pictures."""
    columns = list(rows[0].verdicts) if rows else []
    heads = "".join(
        f"<th>{html.escape(name)}</th>" for name in ["", "cases", "worst error", *columns]
    )
    lines, sections = [], []
    for row in rows:
        name = html.escape(row.name)
        cells = "".join(
            f"<td class='{'good' if row.verdicts[column] == 'passed' else 'bad'}'>"
            f"{html.escape(row.verdicts[column])}</td>"
            for column in columns
        )
        link = f"<a href='#{name}'>{name}</a>"
        lines.append(f"<tr><td>{link}</td><td>{row.cases}</td><td>{row.worst:.2g}</td>{cells}</tr>")
        failures = "".join(f"<pre>{html.escape(text)}</pre>" for text in row.failures[:3])
        picture = reports[row.name]._repr_html_() if row.name in reports else ""
        sections.append(f"<h2 id='{name}'>{name}</h2>{picture}{failures}")
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Gradient check</title>"
        "<style>body{font-family:sans-serif;margin:2em auto;max-width:60em}"
        "td,th{padding:0 .8em;text-align:right}td:first-child{text-align:left}"
        ".good{color:#1a7f37}.bad{color:#b3261e;font-weight:bold}"
        "pre{background:#f4f4f4;padding:1em;overflow:auto}</style>"
        f"<h1>Gradient check</h1><p>{html.escape(summary(rows))}</p>"
        "<p>The worst error is given in units of its tolerance: above 1 is wrong.</p>"
        f"<table><tr>{heads}</tr>{''.join(lines)}</table>{''.join(sections)}</html>\n"
    )
